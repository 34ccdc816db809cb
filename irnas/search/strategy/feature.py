"""A network as numbers: what distances and surrogates are computed on."""

from __future__ import annotations

import math

from irnas.core.space import Genotype, Param, Space, Value

_ABSENT = -0.5
"""Where an ordered axis does not exist: off its scale of 0..1."""


def features(space: Space, genotype: Genotype) -> tuple[float, ...]:
    """One number in 0..1 for an ordered axis, one a value for another; two values of one axis are at most 1 apart."""
    values = space.values_of(genotype)
    numbers: list[float] = []
    for param in space.params:
        if len(param.values) > 1:
            numbers.extend(_place(param, values.get(param.name)))
    return tuple(numbers)


def _place(param: Param, value: Value | None) -> tuple[float, ...]:
    if isinstance(param.values[0], str):
        return tuple(math.sqrt(0.5) if value == v else 0.0 for v in param.values)
    if value is None or isinstance(value, str):
        return (_ABSENT,)
    ordered = sorted(float(v) for v in param.values)
    # A published network may have a value that the search leaves out.
    index = min(range(len(ordered)), key=lambda i: abs(ordered[i] - float(value)))
    return (index / (len(ordered) - 1),)
