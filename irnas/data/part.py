"""Which part of a set a folder or a list is: train, val, test, however it is spelled."""

from __future__ import annotations

import re

_TRAIN = r"tr(?:ai)?n(?:ing)?"
_VAL = r"(?:val(?:id(?:ation|ate)?)?|eval(?:uation)?|dev)"
_TEST = r"(?:te?st(?:ing|s)?|detect(?:ion|ing)?|infer(?:ence)?|predict(?:ion)?)"
_KINDS = (
    ("trainvaltest", rf"{_TRAIN}(?:and)?{_VAL}(?:and)?{_TEST}"),
    ("trainval", rf"{_TRAIN}(?:and)?{_VAL}"),
    ("train", _TRAIN),
    ("val", _VAL),
    ("test", _TEST),
)
_PATTERNS = tuple((part, re.compile(rf"{words}(?:set|split|data|list|part)?(\d*)")) for part, words in _KINDS)


def part_of(name: str) -> str | None:
    """The part that a whole name means, for example ``val`` for "Validation_Set" and ``test1`` for "test1"; or None."""
    word = re.sub(r"[\W_]+", "", name.casefold())
    for part, pattern in _PATTERNS:
        if match := pattern.fullmatch(word):
            return part + match[1]
    return None


def split_part(name: str) -> tuple[str, str] | None:
    """The part that a name begins or ends with, and the rest of the name; None where it does neither.

    The longest beginning counts first: "train_val_v1" is ("trainval", "v1"), "NUAA-test" is ("test", "NUAA").
    """
    words = [(m.start(), m.end()) for m in re.finditer(r"[^\W_]+", name)]
    for count in range(len(words), 0, -1):
        first, last = words[count - 1][1], words[-count][0]
        if part := part_of(name[:first]):
            return part, name[first:].strip("_-. +&")
        if part := part_of(name[last:]):
            return part, name[:last].strip("_-. +&")
    return None
