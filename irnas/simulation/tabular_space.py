"""A space of listed networks only: what a strategy searches when it is replayed on a table.

Here the list is the space: counting, drawing and walking give its members alone, and values that name no member name
the nearest one, which the strategy knows by its own key. A strategy that searched everything, with the nearest network
looked up behind its back, would learn of networks that it did not ask for. A sampler that draws a member again is
answered from the results, as in a real search. Where the list is all of a space, nothing is ever moved.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from irnas.core.space import Genotype, Space, Value
from irnas.search.strategy.feature import features


@dataclass(frozen=True, slots=True, kw_only=True)
class TabularSpace(Space):
    """A space that consists of listed networks."""

    listed: tuple[Genotype, ...]
    _features: Mapping[str, tuple[float, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        Space.__post_init__(self)
        object.__setattr__(self, "_features", {g.key: features(self, g) for g in self.listed})

    @classmethod
    def of(cls, space: Space, listed: tuple[Genotype, ...]) -> TabularSpace:
        """The part of ``space`` that is listed."""
        return cls(name=space.name, family=space.family, params=space.params, members=space.members, listed=listed)

    def genotype(self, values: Mapping[str, Value]) -> Genotype:
        """The listed network with these values, else the one nearest to them; of equally near ones, the first."""
        # Not super(): a dataclass with slots is made twice, and super() knows the first one only.
        asked = Space.genotype(self, values)
        if asked.key in self._features:
            return asked
        place = features(self, asked)
        return min(self.listed, key=lambda g: math.dist(self._features[g.key], place))

    def sample(self, rng: random.Random) -> Genotype:
        """A listed network, drawn evenly."""
        return rng.choice(self.listed)

    def count(self) -> int:
        """The number of listed networks."""
        return len(self.listed)

    def points(self) -> Iterator[Genotype]:
        """Every listed network."""
        return iter(self.listed)
