"""What is drawn and listed of very many trials: so much that a page stays small, and nothing that matters is missing.

Networks of the front are always drawn. Of all others so many are left out that what is seen stays the same: of points
those that lie on another one, of curves evenly many over the whole search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")

MAX_POINTS = 1500
"""Dominated networks in one figure of the front."""
MAX_LINES = 300
"""Dominated networks across axes and objectives."""
MAX_CURVES = 120
"""Learning curves of dominated networks."""
MAX_WINNERS = 200
"""Networks of the front in a table, and learning curves of them."""
MAX_EPOCHS = 60
"""Points of one learning curve."""
MAX_STEPS = 1000
"""Points of the growth of the hypervolume, beside those where it grew."""
MAX_ROWS = 200
"""Trials that are listed because something went wrong."""
MAX_CAUSE = 1000
"""Characters of what went wrong."""


def evenly(items: Sequence[T], most: int) -> list[T]:
    """At most ``most`` of the items, in order and evenly spread; the first and the last are among them."""
    if len(items) <= most:
        return list(items)
    if most < 2:
        return list(items[:most])
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def apart(places: Sequence[tuple[float, float]], most: int) -> list[int]:
    """The positions of at most ``most`` places that cover what all of them cover.

    The plane is cut into cells, the first place in each stays, and cells grow until there are few enough.

    Args:
        places: points, each with both shares of its axes in 0..1.
        most: how many may stay.
    """
    if len(places) <= most:
        return list(range(len(places)))
    side = most
    while True:
        first: dict[tuple[int, int], int] = {}
        for number, (x, y) in enumerate(places):
            first.setdefault((int(x * side), int(y * side)), number)
        if len(first) <= most:
            return sorted(first.values())
        side = side * 3 // 4


def of_all(drawn: int, total: int) -> str:
    """How much of something is shown, for a legend: " (1500 of 9950 drawn)"; nothing where all of it is."""
    return f" ({drawn} of {total} drawn)" if drawn < total else ""


def cut(text: str) -> str:
    """A text of at most ``MAX_CAUSE`` characters."""
    return text if len(text) <= MAX_CAUSE else f"{text[:MAX_CAUSE]}..."
