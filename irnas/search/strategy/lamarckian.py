"""Lamarckian search: what a network has learnt is passed on, and the front trains on while others are tried.

A few networks of different cost are trained in full. From then on a worker does one of two short things, whichever has
the larger expected hypervolume improvement at the known costs, over the time that it takes:

* a child of a trained network, one or two axes away or mixed of two, which starts from the weights of the nearest
  trained one (``irnas.nn.inheritance``). A Gaussian process over all that is trained predicts what it comes to;
* a network of the front once more, from its own weights. What that brings is learnt from those that were trained on.

One child in ten is drawn at random, which no wrong model can prevent. A network that is being trained counts as if it
had come out at its mean. Every epoch is paid for, those of ancestors too, since they are trials of the same search.

Sources of the idea: T. Elsken et al., "Efficient Multi-objective Neural Architecture Search via Lamarckian Evolution",
2019; here children and their order come from a model, as in freeze-thaw, and weights pass between any two shapes.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import SettingsError
from irnas.core.proposal import Proposal
from irnas.core.result import Result
from irnas.search.strategy import Decision, History, SearchProblem, Strategy
from irnas.search.strategy.belief import Belief
from irnas.search.strategy.children import Child, Children
from irnas.search.strategy.expected_hypervolume import ExpectedHypervolumeImprovement
from irnas.search.strategy.feasible_first import feasible_first
from irnas.search.strategy.feature import features
from irnas.search.strategy.final_value import MAX_PENDING
from irnas.search.strategy.lineage import Lineage
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.surrogate import EpochTimeModel, GaussianProcess

NAME = "lamarckian"
NUM_FIRST, LEAST_FIRST, SHARE_OF_FIRST = 4, 2, 1 / 4
"""Networks that are trained in full, from random weights: as many, but no more than a share of the full trainings that
are planned, and at least the second."""
MAX_GOES = 8
"""Times that a network is trained on at most."""
RANDOM_EVERY = 10
POOL_SIZE = 64
"""Networks, drawn at random, that the first ones are chosen from."""
_EPOCHS = "epochs"
"""What a proposal's memory calls the epochs that it was proposed for."""
_MARGIN, _MIN_MARGIN = 0.1, 0.01
"""Of the range of what is trained: how far behind its worst value hypervolumes are measured from."""

Array = NDArray[np.float64]


def build(name: str, problem: SearchProblem) -> Strategy:
    """Make the strategy; ``name`` is ``NAME``."""
    return feasible_first(Lamarckian(problem), problem)


class _Weighed(NamedTuple):
    """What the options are expected to bring, one entry each."""

    mean_m: Array
    deviation_m: Array
    cost_mk: Array
    pending: list[tuple[float, tuple[float, ...]]]
    """What new networks that are being trained are expected to come to: value and costs."""


class Lamarckian:
    """A ``Strategy`` for one objective that needs training beside any number of free ones."""

    def __init__(self, problem: SearchProblem) -> None:
        """Set up a search.

        Raises:
            SettingsError: not exactly one objective that needs training, or limits that refuse all that was drawn.
        """
        uncertain = [o for o in problem.objectives if not o.is_free]
        if len(uncertain) != 1:
            names = ", ".join(o.name for o in uncertain) or "none"
            raise SettingsError(f"{NAME}: got {names} as objectives that need training; must be exactly one")
        free = [o for o in problem.objectives if o.is_free]
        self._problem = problem
        self._epochs_of_heirs = problem.epochs_of_heirs or -(-problem.epochs // 3)
        num_first = min(NUM_FIRST, max(LEAST_FIRST, int(SHARE_OF_FIRST * problem.num_trials)))
        first = {genotype.key: (origin, genotype) for origin, genotype in problem.first}
        self._pool = Pool(
            problem.space,
            free,
            problem.price,
            size=min(problem.pool_size, POOL_SIZE),
            seed=problem.seed,
            limits=problem.limits,
            first=[genotype for _, genotype in first.values()],
        )
        self._origins = {key: origin for key, (origin, _) in first.items() if key in self._pool}
        self._design = list(dict.fromkeys([*self._origins, *self._pool.sample_quantiles(num_first)]))
        self._lineage = Lineage(problem.space, uncertain[0], free, self._epochs_of_heirs)
        self._children = Children(problem, self._lineage, self._epochs_of_heirs)

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        key = next((key for key in self._design if key not in self._lineage.genotypes), None)
        if key is not None and (not self._lineage.trained or self._can_pay(self._problem.epochs)):
            candidate, epochs = self._pool[key], self._problem.epochs
            child = Child(genotype=candidate.genotype, free=candidate.free, epochs=epochs)
            return self._begin(child, {}, self._origins.get(key, NAME))
        rng = random.Random(f"{self._problem.seed}:{self._lineage.num_asked}")
        if not self._can_pay(self._epochs_of_heirs if self._lineage.trained else self._problem.epochs):
            return None
        children = self._children.draw(rng)
        if not self._lineage.trained or self._lineage.num_asked % RANDOM_EVERY == RANDOM_EVERY - 1:
            adopted = map(self._children.adopt, children)
            payable = next((each for each in adopted if self._can_pay(each.epochs)), None)
            return self._begin(payable, {}, NAME) if payable else None
        return self._best(children)

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Nothing is paused: trainings are short."""
        self._lineage.observe(trial, epoch, values, seconds)
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._lineage.end(result)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        self._lineage.restore(history)

    def _begin(self, child: Child, memory: Mapping[str, object], origin: str) -> Proposal | None:
        """Propose a new network, if the budget pays for it."""
        if not self._can_pay(child.epochs):
            return None
        proposal = Proposal(
            trial=max(self._lineage.proposals, default=-1) + 1,
            genotype=child.genotype,
            costs=child.free,
            origin=origin,
            # What it owes is known after a restart, too.
            memory={**memory, _EPOCHS: child.epochs},
            parent=child.parent,
        )
        self._lineage.propose(proposal)
        return proposal

    def _can_pay(self, epochs: int) -> bool:
        """Whether the budget pays for so many epochs more, once all that is at work has ended."""
        limit = self._problem.total_budget.epochs
        if math.isinf(limit):
            return True
        owed = sum(self._owed(trial) for trial in self._lineage.pending)
        return self._lineage.tally.epochs + owed + epochs <= limit

    def _owed(self, trial: int) -> int:
        """Epochs that a pending trial still takes."""
        lineage = self._lineage
        earlier = lineage.trained.get(trial)
        before, reached = earlier.epochs if earlier else 0, lineage.tally.epochs_of(trial)
        end = before + (self._epochs_of_heirs if earlier else self._planned(trial))
        # One that goes on past its few epochs found its parent's weights gone, and is trained in full.
        return max((end if reached <= end else before + self._problem.epochs) - reached, 0)

    def _planned(self, trial: int) -> int:
        """Epochs of a trial's first training, as it was proposed."""
        proposal = self._lineage.proposals[trial]
        usual = self._problem.epochs if proposal.parent is None else self._epochs_of_heirs
        return int(proposal.memory.get(_EPOCHS, usual))

    def _best(self, children: list[Child]) -> Proposal | None:
        """The child or the network of the front that promises most for what it takes."""
        lineage = self._lineage
        again = [t for t in lineage.front if lineage.can_be_trained_on(t) and lineage.goes[t] < MAX_GOES]
        if not children and not again:
            return None
        weighed = self._weigh(children, again)
        improvement = self._improvement(weighed)
        expected_m = improvement.expected(weighed.mean_m, weighed.deviation_m, weighed.cost_mk)
        seconds_m = self._epochs_of_heirs * self._seconds_per_epoch(weighed.cost_mk)
        budget = self._problem.total_budget
        counts_epochs = math.isfinite(budget.epochs) and math.isinf(budget.seconds)
        chosen = self._choose(expected_m / (np.ones_like(seconds_m) if counts_epochs else seconds_m), children)
        if chosen is None:
            return None
        best, child = chosen
        covered = improvement.covered(weighed.cost_mk.min(axis=0))
        belief = Belief(
            mean=lineage.metric_value(float(weighed.mean_m[best])),
            standard_deviation=float(weighed.deviation_m[best]),
            expected_improvement=float(expected_m[best]) / covered if covered > 0 else 1.0,
            seconds=float(seconds_m[best]) * (child.epochs / self._epochs_of_heirs if child else 1.0),
            options=len(expected_m),
        )
        memory = {"belief": belief.document()}
        if child:
            return self._begin(child, memory, NAME)
        trial = again[best - len(children)]
        lineage.train_on(trial)
        return replace(lineage.proposals[trial], memory=memory)

    def _choose(self, rate_m: Array, children: list[Child]) -> tuple[int, Child | None] | None:
        """The option of the highest rate that can be paid for, with its child; None where none can be.

        Args:
            rate_m: what each option brings for the few epochs of an heir; children come first.
            children: of which one that inherits too little takes longer.
        """
        chosen, highest = None, -math.inf
        for option in np.argsort(-rate_m, kind="stable").tolist():
            if rate_m[option] <= highest:
                break
            child = self._children.adopt(children[option]) if option < len(children) else None
            epochs = child.epochs if child else self._epochs_of_heirs
            rate = float(rate_m[option]) * self._epochs_of_heirs / epochs
            if rate > highest and self._can_pay(epochs):
                chosen, highest = (option, child), rate
        return chosen

    def _weigh(self, children: list[Child], again: list[int]) -> _Weighed:
        """What children and networks of the front come to, by what is trained."""
        lineage, space = self._lineage, self._problem.space
        known = lineage.candidates()
        process = GaussianProcess(
            np.array([lineage.place(t) for t in known]),
            self._costs_of([lineage.costs(t) for t in known]),
            np.array([lineage.value(t) for t in known]),
            np.zeros(len(known)),
        )
        costs = [lineage.costs_of(child.free) for child in children]
        pending = sorted(lineage.pending - lineage.trained.keys())
        cost_tk, place_td = self._costs_of([lineage.costs(t) for t in pending]), [lineage.place(t) for t in pending]
        mean_t = process.predict(np.array(place_td), cost_tk)[0].tolist() if pending else []
        parts = []
        if children:
            places = [(*features(space, c.genotype), *cost) for c, cost in zip(children, costs, strict=True)]
            narrowing_td = np.array(place_td[-MAX_PENDING:])
            parts.append(process.predict(np.array(places), self._costs_of(costs), narrowing_td))
        if again:
            gain, deviation = lineage.gain()
            parts.append((np.array([lineage.value(t) + gain for t in again]), np.full(len(again), deviation)))
        mean_m, deviation_m = (np.concatenate(column) for column in zip(*parts, strict=True))
        cost_mk = self._costs_of([*costs, *(lineage.costs(t) for t in again)])
        return _Weighed(mean_m, deviation_m, cost_mk, list(zip(mean_t, map(lineage.costs, pending), strict=True)))

    def _improvement(self, weighed: _Weighed) -> ExpectedHypervolumeImprovement:
        """The expected improvement over the front and what is pending, seen from behind the worst that is known."""
        lineage = self._lineage
        front = [*((lineage.value(t), lineage.costs(t)) for t in lineage.front), *weighed.pending]
        values = [*weighed.mean_m.tolist(), *(value for value, _ in front)]
        floor = min(values) - max(_MARGIN * (max(values) - min(values)), _MIN_MARGIN)
        cost_nk = np.vstack([weighed.cost_mk, self._costs_of([costs for _, costs in front])])
        span_k = np.ptp(cost_nk, axis=0)
        worst = cost_nk.max(axis=0) + np.where(span_k > 0, _MARGIN * span_k, 1.0)
        return ExpectedHypervolumeImprovement(front, (floor, tuple(worst.tolist())))

    def _seconds_per_epoch(self, cost_mk: Array) -> Array:
        """Seconds an epoch, from the first cost of each of ``M`` networks."""
        lineage = self._lineage
        pairs = [
            (lineage.costs(t)[0] if cost_mk.shape[1] else 0.0, seconds)
            for t in lineage.candidates()
            if (seconds := lineage.tally.seconds_per_epoch(t)) is not None
        ]
        return EpochTimeModel(pairs).predict(cost_mk[:, 0] if cost_mk.shape[1] else np.zeros(len(cost_mk)))

    def _costs_of(self, costs: list[tuple[float, ...]]) -> Array:
        num_free = sum(o.is_free for o in self._problem.objectives)
        return np.array(costs, dtype=np.float64).reshape(len(costs), num_free)
