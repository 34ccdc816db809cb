"""Networks that a search trained more than once: the mean and the standard deviation of their metrics."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from irnas.core.result import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateStatistics:
    """A metric over the trainings of one network."""

    mean: float
    deviation: float
    """Standard deviation of the sample, with n - 1 in the denominator."""
    num: int
    """Trainings, at least 2."""


def statistics_of(trainings: Sequence[Mapping[str, float]]) -> dict[str, ReplicateStatistics]:
    """Metric to its statistics over trainings, at least two, of the metrics that the last of them has."""
    return {
        name: ReplicateStatistics(
            mean=statistics.fmean(values[name] for values in trainings),
            deviation=statistics.stdev([values[name] for values in trainings]),
            num=len(trainings),
        )
        for name in trainings[-1]
    }


def with_replicate_means(result: Result, replicates: Mapping[str, ReplicateStatistics]) -> Result:
    """The result with the means of its metrics over all trainings of its network; itself where there was one."""
    return replace(result, values={**result.values, **{name: s.mean for name, s in replicates.items()}})
