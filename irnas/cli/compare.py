"""`irnas compare`: several searches against each other."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.cli.arguments import Json
from irnas.cli.completion import complete_runs

if TYPE_CHECKING:
    from irnas.report.compare import Comparison


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(metavar="RUN RUN...", help="Folders or URIs of searches.", autocompletion=complete_runs),
    ],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write a page too, with the fronts over one another.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Set searches beside each other: their fronts in one box, and the settings in which they differ.

    The hypervolumes are shares of one box that holds those of all runs, and by the objectives that all have. They are
    left out where the runs' values do not mean the same: on other data, by another preset. The joint front is that of
    all networks together; a run's share of it says what it alone has found.

      irnas compare runs/biisnet-20261121-101500 runs/biisnet-20261122-090000
    """
    from irnas.record.run import Run
    from irnas.report import compare as comparing

    comparison = comparing.compare([Run.read(uri) for uri in runs])
    if output is not None:
        from irnas import storage
        from irnas.report import compare_page

        storage.write(str(output), compare_page.html(comparison).encode())
    if as_json:
        typer.echo(json.dumps(comparison.document()))
        return
    _print(comparison)
    if output is not None:
        typer.echo(output)


def _print(comparison: Comparison) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.cli.console import make_console
    from irnas.report import compare as comparing

    console = make_console()
    head, rows = comparing.figures(comparison)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(head):
        grid.add_column(name, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*map(escape, row))
    console.print(grid)
    if comparison.obstacle:
        console.print(f"no hypervolumes: {escape(comparison.obstacle)}", highlight=False, soft_wrap=True)
    if text := comparing.describe_lines(comparison):
        console.print(escape(text), highlight=False, soft_wrap=True)
    settings = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="settings that differ", title_justify="left")
    for name in ("setting", *(side.run.name for side in comparison.sides)):
        settings.add_column(escape(name), overflow="fold")
    for name, values in comparison.differing.items():
        settings.add_row(escape(name), *map(escape, values))
    console.print(settings if comparison.differing else "no setting differs")
