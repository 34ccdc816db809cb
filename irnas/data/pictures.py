"""Pictures to run a network on, in the order in which it sees them: folders are sequences, as import has them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import files
from irnas.data.decode import EXTENSIONS
from irnas.data.frames import frame_numbers, usual_step


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """One picture, and where it stands."""

    path: Path
    page: int
    """Which picture of a file of many pages."""
    output: str
    """Path of what a network says of it, without ending: the file's name, below its folder where names repeat."""
    begins: bool
    """Whether no frame before it belongs to it: it is the first of its sequence, or follows a gap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Files of one folder: a sequence."""

    folder: Path
    paths: tuple[Path, ...]


def list_pictures(arguments: Sequence[Path]) -> list[Picture]:
    """The pictures of files and folders; a folder without pictures stands for the folders below it, each a sequence.

    Raises:
        DataError: no such file or folder, a folder without pictures, or two pictures of one name in a folder.
    """
    groups = [group for group in _groups(arguments) if group.paths]
    stems = [path.stem for group in groups for path in group.paths]
    is_nested = len(groups) > 1 and (len(set(stems)) < len(stems) or _is_below(arguments, groups))
    top = Path(os.path.commonpath([group.folder for group in groups])) if is_nested else None
    return [picture for group in groups for picture in _pictures(group, top)]


def _groups(arguments: Sequence[Path]) -> list[_Group]:
    """The files of each folder, in the order in which the arguments name them first."""
    paths_of: dict[Path, list[Path]] = {}
    for argument in arguments:
        if not argument.exists():
            raise DataError(f"image {argument}: got no such file or folder; must be there")
        inside = [argument]
        if not argument.is_dir() and not argument.is_file():
            # A pipe would be waited for.
            raise DataError(f"image {argument}: got no regular file; must be an image or a folder")
        if argument.is_dir():
            inside = files.images(argument) or [p for folder in files.walk(argument) for p in files.images(folder)]
        if not inside:
            raise DataError(f"folder {argument}: got no images; must hold some ({', '.join(EXTENSIONS)})")
        for path in inside:
            paths_of.setdefault(path.parent.absolute(), []).append(path)
    for paths in paths_of.values():
        stems = [path.stem for path in paths]
        for path in paths:
            if stems.count(path.stem) > 1:
                raise DataError(f"image {path}: got a name twice; must differ, for each mask bears its image's name")
    return [_Group(folder=folder, paths=tuple(paths)) for folder, paths in paths_of.items()]


def _is_below(arguments: Sequence[Path], groups: Sequence[_Group]) -> bool:
    """Whether an argument was a folder of sequences."""
    return any(a.is_dir() and not any(g.folder == a.absolute() for g in groups) for a in arguments)


def _pictures(group: _Group, top: Path | None) -> list[Picture]:
    """The frames of a folder in order; a file of many pages is a sequence of its own."""
    prefix = "" if top is None else f"{group.folder.relative_to(top).as_posix()}/"
    path_of = {path.stem: path for path in group.paths}
    number_of = frame_numbers(path_of)
    step = usual_step(list(number_of.values()))
    pictures: list[Picture] = []
    before: int | None = None
    for stem in sorted(path_of, key=lambda stem: (number_of[stem], stem)):
        path, pages = path_of[stem], files.pages(path_of[stem])
        if len(pages) == 1:
            begins = before is None or number_of[stem] - before > step
            pictures.append(Picture(path=path, page=pages[0], output=f"{prefix}{stem}", begins=begins))
            before = number_of[stem]
            continue
        before = None
        pictures += [
            Picture(path=path, page=page, output=f"{prefix}{stem}/{k:04d}", begins=k == 0)
            for k, page in enumerate(pages)
        ]
    return pictures
