"""How the networks of a run are told apart wherever they are shown: figures, colours, and the axes that differ."""

from __future__ import annotations

from collections.abc import Sequence

from irnas.core.result import Result
from irnas.core.space import MEMBER, Genotype, Space, Value
from irnas.record.run import Run
from irnas.report import look, unit

INACTIVE = "-"
"""Stands for the value of an axis that does not exist in a genotype."""


def figure_of(run: Run, result: Result, name: str) -> str:
    """A value of a result as people read it, with its deviation where the network was trained several times."""
    text = unit.figure(name, result.values.get(name))
    statistics = run.trials[result.trial].statistics.get(name)
    return f"{text} ± {unit.figure(name, statistics.deviation)} ({statistics.num})" if statistics else text


def families_of(run: Run) -> dict[str, str]:
    """Name of each space of a search over several, to its colour; empty for a search of one."""
    return {member.name: look.SERIES[i % len(look.SERIES)] for i, member in enumerate(run.space.members)}


def colours_of(run: Run) -> list[str]:
    """A colour for each of the winners: that of its family, or, in a search of one, from dark to light by cost."""
    families, winners = families_of(run), run.winners
    return [families[r.genotype.space] for r in winners] if families else look.ramp(len(winners))


def differing(genotypes: Sequence[Genotype], space: Space) -> list[str]:
    """The axes, in the space's order, on which the genotypes do not all agree."""
    points = [space.values_of(g) for g in genotypes]
    known = [p.name for p in space.params]
    # A published design may use an axis that the search held out.
    known += sorted({axis for values in points for axis in values} - set(known))
    held = {p.name for p in space.params if len(p.values) == 1}

    def differs(axis: str) -> bool:
        marks = {_mark(values[axis]) for values in points if axis in values}
        # Where an axis that a search holds exists or not follows from its parent, which is shown.
        is_partial = axis not in held and any(axis not in values for values in points)
        return len(marks) > 1 or (bool(marks) and is_partial)

    return [axis for axis in known if differs(axis)]


def choice(genotype: Genotype, axis: str) -> str:
    """The value of an axis as text; a dash where the axis does not exist. ``biisnet.base`` is the base of biisnet."""
    member, _, name = axis.rpartition(".")
    if axis == MEMBER:
        return genotype.space
    is_there = name in genotype.values and member in ("", genotype.space)
    return str(genotype.values[name]) if is_there else INACTIVE


def grouped(axes: Sequence[str]) -> dict[str, list[str]]:
    """Axes by what they are called together: ``growth0``, ``growth1`` and ``growth2`` are ``growth``."""
    stems: dict[str, list[str]] = {}
    for axis in axes:
        stems.setdefault(axis.rstrip("0123456789"), []).append(axis)
    # An axis that merely ends in a digit keeps its name.
    return {stem if len(members) > 1 else members[0]: members for stem, members in stems.items()}


def choices(genotype: Genotype, axes: Sequence[str]) -> str:
    """The values of axes that are shown together: ``2/2/1``."""
    return "/".join(choice(genotype, axis) for axis in axes)


def phrases(genotype: Genotype, axes: Sequence[str]) -> list[str]:
    """The axes that exist in the genotype with their values: ``["base=8", "growth=2/2/1"]``."""
    names = grouped(axes).items()
    existing = ((name, m) for name, m in names if any(choice(genotype, axis) != INACTIVE for axis in m))
    return [f"{name.rpartition('.')[2]}={choices(genotype, m)}" for name, m in existing]


def _mark(value: Value) -> tuple[str, Value]:
    # True is not 1.
    return type(value).__name__, value
