"""Runs published on S3, and fetched again.

Below ``s3://bucket/prefix`` lie ``objects/SHA256``, each file once under the hash of its content, and
``manifest.json``, which lists them. The manifest is written last, so a publication is complete or invisible. Replacing
it replaces the publication in one step, and whoever reads the old one still finds its objects. Nothing is ever deleted.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from irnas import storage
from irnas.core.errors import DataError, ServiceError, SettingsError
from irnas.publish import manifest
from irnas.publish.manifest import File, Publication, Source
from irnas.storage import hashing, lock, object_store

_S = TypeVar("_S")
_T = TypeVar("_T")

Progress = Callable[[str, int, int], None]
"""Called as progress(what, bytes done, bytes in all)."""

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
        SettingsError: no run, no such bucket, no permission, another run at ``uri``, or a file that holds the
            credentials in use.
        ServiceError: the server does not answer.
    """
    recorded = manifest.record(run)
    identity, name = manifest.identity(run, recorded)
    place = object_store.Place(uri, endpoint_url)
    before = _read_manifest(place)
    if before is not None and before.run != identity:
        raise SettingsError(f"{uri}: got the publication of another run ({before.name}); must be a prefix of its own")
    source_of = manifest.sources(run, recorded, exports)
    counter = _ByteCounter("publish", sum(map(_size, source_of.values())), progress)

    def send(item: tuple[str, Source]) -> tuple[File, bool]:
        path, source = item
        content = _read(source)
        if place.holds_secret(content):
            # Once it is published, it cannot be called back.
            raise SettingsError(f"publish: got {path}, which holds the S3 credentials in use; must hold none")
        file = File(path=path, size_bytes=len(content), sha256=hashing.of_bytes(content))
        is_sent = place.send(_key(file), content)
        counter.add(len(content))
        return file, is_sent

    sent = _call_each(send, source_of.items())
    files = sorted((file for file, _ in sent), key=lambda file: file.path)
    now = Publication(run=identity, name=name, files=tuple(files))
    if before != now:
        place.put(MANIFEST, now.to_bytes())
    return Published(publication=now, num_sent=sum(is_sent for _, is_sent in sent), is_new=before != now)


def fetch(
    uri: str,
    folder: Path | None = None,
    *,
    endpoint_url: str | None = None,
    progress: Progress = lambda what, done, total: None,
) -> tuple[Path, Publication]:
    """Fetch the publication at ``uri`` to a new folder, ``runs/NAME`` if None; it appears complete or not at all.

    Until then its files gather in a hidden folder beside it, where a later fetch goes on.

    Raises:
        SettingsError: there is no publication, no permission, or the folder exists.
        ServiceError: the server does not answer.
        DataError: a file is missing, or is not what the manifest says.
        FormatError: the manifest is damaged.
        StorageError: the disk is full.
    """
    place = object_store.Place(uri, endpoint_url)
    publication = _read_manifest(place)
    if publication is None:
        raise SettingsError(f"{uri}: got no {MANIFEST}; must be where a run was published")
    target = (folder or Path("runs") / publication.name).absolute()
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SettingsError(f"fetch: got {str(target)!r}, which exists; must be a new folder")
    part = target.with_name(f".{target.name}.part")
    counter = _ByteCounter("fetch", publication.size_bytes, progress)
    try:
        with _hold(part):
            _call_each(lambda file: _receive(place, file, part, counter), publication.files)
            _remove_others(part, publication)
            part.replace(target)
    except ServiceError:
        raise
    except OSError as error:
        raise storage.full_disk(error, target) from error
    return target, publication


def _size(source: Source) -> int:
    """Bytes to send; 0 where only reading would tell."""
    return source.stat().st_size if isinstance(source, Path) else len(source) if isinstance(source, bytes) else 0


def _read(source: Source) -> bytes:
    if isinstance(source, bytes):
        return source
    content = storage.read(str(source))
    if content is None:
        raise SettingsError(f"publish: got no {source}, which was there a moment ago; must stay")
    return content


def _receive(place: object_store.Place, file: File, folder: Path, counter: _ByteCounter) -> None:
    """Bring one file into a folder, where an earlier fetch may have left it, or a part of it."""
    path = folder / file.path
    if path.is_file() and path.stat().st_size == file.size_bytes and hashing.of_file(path) == file.sha256:
        counter.add(file.size_bytes)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    # One for each path: two files of one content come in at the same time.
    part = folder / f".{file.sha256}.{hashing.of_bytes(file.path.encode())[:8]}"
    part.touch()
    counter.add(part.stat().st_size)
    place.receive(_key(file), part, file.size_bytes, counter.add)
    got = hashing.of_file(part)
    if got != file.sha256:
        part.unlink()
        raise DataError(f"{place.uri}, {file.path}: got SHA-256 {got[:16]}...; must be {file.sha256[:16]}...")
    part.replace(path)


def _read_manifest(place: object_store.Place) -> Publication | None:
    content = place.read(MANIFEST)
    return None if content is None else Publication.from_bytes(content, f"{place.uri.rstrip('/')}/{MANIFEST}")


def _key(file: File) -> str:
    return f"objects/{file.sha256}"


class _ByteCounter:
    """Adds up the bytes that several threads have moved, and reports the sum."""

    def __init__(self, what: str, total: int, progress: Progress) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done, self._lock = 0, threading.Lock()

    def add(self, num_bytes: int) -> None:
        """Count some more bytes."""
        with self._lock:
            self._done += num_bytes
            self._progress(self._what, self._done, max(self._done, self._total))


def _call_each(call: Callable[[_S], _T], items: Iterable[_S]) -> list[_T]:
    """Return what ``call`` returns of each item, some called at the same time; the first error ends it."""
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
def _hold(folder: Path) -> Iterator[None]:
    """Make a folder for the parts of a fetch and keep other fetches off it."""
    folder.mkdir(parents=True, exist_ok=True)
    with lock.hold(folder / _LOCK, f"fetch: got a second one to {folder}; another is writing there now"):
        yield


def _remove_others(folder: Path, publication: Publication) -> None:
    """Delete what is not of the publication: the lock, and what an earlier state of it left here."""
    wanted = {folder / file.path for file in publication.files}
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir():
            if not any(path.iterdir()):
                path.rmdir()
        elif path not in wanted:
            path.unlink()
