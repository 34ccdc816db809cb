"""The command line: parses, calls one function, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys

from irnas.core.errors import IrnasError

EXIT_USER_ERROR = 2


def main() -> int:
    """Run the command in ``sys.argv``; returns 2 after a user error. A bug keeps its traceback; Ctrl-C ends in 130."""
    from irnas.cli.app import app

    try:
        app()
    except IrnasError as error:
        print(f"irnas: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USER_ERROR
    return 0
