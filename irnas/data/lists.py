"""Split lists as they are published: one image a line, in many spellings, in folders of many names.

A folder of lists is a protocol, for example ``img_idx`` or ``idx_427``. The splits of the leading protocol are known by
their plain names (train, test); those of any other carry the folder's name (``idx_427/train``).
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from irnas.core.errors import DataError
from irnas.data import files
from irnas.data.decode import EXTENSIONS
from irnas.data.part import split_part

_LEADING = ("img_idx", "50_50", "", "splits", "idx_427", "idx_320")
"""Protocols in order of preference; "" is the top folder. Others come after these, by name."""
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


def read(
    root: Path, names: Names, warnings: list[str], protocol: str = "", *, is_asked: bool = False
) -> dict[str, tuple[str, ...]]:
    """All split lists below a data folder, the leading protocol's first.

    Args:
        root: the data folder.
        names: what lines may mean.
        warnings: is appended to.
        protocol: what leads: a folder of lists, or what the names of lists end in; "" for the usual order.
        is_asked: whether there must be lists of that protocol.

    Raises:
        DataError: a line that names no image, a list that cannot be read, no lists of the protocol that is asked for,
            or several protocols in one folder and none that leads.
    """
    all_lists = _find(root, names, warnings)
    protocols = _protocols(all_lists, protocol)
    order = sorted(protocols, key=_rank)
    leading = next((k for k in order if {"train", "trainval"} & protocols[k].keys()), order[0] if order else None)
    if protocol and (chosen := [k for k in order if protocol.casefold() in _labels(k)]):
        leading = chosen[0]
    elif is_asked:
        known = ", ".join(dict.fromkeys(ending or folder or ROOT for folder, ending in order)) or "no lists at all"
        raise DataError(f"protocol: got {protocol!r}; one of {known}")
    elif rivals := _rivals(all_lists, protocols):
        raise DataError(f"lists: got {' and '.join(rivals)}; must be one to train on (--protocol names an ending)")
    splits: dict[str, tuple[str, ...]] = {}
    for key in sorted(order, key=lambda k: k != leading):
        for split, path in protocols[key].items():
            name = split if key == leading or not key[1] else path.stem
            splits[name if key == leading else f"{key[0] or ROOT}/{name}"] = _read_list(path, root, names, warnings)
    return splits


_Key = tuple[str, str]
"""A protocol: its folder, and what its lists end in where a folder holds several protocols."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    path: Path
    folder: str
    split: str
    ending: str


def _rank(key: _Key) -> tuple[int, str, str]:
    folder = key[0].casefold()
    return _LEADING.index(folder) if folder in _LEADING else len(_LEADING), *key


def _labels(key: _Key) -> set[str]:
    """What a user may call a protocol."""
    folder, ending = (part.casefold() for part in key)
    return {ending or folder or ROOT, f"{folder or ROOT}/{ending}" if ending else folder or ROOT}


def _protocols(all_lists: Sequence[_List], protocol: str) -> dict[_Key, dict[str, Path]]:
    """Split to list of each protocol; rival lists of one split keep their whole names, unless their ending leads."""
    protocols: dict[_Key, dict[str, Path]] = {}
    for folder in dict.fromkeys(each.folder for each in all_lists):
        inner = [each for each in all_lists if each.folder == folder]
        inner.sort(key=lambda each: (not each.split.startswith("train"), each.split.startswith("test"), each.split))
        splits = [each.split for each in inner]
        for each in inner:
            by_ending = protocol and any(e.ending.casefold() == protocol.casefold() for e in inner)
            name = each.split if by_ending or splits.count(each.split) == 1 else each.path.stem
            protocols.setdefault((folder, each.ending if by_ending else ""), {})[name] = each.path
    return protocols


def _rivals(all_lists: Sequence[_List], protocols: Mapping[_Key, Mapping[str, Path]]) -> list[str]:
    """The lists to train on, where there are several and none of them leads."""
    if any({"train", "trainval"} & splits.keys() for splits in protocols.values()):
        return []
    return [each.path.name for each in all_lists if each.split in ("train", "trainval")]


def _find(root: Path, names: Names, warnings: list[str]) -> list[_List]:
    all_lists = []
    known = {name.casefold() for name in _FOLDERS}
    for folder in (root, *(f for f in files.folders(root) if f.name.casefold() not in known)):
        name = "" if folder == root else folder.name
        strangers = []
        for path in files.children(folder):
            if path.suffix.lower() != ".txt" or not path.is_file():
                continue
            if part := split_part(path.stem):
                all_lists.append(_List(path=path, folder=name, split=part[0], ending=part[1]))
            elif name or _names_images(path, names):
                strangers.append(files.legible(path.name))
        if strangers:
            where = f"of {files.legible(name)} are" if name else "at the top are"
            warnings.append(f"{len(strangers)} text files {where} no split lists (the first {strangers[0]})")
    return all_lists


def _names_images(path: Path, names: Names) -> bool:
    """Whether the first line of a text file names an image."""
    with contextlib.suppress(DataError):
        lines = files.read_text(path).splitlines()
        return bool(lines and names.find(lines[0]))
    return False


def _read_list(path: Path, root: Path, names: Names, warnings: list[str]) -> tuple[str, ...]:
    where = f"list {files.legible(path.relative_to(root).as_posix())}"
    lines = [line for line in files.read_text(path).splitlines() if line.strip()]
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
