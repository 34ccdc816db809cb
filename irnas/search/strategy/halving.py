"""Multi-objective asynchronous successive halving: train all a little, and the better part of them further.

Each trial is paused at each rung (epochs ``grace_period``, ``grace_period * reduction_factor``, ...). A worker that is
free goes on with the best paused trial among the upper 1/``reduction_factor`` of those that reached its rung, highest
rung first, and starts a new network where there is none. Better means a lower non-dominated rank over the metrics so
far and the free objectives together; within a rank, the lonelier one.

Source: L. Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, algorithm 2 (promotion); R.
Schmucker et al., "Multi-objective Asynchronous Successive Halving", 2021 (ranking). New networks come from any strategy
that trains in full, which learns of full results only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.requirement import Requirement, violation
from irnas.core.result import Result
from irnas.search.strategy import Decision, History, SearchProblem, Strategy
from irnas.search.strategy.rank import best_first
from irnas.search.strategy.rung import Ladder, rungs

MAX_RANKED = 512
"""Trials, the newest, among which the better part of a rung is found; so the ten thousandth costs no more to judge."""


def build(name: str, problem: SearchProblem) -> Strategy:
    """Make ``moasha``, or ``asha``, which ranks by what needs training alone; new networks are drawn evenly."""
    from irnas.search.strategy import optuna_sampler

    ranked = [o for o in problem.objectives if not o.is_free] if name == "asha" else problem.objectives
    inner = optuna_sampler.build("random", problem)
    return Halving(
        inner, ranked, epochs=problem.epochs, grace_period=problem.grace_period, requirements=problem.requirements
    )


class Halving:
    """A ``Strategy`` around another one, whose trainings it pauses and promotes."""

    def __init__(
        self,
        inner: Strategy,
        objectives: Sequence[Objective],
        *,
        epochs: int,
        grace_period: int | None = None,
        reduction_factor: int = 3,
        requirements: Sequence[Requirement] = (),
    ) -> None:
        """Pause and promote the trainings of what ``inner`` proposes.

        Args:
            inner: where new networks come from.
            objectives: what is optimised.
            epochs: of a full training.
            grace_period: the first rung; None for a ninth of ``epochs``.
            reduction_factor: one in so many is promoted, and rungs are so many times apart.
            requirements: who meets them so far is better than who does not.
        """
        self._inner, self._objectives, self._requirements = inner, tuple(objectives), tuple(requirements)
        self._reduction_factor = reduction_factor
        self._ladder = Ladder(rungs(epochs, grace_period, reduction_factor))
        self._proposals: dict[int, Proposal] = {}
        self._paused: tuple[set[int], ...] = tuple(set() for _ in self._ladder.steps)
        """For each rung, who is paused there."""
        self._over: set[int] = set()
        self._orders: dict[int, tuple[int, list[int]]] = {}
        """Rung to how many had reached it, and their order."""
        self._known: dict[tuple[int, int], tuple[float, ...]] = {}
        """Rung and trial to its losses."""

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        trial = self._promotable()
        if trial is None:
            proposal = self._inner.ask()
            if proposal is not None:
                self._proposals[proposal.trial] = proposal
                return proposal
            trial = self._best_paused()
        if trial is None:
            return None
        self._resume(trial)
        return self._proposals[trial]

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Pause a trial at each rung."""
        rung = self._ladder.climb(trial, epoch, values)
        if rung is None or trial in self._over:
            return Decision.CONTINUE
        self._paused[rung].add(trial)
        return Decision.PAUSE

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._over.add(result.trial)
        self._resume(result.trial)
        self._inner.tell(result)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        self._inner.restore(history)
        self._proposals = {p.trial: p for p in history.proposals}
        self._over = {r.trial for r in history.results}
        for report in history.reports:
            self._ladder.climb(report.trial, report.epoch, report.values)
        last = {report.trial: report.values for report in history.reports}
        for trial in history.paused:
            if not self._ladder.height(trial):
                # Paused by a version, or with a grace period, of other rungs.
                self._ladder.climb(trial, self._ladder.steps[0], last[trial])
            self._paused[self._ladder.height(trial) - 1].add(trial)

    def _resume(self, trial: int) -> None:
        for waiting in self._paused:
            waiting.discard(trial)

    def _promotable(self) -> int | None:
        for rung in reversed(range(len(self._ladder.steps))):
            if waiting := self._paused[rung]:
                ranked = self._order(rung)
                best = ranked[: len(ranked) // self._reduction_factor]
                trial = next((t for t in best if t in waiting), None)
                if trial is not None:
                    return trial
        return None

    def _best_paused(self) -> int | None:
        """The best of what is paused, for when there is nothing new left: a search need not end before."""
        for rung in reversed(range(len(self._ladder.steps))):
            if waiting := sorted(self._paused[rung]):
                return self._best_first(rung, waiting)[0]
        return None

    def _order(self, rung: int) -> list[int]:
        """The newest who reached a rung, best first; equal ones by number, so that arrival does not count."""
        number = len(self._ladder.values[rung])
        if self._orders.get(rung, (0,))[0] < number:
            reached = self._ladder.reached(rung, MAX_RANKED)
            self._orders[rung] = number, self._best_first(rung, reached)
        return self._orders[rung][1]

    def _best_first(self, rung: int, trials: Sequence[int]) -> list[int]:
        missed = [violation(self._requirements, self._ladder.values[rung][t]) for t in trials]
        return [trials[i] for i in best_first([self._losses(rung, t) for t in trials], missed)]

    def _losses(self, rung: int, trial: int) -> tuple[float, ...]:
        losses = self._known.get((rung, trial))
        if losses is None:
            values = {**self._ladder.values[rung][trial], **self._proposals[trial].costs}
            losses = self._known[rung, trial] = tuple(o.position(values[o.name]) for o in self._objectives)
        return losses
