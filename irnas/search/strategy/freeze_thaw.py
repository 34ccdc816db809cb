"""Pareto freeze-thaw: each worker does what promises the most hypervolume for what it takes.

The free objectives of all networks are known before anything is trained. A training pauses at each rung; then either it
goes on, or another paused one does, or a new network starts: whichever has the largest expected hypervolume improvement
of the *final* value at its known costs, over what is left of its training in seconds, or in epochs where only they are
limited (``budget``). A training that the budget cannot finish does not go on. ``final_value`` predicts final values; a
network whose training is pending counts as if it had come out at its mean (the Kriging believer of D. Ginsbourger et
al., 2010), so that workers do not crowd on one spot. One action in ten is drawn at random, which no wrong model can
prevent.

Source of the idea: freeze-thaw, K. Swersky et al., "Freeze-Thaw Bayesian Optimization", 2014; here with one uncertain
objective and any number of known ones.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from irnas.core.errors import SettingsError
from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.settings import ENDLESS, TotalBudget
from irnas.core.space import Genotype, Space
from irnas.search.strategy import MAX_POOL, Decision, History, Price, SearchProblem, Strategy
from irnas.search.strategy.belief import Belief
from irnas.search.strategy.budget import Array, BudgetTracker
from irnas.search.strategy.feasible_first import feasible_first
from irnas.search.strategy.final_value import FinalValueModel, Posterior
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.rung import Ladder, rungs

NAME = "freeze-thaw"

RANDOM_EVERY = 10
MAX_PAUSED = 512
"""Paused trials, the newest, that are considered: an older one was passed over in as many decisions."""
MAX_STALE_SHARE = 1 / 32
"""Of the pending networks, so many may come or go before all is predicted anew: none where there are fewer than 32."""

Option = int | str
"""What a worker may do: go on with a paused trial (its number), or start a new network (its key)."""


def build(name: str, problem: SearchProblem) -> Strategy:
    """Make the strategy; ``name`` is ``NAME``."""
    strategy = FreezeThaw(
        problem.space,
        problem.objectives,
        problem.price,
        epochs=problem.epochs,
        seed=problem.seed,
        grace_period=problem.grace_period,
        pool_size=problem.pool_size,
        limits=problem.limits,
        first=problem.first,
        total_budget=problem.total_budget,
    )
    return feasible_first(strategy, problem)


class FreezeThaw:
    """A ``Strategy`` for one objective that needs training beside any number of free ones."""

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        price: Price,
        *,
        epochs: int,
        seed: int = 0,
        num_first: int = 3,
        grace_period: int | None = None,
        reduction_factor: int = 3,
        pool_size: int = MAX_POOL,
        limits: Mapping[str, float] | None = None,
        first: Sequence[tuple[str, Genotype]] = (),
        total_budget: TotalBudget = ENDLESS,
    ) -> None:
        """Set up a search of ``space``.

        Args:
            space: what is searched.
            objectives: exactly one of them needs training.
            price: called once for each network of the pool, at once.
            epochs: of a full training.
            seed: of all random choices.
            num_first: networks that start before any decision, one of each quantile of the first free objective.
            grace_period: the first rung; None for a ninth of ``epochs``.
            reduction_factor: rungs are so many times apart.
            pool_size: networks that are priced and considered, where the space has more.
            limits: free objective to its largest value; networks beyond are not considered.
            first: (origin, genotype) to begin with, within the limits; may lie outside ``space``.
            total_budget: all the training that the search may pay for: no training goes on that it cannot finish. Where
                only epochs are limited, improvement is weighed against epochs instead of seconds.

        Raises:
            SettingsError: not exactly one objective that needs training, or limits that refuse the whole pool.
        """
        uncertain = [o for o in objectives if not o.is_free]
        if len(uncertain) != 1:
            names = ", ".join(o.name for o in uncertain) or "none"
            raise SettingsError(f"freeze-thaw: got {names} as objectives that need training; must be exactly one")
        self._free = [o for o in objectives if o.is_free]
        self._seed, self._budget = seed, BudgetTracker(total_budget, epochs)
        self._ladder = Ladder(rungs(epochs, grace_period, reduction_factor))
        self._pool = Pool(
            space, self._free, price, size=pool_size, seed=seed, limits=dict(limits or {}), first=[g for _, g in first]
        )
        self._model = FinalValueModel(uncertain[0], self._ladder, self._pool)
        self._least_new = len(self._pool) // 2 if self._pool.is_sample else 0
        self._origins = {g.key: origin for origin, g in first if g.key in self._pool}
        self._design = [*self._origins, *self._pool.sample_quantiles(num_first)]
        self._proposals: dict[int, Proposal] = {}
        self._trials: dict[str, int] = {}
        """Key to trial."""
        self._paused: set[int] = set()
        self._pending: set[int] = set()
        """Trials that are being trained."""
        self._ended: set[int] = set()
        self._choice: tuple[Option | None] | None = None
        """The best option, until something is learnt."""
        self._num_changes = 0
        """Networks that were handed out, came to a rung or ended."""
        self._posterior: tuple[int, Posterior] | None = None
        """What was predicted, and at which ``_num_changes``."""
        self._belief: Belief | None = None
        """What was believed of the option that was best last; None where it was not weighed."""

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        option = self._next()
        # An option that was drawn was not weighed, whatever else was.
        is_weighed = self._choice == (option,)
        memory = {"belief": self._belief.document()} if is_weighed and self._belief else {}
        self._note_change()
        if option is None:
            return None
        if isinstance(option, int):
            self._resume(option)
            return replace(self._proposals[option], memory=memory)
        candidate, trial = self._pool[option], max(self._proposals, default=-1) + 1
        proposal = Proposal(
            trial=trial,
            genotype=candidate.genotype,
            costs=candidate.free,
            origin=self._origins.get(option, NAME),
            memory=memory,
        )
        self._note(proposal)
        self._pending.add(proposal.trial)
        return proposal

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Pause a trial at a rung, unless to go on is the best that there is to do."""
        reached = self._ladder.climb(trial, epoch, values)
        self._budget.add_report(trial, epoch, seconds)
        if reached is None or trial in self._ended:
            return Decision.CONTINUE
        self._note_change()
        self._paused.add(trial)
        self._pending.discard(trial)
        # Before all of the first networks are seen it is too early to judge; they are looked at side by side.
        if not all(self._is_known(key) for key in self._design) or self._best() != trial:
            return Decision.PAUSE
        self._resume(trial)
        self._choice = None
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._note_change()
        self._ended.add(result.trial)
        self._paused.discard(result.trial)
        self._pending.discard(result.trial)
        if result.status is Status.OK:
            self._model.finish(result.trial, result.key, result.values)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        for proposal in history.proposals:
            self._note(proposal)
        for report in history.reports:
            self._ladder.climb(report.trial, report.epoch, report.values)
            self._budget.add_report(report.trial, report.epoch, report.seconds)
        for result in history.results:
            self.tell(result)
        self._paused = set(history.paused)
        self._pending = self._proposals.keys() - self._ended - self._paused

    def _resume(self, trial: int) -> None:
        self._paused.discard(trial)
        self._pending.add(trial)

    def _note_change(self) -> None:
        self._num_changes += 1
        self._choice = None

    def _note(self, proposal: Proposal) -> None:
        self._proposals[proposal.trial] = proposal
        self._trials[proposal.genotype.key] = proposal.trial
        cost = self._free[0].position(proposal.costs[self._free[0].name]) if self._free else 0.0
        self._budget.start(proposal.trial, cost)
        self._model.start(proposal.trial, proposal.genotype.key)
        if len(self._pool) - len(self._trials) < self._least_new:
            self._pool.draw(proposal.trial)

    def _is_known(self, key: str) -> bool:
        """Whether a network has reached a rung, or ended without."""
        trial = self._trials.get(key)
        return trial is not None and (trial in self._ended or self._ladder.height(trial) > 0)

    def _next(self) -> Option | None:
        """Choose what to do next; None where there is nothing."""
        designed = next((key for key in self._design if key not in self._trials), None)
        if designed is not None and self._affordable([designed]):
            return designed
        num_actions = sum(map(len, self._ladder.values)) + len(self._ended) + len(self._pending)
        if num_actions % RANDOM_EVERY == RANDOM_EVERY - 1:
            options = self._affordable(self._paused_options()) or self._affordable(self._new_options())
            return random.Random(f"{self._seed}:{num_actions}").choice(options) if options else None
        return self._best()

    def _best(self) -> Option | None:
        if self._choice is None:
            self._choice = (self._search(),)
        return self._choice[0]

    def _new_options(self) -> list[str]:
        return [key for key in self._pool.keys if key not in self._trials]

    def _paused_options(self) -> list[int]:
        # Limits on speed may refuse what they admitted before a restart.
        trials = [trial for trial in sorted(self._paused) if self._key(trial) in self._pool]
        return trials[-MAX_PAUSED:]

    def _pending_keys(self) -> list[str]:
        return [self._key(trial) for trial in sorted(self._pending)]

    def _key(self, option: Option) -> str:
        return self._proposals[option].genotype.key if isinstance(option, int) else option

    def _remaining(self, options: Sequence[Option], cost_mk: Array) -> tuple[Array, Array]:
        """Epochs that are left of each option's training, and seconds."""
        cost_m = cost_mk[:, 0] if cost_mk.shape[1] else np.zeros(len(options))
        return self._budget.remaining([o if isinstance(o, int) else None for o in options], cost_m)

    def _affordable(self, options: Sequence[Option]) -> Sequence[Option]:
        """Those whose training the budget can still finish."""
        if self._budget.is_endless:
            return options
        cost_mk = self._pool.costs([self._key(option) for option in options])
        fits_m = self._budget.can_finish(*self._remaining(options, cost_mk), self._pending)
        return [option for option, fits in zip(options, fits_m, strict=True) if fits]

    def _search(self) -> Option | None:
        """Find the paused trial or new network of the most expected improvement for what its training takes."""
        options = self._affordable([*self._paused_options(), *self._new_options()])
        keys = [self._key(option) for option in options]
        self._belief = None
        posterior = self._predict(keys) if options else None
        if posterior is None:
            return options[0] if options else None
        # What was drawn since then waits for the next time.
        options = [option for option, key in zip(options, keys, strict=True) if key in posterior.mean]
        keys = [key for key in keys if key in posterior.mean]
        mean_m, deviation_m = (np.array([figure_of[key] for key in keys]) for figure_of in posterior)
        cost_mk = self._pool.costs(keys)
        improvement = self._model.improvement_over(posterior.mean, self._pending_keys())
        expected_m = improvement.expected(mean_m, deviation_m, cost_mk)
        epochs_m, seconds_m = self._remaining(options, cost_mk)
        best = int((expected_m / self._budget.in_scarce_unit(epochs_m, seconds_m)).argmax())
        covered = improvement.covered(self._pool.costs(self._pool.keys).min(axis=0))
        self._belief = Belief(
            mean=self._model.metric_value(float(mean_m[best])),
            standard_deviation=float(deviation_m[best]),
            expected_improvement=float(expected_m[best]) / covered if covered > 0 else 1.0,
            seconds=float(seconds_m[best]),
            options=len(options),
        )
        return options[best]

    def _predict(self, options: Sequence[str]) -> Posterior | None:
        """Predict final values, or take the last prediction where little has changed since."""
        last = self._posterior
        is_stale = last is None or self._num_changes - last[0] > MAX_STALE_SHARE * len(self._pending)
        if is_stale or (last and last[1].mean.keys().isdisjoint(options)):
            posterior = self._model.predict(options, self._pending_keys())
            self._posterior = (self._num_changes, posterior) if posterior else None
        return self._posterior[1] if self._posterior else None
