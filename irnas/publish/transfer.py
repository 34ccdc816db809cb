"""Runs published on S3, and fetched again.

Below ``s3://bucket/prefix`` lie ``objects/SHA256``, each file once under the hash of its content, and
``manifest.json``, which lists them. The manifest is written last, so a publication is whole or not to be seen.
Replacing it replaces the publication in one step, and who reads the old one still finds its objects. Nothing is ever
deleted there.
"""

from __future__ import annotations

import fcntl
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from irnas import storage
from irnas.core.errors import DataError, SettingsError
from irnas.publish import manifest
from irnas.publish.manifest import File, Publication, Source
from irnas.storage import object_store

_S = TypeVar("_S")
_T = TypeVar("_T")

Progress = Callable[[str, int, int], None]
"""Told what is done, and how many bytes of how many."""

MANIFEST = "manifest.json"
_LOCK = ".lock"


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What a publish did."""

    publication: Publication
    num_sent: int
    """Files that were not there yet."""
    is_new: bool
    """Whether the manifest was written: False where the same was published already."""


def publish(
    run: str,
    uri: str,
    *,
    exports: Sequence[Path] = (),
    endpoint_url: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> Published:
    """Publish a run at ``s3://bucket/prefix``; files that are there already are not sent again.

    Args:
        run: a folder or a URI; a search may be going on in it.
        exports: exported networks from elsewhere; they become ``exports/NAME``.

    Raises:
        SettingsError: no run, no such bucket, no permission or no answer, another run at ``uri``, or a file that holds
            the credentials in use.
    """
    recorded = manifest.record(run)
    identity, name = manifest.identity(run, recorded)
    there = object_store.Place(uri, endpoint_url)
    before = _manifest(there)
    if before is not None and before.run != identity:
        raise SettingsError(f"{uri}: got the publication of another run ({before.name}); must be a prefix of its own")
    found = manifest.sources(run, recorded, exports)
    count = _Count("publish", sum(map(_size, found.values())), progress)

    def send(item: tuple[str, Source]) -> tuple[File, bool]:
        path, source = item
        content = _content(source)
        if there.holds_secret(content):
            # Once it is published, it cannot be called back.
            raise SettingsError(f"publish: got {path}, which holds the S3 credentials in use; must hold none")
        file = File(path=path, size_bytes=len(content), sha256=hashlib.sha256(content).hexdigest())
        is_sent = there.send(_key(file), content)
        count.add(len(content))
        return file, is_sent

    sent = _all(send, found.items())
    files = sorted((file for file, _ in sent), key=lambda file: file.path)
    now = Publication(run=identity, name=name, files=tuple(files))
    if before != now:
        there.put(MANIFEST, now.to_bytes())
    return Published(publication=now, num_sent=sum(is_sent for _, is_sent in sent), is_new=before != now)


def fetch(
    uri: str,
    folder: Path | None = None,
    *,
    endpoint_url: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Path, Publication]:
    """Fetch the publication at ``uri`` to a new folder, ``runs/NAME`` if None; it appears whole or not at all.

    Until then its files gather in a hidden folder beside it, where a later fetch goes on.

    Raises:
        SettingsError: no publication there, no permission or no answer, or the folder exists.
        DataError: a file is missing, or is not what the manifest says.
        FormatError: the manifest is damaged.
        StorageError: the disk is full.
    """
    there = object_store.Place(uri, endpoint_url)
    found = _manifest(there)
    if found is None:
        raise SettingsError(f"{uri}: got no {MANIFEST}; must be where a run was published")
    target = (folder or Path("runs") / found.name).absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SettingsError(f"fetch: got {str(target)!r}, which exists; must be a new folder")
    part = target.with_name(f".{target.name}.part")
    count = _Count("fetch", found.size_bytes, progress)
    try:
        with _held(part):
            _all(lambda file: _receive(there, file, part, count), found.files)
            _drop_others(part, found)
            part.replace(target)
    except OSError as error:
        raise storage.full_disk(error, target) from error
    return target, found


def _size(source: Source) -> int:
    """Bytes to send; 0 where only reading would tell."""
    return source.stat().st_size if isinstance(source, Path) else len(source) if isinstance(source, bytes) else 0


def _content(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    content = storage.read(str(source))
    if content is None:
        raise SettingsError(f"publish: got no {source}, which was there a moment ago; must stay")
    return content


def _receive(there: object_store.Place, file: File, folder: Path, count: _Count) -> None:
    """Bring one file into a folder, where it may lie already, wholly or in part."""
    path = folder / file.path
    if path.is_file() and path.stat().st_size == file.size_bytes and _sha256(path) == file.sha256:
        count.add(file.size_bytes)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # One for each path: two files of one content come in at the same time.
    part = folder / f".{file.sha256}.{hashlib.sha256(file.path.encode()).hexdigest()[:8]}"
    part.touch()
    count.add(part.stat().st_size)
    there.receive(_key(file), part, file.size_bytes, count.add)
    got = _sha256(part)
    if got != file.sha256:
        part.unlink()
        raise DataError(f"{there.uri}, {file.path}: got SHA-256 {got[:16]}...; must be {file.sha256[:16]}...")
    part.replace(path)


def _manifest(there: object_store.Place) -> Publication | None:
    content = there.read(MANIFEST)
    return None if content is None else Publication.from_bytes(content, f"{there.uri.rstrip('/')}/{MANIFEST}")


def _key(file: File) -> str:
    return f"objects/{file.sha256}"


class _Count:
    """Bytes done, from several threads."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done, self._lock = 0, threading.Lock()

    def add(self, num_bytes: int) -> None:
        """Tell of some more bytes."""
        with self._lock:
            self._done += num_bytes
            self._progress(self._what, self._done, max(self._done, self._total))


def _all(call: Callable[[_S], _T], items: Iterable[_S]) -> list[_T]:
    """What ``call`` returns of each item, some at the same time; the first error ends it."""
    with ThreadPoolExecutor(object_store.THREADS) as pool:
        futures = [pool.submit(call, item) for item in items]
        try:
            for future in as_completed(futures):
                future.result()
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


@contextmanager
def _held(folder: Path) -> Iterator[None]:
    """Make a folder for the parts of a fetch and keep other fetches off it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SettingsError(f"fetch: got a second one to {folder}; another is writing there now") from None
        yield


def _drop_others(folder: Path, found: Publication) -> None:
    """Remove what is not of the publication: the lock, and what an earlier state of it left here."""
    wanted = {folder / file.path for file in found.files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
