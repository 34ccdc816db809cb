"""The files of a source: which count as images, which belong to a system, and how their names read."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data.decode import EXTENSIONS

_SYSTEM = frozenset(
    {
        "__macosx",
        "__pycache__",
        "$recycle.bin",
        "#recycle",
        "#snapshot",
        "@eadir",
        "@recycle",
        "@tmp",
        "desktop.ini",
        "ehthumbs.db",
        "icon\r",
        "lost+found",
        "system volume information",
        "thumbs.db",
    }
)
"""What desktops, network drives and tools leave in folders, beside names that begin with a dot."""
_PAGED = (".tif", ".tiff")
_REDUCED = 254
"""TIFF tag NewSubfileType; its lowest bit marks a smaller copy of another page."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder is not the user's: hidden, a lock, or left by a system."""
    return name.startswith((".", "~$")) or name.casefold() in _SYSTEM


def children(folder: Path) -> list[Path]:
    """What a user sees in a folder, sorted; nothing where there is no folder."""
    return sorted(p for p in folder.iterdir() if not is_hidden(p.name)) if folder.is_dir() else []


def folders(folder: Path) -> list[Path]:
    """The folders that a user sees in a folder, sorted."""
    return [path for path in children(folder) if path.is_dir()]


def images(folder: Path) -> list[Path]:
    """The image files right in a folder, sorted by path."""
    return [path for path in children(folder) if path.suffix.lower() in EXTENSIONS and path.is_file()]


def walk(folder: Path) -> Iterator[Path]:
    """A folder and all that lie below it, through links too, each once."""
    waiting, seen = [folder], set[str]()
    while waiting:
        current = waiting.pop()
        real = os.path.realpath(current)
        if real not in seen and current.is_dir():
            seen.add(real)
            yield current
            waiting.extend(reversed(folders(current)))


def image_files(folder: Path) -> dict[str, Path]:
    """Image files below a folder by relative path without extension; bounding boxes and other files are passed over.

    Raises:
        DataError: two files have one name but for the extension.
    """
    path_of: dict[str, Path] = {}
    for path in sorted(path for inner in walk(folder) for path in images(inner)):
        key = legible(path.relative_to(folder).with_suffix("").as_posix())
        if key in path_of:
            raise DataError(f"image {key!r}: got {path_of[key].name} and {path.name}; must be one file")
        path_of[key] = path
    return path_of


def legible(name: str) -> str:
    """A name as text, whatever its bytes: UTF-8, or Latin-1 where they are none; accents composed.

    File systems give names as bytes; a list may spell the same name otherwise, and a manifest can hold text only.
    """
    data = os.fsencode(name)
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def read_text(path: Path) -> str:
    """A text file in UTF-8, UTF-16 with its mark, or Latin-1; accents composed.

    Raises:
        DataError: the file cannot be read.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"list {path}: got a file that cannot be read ({error}); must be text") from None
    try:
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return unicodedata.normalize("NFC", text)


def pages(path: Path) -> list[int]:
    """The pages of an image file that are pictures of their own; [0] for a file of one picture, or none that opens."""
    if path.suffix.lower() not in _PAGED:
        return [0]
    from PIL import Image

    numbers = []
    try:
        with Image.open(path) as file:
            for page in range(getattr(file, "n_frames", 1)):
                file.seek(page)
                if not int(getattr(file, "tag_v2", {}).get(_REDUCED, 0)) & 1:
                    numbers.append(page)
    except (OSError, EOFError, SyntaxError, ValueError, Image.DecompressionBombError):
        # Whoever reads it says what is wrong with it.
        return [0]
    return numbers or [0]
