"""The command line: parses, calls one function, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

from irnas.cli.credentials import require_no_credentials
from irnas.core.errors import IrnasError, ServiceError
from irnas.core.redaction import redact_credentials

EXIT_USER_ERROR = 2
"""The user can mend it: the command, a setting or a file."""
EXIT_SERVICE_ERROR = 3
"""Something else does not answer, and the same command may succeed later."""


def main() -> int:
    """Run the command in ``sys.argv`` and return the exit status of the process.

    That is 2 after an error that the user can mend, and 3 where a store, a server or a cluster does not answer. A bug
    keeps its traceback, and Ctrl-C ends in 130.
    """
    try:
        require_no_credentials(sys.argv[1:])

        from irnas.cli.app import app

        app()
    except ServiceError as error:
        print(f"irnas: {' '.join(str(error).split())}; try again later", file=sys.stderr)
        return EXIT_SERVICE_ERROR
    except IrnasError as error:
        print(f"irnas: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USER_ERROR
    except Exception:
        # The interpreter calls it when it ends; typer has put its own there.
        sys.excepthook = _print_traceback
        raise
    return 0


def _print_traceback(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    print(redact_credentials("".join(traceback.format_exception(kind, error, frames))), end="", file=sys.stderr)
