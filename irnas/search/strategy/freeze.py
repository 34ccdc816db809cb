"""Pareto freeze-thaw: each worker does what promises the most hypervolume for its next second.

The free objectives of all networks are known before anything is trained. A training halts at each rung; then either it
goes on, or another halted one does, or a new network starts: whichever has the largest expected hypervolume improvement
of the *final* value at its known costs, over the seconds that are left of its training. Beliefs about final values come
from surrogate.py; a network that is at work counts as if it had come out as believed (the Kriging believer of D.
Ginsbourger et al., 2010), so that workers spread. One action in ten is drawn at random, which a wrong belief cannot
prevent.

Source of the idea: freeze-thaw, K. Swersky et al., "Freeze-Thaw Bayesian Optimization", 2014; here with one uncertain
objective and any number of known ones.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from irnas.errors import SettingsError
from irnas.objective import Objective
from irnas.result import Result, Status
from irnas.search.strategy import History, Price, Proposal
from irnas.search.strategy.improvement import Costs, Improvement
from irnas.search.strategy.pool import Pool
from irnas.search.strategy.rung import Ladder, rungs
from irnas.search.strategy.surrogate import Curves, Pace, Surface
from irnas.settings import FREEZE_THAW
from irnas.space import Genotype, Space

MAX_POOL = 2000
"""Networks that are priced and considered; a larger space is sampled."""

RANDOM_EVERY = 10
_MARGIN = 0.1
"""Of an axis's range: how far behind its worst value hypervolumes are measured from, as in a replay."""
_MIN_MARGIN = 0.01


# What a decision looks at is bounded, so that the ten thousandth costs no more than the thousandth. A replay on a table
# of a few hundred networks stays below all of these.
MAX_SEEN = 256
"""Trainings that the surface learns from."""
MAX_LINKED = 512
"""Trainings, the newest, that each link between two rungs and the pace are learnt from."""
MAX_TAKEN = 128
"""Networks at work, the newest, that narrow what is believed of their neighbours."""
MAX_HALTED = 512
"""Halted trials, the newest, that are considered: an older one was passed over in as many decisions."""
MAX_BELIEVED = 4096
"""Networks of the pool of which something is believed; where it has more, those that matter."""
STALE = 1 / 32
"""Of the networks at work, so many may come or go before all is believed anew: nothing where fewer than 32 are."""


Beliefs = tuple[dict[str, float], dict[str, float]]
"""Network to mean, and to spread, of its final value."""


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
        num_first: int = 10,
        grace: int | None = None,
        factor: int = 3,
        pool: int = MAX_POOL,
        limits: Mapping[str, float] | None = None,
        first: Sequence[tuple[str, Genotype]] = (),
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

        Raises:
            SettingsError: not exactly one objective that needs training, or limits that refuse the whole pool.
        """
        uncertain = [o for o in objectives if not o.is_free]
        if len(uncertain) != 1:
            names = ", ".join(o.name for o in uncertain) or "none"
            raise SettingsError(f"freeze-thaw: got {names} as objectives that need training; must be exactly one")
        self._metric, self._free = uncertain[0], [o for o in objectives if o.is_free]
        self._epochs, self._seed = epochs, seed
        self._ladder = Ladder(rungs(epochs, grace or max(1, epochs // factor**2), factor))
        self._pool = Pool(
            space, self._free, price, size=pool, seed=seed, limits=dict(limits or {}), first=[g for _, g in first]
        )
        self._least_new = len(self._pool) // 2 if self._pool.is_sample else 0
        self._origins = {g.key: origin for origin, g in first if g.key in self._pool}
        self._design = [*self._origins, *self._pool.spread(num_first)]
        self._proposals: dict[int, Proposal] = {}
        self._keys: dict[str, int] = {}
        self._paused: set[int] = set()
        self._busy: set[int] = set()
        """Trials at work."""
        self._over: set[int] = set()
        self._finals: dict[int, float] = {}
        self._edge: dict[int, tuple[float, Costs]] = {}
        """The front of what has ended: trial to final value and costs."""
        self._paces: dict[int, tuple[float, float]] = {}
        """Trial to (position of its first cost, seconds an epoch)."""
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
            trial=trial, genotype=candidate.genotype, costs=candidate.free,
            origin=self._origins.get(found, FREEZE_THAW), memory=memory,
        )  # fmt: skip
        self._note(proposal)
        self._busy.add(proposal.trial)
        return proposal

    def observe(self, trial: int, epoch: int, values: Mapping[str, float]) -> bool:
        """Halt at a rung, unless to go on is the best that there is to do."""
        reached = self._ladder.climb(trial, epoch, values)
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
            self._finals[result.trial] = self._gain(result.values)
            self._extend_edge(result.trial, result.key)
        if result.status in (Status.OK, Status.STOPPED) and result.epochs and result.seconds > 0:
            costs = tuple(o.position(result.values[o.name]) for o in self._free)
            self._paces[result.trial] = (costs[0] if costs else 0.0, result.seconds / result.epochs)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        for proposal in history.proposals:
            self._note(proposal)
        for seen in history.reports:
            self._ladder.climb(seen.trial, seen.epoch, seen.values)
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
        if len(self._pool) - len(self._keys) < self._least_new:
            self._pool.draw(proposal.trial)

    def _extend_edge(self, trial: int, key: str) -> None:
        if key not in self._pool:
            return
        gain, costs = mine = self._finals[trial], self._pool[key].costs

        def covers(a: tuple[float, Costs], b: tuple[float, Costs]) -> bool:
            return a[0] >= b[0] and all(x <= y for x, y in zip(a[1], b[1], strict=True))

        if not any(covers(other, mine) for other in self._edge.values()):
            self._edge = {t: other for t, other in self._edge.items() if not covers(mine, other)}
            self._edge[trial] = gain, costs

    def _is_known(self, key: str) -> bool:
        """Whether a network has reached a rung, or ended without."""
        trial = self._keys.get(key)
        return trial is not None and (trial in self._over or self._ladder.height(trial) > 0)

    def _next(self) -> int | str | None:
        """What to do: a trial to go on with, the key of a new network, or nothing."""
        designed = next((key for key in self._design if key not in self._keys), None)
        if designed is not None:
            return designed
        num_actions = sum(map(len, self._ladder.values)) + len(self._over) + len(self._busy)
        if num_actions % RANDOM_EVERY == RANDOM_EVERY - 1:
            options: list[int | str] = [*sorted(self._paused)] or [*self._new()]
            return random.Random(f"{self._seed}:{num_actions}").choice(options) if options else None
        return self._best()

    def _best(self) -> int | str | None:
        if self._choice is None:
            self._choice = (self._search(),)
        return self._choice[0]

    def _new(self) -> list[str]:
        return [key for key in self._pool.keys if key not in self._keys]

    def _key(self, option: int | str) -> str:
        return self._proposals[option].genotype.key if isinstance(option, int) else option

    def _left(self, option: int | str) -> int:
        """Epochs that are left of a training."""
        height = self._ladder.height(option) if isinstance(option, int) else 0
        return self._epochs - (self._ladder.steps[height - 1] if height else 0)

    def _search(self) -> int | str | None:
        """The halted trial or new network of the most expected improvement a second."""
        options: list[int | str] = [*sorted(self._paused)[-MAX_HALTED:], *self._new()]
        self._belief = {}
        beliefs = self._believed([self._key(option) for option in options]) if options else None
        if beliefs is None:
            return options[0] if options else None
        # What was drawn since then waits for the next time.
        options = [option for option in options if self._key(option) in beliefs[0]]
        keys = [self._key(option) for option in options]
        mean_m, spread_m = (np.array([found[key] for key in keys]) for found in beliefs)
        cost_mk = self._pool.costs(keys)
        improvement = self._improvement(beliefs[0])
        gain_m = improvement.expected(mean_m, spread_m, cost_mk)
        pace = Pace(list(self._paces.values())[-MAX_LINKED:])
        left_m = np.array([self._left(option) for option in options])
        seconds_m = left_m * pace.seconds(cost_mk[:, 0] if cost_mk.shape[1] else np.zeros(len(keys)))
        best = int((gain_m / seconds_m).argmax())
        covered = improvement.covered(self._pool.costs(self._pool.keys).min(axis=0))
        self._belief = {
            "mean": self._value(float(mean_m[best])), "spread": float(spread_m[best]),
            "gain": float(gain_m[best]) / covered if covered > 0 else 1.0, "seconds": float(seconds_m[best]),
            "options": len(options),
        }  # fmt: skip
        return options[best]

    def _believed(self, options: Sequence[str]) -> Beliefs | None:
        """``_believe``, from memory where little has changed since."""
        known = self._beliefs
        is_stale = known is None or self._num_changes - known[0] > STALE * len(self._busy)
        if is_stale or (known and known[1][0].keys().isdisjoint(options)):
            found = self._believe(options)
            self._beliefs = (self._num_changes, found) if found else None
        return self._beliefs[1] if self._beliefs else None

    def _believe(self, options: Sequence[str]) -> Beliefs | None:
        """Mean and spread of the final value of each network of the pool, or, of a large one, of the options and what
        is at work; None before any was seen."""
        newest = [dict(list(rung.items())[-MAX_LINKED:]) for rung in self._ladder.values]
        gains = [{t: self._gain(v) for t, v in rung.items()} for rung in newest]
        curves = Curves([*gains, dict(list(self._finals.items())[-MAX_LINKED:])])
        seen = self._seen()
        if not seen:
            return None
        mine = [self._proposals[t].genotype.key for t in seen]
        y_n, noise_n = np.array([self._end(t, curves) for t in seen]).T
        surface = Surface(self._pool.places(mine), self._pool.costs(mine), y_n, noise_n)
        at_work = [key for key in map(self._key, sorted(self._busy)) if key in self._pool]
        keys = self._pool.keys if len(self._pool) <= MAX_BELIEVED else list(dict.fromkeys([*options, *at_work]))
        taken_td = self._pool.places(at_work[-MAX_TAKEN:])
        mean_m, spread_m = surface.predict(self._pool.places(keys), self._pool.costs(keys), taken_td)
        return dict(zip(keys, mean_m.tolist(), strict=True)), dict(zip(keys, spread_m.tolist(), strict=True))

    def _seen(self) -> list[int]:
        """Trials to learn from: all that reached a rung or ended, or the front, the newest, and some of the others."""
        found = sorted(set(self._finals).union(*self._ladder.values))
        found = [t for t in found if self._proposals[t].genotype.key in self._pool]
        if len(found) <= MAX_SEEN:
            return found
        edge = sorted(self._edge)[-MAX_SEEN // 4 :]
        older, newer = found[: -MAX_SEEN // 2], found[-MAX_SEEN // 2 :]
        num = MAX_SEEN - len(newer) - len(edge)
        return sorted({*edge, *newer, *(older[i * len(older) // num] for i in range(num))})

    def _end(self, trial: int, curves: Curves) -> tuple[float, float]:
        """Mean and variance of a training's final value."""
        if trial in self._finals:
            return self._finals[trial], 0.0
        rung = self._ladder.height(trial) - 1
        return curves.final(rung, self._gain(self._ladder.values[rung][trial]))

    def _improvement(self, mean_of: Mapping[str, float]) -> Improvement:
        """The front of what has ended, and of what is at work as if it had ended as believed."""
        keys = [key for key in map(self._key, sorted(self._busy)) if key in mean_of]
        front = [*self._edge.values(), *((mean_of[key], self._pool[key].costs) for key in keys)]
        low, high = min(mean_of.values()), max(mean_of.values())
        floor = low - max(_MARGIN * (high - low), _MIN_MARGIN)
        return Improvement(front, (floor, self._pool.worst(_MARGIN)))

    def _gain(self, values: Mapping[str, float]) -> float:
        """The metric turned into 'larger is better'."""
        return -self._metric.position(values[self._metric.name])

    def _value(self, gain: float) -> float:
        """The inverse of ``_gain``."""
        return gain if self._metric.goal == "max" else -gain
