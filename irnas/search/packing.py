"""How many trials share a GPU, and that fewer do once one has found it full."""

from __future__ import annotations

import math


class Packing:
    """The share of a GPU that the next trial gets; it doubles where a trial ran out of the GPU's memory."""

    def __init__(self, share: float, at_once: int | None = None) -> None:
        self.share = self._first = share
        """Of a GPU; 0 where none is used."""
        self._at_once = at_once
        self._share_of: dict[str, float] = {}
        """By the executor's id of what it started."""

    @property
    def at_once(self) -> float:
        """Trials that there is room for: fewer than at first once they take more of a GPU."""
        if self._at_once is None or self.share == self._first:
            return math.inf
        return max(math.floor(self._at_once * self._first / self.share), 1)

    def share_for(self, name: str) -> float:
        """The share of what the executor starts under the id ``name``."""
        self._share_of[name] = self.share
        return self.share

    def loosen(self, name: str) -> bool:
        """Take up that a trial ran out of the GPU's memory; whether others may have been to blame.

        Trials that began side by side find the GPU full together, and halve the packing once and not each.
        """
        share = self._share_of[name]
        if not 0 < share < 1:
            return False
        self.share = max(self.share, min(2 * share, 1.0))
        return True
