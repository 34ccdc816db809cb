"""The networks that a strategy considers: priced before anything is trained, and as numbers for its models."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from irnas.core.errors import SettingsError
from irnas.core.objective import Objective
from irnas.core.space import Genotype, Space
from irnas.search.strategy import Price
from irnas.search.strategy.feature import features

Array = NDArray[np.float64]
Costs = tuple[float, ...]

_DRAWS = 20
"""Networks that are priced at most to find one more; the limits may refuse many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A network of the pool."""

    genotype: Genotype
    free: Mapping[str, float]
    costs: Costs
    """Positions of the free objectives, smaller is better."""
    place: tuple[float, ...]
    """Features and costs, for distances: networks of like cost are near in one more way."""


class Pool:
    """All of a small space, or a sample of a large one that is filled up as it is used."""

    def __init__(
        self,
        space: Space,
        free: Sequence[Objective],
        price: Price,
        *,
        size: int,
        seed: int,
        limits: Mapping[str, float],
        first: Sequence[Genotype] = (),
    ) -> None:
        """Draw and price the pool.

        Raises:
            SettingsError: limits that refuse all of it.
        """
        self._space, self._free, self._price, self._seed, self._limits = space, free, price, seed, limits
        self.is_sample = space.count() > size
        if self.is_sample:
            rng = random.Random(f"{seed}:pool")
            genotypes = list({g.key: g for g in (space.sample(rng) for _ in range(size))}.values())
        else:
            genotypes = list(space.points())
        priced = [self._candidate(g) for g in {g.key: g for g in (*first, *genotypes)}.values()]
        self._by_key = {c.genotype.key: c for c in priced if self._keeps(c)}
        if not self._by_key:
            limits_text = ", ".join(f"{name} {most:g}" for name, most in limits.items())
            least = ", ".join(f"{name} {min(c.free[name] for c in priced):g}" for name in limits)
            raise SettingsError(f"limits: got {limits_text}; must admit some network: the least of many is {least}")
        self._rows = {key: row for row, key in enumerate(self._by_key)}
        self._place_md = np.array([c.place for c in self._by_key.values()])
        self._cost_mk = np.array([c.costs for c in self._by_key.values()]).reshape(len(self._by_key), -1)

    def __contains__(self, key: str) -> bool:
        return key in self._by_key

    def __getitem__(self, key: str) -> Candidate:
        return self._by_key[key]

    def __len__(self) -> int:
        return len(self._by_key)

    @property
    def keys(self) -> Sequence[str]:
        """All keys, in the order in which they were drawn."""
        return list(self._by_key)

    def sample_quantiles(self, number: int) -> list[str]:
        """Draw so many networks, one of each quantile of the first free objective; their keys, in random order."""
        rng = random.Random(f"{self._seed}:design")
        ordered = sorted(self._by_key, key=lambda key: (self._by_key[key].costs[:1], key))
        number = min(number, len(ordered))
        cuts = [round(i * len(ordered) / number) for i in range(number + 1)] if number else []
        keys = [rng.choice(ordered[a:b]) for a, b in itertools.pairwise(cuts)]
        rng.shuffle(keys)
        return keys

    def draw(self, number: int) -> None:
        """Add one more network of the space, a function of ``number``, where a few draws find one."""
        rng = random.Random(f"{self._seed}:pool:{number}")
        for _ in range(_DRAWS):
            genotype = self._space.sample(rng)
            if genotype.key in self._by_key:
                continue
            candidate = self._candidate(genotype)
            if self._keeps(candidate):
                self._rows[genotype.key] = len(self._by_key)
                self._by_key[genotype.key] = candidate
                self._place_md = np.vstack([self._place_md, candidate.place])
                self._cost_mk = np.vstack([self._cost_mk, candidate.costs])
                return

    def places(self, keys: Sequence[str]) -> Array:
        """The ``Candidate.place`` of networks, [N, D]."""
        return self._place_md[[self._rows[k] for k in keys]]

    def costs(self, keys: Sequence[str]) -> Array:
        """The ``Candidate.costs`` of networks, [N, K]."""
        return self._cost_mk[[self._rows[k] for k in keys]]

    def worst(self, margin: float) -> Costs:
        """The largest costs of all, and a share ``margin`` of each range beyond; 1 where there is no range."""
        span_k = np.ptp(self._cost_mk, axis=0)
        return tuple((self._cost_mk.max(axis=0) + np.where(span_k > 0, margin * span_k, 1.0)).tolist())

    def _candidate(self, genotype: Genotype) -> Candidate:
        free = self._price(genotype)
        costs = tuple(o.position(free[o.name]) for o in self._free)
        return Candidate(genotype=genotype, free=free, costs=costs, place=(*features(self._space, genotype), *costs))

    def _keeps(self, candidate: Candidate) -> bool:
        return all(candidate.free[name] <= most for name, most in self._limits.items())
