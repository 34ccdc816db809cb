"""How a value is shown that goes by a name: as its objective says, and as a plain number where it is none."""

from __future__ import annotations

from irnas.core.objective import OBJECTIVES


def label(name: str) -> str:
    """The usual way to write the name of an objective."""
    return OBJECTIVES[name].label if name in OBJECTIVES else name


def title(name: str) -> str:
    """Name and unit, for the head of a column or the title of an axis."""
    return OBJECTIVES[name].title if name in OBJECTIVES else name


def scale(name: str) -> float:
    """What a value is multiplied by before it is shown."""
    return OBJECTIVES[name].scale if name in OBJECTIVES else 1.0


def figure(name: str, value: float | None) -> str:
    """The value in the unit of ``title``; a dash where there is none."""
    if name in OBJECTIVES:
        return OBJECTIVES[name].figure(value)
    return "-" if value is None else f"{value:.4g}"


def quantity(name: str, value: float | None) -> str:
    """The value with its unit, as it stands in a sentence."""
    return OBJECTIVES[name].quantity(value) if name in OBJECTIVES else figure(name, value)
