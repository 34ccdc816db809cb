"""What a run knows of its networks on images that nobody trained on or chose by: its ``Tested`` events, by network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irnas.record.events import Tested
from irnas.record.replicates import ReplicateStatistics, statistics_of
from irnas.record.run import Run

Metrics = Mapping[str, Mapping[str, float]]
"""Preset to metric to value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkTest:
    """How the trainings of one network did on one split, one entry a training in each of its tuples."""

    name: str
    """The network's key in its run, or the file that was tested."""
    split: str
    thresholds: tuple[float, ...]
    values: tuple[Metrics, ...]
    """At the thresholds."""
    at_half: tuple[Metrics, ...]
    """At 0.5."""
    reading: int = 0
    """The newest reading of the split that is in here; 0 where no run counts them."""

    @property
    def num(self) -> int:
        """Trainings."""
        return len(self.values)

    @property
    def has_own_threshold(self) -> bool:
        """Whether a training was judged at another threshold than 0.5."""
        return any(threshold != 0.5 for threshold in self.thresholds)

    def statistics(self, preset: str, *, at_half: bool = False) -> dict[str, ReplicateStatistics]:
        """Metric to its statistics over the trainings; the deviation of a single one is 0."""
        trainings = [metrics[preset] for metrics in (self.at_half if at_half else self.values)]
        if len(trainings) > 1:
            return statistics_of(trainings)
        return {name: ReplicateStatistics(mean=value, deviation=0.0, num=1) for name, value in trainings[0].items()}

    def document(self) -> dict[str, Any]:
        """The statistics as plain data, by preset: at the thresholds, and at 0.5."""

        def of(metrics: Sequence[Metrics], *, at_half: bool) -> dict[str, Any]:
            return {
                preset: {n: [s.mean, s.deviation] for n, s in self.statistics(preset, at_half=at_half).items()}
                for preset in metrics[0]
            }

        return {
            "name": self.name,
            "trainings": self.num,
            "thresholds": list(self.thresholds),
            "mean_and_deviation": of(self.values, at_half=False),
            "mean_and_deviation_at_half": of(self.at_half, at_half=True),
        }


def tested_networks(run: Run) -> list[NetworkTest]:
    """The newest test of each training of each network of a run, by split; files apart from the run's own weights."""
    groups: dict[tuple[str, str, str, str], dict[int, Tested]] = {}
    for trial in run.trials.values():
        for test in trial.tests:
            groups.setdefault((test.split, test.data_rev, test.key, test.source), {})[test.replicate] = test
    return [
        _of_trainings(f"{key} ({source})" if source else key, [tests[number] for number in sorted(tests)])
        for (_, _, key, source), tests in groups.items()
    ]


def _of_trainings(name: str, tests: Sequence[Tested]) -> NetworkTest:
    return NetworkTest(
        name=name,
        split=tests[0].split,
        thresholds=tuple(test.threshold for test in tests),
        values=tuple(test.values for test in tests),
        at_half=tuple(test.at_half for test in tests),
        reading=max(test.reading for test in tests),
    )
