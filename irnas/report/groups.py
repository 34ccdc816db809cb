"""How much of the variance of some values is explained by the groups that they fall into."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Groups:
    """Networks grouped by their value of one axis, for many values of them in turn."""

    def __init__(self, groups: Sequence[Hashable]) -> None:
        """Group ``N`` networks by what stands for each."""
        number_of = {group: number for number, group in enumerate(dict.fromkeys(groups))}
        self._numbers = np.array([number_of[group] for group in groups])
        self._sizes = np.bincount(self._numbers)

    def explained(self, centred_n: Array) -> float:
        """Epsilon squared of values whose mean is 0, cut to 0..1; 0 where that is not defined.

        1 - (variance left within the groups) / (variance in all), both with their degrees of freedom (T. L. Kelley, An
        unbiased correlation ratio measure, PNAS 21, 1935).
        """
        count, num_groups = len(centred_n), len(self._sizes)
        total = float(centred_n @ centred_n)
        if num_groups < 2 or num_groups >= count or total <= 0:
            return 0.0
        sums = np.bincount(self._numbers, weights=centred_n)
        within = total - float((sums**2 / self._sizes).sum())
        return min(max(1 - (within / (count - num_groups)) / (total / (count - 1)), 0.0), 1.0)
