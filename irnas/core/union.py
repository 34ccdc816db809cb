"""Several spaces as one: the family is the first axis, and each family's axes exist only below it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from irnas.core.errors import SpaceError
from irnas.core.space import MEMBER, Param, Space


def unite(spaces: Sequence[Space]) -> Space:
    """The space of all points of these spaces; its points are theirs, with the keys that they have there.

    An axis ``base`` of biisnet is called ``biisnet.base`` in it, and ``space`` says whose a point is.

    Raises:
        SpaceError: fewer than two spaces, or two of one name.
    """
    names = tuple(space.name for space in spaces)
    if len(names) < 2 or len(set(names)) != len(names):
        raise SpaceError(f"space: got {','.join(names)!r}; must be two or more different names")
    first = Param(
        name=MEMBER, values=names, default=names[0], search=names, about="which family, and so which of the axes"
    )
    params = [first, *(_below(space, param) for space in spaces for param in space.params)]
    family = ",".join(space.family for space in spaces)
    return Space(name=",".join(names), family=family, params=tuple(params), members=tuple(spaces))


def _below(space: Space, param: Param) -> Param:
    parent, wanted = param.when or (None, ())
    when = (MEMBER, (space.name,)) if parent is None else (f"{space.name}.{parent}", wanted)
    return replace(param, name=f"{space.name}.{param.name}", when=when)
