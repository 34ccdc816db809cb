"""Files and folders that appear in one step: a reader sees the old one, the new one or none, never a part.

Everything is written under a hidden name beside its target and renamed when it is complete, for a rename inside one
folder cannot be interrupted. What a killed process leaves behind is hidden and can be recognised: see ``remove_parts``.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PART = ".part"


@contextlib.contextmanager
def new_file(target: Path, *, is_durable: bool = False) -> Iterator[Path]:
    """Lend a path to write to; the file there becomes ``target`` if the block ends well, and is deleted if not.

    Args:
        target: replaced where it exists; its folder is made where it is missing.
        is_durable: also wait until the content is on the disk, so that it survives a loss of power.

    Raises:
        OSError: the file cannot be written, or ``target`` is a device or a pipe, which stays.
    """
    require_replaceable(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}{_PART}")
    try:
        yield part
        if is_durable:
            with part.open("r+b") as file:
                os.fsync(file.fileno())
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def require_replaceable(target: Path) -> None:
    """Refuse a device, a pipe or a socket, in whose place a rename would put a file: ``/dev/null`` would be gone.

    Raises:
        FileExistsError: ``target`` is one.
    """
    if target.exists() and not target.is_file() and not target.is_dir():
        raise FileExistsError(errno.EEXIST, "A device or a pipe", str(target))


@contextlib.contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """Lend an empty folder to fill; it becomes ``target`` if the block ends well, and is deleted if not.

    Raises:
        OSError: ``target`` exists by then and is not an empty folder.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_PART, dir=target.parent))
    try:
        # mkdtemp makes folders for their owner only; this one is to be shared like any other.
        part.chmod(0o777 & ~_umask())
        yield part
        part.replace(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def remove_parts(target: Path) -> None:
    """Delete what killed processes left of ``target``; the caller knows that nobody is writing it now."""
    for part in target.parent.glob(f".{target.name}.*{_PART}"):
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def remove_dead_parts(folder: Path) -> None:
    """Delete the files that killed processes of this machine were writing anywhere below a folder.

    The caller holds the folder's lock, so nobody on another machine writes there.
    """
    for part in folder.rglob(f".*{_PART}"):
        writer = part.name.removesuffix(_PART).rpartition(".")[2]
        if part.is_file() and writer.isdecimal() and not _is_alive(int(writer)):
            part.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        # It belongs to somebody else.
        return True
    return True


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
