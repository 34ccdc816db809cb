"""Files of a run, on a local folder or on anything pyarrow has a filesystem for (``s3://bucket/prefix``).

A run is addressed by one string, its URI; a plain path is a URI too. Writes are whole or absent. A store that does not
answer is asked again for a while; whether it said no or said nothing is read from pyarrow's message, here only.
"""

from __future__ import annotations

import errno
import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

from irnas.core.errors import ServiceError, SettingsError, StorageError
from irnas.core.redaction import redact_credentials
from irnas.storage import atomic, patience
from irnas.storage.retry import retry

T = TypeVar("T")

WAITS_S = (0.5, 1.0, 2.0, 4.0, 8.0)
"""About how long a failing object store is left alone, time after time, before it counts as gone."""

LONG_WAITS_S = (15.0, 30.0, 60.0, 60.0)
"""And then, where it has answered this process before: a search of days outlives an outage of minutes."""

_REFUSAL = re.compile(
    r"AWS Error (ACCESS_DENIED|NO_SUCH_BUCKET|INVALID_ACCESS_KEY_ID|INVALID_CLIENT_TOKEN_ID|INVALID_SIGNATURE"
    r"|MISSING_AUTHENTICATION_TOKEN|SIGNATURE_DOES_NOT_MATCH|UNRECOGNIZED_CLIENT)\b"
    r"|HTTP status 40[013-7]\b"
)
"""How pyarrow words what a store that answers refuses; anything else that lasts is a store out of reach."""

_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:(?=/(?!/))")

_answered: set[str] = set()
"""Stores whose last word was an answer, by scheme and name."""


def is_local(uri: str) -> bool:
    """Whether the URI is a folder of this machine."""
    return "://" not in uri or uri.startswith("file://")


def local(uri: str) -> Path:
    """The folder behind a local URI.

    Raises:
        SettingsError: the URI is remote, or lacks a slash.
    """
    if not is_local(uri):
        raise SettingsError(f"run: got {uri!r}; must be a local folder here")
    if match := _ONE_SLASH.match(uri):
        # A folder of that name would hold whatever stands in it, a password too.
        raise SettingsError(f"run: got {match[0]} with one slash; must be a folder, or a URI like s3://bucket/prefix")
    return Path(uri.removeprefix("file://")).absolute()


def join(uri: str, *names: str) -> str:
    """The URI of a file below a URI; options behind a question mark stay at the end."""
    path, mark, options = ("", "", "") if is_local(uri) else uri.partition("?")
    return "/".join([(path or uri).rstrip("/"), *names]) + mark + options


def read(uri: str) -> bytes | None:
    """The bytes of a file, or None where there is none.

    Raises:
        StorageError: the store refuses it.
        ServiceError: the store does not answer.
    """
    if is_local(uri):
        return _read_local(local(uri))
    filesystem, remote_path = _open_remote(uri)

    def get() -> bytes:
        with filesystem.open_input_stream(remote_path) as stream:
            return bytes(stream.read())

    try:
        return _ask(uri, get)
    except FileNotFoundError:
        return None


def _read_local(path: Path) -> bytes | None:
    if not path.is_file():
        return None
    try:
        return path.read_bytes()
    except OSError as error:
        # What fails while it is read, and not when it is opened, does not say which file it is.
        error.filename = error.filename or str(path)
        raise


def write(uri: str, content: bytes) -> None:
    """Write a file so that a reader sees the old or the new content, never a part.

    Raises:
        StorageError: the disk is full or read-only, or the store refuses it.
        ServiceError: the store does not answer.
    """
    if not is_local(uri):
        filesystem, remote_path = _open_remote(uri)

        def put() -> None:
            with filesystem.open_output_stream(remote_path) as stream:
                stream.write(content)

        _ask(uri, put)
        return
    path = local(uri)
    try:
        with atomic.new_file(path, is_durable=True) as part:
            part.write_bytes(content)
    except OSError as error:
        raise full_disk(error, path) from error


def create(uri: str, content: bytes) -> bool:
    """Write a file where there is none; return False, and leave it, where there is another one.

    On S3 the store itself decides, so of two who write at the same time one learns that the other was first, however
    late its request arrives. Elsewhere a look and a write are two steps.

    Raises:
        StorageError: the disk is full or read-only, or the store refuses it.
        ServiceError: the store does not answer.
    """
    if not is_local(uri) and _open_remote(uri)[0].type_name == "s3":
        # boto3 takes its time to load.
        from irnas.storage import object_store

        return _ask(uri, lambda: object_store.create(uri, content))
    before = read(uri)
    if before is None:
        write(uri, content)
    return before in (None, content)


def names(uri: str) -> list[str]:
    """The names of the files directly below a URI, sorted; empty where there is no such folder."""
    if is_local(uri):
        folder = local(uri)
        return sorted(p.name for p in folder.iterdir() if p.is_file()) if folder.is_dir() else []
    from pyarrow import fs

    filesystem, remote_path = _open_remote(uri)
    infos = _ask(uri, lambda: filesystem.get_file_info(fs.FileSelector(remote_path, allow_not_found=True)))
    return sorted(info.base_name for info in infos if info.is_file)


def remove(uri: str) -> None:
    """Delete a file, if it exists."""
    if is_local(uri):
        local(uri).unlink(missing_ok=True)
        return
    filesystem, remote_path = _open_remote(uri)
    try:
        _ask(uri, lambda: filesystem.delete_file(remote_path))
    except FileNotFoundError:
        return


def full_disk(error: OSError, path: Path) -> Exception:
    """The error as it should be raised: a StorageError where the disk is full or read-only, else itself."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES):
        return StorageError(
            f"{path.parent}: got '{error.strerror}' while writing {path.name}; must have room and be writable"
        )
    return error


def _ask(uri: str, call: Callable[[], T]) -> T:
    """Return what the call returns, tried again with longer and longer waits while the store fails.

    Raises:
        FileNotFoundError: there is no such file.
        StorageError: the store refuses it to the end.
        ServiceError: the store does not answer, to the end.
    """
    store = _store(uri)
    waits_s = WAITS_S + (LONG_WAITS_S if store in _answered else ())
    try:
        with patience.report_silence(_public(store)):
            answer = retry(call, waits_s, on=(OSError,), unless=(FileNotFoundError,))
    except FileNotFoundError:
        _answered.add(store)
        raise
    except OSError as error:
        _answered.discard(store)
        where, reason = redact_credentials(uri), redact_credentials(str(error)).splitlines()[0]
        tries = len(waits_s) + 1
        if _REFUSAL.search(reason):
            raise StorageError(f"{where}: got {reason!r} in {tries} tries; must be yours to use") from error
        raise ServiceError(f"{where}: got {reason!r} in {tries} tries; must answer") from error
    _answered.add(store)
    return answer


def _store(uri: str) -> str:
    """A URI without its path."""
    parts = urlsplit(uri)
    return urlunsplit((parts.scheme, parts.netloc, "", parts.query, ""))


def _public(store: str) -> str:
    """A store as messages call it: without its options."""
    return redact_credentials(store.partition("?")[0])


def _open_remote(uri: str) -> tuple[Any, str]:
    """The filesystem of a remote URI, and the path of the URI in it."""
    if redact_credentials(uri) != uri:
        # It would end up in records, logs and MLflow.
        raise SettingsError(
            f"run: got {redact_credentials(uri)!r} with credentials in it; must be without "
            "(they belong in AWS_ variables)"
        )
    try:
        filesystem, root = _open_store(_store(uri))
    except ValueError as error:
        raise SettingsError(
            f"run: got {uri!r} ({str(error).splitlines()[0]}); must be a folder or a URI like s3://bucket/prefix"
        ) from None
    return filesystem, root.rstrip("/") + urlsplit(uri).path


@functools.lru_cache(maxsize=8)
def _open_store(store: str) -> tuple[Any, str]:
    """A store, and the path of its root in it. Opening may ask the store itself in which region it is."""
    from pyarrow import fs

    # A small file is one request then, rather than three.
    quick = f"{store}{'&' if '?' in store else '?'}allow_delayed_open=true" if store.startswith("s3:") else store

    def open_it() -> tuple[Any, str]:
        try:
            filesystem, root = fs.FileSystem.from_uri(quick)
        except OSError as error:
            if "not found" in str(error):
                raise ValueError(str(error)) from None
            raise
        return filesystem, root

    return _ask(store, open_it)
