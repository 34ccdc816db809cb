"""What a search that inherits knows of its networks: which are trained, how far, what training on has brought."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from irnas.core.heritage import NOT_TRAINED_ON, Parent
from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.space import Genotype, Space
from irnas.record.tally import TrainingTally
from irnas.search.strategy import History
from irnas.search.strategy.feature import features

Array = NDArray[np.float64]

PRIOR_GAIN, PRIOR_DEVIATION, _PRIOR_WEIGHT = 0.01, 0.02, 3.0
"""What training a network on brings, before any was, on an axis of about 0..1; and how many of them that counts as."""

MAX_CONSIDERED = 256
"""Trained networks beside the front, the newest, that parents are looked for among, and that a model learns from: the
ten thousandth decision costs no more than the thousandth."""


class Lineage:
    """The trials of a search and their lines."""

    def __init__(self, space: Space, metric: Objective, free: Sequence[Objective], epochs_of_heirs: int) -> None:
        """Begin without any.

        Args:
            space: where networks are placed.
            metric: what a training is judged by.
            free: the objectives that are known beforehand.
            epochs_of_heirs: epochs by which a network is trained on.
        """
        self._space, self._metric, self._free, self._step = space, metric, free, epochs_of_heirs
        self.proposals: dict[int, Proposal] = {}
        self.trained: dict[int, Result] = {}
        """Trials that ended ok, by number."""
        self.pending: set[int] = set()
        """Trials that are being trained."""
        self.front: list[int] = []
        """The trained trials that no other dominates, in order."""
        self._features: dict[int, tuple[float, ...]] = {}
        self.goes: collections.Counter[int] = collections.Counter()
        """How often each was trained on."""
        self.genotypes: dict[str, Genotype] = {}
        """All networks that were proposed, by key."""
        self.tally = TrainingTally()
        self._values: dict[tuple[int, int], float] = {}
        """Trial and epoch to what it had reached then."""

    @property
    def num_asked(self) -> int:
        """How often work was handed out."""
        return len(self.proposals) + self.goes.total()

    def propose(self, proposal: Proposal) -> None:
        """Note that a network is to be trained."""
        self.proposals[proposal.trial] = proposal
        self.genotypes[proposal.key] = proposal.genotype
        self._features[proposal.trial] = features(self._space, proposal.genotype)
        self.pending.add(proposal.trial)

    def train_on(self, trial: int) -> None:
        """Note that a trial that had ended is trained on."""
        self.goes[trial] += 1
        self.pending.add(trial)

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float) -> None:
        """Learn what a trial has reached."""
        self.tally.add(trial, epoch, seconds)
        self._values[trial, epoch] = self.reached(values)

    def end(self, result: Result) -> None:
        """Learn a trial's end."""
        self.pending.discard(result.trial)
        if result.status is not Status.OK:
            return
        before = self.trained.pop(result.trial, None)
        self.trained[result.trial] = result
        is_worse = before is not None and self.reached(result.values) < self.reached(before.values)
        # Where one of the front has become worse by training on, others may be of it again.
        is_opened = is_worse and result.trial in self.front
        self.front = self._front_of(self.trained if is_opened else {*self.front, result.trial})

    def _front_of(self, trials: Iterable[int]) -> list[int]:
        """Those that no other dominates; of equal ones the first."""
        points = {trial: (-self.value(trial), *self.costs(trial)) for trial in sorted(trials)}
        kept: list[int] = []
        for trial in sorted(points, key=lambda t: (points[t], t)):
            # With one cost, whoever comes last is the cheapest of those before.
            rivals = kept[-1:] if len(points[trial]) == 2 else kept
            if not any(all(a <= b for a, b in zip(points[k], points[trial], strict=True)) for k in rivals):
                kept.append(trial)
        return sorted(kept)

    def restore(self, history: History) -> None:
        """Take up what has happened."""
        for proposal in history.proposals:
            self.propose(proposal)
        for trial in history.continued:
            self.train_on(trial)
        for report in history.reports:
            self.observe(report.trial, report.epoch, report.values, report.seconds)
        for result in history.results:
            self.end(result)
        self.pending |= history.trained_on

    def reached(self, values: Mapping[str, float]) -> float:
        """The place of a metric on an axis on which larger is better."""
        return -self._metric.position(values[self._metric.name])

    def value(self, trial: int) -> float:
        """The same of a trained trial."""
        return self.reached(self.trained[trial].values)

    def metric_value(self, place: float) -> float:
        """The inverse of ``reached``."""
        return place if self._metric.goal == "max" else -place

    def costs(self, trial: int) -> tuple[float, ...]:
        """The places of a trial's network on the free objectives, smaller is better."""
        return self.costs_of(self.proposals[trial].costs)

    def costs_of(self, free: Mapping[str, float]) -> tuple[float, ...]:
        """The places of free objectives, smaller is better."""
        return tuple(o.position(free[o.name]) for o in self._free)

    def place(self, trial: int) -> tuple[float, ...]:
        """A trial's network as numbers, for distances: its axes and its costs."""
        return (*self._features[trial], *self.costs(trial))

    def candidates(self) -> list[int]:
        """The trained trials that are looked at: the front, and the newest others."""
        return sorted({*self.front, *list(self.trained)[-MAX_CONSIDERED:]})

    def find_parent(self, genotype: Genotype) -> Parent | None:
        """The nearest trained network of the same space; None before any."""
        mine = features(self._space, genotype)
        alike = [
            trial
            for trial in self.candidates()
            if (own := self.trained[trial].genotype).space == genotype.space and own.family == genotype.family
        ]

        def rank(trial: int) -> tuple[float, bool, float, int]:
            # Of equally near ones, rather one whose weights do not change meanwhile, and the better one.
            return math.dist(mine, self._features[trial]), trial in self.pending, -self.value(trial), trial

        if not alike:
            return None
        result = self.trained[min(alike, key=rank)]
        return Parent(key=result.key, epochs=result.line_epochs)

    def can_be_trained_on(self, trial: int) -> bool:
        """Whether a trained network is not at work, did not fail when it was trained on last, and was trained here."""
        return (
            not self.proposals[trial].is_known
            and trial not in self.pending
            and not self.trained[trial].note.startswith(NOT_TRAINED_ON)
        )

    def gain(self) -> tuple[float, float]:
        """Mean and standard deviation of what training a network on brings."""
        gains = []
        for trial in sorted(self.goes.keys() & self.trained.keys())[-MAX_CONSIDERED:]:
            last = self.trained[trial].epochs
            for epoch in range(last, self._step, -self._step):
                pair = self._values.get((trial, epoch)), self._values.get((trial, epoch - self._step))
                if epoch > last - self.goes[trial] * self._step and None not in pair:
                    gains.append(pair[0] - pair[1])  # type: ignore[operator] # neither is None
        weight = _PRIOR_WEIGHT + len(gains)
        mean = (_PRIOR_WEIGHT * PRIOR_GAIN + sum(gains)) / weight
        square = _PRIOR_WEIGHT * PRIOR_DEVIATION**2 + sum((each - mean) ** 2 for each in gains)
        return mean, math.sqrt(square / weight)
