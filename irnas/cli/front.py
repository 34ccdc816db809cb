"""`irnas front`: the front of a run, from its record alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli import trainings
from irnas.cli.arguments import Json, RunUri

if TYPE_CHECKING:
    from rich.console import Console

    from irnas.core.result import Result
    from irnas.record.events import Measured
    from irnas.record.run import Run

_MAX_AXES = 8
"""More axes than this share one column."""


def front(
    uri: RunUri,
    show_all: Annotated[bool, typer.Option("--all", help="Every trial, whatever became of it.")] = False,
    as_json: Json = False,
) -> None:
    """Show the Pareto front of a search, or the trainings of `irnas train`, also while they are going on."""
    from irnas.record.run import Run

    run = Run.read(uri)
    if as_json:
        typer.echo(json.dumps(_document(run)))
    else:
        _print(run, show_all=show_all)


def print_front(uri: str) -> None:
    """Print the front of a run as ``irnas front`` does."""
    from irnas.record.run import Run

    _print(Run.read(uri), show_all=False)


def _document(run: Run) -> dict[str, Any]:
    from irnas.record.tests import tested_networks

    def row(result: Result) -> dict[str, Any]:
        document = result.document()
        names = ("trial", "key", "status", "values", "genotype", "epochs", "seed", "seconds", "error", "note")
        row = {name: document[name] for name in names}
        if measured := run.measured.get(result.key):
            row["alone"] = _measured_document(measured)
        if replicates := run.replicates.get(result.key):
            row["spread"] = {name: asdict(statistics) for name, statistics in replicates.items()}
        return row

    return {
        "objectives": [o.name for o in run.objectives],
        **({} if run.settings.is_training else {"hypervolume": run.hypervolume()}),
        "baselines": {name: dict(values) for name, values in run.baselines.items()},
        **({"device": asdict(run.opened.device)} if run.opened.device else {}),
        "front": [row(r) for r in run.winners],
        "results": [row(r) for r in run.results],
        **({"trainings": trainings.documents(run)} if run.settings.is_training else {}),
        **({"tests": [test.document() for test in tests]} if (tests := tested_networks(run)) else {}),
    }


def _measured_document(measured: Measured) -> dict[str, Any]:
    names = ("engine", "kernels", "threads", "input", "ms_min", "ms_median", "runs", "expected_ms", "cpu")
    return {name: getattr(measured, name) for name in names}


def _print(run: Run, *, show_all: bool) -> None:
    from irnas.cli.console import make_console

    console = make_console()
    if run.settings.is_training:
        trainings.print_trainings(console, run)
        _print_tests(console, run)
        return
    _print_table(console, run, show_all=show_all)
    _print_tests(console, run)
    _print_summary(console, run)


def _print_table(console: Console, run: Run, *, show_all: bool) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.report import unit
    from irnas.report.network import choices, differing, families_of, figure_of, grouped, phrases

    results = sorted(run.results, key=lambda r: r.trial) if show_all else run.winners
    if not results:
        console.print("no trial has ended yet" if show_all else "no trial was trained to the end yet")
        return
    axes = differing([r.genotype for r in results], run.space)
    groups = grouped(axes)
    # Many narrow columns would be cut or folded letter by letter; one wide column folds between the choices.
    is_wide = len(groups) > _MAX_AXES or bool(families_of(run))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key")
    if show_all:
        table.add_column("status")
    for objective in run.objectives:
        table.add_column(unit.title(objective.name), justify="right", no_wrap=True)
    has_size = bool(run.measured) and "bytes" not in {o.name for o in run.objectives}
    if run.measured:
        table.add_column(f"{unit.title(run.speed)} alone", justify="right", no_wrap=True)
    if has_size:
        table.add_column(unit.title("bytes"), justify="right", no_wrap=True)
    for name in ["choices"] if is_wide else groups:
        table.add_column(escape(name))
    for name in ("epochs", "trial"):
        table.add_column(name, justify="right")
    members = {r.key for r in run.winners}
    for result in results:
        values = [figure_of(run, result, o.name) for o in run.objectives]
        values += [unit.figure(run.speed, run.measured_speed(result.key))] if run.measured else []
        values += [unit.figure("bytes", result.values.get("bytes"))] if has_size else []
        genotype = result.genotype
        words = [" ".join(phrases(genotype, axes))] if is_wide else [choices(genotype, m) for m in groups.values()]
        status = [f"{result.status}, front" if result.key in members else str(result.status)] if show_all else []
        table.add_row(result.key, *status, *values, *map(escape, words), str(result.epochs), str(result.trial))
    console.print(table)
    if show_all:
        _print_causes(console, results)


def _print_causes(console: Console, results: Sequence[Result]) -> None:
    from rich.markup import escape

    for result in results:
        text = result.error or result.note
        if text:
            console.print(f"trial {result.trial} {result.key}: {escape(text)}", highlight=False, soft_wrap=True)


def _print_tests(console: Console, run: Run) -> None:
    from irnas.cli.test import print_table
    from irnas.report.tests import tests_of_run

    if table := tests_of_run(run):
        print_table(console, table, f"on images that nothing was chosen by, preset {run.settings.preset}")


def _print_summary(console: Console, run: Run) -> None:
    from rich.markup import escape

    from irnas.report import order, unit
    from irnas.report.requirements import describe_requirements
    from irnas.report.table import device_of

    names = [o.name for o in run.objectives if o.kind == "metric"] or ["miou"]
    for name, values in run.baselines.items():
        known = ", ".join(f"{unit.label(n)} {unit.quantity(n, values[n])}" for n in names if n in values)
        console.print(f"baseline {escape(name.replace('_', ' '))}: {known}", highlight=False)
    if run.opened.device:
        console.print(f"speed {escape(device_of(run.opened.device))}{_check(run)}", highlight=False, soft_wrap=True)
    for text in filter(None, (order.describe_timing(run), order.describe_disagreement(run))):
        console.print(escape(text), highlight=False, soft_wrap=True)
    if text := describe_requirements(run):
        console.print(escape(text), highlight=False, soft_wrap=True)
    counts = f"{len(run.winners)} on the front of {len(run.done)} trained"
    ended = len(run.results) - len(run.done)
    more = f", {ended} rejected, stopped or failed" if ended else ""
    more += f", {len(run.open_trials)} unfinished" if run.open_trials else ""
    console.print(f"{counts}{more}; hypervolume {100 * run.hypervolume():.1f} %", highlight=False)


def _check(run: Run) -> str:
    """Say how far the speeds in the search were from those measured afterwards, with nothing beside."""
    deviations = [m.deviation for m in run.measured.values()]
    if deviations:
        return f"; alone, after the search, the front differs by at most {100 * max(deviations):.1f} %"
    return "; not measured here" if run.opened.device and run.opened.device.predicted else ""
