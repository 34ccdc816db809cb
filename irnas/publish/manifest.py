"""What a published run consists of: which files, under which names, with which checksums."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NoReturn, TypeVar

from irnas import storage
from irnas.core.errors import FormatError, SettingsError
from irnas.record.ledger import FILE, Ledger
from irnas.record.line import parse
from irnas.record.run import Run
from irnas.storage import hashing, object_store

_T = TypeVar("_T")

SCHEMA = 1

_FORMAT = "irnas publication"
_BESIDE = ("results.parquet", "report.html", "report.png", "search.yaml", "train.yaml")
"""Files beside the record that are published where they are there."""
_FOLDERS = ("weights", "exports")
"""Folders of a run whose files are published. Checkpoints are not: they serve trials that are still under way."""
_EXPORTED = (".xnor", ".onnx")
"""Files directly in a run that are published too."""

_MAX_PATH, _MAX_DEPTH = 1000, 16
"""Characters and parts of a path, which any file system takes below a folder of a user."""

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+=@-]{0,199}")


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """One file of a publication."""

    path: str
    """Relative to the run, with forward slashes."""
    size_bytes: int
    sha256: str
    """64 hex digits."""

    def __post_init__(self) -> None:
        parts = self.path.split("/")
        if len(self.path) > _MAX_PATH or len(parts) > _MAX_DEPTH:
            got = f"{self.path[:40]}... of {len(self.path)} characters in {len(parts)} parts"
            raise FormatError(f"publication, path: got {got}; must be at most {_MAX_PATH} in {_MAX_DEPTH}")
        if not all(_NAME.fullmatch(part) for part in parts):
            raise FormatError(f"publication, path: got {self.path!r}; must be relative, of plain names")
        if not 0 <= self.size_bytes <= object_store.MAX_OBJECT_BYTES or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise FormatError(f"publication, {self.path}: got no size up to 5 GiB and SHA-256; must have both")


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """The files of a run at one moment."""

    run: str
    """What names the run wherever its folder goes: ``irnas.record.run.Run.run_id``."""
    name: str
    """The name of the run's folder."""
    files: tuple[File, ...]
    """Sorted by path; no path twice, and none that is a folder of another."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise FormatError(f"publication, name: got {self.name!r}; must be a plain folder name")
        if not re.fullmatch(r"[0-9A-Za-z_-]{1,64}", self.run):
            raise FormatError(f"publication, run: got {self.run[:64]!r}; must be what names a run")
        if not self.files:
            raise FormatError(f"publication of {self.name}: got no files; must have a record at least")
        paths = {file.path for file in self.files}
        folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
        if len(paths) < len(self.files) or paths & folders:
            raise FormatError(f"publication of {self.name}: got a path twice; must name each file once")

    @property
    def size_bytes(self) -> int:
        """Bytes of all files."""
        return sum(file.size_bytes for file in self.files)

    @property
    def revision(self) -> str:
        """What names this state of the run: 16 hex digits of its manifest."""
        return hashing.of_bytes(self.to_bytes())[:16]

    def to_bytes(self) -> bytes:
        """The manifest. It holds no date and no machine, so equal files give equal bytes."""
        files = [{"path": f.path, "bytes": f.size_bytes, "sha256": f.sha256} for f in self.files]
        document = {"format": _FORMAT, "schema": SCHEMA, "run": self.run, "name": self.name, "files": files}
        return json.dumps(document, indent=1).encode() + b"\n"

    @classmethod
    def from_bytes(cls, content: bytes, where: str) -> Publication:
        """Read a manifest; ``where`` is for messages.

        Raises:
            FormatError: it is none, it is newer than this program, or it names a file outside its own folder.
        """
        try:
            # Of bytes, json would guess the encoding.
            document: Mapping[str, Any] = json.loads(content.decode("utf-8"), parse_constant=_refuse_constant)
            is_ours = document["format"] == _FORMAT
            schema = document["schema"]
        except (ValueError, TypeError, KeyError, RecursionError):
            is_ours, schema = False, 0
        if not is_ours or type(schema) is not int or schema < 1:
            raise FormatError(f"{where}: got something else; must be the manifest of an irnas publication")
        if schema > SCHEMA:
            raise FormatError(f"{where}: got schema {schema}; this irnas reads up to {SCHEMA}")
        try:
            files = tuple(
                File(path=_typed(f, "path", str), size_bytes=_typed(f, "bytes", int), sha256=_typed(f, "sha256", str))
                for f in _typed(document, "files", list)
            )
            return cls(run=_typed(document, "run", str), name=_typed(document, "name", str), files=files)
        except FormatError as error:
            raise FormatError(f"{where}: {error}") from None


def _typed(document: object, name: str, kind: type[_T]) -> _T:
    """A field of a manifest.

    Raises:
        FormatError: it is missing, or of another type.
    """
    value = document.get(name) if isinstance(document, dict) else None
    # True is no number here.
    if type(value) is not kind:
        raise FormatError(f"got {name} of type {type(value).__name__}; must be {kind.__name__}")
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"got {name}")


Source = bytes | Path | str
"""Content, or the file or the URI that holds it."""


def record(run: str) -> bytes:
    """The record of a run as one file, also of a running search and of a run on an object store.

    Raises:
        SettingsError: there is no run.
    """
    Run.read(run)
    return Ledger(run).text()


def identity(run: str, recorded: bytes) -> tuple[str, str]:
    """What names a run everywhere, from its record, and the name of its folder.

    Raises:
        SettingsError: its folder has a name that could not be a folder's name elsewhere.
    """
    name = storage.local(run).resolve().name if storage.is_local(run) else PurePosixPath(run).name
    if not _NAME.fullmatch(name):
        raise SettingsError(f"run: got a folder named {name!r}; must be of letters, digits and . _ + = @ -")
    return Run.of(run, [parse(recorded.partition(b"\n")[0], run)]).run_id, name


def sources(run: str, recorded: bytes, exports: Sequence[Path] = ()) -> dict[str, Source]:
    """What to publish of a run: path in the publication to its source; also of a running search.

    Args:
        run: a folder or a URI.
        recorded: its record, read before. Weights are written before their trial is recorded as finished, so that
            everything that this copy speaks of is there when the folders are listed now.
        exports: exported networks from elsewhere; they become ``exports/NAME``.

    Raises:
        SettingsError: two exports of one name.
    """
    source_of: dict[str, Source] = {FILE: recorded}
    source_of |= _list_files(storage.local(run)) if storage.is_local(run) else _list_objects(run)
    for path in exports:
        target = f"exports/{path.name}"
        if not path.is_file() or target in source_of:
            raise SettingsError(f"--export: got {str(path)!r}; must be a file, of a name not published yet")
        source_of[target] = path
    return source_of


def _list_files(folder: Path) -> dict[str, Path]:
    path_of = {name: folder / name for name in _BESIDE if (folder / name).is_file()}
    loose = (path for path in folder.iterdir() if path.suffix in _EXPORTED)
    inside = (path for name in _FOLDERS for path in (folder / name).rglob("*"))
    for path in sorted([*loose, *inside]):
        relative = path.relative_to(folder)
        if path.is_file() and not any(part.startswith(".") for part in relative.parts):
            path_of[relative.as_posix()] = path
    return path_of


def _list_objects(run: str) -> dict[str, str]:
    wanted = [n for n in storage.names(run) if n in _BESIDE or PurePosixPath(n).suffix in _EXPORTED]
    for folder in _FOLDERS:
        names = storage.names(storage.join(run, folder))
        wanted += [f"{folder}/{name}" for name in names if not name.startswith(".")]
    return {name: storage.join(run, name) for name in wanted}
