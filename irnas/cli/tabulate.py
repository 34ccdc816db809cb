"""``irnas tabulate``: pay once for a sample of a space, so that strategies can be compared for nothing."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer

from irnas.cli.option_groups import with_options
from irnas.cli.options import TrainingOptions
from irnas.cli.run_options import WorkerOptions
from irnas.core.errors import SettingsError

_ALL = "all"


@with_options
def tabulate(
    output: Annotated[str, typer.Option("--output", "-o", help="The Parquet file to write; runs go to FILE.runs.")],
    options: TrainingOptions,
    where: WorkerOptions,
    points: Annotated[str, typer.Option(help="Networks of the sample, or 'all' of the space.")] = "200",
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Train a random sample of a space to the end, several seeds each, and keep every learning curve in one file.

    Give the same command again after an interruption, or with more points or seeds: what is trained stays.
    """
    settings = options.settings()

    from irnas.cli import live
    from irnas.core import catalog
    from irnas.workflows import tabulate as tabulate_workflow
    from irnas.workflows.executor import Executor

    if points == _ALL:
        num_points = catalog.load(settings.space).focus(settings.axes).count()
    else:
        num_points = _parse_points(points)
    executor = Executor(resources=where.resources())
    with live.view(output) as listener:
        table = tabulate_workflow.tabulate(replace(settings, trials=num_points), output, seeds, executor, listener)
    num_trainings = sum(len(p.curves) for p in table.points)
    if as_json:
        counts = {"networks": len(table.points), "trainings": num_trainings, "epochs": table.epochs}
        typer.echo(json.dumps({"file": output, **counts}))
    else:
        typer.echo(f"{output}: {len(table.points)} networks, {num_trainings} trainings of {table.epochs} epochs")


def _parse_points(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"--points: got {text!r}; must be a number from 1, or {_ALL}")
    return int(text)
