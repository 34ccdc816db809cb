"""The validation cut: which images of an official training split a search may train on, and which it judges by."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from irnas.core.errors import DataError

FRACTION = 0.2
SEED = 0
_TRAIN = ("train", "trainval")
"""Names under which published layouts keep their training part; the first that exists is cut."""


def with_validation(
    splits: Mapping[str, Sequence[str]], sequence_of: Mapping[str, str], *, fraction: float = FRACTION, seed: int = SEED
) -> tuple[dict[str, Sequence[str]], dict[str, Any]]:
    """Add ``fit`` and ``val`` to official splits, and say where they come from.

    An official ``val`` is used as it is, with ``fit`` = ``train``. Otherwise the share ``fraction`` of ``train`` (or
    ``trainval``) with the smallest sha256 of seed and name becomes ``val``: order and company of a name do not matter,
    and new images move few old ones. Frames of one sequence (``sequence_of`` maps names to them) stay together.
    With fraction 0, or with one sequence only, ``fit`` is all of it and there is no ``val``. Without a training split
    there is neither: such a set can be tested on only.

    Raises:
        DataError: too little in the training split to cut, or a fraction outside 0..1.
    """
    if not 0 <= fraction < 1:
        raise DataError(f"validation fraction: got {fraction}; must be at least 0 and below 1")
    train = next((name for name in _TRAIN if name in splits), None)
    if train is None:
        return dict(splits), {"kind": "none"}
    if "val" in splits and (train == "train" or set(splits["val"]).isdisjoint(splits[train])):
        return {**splits, "fit": splits[train]}, {"kind": "official", "fit": train, "val": "val"}
    sequences = {sequence_of.get(name) for name in splits[train]}
    if fraction == 0 or (len(sequences) == 1 and any(sequences)):
        return {**splits, "fit": splits[train]}, {"kind": "none", "fit": train}
    unit_of = {name: sequence_of.get(name) or name for name in splits[train]}
    chosen = _smallest(sorted(set(unit_of.values())), fraction, seed, train)
    fit = [name for name, unit in unit_of.items() if unit not in chosen]
    val = [name for name, unit in unit_of.items() if unit in chosen]
    unit = "sequence" if any(sequence_of.values()) else "image"
    about = {"kind": "cut", "of": train, "by": unit, "fraction": fraction, "seed": seed, "hash": "sha256"}
    return {**splits, "fit": fit, "val": val}, about


def check_disjoint(splits: Mapping[str, Sequence[str]]) -> None:
    """Refuse splits of one protocol that share images.

    A protocol is what stands before the slash of a split's name. ``trainval`` and the like contain others on purpose;
    only train, val and test, and the search's own fit and val, must be apart.

    Raises:
        DataError: two of them share an image; the message names the first.
    """
    members = {name: set(names) for name, names in splits.items()}
    for first in members:
        for second in members:
            pair = _leaf(first), _leaf(second)
            if _protocol(first) != _protocol(second) or pair not in _APART:
                continue
            # A validation split that was cut from train lies in it; what must not meet then is fit and val.
            if not ("fit" in members and (first, second) == ("train", "val")):
                shared = sorted(members[first] & members[second])
                if shared:
                    got = f"{len(shared)} images in both, the first {shared[0]!r}"
                    raise DataError(f"splits {first!r} and {second!r}: got {got}; must share none")


def leaks(splits: Mapping[str, Sequence[str]]) -> list[str]:
    """One sentence for each test split whose images another protocol trains on."""
    sentences = []
    for test, tested in splits.items():
        for train, trained in splits.items():
            if not _leaf(test).startswith("test") or _leaf(train) != "train" or _protocol(test) == _protocol(train):
                continue
            if shared := len(set(tested) & set(trained)):
                of = f"{shared} of the {len(tested)} images of split {test} are in {train}"
                sentences.append(f"{of}: results and networks of the two protocols must never be mixed")
    return sentences


def shared_sequences(splits: Mapping[str, Sequence[str]], sequence_of: Mapping[str, str]) -> list[str]:
    """One sentence for each two splits that must be apart and hold frames of one sequence."""
    sequences = {name: {sequence_of[n] for n in names if sequence_of.get(n)} for name, names in splits.items()}
    sentences = []
    for first, second in itertools.combinations([name for name in splits if name != "fit"], 2):
        is_apart = _protocol(first) == _protocol(second) and (_leaf(first), _leaf(second)) in _APART
        # A validation split that was cut from train lies in it, and keeps sequences whole.
        if (
            is_apart
            and not set(splits[second]) <= set(splits[first])
            and (shared := sorted(sequences[first] & sequences[second]))
        ):
            which = f"{len(shared)} {'sequence has' if len(shared) == 1 else 'sequences have'} frames"
            what = f"{which} in {first} and in {second} (the first {shared[0]})"
            sentences.append(f"{what}: neighbouring frames are near copies, so {second} says too much of a network")
    return sentences


def describe_search(splits: Mapping[str, Sequence[str]]) -> list[str]:
    """A sentence where a set lacks what a search needs."""
    if "fit" not in splits:
        return ["there is no split to train on: the set can be tested on only"]
    if "val" not in splits:
        why = "a fraction of 0, or one sequence only"
        return [f"there is no split val ({why}): the set can be trained on, but a search needs one"]
    return []


_APART = {
    ("train", "val"),
    ("train", "test"),
    ("val", "test"),
    ("trainval", "test"),
    ("train", "test1"),
    ("trainval", "test1"),
    ("fit", "val"),
    ("fit", "test"),
    ("fit", "test1"),
    ("val", "test1"),
}


def _smallest(units: list[str], fraction: float, seed: int, train: str) -> set[str]:
    if len(units) < 2:
        got = f"{len(units)} to cut a validation split from"
        raise DataError(f"split {train!r}: got {got}; must be at least 2, or a validation fraction of 0")
    count = min(max(round(fraction * len(units)), 1), len(units) - 1)
    return set(sorted(units, key=lambda unit: hashlib.sha256(f"{seed}/{unit}".encode()).hexdigest())[:count])


def _leaf(name: str) -> str:
    return name.rpartition("/")[2]


def _protocol(name: str) -> str:
    return name.rpartition("/")[0]
