"""Split lists as they are published: one image a line, in many spellings, in folders of many names.

A folder of lists is a protocol, for example ``img_idx`` or ``idx_427``. The splits of the leading protocol are known by
their plain names (train, test); those of any other carry the folder's name (``idx_427/train``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from irnas.core.errors import DataError
from irnas.data.decode import EXTENSIONS

PARTS = ("train", "trainval", "val", "test")
"""Folder names that hold a split's own images/ and masks/."""
_LEADING = ("img_idx", "50_50", "", "splits", "idx_427", "idx_320")
"""Protocols in order of preference; "" is the top folder. Others come after these, by name."""
_LIST = re.compile(r"(train|trainval|val|valid|validation|test|trainvaltest)(\d*)(?:[_-].*)?", re.IGNORECASE)
_SAME = {"valid": "val", "validation": "val"}
_FOLDERS = ("images", "masks", "Mix", "img", "mask")
"""Path components of a list line that say which file is meant, not which image."""
ROOT = "root"
"""What stands before the slash for lists of the top folder, where another protocol leads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """The names of a set, as list lines may spell them."""

    all: frozenset[str]
    leaves: Mapping[str, str | None]
    """Last path component to name; None where two names share it."""
    frames: Mapping[str, tuple[str, ...]]
    """Sequence to its names in order: some lists name sequences only."""

    @classmethod
    def of(cls, sequence_of: Mapping[str, str]) -> Names:
        """From a mapping of names, in order, to their sequences ("" for none)."""
        leaves: dict[str, str | None] = {}
        frames: dict[str, list[str]] = {}
        for name, sequence in sequence_of.items():
            leaf = name.rpartition("/")[2]
            leaves[leaf] = None if leaf in leaves else name
            if sequence:
                frames.setdefault(sequence, []).append(name)
        return cls(all=frozenset(sequence_of), leaves=leaves, frames={k: tuple(v) for k, v in frames.items()})

    def find(self, line: str) -> tuple[str, ...]:
        """The names that a line means; none where it means nothing here."""
        entry = clean(line)
        if entry in self.all:
            return (entry,)
        if entry in self.frames:
            return self.frames[entry]
        known = self.leaves.get(entry.rpartition("/")[2])
        return (known,) if known else ()


def clean(line: str) -> str:
    """A list line as a name: no slash in front, no file extension, no ``images`` or ``Mix`` in between."""
    entry = line.strip().replace("\\", "/")
    if entry.lower().endswith((*EXTENSIONS, ".mat")):
        entry = entry[: entry.rindex(".")]
    return "/".join(p for p in PurePosixPath(entry.lstrip("/")).parts if p not in (*_FOLDERS, "."))


def read(root: Path, names: Names, warnings: list[str]) -> dict[str, tuple[str, ...]]:
    """All split lists below a data folder, the leading protocol's first.

    Raises:
        DataError: a line that names no image, or a list that cannot be read.
    """
    protocols = {k: v for k, v in _protocols(root, warnings).items() if v}
    order = sorted(protocols, key=lambda k: (_LEADING.index(k) if k in _LEADING else len(_LEADING), k))
    leading = next((k for k in order if {"train", "trainval"} & protocols[k].keys()), None)
    if leading is not None:
        order.remove(leading)
        order.insert(0, leading)
    splits: dict[str, tuple[str, ...]] = {}
    for protocol in order:
        prefix = "" if protocol == leading else f"{protocol or ROOT}/"
        for split, path in protocols[protocol].items():
            splits[f"{prefix}{split}"] = _read_list(path, root, names, warnings)
    return splits


def _protocols(root: Path, warnings: list[str]) -> dict[str, dict[str, Path]]:
    folders = [p for p in sorted(root.iterdir()) if p.is_dir() and p.name not in _FOLDERS]
    lists_of = {"": _lists_in(sorted(root.glob("*.txt")), [])}
    for folder in folders:
        strangers: list[str] = []
        lists_of[folder.name] = _lists_in(sorted(folder.glob("*.txt")), strangers)
        if strangers:
            warnings.append(
                f"{len(strangers)} text files of {folder.name} are no split lists (the first {strangers[0]})"
            )
    return lists_of


def _lists_in(paths: Iterable[Path], strangers: list[str]) -> dict[str, Path]:
    matches = []
    for path in paths:
        match = _LIST.fullmatch(path.stem)
        if match is None:
            strangers.append(path.name)
            continue
        part = match[1].lower()
        matches.append((_SAME.get(part, part) + match[2], path))
    matches.sort(key=lambda pair: (not pair[0].startswith("train"), pair[0].startswith("test"), pair[0]))
    short = [name for name, _ in matches]
    # train_a.txt and train_b.txt are two splits; only a list without rivals may drop its ending.
    return {name if short.count(name) == 1 else path.stem: path for name, path in matches}


def _read_list(path: Path, root: Path, names: Names, warnings: list[str]) -> tuple[str, ...]:
    where = f"list {path.relative_to(root).as_posix()}"
    try:
        lines = [line for line in path.read_text(encoding="utf-8-sig").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{where}: got a file that cannot be read ({error}); must be text") from None
    names_of_lines = [names.find(line) for line in lines]
    missing = [line.strip() for line, hits in zip(lines, names_of_lines, strict=True) if not hits]
    if missing:
        raise DataError(
            f"{where}: got {len(missing)} lines without an image, the first {missing[0]!r}; must have one each"
        )
    members = [name for hits in names_of_lines for name in hits]
    if not members:
        raise DataError(f"{where}: got an empty split; must name at least one image")
    unique = tuple(dict.fromkeys(members))
    if len(unique) < len(members):
        warnings.append(f"{where} names {len(members) - len(unique)} images twice: taken once")
    return unique
