"""Pareto freeze-thaw: each worker does what promises the most hypervolume for what it takes.

The free objectives of all networks are known before anything is trained. A training halts at each rung; then either it
goes on, or another halted one does, or a new network starts: whichever has the largest expected hypervolume improvement
of the *final* value at its known costs, over what is left of its training in seconds, or in epochs where only they are
limited (purse.py). What the budget cannot bring to its end is not gone on with. Beliefs about final values come from
outlook.py; a network that is at work counts as if it had come out as believed (the Kriging believer of D. Ginsbourger
et al., 2010), so that workers spread. One action in ten is drawn at random, which a wrong belief cannot prevent.

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
from irnas.core.result import Result, Status
from irnas.core.settings import ENDLESS, FREEZE_THAW, TotalBudget
from irnas.core.space import Genotype, Space
from irnas.search.strategy import History, Price, Proposal
from irnas.search.strategy.belief import Beliefs, Outlook
from irnas.search.strategy.budget import Array, Purse
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.rung import Ladder, rungs

MAX_POOL = 2000
"""Networks that are priced and considered; a larger space is sampled."""

RANDOM_EVERY = 10
MAX_HALTED = 512
"""Halted trials, the newest, that are considered: an older one was passed over in as many decisions."""
STALE = 1 / 32
"""Of the networks at work, so many may come or go before all is believed anew: nothing where fewer than 32 are."""


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
        factor: int = 3,
        pool: int = MAX_POOL,
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
            num_first: networks, spread over the quantiles of the first free objective, before any decision.
            grace: the first rung; None for a ninth of ``epochs``.
            factor: rungs are so many times apart.
            pool: networks that are priced and considered, where the space has more.
            limits: free objective to its largest value; networks beyond are not considered.
            first: (origin, genotype) to begin with, within the limits; may lie outside ``space``.
            spendable: all that the search may spend: nothing is gone on with that it cannot bring to its end. Where
                only epochs are limited, improvement is weighed against epochs instead of seconds.

        Raises:
            SettingsError: not exactly one objective that needs training, or limits that refuse the whole pool.
        """
        uncertain = [o for o in objectives if not o.is_free]
        if len(uncertain) != 1:
            names = ", ".join(o.name for o in uncertain) or "none"
            raise SettingsError(f"freeze-thaw: got {names} as objectives that need training; must be exactly one")
        self._free = [o for o in objectives if o.is_free]
        self._seed, self._purse = seed, Purse(total_budget, epochs)
        self._ladder = Ladder(rungs(epochs, grace_period, factor))
        self._pool = Pool(
            space, self._free, price, size=pool, seed=seed, limits=dict(limits or {}), first=[g for _, g in first]
        )
        self._outlook = Outlook(uncertain[0], self._ladder, self._pool)
        self._least_new = len(self._pool) // 2 if self._pool.is_sample else 0
        self._origins = {g.key: origin for origin, g in first if g.key in self._pool}
        self._design = [*self._origins, *self._pool.spread(num_first)]
        self._proposals: dict[int, Proposal] = {}
        self._keys: dict[str, int] = {}
        self._paused: set[int] = set()
        self._busy: set[int] = set()
        """Trials at work."""
        self._over: set[int] = set()
        self._choice: tuple[int | str | None] | None = None
        """The best action, until something is learnt."""
        self._num_changes = 0
        """Networks that were handed out, came to a rung or ended."""
        self._beliefs: tuple[int, Beliefs] | None = None
        """What is believed, and of which ``_num_changes``."""
        self._belief: dict[str, float] = {}
        """What was believed of the action that was found best last; empty where it was not weighed."""

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        found = self._next()
        # An action that was drawn was not weighed, whatever else was.
        memory = {"belief": self._belief} if self._choice == (found,) and self._belief else {}
        self._change()
        if found is None:
            return None
        if isinstance(found, int):
            self._resume(found)
            return replace(self._proposals[found], memory=memory)
        candidate, trial = self._pool[found], len(self._proposals)
        proposal = Proposal(
            trial=trial,
            genotype=candidate.genotype,
            costs=candidate.free,
            origin=self._origins.get(found, FREEZE_THAW),
            memory=memory,
        )
        self._note(proposal)
        self._busy.add(proposal.trial)
        return proposal

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> bool:
        """Halt at a rung, unless to go on is the best that there is to do."""
        reached = self._ladder.climb(trial, epoch, values)
        self._purse.spend(trial, epoch, seconds)
        if reached is None or trial in self._over:
            return False
        self._change()
        self._paused.add(trial)
        self._busy.discard(trial)
        # Before all of the first networks are seen it is too early to judge; they are looked at side by side.
        if not all(self._is_known(key) for key in self._design) or self._best() != trial:
            return True
        self._resume(trial)
        self._choice = None
        return False

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._change()
        self._over.add(result.trial)
        self._paused.discard(result.trial)
        self._busy.discard(result.trial)
        if result.status is Status.OK:
            self._outlook.end(result.trial, result.key, result.values)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        for proposal in history.proposals:
            self._note(proposal)
        for seen in history.reports:
            self._ladder.climb(seen.trial, seen.epoch, seen.values)
            self._purse.spend(seen.trial, seen.epoch, seen.seconds)
        for result in history.results:
            self.tell(result)
        self._paused = set(history.paused)
        self._busy = self._proposals.keys() - self._over - self._paused

    def _resume(self, trial: int) -> None:
        self._paused.discard(trial)
        self._busy.add(trial)

    def _change(self) -> None:
        self._num_changes += 1
        self._choice = None

    def _note(self, proposal: Proposal) -> None:
        self._proposals[proposal.trial] = proposal
        self._keys[proposal.genotype.key] = proposal.trial
        cost = self._free[0].position(proposal.costs[self._free[0].name]) if self._free else 0.0
        self._purse.begin(proposal.trial, cost)
        self._outlook.begin(proposal.trial, proposal.genotype.key)
        if len(self._pool) - len(self._keys) < self._least_new:
            self._pool.draw(proposal.trial)

    def _is_known(self, key: str) -> bool:
        """Whether a network has reached a rung, or ended without."""
        trial = self._keys.get(key)
        return trial is not None and (trial in self._over or self._ladder.height(trial) > 0)

    def _next(self) -> int | str | None:
        """What to do: a trial to go on with, the key of a new network, or nothing."""
        designed = next((key for key in self._design if key not in self._keys), None)
        if designed is not None and self._carried([designed]):
            return designed
        num_actions = sum(map(len, self._ladder.values)) + len(self._over) + len(self._busy)
        if num_actions % RANDOM_EVERY == RANDOM_EVERY - 1:
            options = self._carried(self._halted()) or self._carried(self._new())
            return random.Random(f"{self._seed}:{num_actions}").choice(options) if options else None
        return self._best()

    def _best(self) -> int | str | None:
        if self._choice is None:
            self._choice = (self._search(),)
        return self._choice[0]

    def _new(self) -> list[str]:
        return [key for key in self._pool.keys if key not in self._keys]

    def _at_work(self) -> list[str]:
        return [self._key(trial) for trial in sorted(self._busy)]

    def _halted(self) -> list[int]:
        # Limits on speed may refuse what they admitted before a restart.
        found = [trial for trial in sorted(self._paused) if self._key(trial) in self._pool]
        return found[-MAX_HALTED:]

    def _key(self, option: int | str) -> str:
        return self._proposals[option].genotype.key if isinstance(option, int) else option

    def _ahead(self, options: Sequence[int | str], cost_mk: Array) -> tuple[Array, Array]:
        """Epochs that are left of each option's training, and seconds."""
        cost_m = cost_mk[:, 0] if cost_mk.shape[1] else np.zeros(len(options))
        return self._purse.ahead([o if isinstance(o, int) else None for o in options], cost_m)

    def _carried(self, options: Sequence[int | str]) -> Sequence[int | str]:
        """Those whose training the budget can still bring to its end."""
        if self._purse.is_endless:
            return options
        cost_mk = self._pool.costs([self._key(option) for option in options])
        fits_m = self._purse.carries(*self._ahead(options, cost_mk), self._busy)
        return [option for option, fits in zip(options, fits_m, strict=True) if fits]

    def _search(self) -> int | str | None:
        """The halted trial or new network of the most expected improvement for what its training takes."""
        options = self._carried([*self._halted(), *self._new()])
        keys = [self._key(option) for option in options]
        self._belief = {}
        beliefs = self._believed(keys) if options else None
        if beliefs is None:
            return options[0] if options else None
        # What was drawn since then waits for the next time.
        options = [option for option, key in zip(options, keys, strict=True) if key in beliefs[0]]
        keys = [key for key in keys if key in beliefs[0]]
        mean_m, spread_m = (np.array([found[key] for key in keys]) for found in beliefs)
        cost_mk = self._pool.costs(keys)
        improvement = self._outlook.improvement(beliefs[0], self._at_work())
        gain_m = improvement.expected(mean_m, spread_m, cost_mk)
        left_m, seconds_m = self._ahead(options, cost_mk)
        best = int((gain_m / self._purse.prices(left_m, seconds_m)).argmax())
        covered = improvement.covered(self._pool.costs(self._pool.keys).min(axis=0))
        self._belief = {
            "mean": self._outlook.value(float(mean_m[best])),
            "spread": float(spread_m[best]),
            "gain": float(gain_m[best]) / covered if covered > 0 else 1.0,
            "seconds": float(seconds_m[best]),
            "options": len(options),
        }
        return options[best]

    def _believed(self, options: Sequence[str]) -> Beliefs | None:
        """What is believed, from memory where little has changed since."""
        known = self._beliefs
        is_stale = known is None or self._num_changes - known[0] > STALE * len(self._busy)
        if is_stale or (known and known[1][0].keys().isdisjoint(options)):
            found = self._outlook.believe(options, self._at_work())
            self._beliefs = (self._num_changes, found) if found else None
        return self._beliefs[1] if self._beliefs else None
