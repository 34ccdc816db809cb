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

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from irnas.errors import SettingsError
from irnas.objective import Objective
from irnas.result import Result, Status
from irnas.search.strategy import History, Price, Proposal, Verdict
from irnas.search.strategy.feature import features
from irnas.search.strategy.improvement import Costs, Improvement
from irnas.search.strategy.rung import Ladder, rungs
from irnas.search.strategy.surrogate import Array, Curves, Surface
from irnas.settings import FREEZE_THAW
from irnas.space import Genotype, Space

MAX_POOL = 2000
"""Networks that are priced and considered; a larger space is sampled."""

RANDOM_EVERY = 10
_MARGIN = 0.1
"""Of an axis's range: how far behind its worst value hypervolumes are measured from, as in a replay."""
_MIN_MARGIN = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class _Candidate:
    genotype: Genotype
    free: Mapping[str, float]
    costs: Costs
    """Positions of the free objectives, smaller is better."""
    place: tuple[float, ...]
    """Features, for distances."""


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
        can_resume: bool = True,
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
            can_resume: whether the executor goes on with a paused trial; without it a trial that does not go on at a
                rung is stopped.
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
        self._epochs, self._seed, self._can_resume = epochs, seed, can_resume
        self._ladder = Ladder(rungs(epochs, grace or max(1, epochs // factor**2), factor))
        self._pool = {c.genotype.key: c for c in self._candidates(space, price, pool, dict(limits or {}), first)}
        self._origins = {g.key: origin for origin, g in first if g.key in self._pool}
        self._design = [*self._origins, *self._spread(num_first)]
        self._proposals: dict[int, Proposal] = {}
        self._keys: dict[str, int] = {}
        self._paused: set[int] = set()
        self._over: set[int] = set()
        self._finals: dict[int, float] = {}
        self._paces: dict[int, tuple[float, float]] = {}
        """Trial to (position of its first cost, seconds an epoch)."""
        self._choice: tuple[int | str | None] | None = None
        """The best action, until something is learnt."""

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        found = self._next()
        self._choice = None
        if found is None:
            return None
        if isinstance(found, int):
            self._paused.discard(found)
            return self._proposals[found]
        candidate, trial = self._pool[found], len(self._proposals)
        proposal = Proposal(
            trial=trial, genotype=candidate.genotype, costs=candidate.free,
            origin=self._origins.get(found, FREEZE_THAW),
        )  # fmt: skip
        self._note(proposal)
        return proposal

    def observe(self, trial: int, epoch: int, values: Mapping[str, float]) -> Verdict:
        """Halt at a rung, unless to go on is the best that there is to do."""
        reached = self._ladder.climb(trial, epoch, values)
        if reached is None or trial in self._over:
            return Verdict.GO_ON
        self._choice = None
        if not all(self._is_known(key) for key in self._design):
            # Too early to judge: the first networks are looked at side by side.
            goes_on = not self._can_resume
        else:
            self._paused.add(trial)
            goes_on = self._best() == trial
        if self._can_resume and not goes_on:
            self._paused.add(trial)
            return Verdict.PAUSE
        self._paused.discard(trial)
        self._choice = None
        return Verdict.GO_ON if goes_on else Verdict.STOP

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._choice = None
        self._over.add(result.trial)
        self._paused.discard(result.trial)
        if result.status is Status.OK:
            self._finals[result.trial] = self._gain(result.values)
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

    def _note(self, proposal: Proposal) -> None:
        self._proposals[proposal.trial] = proposal
        self._keys[proposal.genotype.key] = proposal.trial

    def _is_known(self, key: str) -> bool:
        """Whether a network has reached a rung, or ended without."""
        trial = self._keys.get(key)
        return trial is not None and (trial in self._over or self._ladder.height(trial) > 0)

    def _next(self) -> int | str | None:
        """What to do: a trial to go on with, the key of a new network, or nothing."""
        designed = next((key for key in self._design if key not in self._keys), None)
        if designed is not None:
            return designed
        num_at_work = len(self._proposals) - len(self._over) - len(self._paused)
        num_actions = sum(map(len, self._ladder.values)) + len(self._over) + num_at_work
        if num_actions % RANDOM_EVERY == RANDOM_EVERY - 1:
            new = [key for key in self._pool if key not in self._keys]
            options: list[int | str] = [*sorted(self._paused)] or [*new]
            return random.Random(f"{self._seed}:{num_actions}").choice(options) if options else None
        return self._best()

    def _best(self) -> int | str | None:
        if self._choice is None:
            self._choice = (self._search(),)
        return self._choice[0]

    def _search(self) -> int | str | None:
        """The halted trial or new network of the most expected improvement a second."""
        new = [key for key in self._pool if key not in self._keys]
        options: list[int | str] = [*sorted(self._paused), *new]
        beliefs = self._beliefs() if options else None
        if beliefs is None:
            return options[0] if options else None
        mean_of, spread_of = beliefs
        improvement = self._improvement(mean_of)
        pace = self._pace()
        best, best_rate = options[0], -1.0
        for option in options:
            key = self._proposals[option].genotype.key if isinstance(option, int) else option
            left = self._epochs - (
                self._ladder.steps[self._ladder.height(option) - 1] if isinstance(option, int) else 0
            )
            costs = self._pool[key].costs
            gain = improvement.expected(mean_of[key], spread_of[key], costs)
            rate = gain / (left * pace(costs[0] if costs else 0.0))
            if rate > best_rate:
                best, best_rate = option, rate
        return best

    def _beliefs(self) -> tuple[dict[str, float], dict[str, float]] | None:
        """Mean and spread of the final value of each network of the pool; None before any was seen."""
        values = [{t: self._gain(v) for t, v in rung.items()} for rung in self._ladder.values]
        curves = Curves([*values, self._finals])
        seen: dict[int, tuple[float, float]] = {}
        for rung, known in enumerate(values):
            seen |= {t: curves.final(rung, value) for t, value in known.items()}
        seen |= {t: (value, 0.0) for t, value in self._finals.items()}
        seen = {t: belief for t, belief in seen.items() if self._proposals[t].genotype.key in self._pool}
        if not seen:
            return None
        mine = [self._pool[self._proposals[t].genotype.key] for t in sorted(seen)]
        y_n, noise_n = np.array([seen[t] for t in sorted(seen)]).T
        surface = Surface(_places(mine), _costs(mine), y_n, noise_n)
        everyone = list(self._pool.values())
        at_work = [p for t, p in self._proposals.items() if t not in self._over and t not in self._paused]
        taken = [self._pool[p.genotype.key] for p in at_work if p.genotype.key in self._pool]
        mean_m, spread_m = surface.predict(_places(everyone), _costs(everyone), _places(taken))
        keys = [c.genotype.key for c in everyone]
        return dict(zip(keys, mean_m.tolist(), strict=True)), dict(zip(keys, spread_m.tolist(), strict=True))

    def _improvement(self, mean_of: Mapping[str, float]) -> Improvement:
        """The front of what has ended, and of what is at work as if it had ended as believed."""
        front = []
        for trial, proposal in self._proposals.items():
            candidate = self._pool.get(proposal.genotype.key)
            if candidate is None or trial in self._paused:
                continue
            if trial in self._finals:
                front.append((self._finals[trial], candidate.costs))
            elif trial not in self._over:
                front.append((mean_of[candidate.genotype.key], candidate.costs))
        low, high = min(mean_of.values()), max(mean_of.values())
        floor = low - max(_MARGIN * (high - low), _MIN_MARGIN)
        cost_nk = _costs(list(self._pool.values()))
        span_k = np.ptp(cost_nk, axis=0)
        limits = tuple((cost_nk.max(axis=0) + np.where(span_k > 0, _MARGIN * span_k, 1.0)).tolist())
        return Improvement(front, (floor, limits))

    def _pace(self) -> _Pace:
        return _Pace(list(self._paces.values()))

    def _gain(self, values: Mapping[str, float]) -> float:
        """The metric turned into 'larger is better'."""
        return -self._metric.position(values[self._metric.name])

    def _candidates(
        self, space: Space, price: Price, pool: int, limits: Mapping[str, float], first: Sequence[tuple[str, Genotype]]
    ) -> list[_Candidate]:
        if space.count() <= pool:
            genotypes = list(space.points())
        else:
            rng = random.Random(f"{self._seed}:pool")
            genotypes = list({g.key: g for g in (space.sample(rng) for _ in range(pool))}.values())
        found, least = [], dict.fromkeys(limits, math.inf)
        for genotype in {g.key: g for g in (*(g for _, g in first), *genotypes)}.values():
            free = price(genotype)
            least = {name: min(value, free[name]) for name, value in least.items()}
            if all(free[name] <= most for name, most in limits.items()):
                costs = tuple(o.position(free[o.name]) for o in self._free)
                found.append(_Candidate(genotype=genotype, free=free, costs=costs, place=features(space, genotype)))
        if not found:
            given = ", ".join(f"{name} {most:g}" for name, most in limits.items())
            smallest = ", ".join(f"{name} {value:g}" for name, value in least.items())
            raise SettingsError(f"limits: got {given}; must admit some network: the least of many is {smallest}")
        return found

    def _spread(self, number: int) -> list[str]:
        """Keys of as many networks, one of each quantile of the first free objective, in random order."""
        rng = random.Random(f"{self._seed}:design")
        ordered = sorted(self._pool.values(), key=lambda c: (c.costs[:1], c.genotype.key))
        number = min(number, len(ordered))
        cuts = [round(i * len(ordered) / number) for i in range(number + 1)] if number else []
        found = [rng.choice(ordered[a:b]).genotype.key for a, b in itertools.pairwise(cuts)]
        rng.shuffle(found)
        return found


class _Pace:
    """Seconds an epoch, from the first cost: a line between logarithms."""

    def __init__(self, seen: Sequence[tuple[float, float]]) -> None:
        self._slope, self._cost, self._seconds = 0.0, 0.0, 0.0
        if seen:
            x_n, y_n = np.array([c for c, _ in seen]), np.log10([s for _, s in seen])
            self._cost, self._seconds = float(x_n.mean()), float(y_n.mean())
            square = float(((x_n - self._cost) ** 2).sum())
            if len(seen) > 2 and square > 0:
                self._slope = min(max(float((x_n - self._cost) @ (y_n - self._seconds)) / square, 0.0), 2.0)

    def __call__(self, cost: float) -> float:
        return float(10 ** (self._seconds + self._slope * (cost - self._cost)))


def _places(candidates: Sequence[_Candidate]) -> Array:
    """Features and costs, [N, D]: networks of like cost are near in one more way."""
    return np.array([(*c.place, *c.costs) for c in candidates])


def _costs(candidates: Sequence[_Candidate]) -> Array:
    return np.array([c.costs for c in candidates]).reshape(len(candidates), -1)
