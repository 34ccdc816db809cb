"""Files of a run, on a local folder or on anything pyarrow has a filesystem for (``s3://bucket/prefix``).

A run is addressed by one string, its URI; a plain path is a URI too. Writes are whole or absent.
"""

from __future__ import annotations

import errno
import functools
import os
import random
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from irnas.core.errors import SettingsError, StorageError

T = TypeVar("T")

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""About how long a failing object store is left alone, time after time, before it counts as gone."""

LONG_WAITS_S = (15.0, 30.0, 60.0, 60.0)
"""And then, where it has answered this process before: a search of days outlives an outage of minutes."""

_answered: set[str] = set()
"""Stores whose last word was an answer, by scheme and name."""


def is_local(uri: str) -> bool:
    """Whether the URI is a folder of this machine."""
    return "://" not in uri or uri.startswith("file://")


def local(uri: str) -> Path:
    """The folder behind a local URI.

    Raises:
        SettingsError: the URI is remote.
    """
    if not is_local(uri):
        raise SettingsError(f"run: got {uri!r}; must be a local folder here")
    return Path(uri.removeprefix("file://")).absolute()


def join(uri: str, *names: str) -> str:
    """The URI of a file below a URI; options behind a question mark stay at the end."""
    path, mark, options = ("", "", "") if is_local(uri) else uri.partition("?")
    return "/".join([(path or uri).rstrip("/"), *names]) + mark + options


def redact_credentials(text: str) -> str:
    """A URI, or a text with URIs in it, as it may be shown: without user and password."""
    return re.sub(r"://[^\s@]*@", "://", text)


def read(uri: str) -> bytes | None:
    """The bytes of a file, or None where there is none."""
    if is_local(uri):
        path = local(uri)
        return path.read_bytes() if path.is_file() else None
    filesystem, path_there = _remote(uri)

    def get() -> bytes:
        with filesystem.open_input_stream(path_there) as stream:
            return bytes(stream.read())

    try:
        return _patiently(uri, get)
    except FileNotFoundError:
        return None


def write(uri: str, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part.

    Raises:
        StorageError: the disk is full or read-only.
    """
    if not is_local(uri):
        filesystem, path_there = _remote(uri)

        def put() -> None:
            with filesystem.open_output_stream(path_there) as stream:
                stream.write(content)

        _patiently(uri, put)
        return
    path = local(uri)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise full_disk(error, path) from error


def names(uri: str) -> list[str]:
    """The names of the files directly below a URI, sorted; empty where there is no such folder."""
    if is_local(uri):
        folder = local(uri)
        return sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    from pyarrow import fs

    filesystem, path_there = _remote(uri)
    found = _patiently(uri, lambda: filesystem.get_file_info(fs.FileSelector(path_there, allow_not_found=True)))
    return sorted(f.base_name for f in found if f.is_file)


def remove(uri: str) -> None:
    """Delete a file if it is there."""
    if is_local(uri):
        local(uri).unlink(missing_ok=True)
        return
    filesystem, path_there = _remote(uri)
    try:
        _patiently(uri, lambda: filesystem.delete_file(path_there))
    except FileNotFoundError:
        return


def full_disk(error: OSError, path: Path) -> Exception:
    """The error as it should be raised: a StorageError where the disk is full or read-only, else itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return StorageError(
            f"{path.parent}: got '{error.strerror}' while writing {path.name}; must have room and be writable"
        )
    return error


def _patiently(uri: str, call: Callable[[], T]) -> T:
    """What the call gives, tried again with longer and longer waits while the storage fails.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: it failed to the end.
    """
    store = _store(uri)
    waits = WAITS_S + (LONG_WAITS_S if store in _answered else ())
    for wait in (*waits, None):
        try:
            found = call()
        except FileNotFoundError:
            _answered.add(store)
            raise
        except OSError as error:
            if wait is None:
                _answered.discard(store)
                reason, tries = redact_credentials(str(error)).splitlines()[0], len(waits) + 1
                raise StorageError(
                    f"{redact_credentials(uri)}: got {reason!r} in {tries} tries; must answer"
                ) from error
            time.sleep(wait * random.uniform(0.5, 1.5))
        else:
            _answered.add(store)
            return found
    raise AssertionError


def _store(uri: str) -> str:
    """A URI without its path."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc, "", parts.query, ""))


def _remote(uri: str) -> tuple[Any, str]:
    if redact_credentials(uri) != uri:
        # It would end up in records, logs and MLflow.
        raise SettingsError(
            f"run: got {redact_credentials(uri)!r} with credentials in it; must be without "
            "(they belong in AWS_ variables)"
        )
    try:
        filesystem, root = _opened(_store(uri))
    except ValueError as error:
        raise SettingsError(
            f"run: got {uri!r} ({str(error).splitlines()[0]}); must be a folder or a URI like s3://bucket/prefix"
        ) from None
    return filesystem, root.rstrip("/") + urlsplit(uri).path


@functools.lru_cache(maxsize=8)
def _opened(store: str) -> tuple[Any, str]:
    """A store, and the path of its root in it. Which may ask the store itself where it is."""
    from pyarrow import fs

    # A small file is one request then, rather than three.
    quick = f"{store}{'&' if '?' in store else '?'}allow_delayed_open=true" if store.startswith("s3:") else store

    def find() -> tuple[Any, str]:
        try:
            filesystem, root = fs.FileSystem.from_uri(quick)
        except OSError as error:
            if "not found" in str(error):
                raise ValueError(str(error)) from None
            raise
        return filesystem, root

    return _patiently(store, find)
