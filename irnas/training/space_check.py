"""Whether a family can build what a space of a user says: asked once, before anything is spent on it.

The spaces that come with irnas are tested with their families instead. A value counts as one that can be built where
some network has it: that a combination of values fails is a trial's affair.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch

from irnas import models
from irnas.core import catalog
from irnas.core.errors import SpaceError
from irnas.core.space import Genotype, Space, Value, is_active
from irnas.core.text import did_you_mean

MAX_BUILT = 32
"""Networks that try the values of a space together; of an axis with more values, the last are not tried."""


def require_buildable(space: str) -> None:
    """Build some networks of each space of a user among these, without memory for their weights.

    Args:
        space: name or folder of a space, or several joined by commas.

    Raises:
        SpaceError: a space lacks an axis of its family, has one that the family never reads, or has a value of which
            the family can build nothing.
    """
    for name in (part.strip() for part in space.split(",")):
        if not catalog.is_shipped(name):
            check(catalog.load(name))


def check(space: Space) -> None:
    """The same for one space, whoever it is of."""
    built, read = set[str](), set[str]()
    for genotype in _points(space, built):
        built |= set(genotype.values)
        try:
            read |= _build(genotype)
        except SpaceError:
            for axis, value in genotype.values.items():
                read |= _build(_beside_defaults(space, axis, value))
    unread = [param.name for param in space.params if param.name in built - read]
    # Where none was seen to be read, the family takes its values in a way that is not seen here.
    if unread and read:
        known = ", ".join(sorted(read))
        raise SpaceError(
            f"space {space.name}: got axis {unread[0]!r}, which family {space.family} never reads; must be one that it "
            f"reads: {known}{did_you_mean(unread[0], read)}"
        )


def _points(space: Space, built: set[str]) -> Iterator[Genotype]:
    """The default, then each axis's first values together, its second ones, and so on, then axes that were not there.

    Args:
        space: where they are from.
        built: the axes of the points so far.
    """
    yield space.default()
    for number in range(min(max((len(param.values) for param in space.params), default=0), MAX_BUILT)):
        active: dict[str, Value] = {}
        for param in space.params:
            if is_active(param, active):
                active[param.name] = param.values[number % len(param.values)]
        yield space.genotype(active)
    for param in space.params:
        if param.name not in built:
            yield _beside_defaults(space, param.name, param.default)


def _beside_defaults(space: Space, axis: str, value: Value) -> Genotype:
    """The point with a value, with what it needs to exist, and with the default everywhere else."""
    values, param = {axis: value}, space[axis]
    while param.when:
        parent, wanted = param.when
        values[parent] = wanted[0]
        param = space[parent]
    return space.complete(values)


def _build(genotype: Genotype) -> set[str]:
    """Build a network; returns the axes that its family read."""
    watched = _Watched(genotype.values)
    probe = replace(genotype, values=watched)
    # Its key was made of all of them.
    watched.read.clear()
    with torch.device("meta"):
        models.build(probe)
    return watched.read


class _Watched(dict[str, Value]):
    """The values of a genotype, with those marked that were read; whoever asks for all of them may read any."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        super().__init__(values)
        self.read = set[str]()

    def __getitem__(self, axis: str) -> Value:
        self.read.add(axis)
        return super().__getitem__(axis)

    def get(self, axis: str, default: Any = None) -> Any:
        self.read.add(axis)
        return super().get(axis, default)

    def _all(self) -> dict[str, Value]:
        self.read.update(super().keys())
        return {axis: super(_Watched, self).__getitem__(axis) for axis in super().keys()}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def keys(self) -> Any:
        return self._all().keys()

    def values(self) -> Any:
        return self._all().values()

    def items(self) -> Any:
        return self._all().items()

    def copy(self) -> Any:
        return self._all()

    def __or__(self, other: Any) -> Any:
        return self._all() | other

    def __ror__(self, other: Any) -> Any:
        return other | self._all()
