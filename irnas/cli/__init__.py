"""The command line: parses, calls one function, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import os
import sys
import traceback
from types import TracebackType

from irnas.cli import places, usage
from irnas.cli.credentials import require_no_credentials
from irnas.core import extras
from irnas.core.errors import IrnasError, ServiceError
from irnas.core.redaction import redact_credentials
from irnas.core.text import printable

EXIT_USER_ERROR = 2
"""The user can mend it: the command, a setting or a file."""
EXIT_SERVICE_ERROR = 3
"""Something else does not answer, and the same command may succeed later."""


def main() -> int:
    """Run the command in ``sys.argv`` and return the exit status of the process.

    That is 2 after an error that the user can mend, a package that is not installed among them, and 3 where a store, a
    server or a cluster does not answer. A bug keeps its traceback, and Ctrl-C ends in 130.
    """
    _open_missing_streams()
    try:
        require_no_credentials(sys.argv[1:])

        from irnas.cli.app import app

        code = app(prog_name="irnas", standalone_mode=False)
        # Here and not by the interpreter at its end, which would say in its own words what goes wrong.
        sys.stdout.flush()
    except ServiceError as error:
        print(f"irnas: {places.one_line(error)}; try again later", file=sys.stderr)
        return EXIT_SERVICE_ERROR
    except IrnasError as error:
        print(f"irnas: {places.one_line(error)}", file=sys.stderr)
        return EXIT_USER_ERROR
    except Exception as error:
        if usage.is_help(error):
            error.show()  # type: ignore[attr-defined] # the parser's errors do
            return EXIT_USER_ERROR
        line = _explain(error)
        if line is not None:
            print(f"irnas: {line}", file=sys.stderr)
            return EXIT_USER_ERROR
        # The interpreter calls it when it ends; typer has put its own there.
        sys.excepthook = _print_traceback
        raise
    # What a command ended with before its end, as after --version.
    return code if isinstance(code, int) else 0


def _open_missing_streams() -> None:
    """Open what the process was started without; else the next file, a record, say, would be its standard output."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_RDWR)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
    sys.stdin = sys.stdin or os.fdopen(0)
    sys.stdout = sys.stdout or os.fdopen(1, "w")
    sys.stderr = sys.stderr or os.fdopen(2, "w")


def _explain(error: Exception) -> str | None:
    """The line for an error that is none of irnas and still the user's to mend; None for a bug."""
    if isinstance(error, ImportError):
        return extras.explain(error, _command())
    if isinstance(error, MemoryError):
        return f"memory: got {error or 'none any more'}; must be enough: smaller images, crops or batches take less"
    line = usage.explain(error, sys.argv[1:])
    return places.explain(error) if line is None else printable(" ".join(line.split()))


def _command() -> str:
    """The command that was typed, for a line about it."""
    return next((word for word in sys.argv[1:] if not word.startswith("-")), "command")


def _print_traceback(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    parts = traceback.format_exception(kind, error, frames)
    print("".join(redact_credentials(part) for part in parts), end="", file=sys.stderr)
