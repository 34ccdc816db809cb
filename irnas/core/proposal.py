"""A network that a search was asked to train: who asked for it, what it costs, and whether a limit refused it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from irnas.core.heritage import Parent
from irnas.core.space import Genotype

KNOWN_FROM = "known from "
"""Begins the origin of a network whose result is that of another run; the run follows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A network that the strategy wants to see trained, or wants to be seen to refuse."""

    trial: int
    """Number of the trial in its run, from 0."""
    genotype: Genotype
    costs: Mapping[str, float]
    """Free objective to value."""
    origin: str
    """Who proposed it: a sampler's name, ``random``, ``published NAME``, or ``known from RUN``."""
    refused: str = ""
    """The limit that it breaks; such a proposal is recorded and never trained."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy must be given back to continue after a restart, as plain data."""
    parent: Parent | None = None
    """The network from whose weights it starts; None for random ones."""

    @property
    def key(self) -> str:
        """The genotype's key."""
        return self.genotype.key

    @property
    def is_known(self) -> bool:
        """Whether its result is that of another run: it was not trained in this one, and is not paid for."""
        return self.origin.startswith(KNOWN_FROM)

    def document(self) -> dict[str, Any]:
        """The proposal as plain data."""
        return {
            "trial": self.trial,
            "key": self.key,
            "genotype": self.genotype.document(),
            "costs": dict(self.costs),
            "origin": self.origin,
            "refused": self.refused,
            "memory": dict(self.memory),
            # Left out where there is none, as before there were any.
            **({"parent": asdict(self.parent)} if self.parent else {}),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Proposal:
        """The inverse of ``document``."""
        names = ("trial", "costs", "origin", "refused", "memory")
        genotype = Genotype.from_document(document["genotype"])
        parent = Parent(**document["parent"]) if document.get("parent") else None
        return cls(genotype=genotype, parent=parent, **{name: document[name] for name in names})
