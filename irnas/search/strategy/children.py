"""Children of trained networks: near them, never proposed before, with the parent that each would start from."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace

from irnas.core.heritage import LEAST_SHARE, Parent
from irnas.core.space import Genotype
from irnas.search.strategy import SearchProblem
from irnas.search.strategy.lineage import Lineage
from irnas.search.strategy.variation import cross, mutate

NUM_CHILDREN = 24
"""Children that are compared before one is trained."""
_SHARE_OF_FRONT, _SHARE_OF_CROSSES = 0.8, 0.3
_MAX_DRAWS = 10 * NUM_CHILDREN


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A network that could be trained."""

    genotype: Genotype
    free: Mapping[str, float]
    epochs: int
    """For which it would be trained."""
    parent: Parent | None = None
    """Whose weights it would start from."""


class Children:
    """Draws children, and finds their parents."""

    def __init__(self, problem: SearchProblem, lineage: Lineage, epochs_of_heirs: int) -> None:
        """Draw from what ``lineage`` holds whenever it is asked."""
        self._problem, self._lineage, self._epochs_of_heirs = problem, lineage, epochs_of_heirs

    def draw(self, rng: random.Random) -> list[Child]:
        """Networks that were never proposed, within the limits: near trained ones, or drawn where there are none.

        Their parents are still to be found (``adopt``); it is taken that they train for as few epochs as an heir.
        """
        trained, children = self._lineage.candidates(), dict[str, Child]()
        for _ in range(_MAX_DRAWS):
            genotype = self._draw(trained, rng)
            if genotype.key in self._lineage.genotypes or genotype.key in children:
                continue
            free = self._problem.price(genotype)
            if all(free[name] <= most for name, most in self._problem.limits.items()):
                children[genotype.key] = Child(genotype=genotype, free=free, epochs=self._epochs_of_heirs)
            if len(children) == NUM_CHILDREN:
                break
        return list(children.values())

    def adopt(self, child: Child) -> Child:
        """A child with its parent, and with the epochs that it takes with so much of its parent's weights."""
        parent, share = self._lineage.find_parent(child.genotype), self._problem.share
        if parent is None:
            return replace(child, parent=None, epochs=self._problem.epochs)
        is_short = share is None or share(child.genotype, self._lineage.genotypes[parent.key]) >= LEAST_SHARE
        return replace(child, parent=parent, epochs=self._epochs_of_heirs if is_short else self._problem.epochs)

    def _draw(self, trained: list[int], rng: random.Random) -> Genotype:
        if not trained:
            return self._problem.space.sample(rng)
        front = self._lineage.front
        parent = rng.choice(front if rng.random() < _SHARE_OF_FRONT else trained)
        genotype = self._lineage.trained[parent].genotype
        if rng.random() < _SHARE_OF_CROSSES:
            other = self._lineage.trained[rng.choice(trained)].genotype
            return cross(self._problem.space, genotype, other, rng)
        return mutate(self._problem.space, genotype, rng, rng.choice((1, 2)))
