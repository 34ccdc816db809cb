"""The command line: parses, calls one function, prints. Nothing heavy is imported before a command runs."""

from __future__ import annotations

import sys

from irnas.errors import IrnasError

EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def main() -> int:
    """Run the command in ``sys.argv``; the exit status is 0, 2 (user error), 130 (Ctrl-C), or 1 with a traceback (bug)."""
    from irnas.cli.app import app

    try:
        app()
    except IrnasError as error:
        print(f"irnas: {' '.join(str(error).split())}", file=sys.stderr)
        return EXIT_USER_ERROR
    except KeyboardInterrupt:
        print("irnas: interrupted", file=sys.stderr)
        return EXIT_INTERRUPTED
    return 0
