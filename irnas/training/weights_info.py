"""What a file of weights says of the network in it; its form as plain data is the schema of that file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from irnas import metrics
from irnas.core.errors import FormatError, IrnasError, SettingsError
from irnas.core.file_suffix import OLD_SUFFIX as OLD_SUFFIX
from irnas.core.file_suffix import SUFFIX as SUFFIX
from irnas.core.file_suffix import SUFFIXES as SUFFIXES
from irnas.core.recipe import Budget, Recipe
from irnas.core.space import Genotype
from irnas.record.events import DataSource
from irnas.runtime.value_range import ValueRange

SCHEMA = 1
"""Raised when a field changes its meaning; readers refuse a newer one by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsInfo:
    """Which network it is, how it came to be, and what belongs to it."""

    genotype: Genotype
    """The point of its space."""
    origin: str
    """Where the weights come from: ``trained``, or, for example, ``imported from the authors' file NAME``."""
    data: DataSource | None = None
    """What it was trained on; None where nobody knows."""
    split: str = ""
    """The split that it was trained on; empty where nobody knows."""
    budget: Budget | None = None
    recipe: Recipe | None = None
    epochs: int = 0
    """Passes over the split after which the weights are as they are here; 0 where nobody knows."""
    seed: int | None = None
    """Of the training; None where nobody knows."""
    replicate: int = 0
    """Which of the network's trainings it was, in its run."""
    preset: str = "basicirstd"
    """The conventions of ``values``."""
    threshold: float = 0.5
    """A target is where the probability exceeds it; between 0 and 1. It is chosen on validation images that the network
    was not trained on (irnas.metrics.threshold); 0.5 where there were none."""
    miou_at_threshold: float | None = None
    """Intersection over union on the images that chose the threshold; None where it was not chosen."""
    miou_at_half: float | None = None
    """The same at 0.5."""
    value_range: ValueRange | None = None
    """How images of more than 8 bits became those it was trained on; None where these had 8 bits."""
    is_range_known: bool = True
    """Whether ``value_range`` tells; False for weights of version 0.1."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Metrics on the validation split, at the preset's own threshold; empty where it was not validated."""
    code_rev: str = ""

    def __post_init__(self) -> None:
        metrics.preset(self.preset)
        if not 0 < self.threshold < 1:
            raise SettingsError(f"weights.threshold: got {self.threshold}; must lie between 0 and 1")

    def document(self) -> dict[str, Any]:
        """The facts as plain data."""
        return {
            "schema": SCHEMA,
            **{name: getattr(self, name) for name in _PLAIN},
            "genotype": self.genotype.document(),
            "data": asdict(self.data) if self.data else None,
            "budget": asdict(self.budget) if self.budget else None,
            "recipe": asdict(self.recipe) if self.recipe else None,
            "value_range": [self.value_range.low, self.value_range.high] if self.value_range else None,
            "values": dict(self.values),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any], where: str) -> WeightsInfo:
        """The inverse of ``document``; ``where`` is for messages.

        Raises:
            FormatError: a field that is missing or makes no sense, or a newer schema.
        """
        schema = document.get("schema")
        if not isinstance(schema, int) or schema < 1:
            raise FormatError(f"{where}: got schema {str(schema)[:64]!r}; must be {SCHEMA}")
        if schema > SCHEMA:
            raise FormatError(f"{where}: got schema {schema}; this irnas reads up to {SCHEMA}")
        try:
            return cls._read(document)
        except KeyError as error:
            raise FormatError(f"{where}: got no {error.args[0]}; must be there") from None
        except (IrnasError, TypeError, ValueError, AttributeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise FormatError(f"{where}: got {reason}; must be facts as irnas writes them") from None

    @classmethod
    def _read(cls, document: Mapping[str, Any]) -> WeightsInfo:
        plain = {name: document[name] for name in _PLAIN}
        for name, value in plain.items():
            if not isinstance(value, _PLAIN[name]):
                raise TypeError(f"{name} {str(value)[:64]!r}")
        data, budget, recipe, ends = (document[name] for name in ("data", "budget", "recipe", "value_range"))
        return cls(
            **plain,
            genotype=Genotype.from_document(document["genotype"]),
            data=DataSource(**data) if data else None,
            budget=Budget(**budget) if budget else None,
            recipe=Recipe.from_document(recipe) if recipe else None,
            value_range=ValueRange(float(ends[0]), float(ends[1])) if ends else None,
            values={str(name): float(value) for name, value in document["values"].items()},
        )


_PLAIN: Mapping[str, Any] = {
    **dict.fromkeys(("origin", "split", "preset", "code_rev"), str),
    **dict.fromkeys(("epochs", "replicate"), int),
    "seed": int | None,
    "threshold": float,
    **dict.fromkeys(("miou_at_threshold", "miou_at_half"), float | None),
    "is_range_known": bool,
}
"""The fields that a document holds as they are, and their types."""
