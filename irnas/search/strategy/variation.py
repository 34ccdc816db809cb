"""New networks near known ones: one or two axes changed, or the axes of two networks mixed."""

from __future__ import annotations

import random
from collections.abc import Mapping

from irnas.core.space import Genotype, Param, Space, Value, is_active


def mutate(space: Space, genotype: Genotype, rng: random.Random, num_axes: int) -> Genotype:
    """A network of which so many axes differ, where as many can; those that a change brings up are drawn.

    Args:
        space: where the result lies. The values of a network from outside count as far as the space has them.
        genotype: the network to begin with.
        rng: of all draws.
        num_axes: axes to change, at least 1.
    """
    values = dict(space.values_of(genotype))
    free = [p for p in space.params if p.name in values and len(p.values) > 1]
    for param in rng.sample(free, min(num_axes, len(free))):
        values[param.name] = rng.choice([value for value in param.values if not _is_same(value, values[param.name])])
    return _complete(space, values, rng)


def cross(space: Space, genotype: Genotype, other: Genotype, rng: random.Random) -> Genotype:
    """A network each of whose axes is that of one of two, drawn evenly."""
    first, second = (dict(space.values_of(parent)) for parent in (genotype, other))
    values = {name: rng.choice([own[name] for own in (first, second) if name in own]) for name in {**first, **second}}
    return _complete(space, values, rng)


def _complete(space: Space, values: Mapping[str, Value], rng: random.Random) -> Genotype:
    """The point with these values as far as they exist beside each other; the rest is drawn."""
    active: dict[str, Value] = {}
    for param in space.params:
        if is_active(param, active):
            known = param.name in values and _holds(param, values[param.name])
            active[param.name] = values[param.name] if known else rng.choice(param.values)
    return space.genotype(active)


def _holds(param: Param, value: Value) -> bool:
    return any(_is_same(value, each) for each in param.values)


def _is_same(a: Value, b: Value) -> bool:
    # True is not 1.
    return type(a) is type(b) and a == b
