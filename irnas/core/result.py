"""What one trial yielded, in the form that is written, compared and shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from irnas.core.errors import SettingsError
from irnas.core.heritage import Heritage
from irnas.core.space import Genotype

SCHEMA = 2
"""2: with ``trained_on`` and ``fused``. Raised when a field changes meaning; readers refuse a newer one by name."""


class Status(StrEnum):
    """How a trial ended."""

    OK = "ok"
    STOPPED = "stopped"
    """Ended early by the strategy; its values are those of its last epoch."""
    REJECTED = "rejected"
    """Refused by a limit on a free objective, never trained."""
    FAILED = "failed"


TRAINED = (Status.OK, Status.STOPPED)
"""How trials end whose networks have weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One trial's outcome."""

    trial: int
    """Number of the trial in its run, from 0."""
    genotype: Genotype
    status: Status
    values: Mapping[str, float]
    """Objective name to value: all costs, and for ok and stopped trials all metrics."""
    epochs: int
    """Epochs trained."""
    seed: int
    data_rev: str
    code_rev: str
    seconds: float
    """Wall-clock seconds of training and validation."""
    error: str = ""
    """Why the trial failed; empty unless it did."""
    note: str = ""
    """What a reader of a finished trial should know, for example that it predicts background only."""
    trained_on: str = ""
    """Model name of the processor or the GPU that trained it; empty where none did, or before schema 2."""
    fused: bool | None = None
    """Whether fused kernels (irnas.nn.fused) took part in its last epoch; None where nobody knows."""
    heritage: Heritage | None = None
    """Whose weights it started from; None where they were random."""

    def __post_init__(self) -> None:
        where = f"result of trial {self.trial}"
        if bool(self.error) != (self.status is Status.FAILED):
            raise SettingsError(f"{where}: got status {self.status} with error {self.error!r}; must go together")
        for name, value in self.values.items():
            if not math.isfinite(value):
                raise SettingsError(f"{where}: got {name}={value}; must be finite")

    @property
    def key(self) -> str:
        """The genotype's key."""
        return self.genotype.key

    @property
    def line_epochs(self) -> int:
        """Epochs that its weights have been trained, those of its ancestors included."""
        return self.heritage.epochs if self.heritage else self.epochs

    def document(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "trial": self.trial,
            "key": self.key,
            "genotype": self.genotype.document(),
            "status": str(self.status),
            "values": dict(self.values),
            "epochs": self.epochs,
            "seed": self.seed,
            "data_rev": self.data_rev,
            "code_rev": self.code_rev,
            "seconds": self.seconds,
            "error": self.error,
            "note": self.note,
            "trained_on": self.trained_on,
            "fused": self.fused,
            # Left out where there is none, as before there were any.
            **({"heritage": asdict(self.heritage)} if self.heritage else {}),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Result:
        """The inverse of ``document``."""
        fields = {k: v for k, v in document.items() if k not in ("key", "genotype", "status")}
        genotype = Genotype.from_document(document["genotype"])
        if fields.get("heritage"):
            fields["heritage"] = Heritage(**fields["heritage"])
        return cls(genotype=genotype, status=Status(document["status"]), **fields)
