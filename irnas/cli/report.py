"""`irnas report`: a page about a run, or what its axes do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from irnas.cli.arguments import Json, RunUri
from irnas.core.errors import SettingsError


def report(
    run: RunUri,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write.  [default: report.html in the run]")
    ] = None,
    images: Annotated[bool, typer.Option(help="Show what the winners detect; runs them again.")] = True,
    axes: Annotated[
        bool,
        typer.Option("--axes", help="Print what each axis does, and its noise, instead; of a table.parquet too."),
    ] = False,
    as_json: Json = False,
) -> None:
    """Write one HTML page about a run that needs no network, and a PNG of the front beside it.

    irnas report runs/biisnet-20261121-101500

    irnas report docs/bench/biisnet-nudt-bits.parquet --axes
    """
    if axes:
        from irnas.cli.axes import print_axes

        print_axes(run, as_json=as_json)
        return
    if as_json:
        raise SettingsError("--json: got it without --axes; must come with it")
    from irnas import report
    from irnas.cli.console import working

    with working("drawing the page"):
        page, picture = report.write(run, output, images=images)
    typer.echo(f"{page}\n{picture}")
