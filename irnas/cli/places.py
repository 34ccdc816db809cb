"""What is said of a file or a folder that somebody named and that cannot be used: one line instead of a traceback."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from irnas.core.redaction import redact_credentials
from irnas.core.text import printable

_UNUSABLE = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.ENOENT, errno.ENOTDIR, errno.EISDIR),
    *(errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP),
    *(errno.EEXIST, errno.EIO),
}
"""What an operating system says of a place that is not there, is something else, or belongs to others."""
_FULL = {errno.ENOSPC, errno.EDQUOT}
"""What it says without a name where an open file, or the output of the command, finds no room."""


def explain(error: BaseException) -> str | None:
    """The line for an error of the operating system about a place; None for any other error.

    A file of irnas itself that is missing is a bug, and no such place.
    """
    if not isinstance(error, OSError) or error.errno not in _UNUSABLE:
        return None
    if error.filename is None and error.errno in _FULL:
        return f"output: got {error.strerror!r} ({type(error).__name__}); must have room where it is written"
    if not isinstance(error.filename, str | bytes):
        return None
    # Of two, the second is where something was to go, and the first is a hidden file of ours.
    place = os.fsdecode(error.filename2 or error.filename)
    if Path(__file__).parent.parent in Path(place).absolute().parents:
        return None
    got = f"{error.strerror} ({type(error).__name__})"
    return f"{redact_credentials(printable(place))}: got {got!r}; must be a place that can be read and written here"


def one_line(error: BaseException) -> str:
    """The text of an error on one line; whatever came into it from a file, a terminal only shows it."""
    return printable(" ".join(str(error).split()))
