"""What a strategy believed of an action when it chose it, as the record keeps it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

_NAMES_OF_0_1 = {"spread": "standard_deviation", "gain": "expected_improvement"}
"""What the records of version 0.1 call fields, and what they are called now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Belief:
    """The posterior of a network's final metric, and what training it to the end was expected to bring."""

    mean: float
    """Of the final value of the metric, in the metric's own unit."""
    standard_deviation: float
    """Of the final value, in the same unit."""
    expected_improvement: float
    """Hypervolume that the network was expected to add, over what the front covered: 0.01 is one percent."""
    seconds: float
    """Of training that was left."""
    options: int
    """Actions that were compared; this one was the best of them."""

    @property
    def seconds_per_percent(self) -> float:
        """Seconds of training for one more percent of hypervolume at this rate; infinite where none is expected."""
        if self.expected_improvement <= 0:
            return math.inf
        return 0.01 * self.seconds / self.expected_improvement

    def document(self) -> dict[str, Any]:
        """The belief as plain data."""
        return asdict(self)

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Belief:
        """The inverse of ``document``, also of those that version 0.1 wrote."""
        return cls(**{_NAMES_OF_0_1.get(name, name): value for name, value in document.items()})

    @classmethod
    def in_memory(cls, memory: Mapping[str, Any]) -> Belief | None:
        """The belief in a proposal's memory or in the fields of an event; None where the action was not weighed."""
        document = memory.get("belief")
        return cls.from_document(document) if document else None
