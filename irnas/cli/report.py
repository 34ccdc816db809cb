"""`irnas report`: a page about a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irnas.cli.arguments import RunUri


def report(
    run: RunUri,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write.  [default: report.html in the run]")
    ] = None,
    images: Annotated[bool, typer.Option(help="Show what the winners detect; runs them again.")] = True,
) -> None:
    """Write one HTML page about a run that needs no network, and a PNG of the front beside it."""
    from irnas import report

    page, picture = report.write(run, output, images=images)
    typer.echo(f"{page}\n{picture}")
