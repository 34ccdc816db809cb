"""Building files and folders so that nobody ever sees half of one.

Everything is written under a temporary name beside its target and renamed when complete. A rename inside one folder
is atomic, so a reader finds the old thing, the new thing, or nothing.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from irnas.core.errors import DataError

try:
    import fcntl
except ImportError:  # Windows: the rename alone keeps readers safe; two builders then do the work twice.
    fcntl = None  # type: ignore[assignment]

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def building_folder(target: Path) -> Iterator[Path]:
    """A temporary folder that becomes ``target`` when the block ends well, and vanishes when it does not.

    Raises:
        DataError: ``target`` exists and is not an empty folder, its disk is full, or it may not be written.
    """
    refuse_used(target)
    with _speaking_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        # mkdtemp makes folders for their owner only; a data set is to be shared like any other.
        temporary = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".tmp", dir=target.parent))
        try:
            temporary.chmod(0o777 & ~_umask())
            yield temporary
            refuse_used(target)
            temporary.replace(target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def building_file(target: Path) -> Iterator[Path]:
    """A temporary path that becomes ``target`` when the block ends well, and vanishes when it does not."""
    with _speaking_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
        try:
            yield temporary
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def alone(target: Path) -> Iterator[None]:
    """Hold the right to build ``target``: a second process waits here until the first is done.

    What an earlier, killed builder left behind is removed, since nobody else can be writing now.
    """
    with _speaking_of(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with (target.parent / f".{target.name}.lock").open("w") as handle:
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_EX)
                _sweep(target)
            yield


def refuse_used(target: Path) -> None:
    """Refuse a target that exists, unless it is an empty folder.

    Raises:
        DataError: it does.
    """
    if target.is_dir() and not any(target.iterdir()):
        return
    if target.exists():
        raise DataError(f"output {target}: got a path that is in use; must be new or an empty folder")


def _sweep(target: Path) -> None:
    for left in target.parent.glob(f".{target.name}.*.tmp"):
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)


@contextlib.contextmanager
def _speaking_of(target: Path) -> Iterator[None]:
    """Turn the errors of a disk into words; others pass."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DataError(f"output {target}: got a full disk while writing; must have more space") from error
        if isinstance(error, PermissionError | NotADirectoryError | FileExistsError) or error.errno == errno.EROFS:
            raise DataError(
                f"output {target}: got {error.strerror or error}; must be a path that can be written"
            ) from error
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
