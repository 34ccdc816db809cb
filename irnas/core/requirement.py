"""What a network must reach to count at all: ``fa<=1e-5``, ``pd>=0.9``. Known only once it is trained."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irnas.core.errors import SettingsError
from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.text import did_you_mean

_METRICS = tuple(o.name for o in OBJECTIVES.values() if not o.is_free)
_SIGN = {"max": ">=", "min": "<="}


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A metric and the worst value of it that will do."""

    name: str
    bound: float
    """Above 0 and at most 1: metrics are fractions."""

    def __post_init__(self) -> None:
        if self.name not in _METRICS:
            hint = did_you_mean(self.name, _METRICS)
            other = OBJECTIVES.get(self.name)
            option = f" ({other.limit_option} limits it before any training)" if other and other.limit_option else ""
            raise SettingsError(f"require: got {self.name!r}; one of {', '.join(_METRICS)}{hint}{option}")
        if not 0 < self.bound <= 1:
            raise SettingsError(f"require {self.name}: got {self.bound:g}; must be above 0 and at most 1, a fraction")

    @property
    def objective(self) -> Objective:
        """The metric."""
        return OBJECTIVES[self.name]

    def excess(self, values: Mapping[str, float]) -> float:
        """How far values are beyond it, as a ratio: at most 0 where they meet it, 1 at the worst.

        Raises:
            SettingsError: the metric is not among the values, or is no number.
        """
        value = values.get(self.name, math.nan)
        if math.isnan(value):
            raise SettingsError(f"require {self.name}: got no such value; must be judged ({', '.join(sorted(values))})")
        if self.objective.goal == "max":
            return (self.bound - value) / self.bound
        return (value - self.bound) / max(value, self.bound)

    def __str__(self) -> str:
        """As a user writes it."""
        return f"{self.name}{_SIGN[self.objective.goal]}{self.bound:g}"

    @property
    def phrase(self) -> str:
        """As a reader sees it: Fa ≤ 10.0·10⁻⁶."""
        sign = "≥" if self.objective.goal == "max" else "≤"
        return f"{self.objective.label} {sign} {self.objective.quantity(self.bound)}"


def parse_requirements(text: str) -> tuple[Requirement, ...]:
    """Requirements joined by commas, such as ``fa<=1e-5,pd>=0.9``; none of an empty text.

    Raises:
        SettingsError: one is no metric, sign and fraction, points the wrong way, or comes twice.
    """
    requirements = tuple(_parse(part.strip()) for part in text.split(",") if part.strip())
    names = [r.name for r in requirements]
    if len(set(names)) != len(names):
        raise SettingsError(f"require: got {text!r}; must name each metric once")
    return requirements


def _parse(part: str) -> Requirement:
    match = re.fullmatch(r"(\w+)\s*(<=|>=)\s*(\S+)", part)
    name, sign, text = match.groups() if match else ("", "", "")
    try:
        bound = float(text)
    except ValueError:
        must = "must be a metric and a fraction, such as fa<=1e-5 or pd>=0.9"
        raise SettingsError(f"require: got {part!r}; {must}") from None
    requirement = Requirement(name=name, bound=bound)
    if sign != _SIGN[requirement.objective.goal]:
        better = "more" if requirement.objective.goal == "max" else "less"
        raise SettingsError(f"require: got {part!r}; must be {requirement}, for {better} is better")
    return requirement


def violation(requirements: Sequence[Requirement], values: Mapping[str, float]) -> float:
    """How far values miss some requirements, 0..1 in the mean; 0 where they meet them all, or there are none.

    Raises:
        SettingsError: a metric is not among the values.
    """
    return statistics.fmean(max(r.excess(values), 0.0) for r in requirements) if requirements else 0.0
