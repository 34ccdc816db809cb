"""`irnas why`: the story of one network of a run."""

from __future__ import annotations

from typing import Annotated

import typer


def why(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder or URI of a run.")],
    key: Annotated[str, typer.Argument(metavar="KEY", help="A network's key, or its beginning.")],
) -> None:
    """Say why a network was proposed, paused, continued or dropped, and what dominates it.

    irnas why runs/biisnet-20261121-101500 90c1c867f3fc
    """
    from irnas.record.run import Run as Record
    from irnas.report.why import explain

    typer.echo("\n".join(explain(Record.read(run), key)))
