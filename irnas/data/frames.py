"""Frames of sequences: their numbers, their order, and where a sequence has gaps. Import and run share it.

The number of a frame is the number in its name that varies over its sequence. Frames follow each other where their
numbers differ by no more than the sequence's usual step; beyond that is a gap, across which no window reaches.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

_LARGEST = 2**31 - 1
"""Larger numbers are times; frames are counted then."""


def frame_numbers(names: Iterable[str]) -> dict[str, int]:
    """Frame numbers by name; names of one folder (what stands before the last slash) are frames of one sequence.

    Where one number varies it is the frame; where several do, the densest of those that no two frames share; where only
    several together tell the frames apart, or none does, or they are too large, frames are counted from 0 in order.
    """
    leaves_of: dict[str, list[str]] = {}
    for name in names:
        folder, _, leaf = name.rpartition("/")
        leaves_of.setdefault(folder, []).append(leaf)
    return {
        f"{folder}/{leaf}" if folder else leaf: number
        for folder, leaves in leaves_of.items()
        for leaf, number in zip(leaves, _numbers(leaves), strict=True)
    }


def told_by_several(names: Iterable[str]) -> list[str]:
    """The folders whose names hold numbers, but no single one that tells every two frames apart."""
    leaves_of: dict[str, list[str]] = {}
    for name in names:
        folder, _, leaf = name.rpartition("/")
        leaves_of.setdefault(folder, []).append(leaf)
    groups_of = {folder: [re.findall(r"\d+", leaf) for leaf in leaves] for folder, leaves in leaves_of.items()}
    return [
        folder
        for folder, groups in groups_of.items()
        if folder
        and len({len(group) for group in groups}) == 1
        and sum(len(set(column)) > 1 for column in zip(*groups, strict=True)) > 1
        and all(len(set(map(int, column))) < len(groups) for column in zip(*groups, strict=True))
    ]


def usual_step(numbers: Sequence[int]) -> int:
    """The commonest difference of neighbouring frames above 0, the smallest of several; 0 where all are equal."""
    steps = Counter(after - before for before, after in itertools.pairwise(sorted(numbers)) if after > before)
    return min(steps, key=lambda step: (-steps[step], step), default=0)


def gaps(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """The frames before and after each gap of a sequence."""
    step = usual_step(numbers)
    return [(a, b) for a, b in itertools.pairwise(sorted(numbers)) if b - a > step]


def describe(numbers_of: Mapping[str, Sequence[int]]) -> list[str]:
    """Sentences about sequences with gaps, and with frames of one number."""
    sentences = []
    gaps_of = {name: inner for name, numbers in numbers_of.items() if (inner := gaps(numbers))}
    if gaps_of:
        first = next(iter(gaps_of))
        where = ", ".join(f"{a} to {b}" for a, b in gaps_of[first][:5])
        more = ", ..." if len(gaps_of[first]) > 5 else ""
        what = f"{_count(len(gaps_of))} with gaps between frames (the first {first}: {where}{more})"
        sentences.append(f"{what}: no window reaches across a gap")
    twice = {
        name: n - len(set(numbers)) for name, numbers in numbers_of.items() if (n := len(numbers)) > len(set(numbers))
    }
    if twice:
        first = next(iter(twice))
        number = Counter(numbers_of[first]).most_common(1)[0][0]
        what = f"{_count(len(twice))} with several frames of one number (the first {first}, number {number})"
        sentences.append(f"{what}: ordered by name")
    return sentences


def _count(number: int) -> str:
    return f"{number} {'sequence' if number == 1 else 'sequences'}"


def _numbers(leaves: Sequence[str]) -> list[int]:
    """The number of each leaf of one sequence."""
    digits = [tuple(int(group) for group in re.findall(r"\d+", leaf)) for leaf in leaves]
    widths = {len(groups) for groups in digits}
    if widths == {0} or 0 in widths:
        return _places(leaves)
    if len(widths) > 1:
        columns = [[groups[-1] for groups in digits]]
    else:
        columns = [list(column) for column in zip(*digits, strict=True)]
    varying = [column for column in columns if len(set(column)) > 1]
    if not varying:
        return columns[-1] if len(leaves) == 1 else _places(leaves)
    unique = [column for column in varying if len(set(column)) == len(column)]
    if unique:
        numbers = min(reversed(unique), key=lambda column: max(column) - min(column))
    elif len(set(digits)) == len(digits) and len(varying) > 1:
        return _places(leaves)
    else:
        numbers = max(reversed(varying), key=lambda column: len(set(column)))
    return numbers if max(numbers) <= _LARGEST else _places(leaves)


def _places(leaves: Sequence[str]) -> list[int]:
    place_of = {leaf: place for place, leaf in enumerate(sorted(leaves, key=_natural))}
    return [place_of[leaf] for leaf in leaves]


def _natural(name: str) -> list[tuple[int, str]]:
    """A key by which numbers inside names count as numbers."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.findall(r"\d+|\D+", name)]
