"""`irnas front`: the front of a run, from its record alone."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import Json, Run

if TYPE_CHECKING:
    from rich.console import Console

    from irnas.core.result import Result
    from irnas.record.events import Measured
    from irnas.record.run import Run as Record

_MAX_AXES = 8
"""More axes than this share one column."""


def front(
    run: Run,
    show_all: Annotated[bool, typer.Option("--all", help="Every trial, whatever became of it.")] = False,
    as_json: Json = False,
) -> None:
    """Show the Pareto front of a run, also while it is going on."""
    from irnas.record.run import Run as Record

    record = Record.read(run)
    if as_json:
        typer.echo(json.dumps(_document(record)))
    else:
        _print(record, show_all=show_all)


def print_front(run: str) -> None:
    """Print the front of a run as ``irnas front`` does."""
    from irnas.record.run import Run as Record

    _print(Record.read(run), show_all=False)


def _document(record: Record) -> dict[str, Any]:
    def row(result: Result) -> dict[str, Any]:
        found = result.document()
        names = ("trial", "key", "status", "values", "genotype", "epochs", "seed", "seconds", "error", "note")
        alone = record.measured.get(result.key)
        spread = {n: asdict(s) for n, s in record.replicates.get(result.key, {}).items()}
        more = {**({"alone": _alone(alone)} if alone else {}), **({"spread": spread} if spread else {})}
        return {**{name: found[name] for name in names}, **more}

    return {
        "objectives": [o.name for o in record.objectives],
        "hypervolume": record.hypervolume(),
        "baselines": {name: dict(values) for name, values in record.baselines.items()},
        **({"device": asdict(record.opened.device)} if record.opened.device else {}),
        "front": [row(r) for r in record.winners],
        "results": [row(r) for r in record.results],
    }


def _alone(measured: Measured) -> dict[str, Any]:
    names = ("engine", "kernels", "threads", "input", "ms_min", "ms_median", "runs", "expected_ms")
    return {name: getattr(measured, name) for name in names}


def _print(record: Record, *, show_all: bool) -> None:
    from irnas.cli.console import make_console

    console = make_console()
    _print_table(console, record, show_all=show_all)
    _print_summary(console, record)


def _print_table(console: Console, record: Record, *, show_all: bool) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.report import unit
    from irnas.report.network import choices, differing, families_of, figure_of, grouped, phrases

    shown = sorted(record.results, key=lambda r: r.trial) if show_all else record.winners
    if not shown:
        console.print("no trial has ended yet" if show_all else "no trial was trained to the end yet")
        return
    axes = differing([r.genotype for r in shown], record.space)
    groups = grouped(axes)
    # Many narrow columns would be cut or folded letter by letter; one wide column folds between the choices.
    is_wide = len(groups) > _MAX_AXES or bool(families_of(record))
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key")
    if show_all:
        table.add_column("status")
    for objective in record.objectives:
        table.add_column(unit.title(objective.name), justify="right", no_wrap=True)
    if record.measured:
        table.add_column(f"{unit.title(record.speed)} alone", justify="right", no_wrap=True)
    for name in ["choices"] if is_wide else groups:
        table.add_column(escape(name))
    for name in ("epochs", "trial"):
        table.add_column(name, justify="right")
    members = {r.key for r in record.winners}
    for result in shown:
        values = [figure_of(record, result, o.name) for o in record.objectives]
        values += [unit.figure(record.speed, record.measured_speed(result.key))] if record.measured else []
        found = result.genotype
        words = [" ".join(phrases(found, axes))] if is_wide else [choices(found, m) for m in groups.values()]
        status = [f"{result.status}, front" if result.key in members else str(result.status)] if show_all else []
        table.add_row(result.key, *status, *values, *map(escape, words), str(result.epochs), str(result.trial))
    console.print(table)
    if show_all:
        _print_causes(console, shown)


def _print_causes(console: Console, shown: Sequence[Result]) -> None:
    from rich.markup import escape

    for result in shown:
        text = result.error or result.note
        if text:
            console.print(f"trial {result.trial} {result.key}: {escape(text)}", highlight=False, soft_wrap=True)


def _print_summary(console: Console, record: Record) -> None:
    from rich.markup import escape

    from irnas.report import unit
    from irnas.report.table import device_of

    names = [o.name for o in record.objectives if o.kind == "metric"] or ["miou"]
    for name, values in record.baselines.items():
        known = ", ".join(f"{unit.label(n)} {unit.quantity(n, values[n])}" for n in names if n in values)
        console.print(f"baseline {escape(name.replace('_', ' '))}: {known}", highlight=False)
    if record.opened.device:
        console.print(
            f"speed {escape(device_of(record.opened.device))}{_check(record)}", highlight=False, soft_wrap=True
        )
    counts = f"{len(record.winners)} on the front of {len(record.done)} trained"
    ended = len(record.results) - len(record.done)
    more = f", {ended} rejected, stopped or failed" if ended else ""
    more += f", {len(record.open_trials)} unfinished" if record.open_trials else ""
    console.print(f"{counts}{more}; hypervolume {100 * record.hypervolume():.1f} %", highlight=False)


def _check(record: Record) -> str:
    """How far the speeds of the front were from those of its networks alone."""
    off = [m.deviation for m in record.measured.values()]
    if off:
        return f"; alone, after the search, the front differs by at most {100 * max(off):.1f} %"
    return "; not measured here" if record.opened.device and record.opened.device.predicted else ""
