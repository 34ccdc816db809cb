"""Whether a family can build what a space of its own says: asked once, before a search spends anything on it."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch

from irnas import models
from irnas.core.errors import SpaceError
from irnas.core.space import Genotype, Space, Value

MAX_BUILT = 400
"""Networks that are built of one space; a wide one is asked about its first values only."""


class _Watched(Mapping[str, Value]):
    """The values of a genotype, with those marked that were read."""

    def __init__(self, values: Mapping[str, Value]) -> None:
        self._values = values
        self.read = set[str]()

    def __getitem__(self, axis: str) -> Value:
        self.read.add(axis)
        return self._values[axis]

    def __iter__(self) -> Iterator[str]:
        # Whoever asks for all of them may read any.
        self.read.update(self._values)
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, axis: object) -> bool:
        return axis in self._values


def require_buildable(space: Space) -> None:
    """Build the default network of a space, and one with each value of each axis, without memory for weights.

    Raises:
        SpaceError: the space lacks an axis of its family, has one that the family never reads, or a value of which it
            can build nothing.
    """
    for member in space.members or (space,):
        read, tried = set[str](), set[str]()
        for axis, genotype in itertools.islice(_points(member), MAX_BUILT):
            tried.add(axis)
            watched = _Watched(genotype.values)
            probe = replace(genotype, values=watched)
            # Its key was made of all of them.
            watched.read.clear()
            with torch.device("meta"):
                models.build(probe)
            read |= watched.read
        if unknown := [param.name for param in member.params if param.name in tried - read]:
            known = ", ".join(sorted(read))
            raise SpaceError(
                f"space {member.name}: got axis {unknown[0]!r}, which family {member.family} never reads; must be one "
                f"that it reads, such as {known}"
            )


def _points(space: Space) -> Iterator[tuple[str, Genotype]]:
    """The default, and each value of each axis, with its name, beside the defaults of all others."""
    yield "", space.default()
    for param in space.params:
        for value in param.values:
            values, node = {param.name: value}, param
            while node.when:
                parent, wanted = node.when
                values[parent] = wanted[0]
                node = space[parent]
            yield param.name, space.complete(values)
