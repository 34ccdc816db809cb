"""Building the files and folders of data sets: in one step, by one process, and with errors that name the target."""

from __future__ import annotations

import contextlib
import errno
import math
from collections.abc import Iterator
from pathlib import Path

from irnas.core.errors import DataError
from irnas.storage import atomic, lock

_FULL = (errno.ENOSPC, errno.EDQUOT)


@contextlib.contextmanager
def building_folder(target: Path) -> Iterator[Path]:
    """Lend an empty folder that becomes ``target`` if the block ends well, and vanishes if it does not.

    Raises:
        DataError: ``target`` exists and is not an empty folder, its disk is full, or it may not be written.
    """
    refuse_used(target)
    with _name_target(target):
        with atomic.new_folder(target) as part:
            yield part
            refuse_used(target)


@contextlib.contextmanager
def building_file(target: Path) -> Iterator[Path]:
    """Lend a path whose file becomes ``target`` if the block ends well, and vanishes if it does not.

    Raises:
        DataError: its disk is full, or it may not be written.
    """
    with _name_target(target), atomic.new_file(target) as part:
        yield part


@contextlib.contextmanager
def hold_build(target: Path) -> Iterator[None]:
    """Hold the right to build ``target``: a second process waits here until the first is done.

    What an earlier, killed builder left behind is removed, since nobody else can be writing now. Where there are no
    locks, two builders do the work twice.
    """
    with _name_target(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        with lock.hold(target.parent / f".{target.name}.lock", wait_s=math.inf):
            if lock.IS_AVAILABLE:
                atomic.remove_parts(target)
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


@contextlib.contextmanager
def _name_target(target: Path) -> Iterator[None]:
    """Turn the errors of a disk into a DataError that names the target; other errors pass."""
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
