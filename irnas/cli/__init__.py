"""The command line: parses, calls one function, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys

from irnas.core.errors import IrnasError, ServiceError

EXIT_USER_ERROR = 2
"""The user can mend it: the command, a setting or a file."""
EXIT_SERVICE_ERROR = 3
"""Something else does not answer, and the same command may succeed later."""


def main() -> int:
    """Run the command in ``sys.argv`` and return the exit status of the process.

    That is 2 after an error that the user can mend, and 3 where a store, a server or a cluster does not answer. A bug
    keeps its traceback, and Ctrl-C ends in 130.
    """
    from irnas.cli.app import app

    try:
        app()
    except ServiceError as error:
        print(f"irnas: {' '.join(str(error).split())}; try again later", file=sys.stderr)
        return EXIT_SERVICE_ERROR
    except IrnasError as error:
        print(f"irnas: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USER_ERROR
    return 0
