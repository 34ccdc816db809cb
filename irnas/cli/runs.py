"""`irnas runs`: the runs of a folder."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.cli.arguments import Json

if TYPE_CHECKING:
    from irnas.workflows.overview import Overview


def runs(
    folder: Annotated[str, typer.Argument(help="The folder that holds the runs.")] = "runs", as_json: Json = False
) -> None:
    """List the runs of a folder, the newest first: what each is, how far it has come, and the best it has found.

    A run is done, running, interrupted (by Ctrl-C), killed (without a word) or failed; `irnas search --resume` or
    `irnas train --resume` goes on with any that has not done all it was to do. The record of a damaged one cannot be
    read.
    """
    from irnas.workflows.overview import list_runs

    overviews = list_runs(folder)
    if as_json:
        typer.echo(json.dumps([run.document() for run in overviews]))
    elif not overviews:
        typer.echo(f"no runs in {folder}; `irnas search` begins one")
    else:
        _print(overviews)


def _print(overviews: list[Overview]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.cli.console import make_console
    from irnas.core.text import format_duration

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("name", "space", "data", "state"):
        table.add_column(name, overflow="fold")
    for name in ("networks", "front"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("best")
    table.add_column("age", justify="right", no_wrap=True)
    for run in overviews:
        networks = f"{run.num_done}/{run.num_planned}" if run.kind else "-"
        age = format_duration(max(time.time() - run.begun, 0)) if run.begun else "-"
        cells = (run.name, run.space, run.data, run.state)
        front = "-" if run.kind != "search" else str(run.num_front)
        table.add_row(*map(escape, cells), networks, front, escape(_best(run)), age)
    console = make_console()
    console.print(table)
    for run in overviews:
        if run.state in ("damaged", "failed"):
            console.print(f"{escape(run.name)}: {escape(run.note)}", highlight=False, soft_wrap=True)


def _best(run: Overview) -> str:
    from irnas.core.objective import OBJECTIVES

    best = run.best or {}
    return ", ".join(f"{OBJECTIVES[name].label} {OBJECTIVES[name].quantity(value)}" for name, value in best.items())
