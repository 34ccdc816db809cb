"""`irnas front`, `report`, `ui` and `track`: what a run found, from its record alone."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import SettingsError

if TYPE_CHECKING:
    from rich.console import Console

    from irnas.core.result import Result
    from irnas.report.record import Record

track = typer.Typer(help="The mirror of runs in MLflow.", no_args_is_help=True)

Run = Annotated[str, typer.Argument(metavar="RUN", help="Folder or URI of a run.")]

_WIDE = 200
"""Columns of a table that goes to a file or a pipe, where nothing is gained by cutting it."""


_MAX_AXES = 8
"""More axes than this share one column."""


def front(
    run: Run,
    show_all: Annotated[bool, typer.Option("--all", help="Every trial, whatever became of it.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the Pareto front of a run, also while it is going on."""
    from irnas.report.record import Record

    record = Record.read(run)
    if as_json:
        typer.echo(json.dumps(_document(record)))
    else:
        _print(record, show_all=show_all)


def report(
    run: Run,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page to write.  [default: report.html in the run]")
    ] = None,
    images: Annotated[bool, typer.Option(help="Show what the winners detect; runs them again.")] = True,
) -> None:
    """Write one HTML page about a run that needs no network, and a PNG of the front beside it."""
    from irnas import report

    page, picture = report.write(run, output, images=images)
    typer.echo(f"{page}\n{picture}")


def ui(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages on the runs in a folder, on this machine only; Ctrl-C ends it."""
    from irnas import storage
    from irnas.tracking import client

    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith(("http://", "https://")):
        typer.echo(f"MLflow is served at {storage.redact_credentials(server)} (MLFLOW_TRACKING_URI)")
        return
    command = ui_command(folder, port)
    client.set_environment()
    # MLflow's own start-up lines name the address too, but only after several seconds.
    # It begins with its pages for language models, unless told otherwise.
    page = f"http://127.0.0.1:{port}/#/experiments?workflowType=machine_learning"
    typer.echo(f"MLflow on {folder}: {page} (ready in some seconds; Ctrl-C ends it)")
    sys.stdout.flush()
    os.execv(command[0], command)


@track.callback()
def _track() -> None:
    """The mirror of runs in MLflow."""


@track.command("rebuild")
def rebuild(run: Run) -> None:
    """Make in MLflow whatever is missing of a run; safe to repeat."""
    from irnas.tracking import client

    store, num_trials = client.rebuild(run)
    typer.echo(f"{run}: the search and its {num_trials} trials are in {store}")


@track.command("register")
def register(
    run: Run,
    key: Annotated[str, typer.Argument(metavar="KEY", help="A genotype's key, or 'best'.")],
    name: Annotated[
        str | None, typer.Option(help="The model whose next version this is.", show_default="the space")
    ] = None,
    alias: Annotated[str, typer.Option(help="What that version is called from now on.")] = "champion",
    format: Annotated[str, typer.Option(help="xnor or onnx.")] = "xnor",
    images: Annotated[int, typer.Option(min=1, help="Most validation images to compare on.")] = 64,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Export a network and register it in MLflow, which can serve it then; no torch is needed there.

    The file is compared with the network first, as `irnas export` does.

      irnas track register runs/biisnet-20261121-101500 best --alias small

      mlflow models serve -m models:/biisnet@small --env-manager local --host 127.0.0.1
    """
    from irnas import storage
    from irnas.cli.export import made
    from irnas.deploy.export import source
    from irnas.nn import traits
    from irnas.tracking import registry

    if format not in ("xnor", "onnx"):
        raise SettingsError(f"--format: got {format!r}; must be xnor or onnx")
    registry.check(name or "the space", alias)
    found = source.from_run(run, key, None)
    name = name or found.origin.name.split()[0]
    content, facts = made(found, f".{format}", 1, images)
    network = registry.Network(
        run=run, key=found.origin.trial, suffix=f".{format}", content=content, frames=traits.frames(found.network)
    )
    version = registry.register(network, name, alias)
    where, uri = storage.redact_credentials(version.tracking_uri), f"models:/{name}@{alias}"
    if as_json:
        number = {"name": name, "version": version.number, "alias": alias, "new": version.is_new, "uri": uri}
        typer.echo(json.dumps({**number, "store": where, "key": network.key, "sha256": network.sha256, **facts}))
        return
    again = "" if version.is_new else ", registered before"
    typer.echo(
        f"{name} version {version.number} is {alias} in {where}: {network.key}, {len(content)} bytes{again}\n"
        f"MLFLOW_TRACKING_URI={where} mlflow models serve -m {uri} --env-manager local --host 127.0.0.1"
    )


def print_front(run: str) -> None:
    """Print the front of a run as ``irnas front`` does."""
    from irnas.report.record import Record

    _print(Record.read(run), show_all=False)


def ui_command(folder: Path, port: int) -> list[str]:
    """The command that serves MLflow's pages on this machine for the searches in a folder.

    Raises:
        SettingsError: no search in that folder was ever mirrored.
    """
    from irnas.tracking.client import ARTIFACT_FOLDER, DATABASE

    database = folder.absolute() / DATABASE
    if not database.is_file():
        raise SettingsError(f"ui: got {str(folder)!r} without {DATABASE}; must be a folder of runs, as 'runs' is")
    return [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        f"sqlite:///{database}",
        "--artifacts-destination",
        str(database.parent / ARTIFACT_FOLDER),
    ]


def _document(record: Record) -> dict[str, Any]:
    def row(result: Result) -> dict[str, Any]:
        found = result.document()
        names = ("trial", "key", "status", "values", "genotype", "epochs", "seed", "seconds", "error", "note")
        alone = record.alone.get(result.key)
        spread = {n: asdict(s) for n, s in record.replicate_statistics.get(result.key, {}).items()}
        more = {**({"alone": _alone(alone)} if alone else {}), **({"spread": spread} if spread else {})}
        return {**{name: found[name] for name in names}, **more}

    return {
        "objectives": [o.name for o in record.objectives],
        "hypervolume": record.hypervolume(),
        "baselines": {name: dict(values) for name, values in record.baselines.items()},
        **({"device": dict(record.device)} if record.device else {}),
        "front": [row(r) for r in record.winners],
        "results": [row(r) for r in record.results],
    }


def _alone(measured: Mapping[str, Any]) -> dict[str, Any]:
    names = ("engine", "kernels", "threads", "input", "ms_min", "ms_median", "runs", "expected_ms")
    return {name: measured[name] for name in names}


def _print(record: Record, *, show_all: bool) -> None:
    from rich.console import Console

    console = Console() if sys.stdout.isatty() else Console(width=_WIDE)
    _print_table(console, record, show_all=show_all)
    _print_summary(console, record)


def _print_table(console: Console, record: Record, *, show_all: bool) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.report import unit
    from irnas.report.record import choices, differing, grouped, phrases

    shown = sorted(record.results, key=lambda r: r.trial) if show_all else record.winners
    if not shown:
        console.print("no trial has ended yet" if show_all else "no trial was trained to the end yet")
        return
    axes = differing([r.genotype for r in shown], record.space)
    groups = grouped(axes)
    # Many narrow columns would be cut or folded letter by letter; one wide column folds between the choices.
    is_wide = len(groups) > _MAX_AXES or bool(record.families)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key")
    if show_all:
        table.add_column("status")
    for objective in record.objectives:
        table.add_column(unit.title(objective.name), justify="right", no_wrap=True)
    if record.alone:
        table.add_column(f"{unit.title(record.speed)} alone", justify="right", no_wrap=True)
    for name in ["choices"] if is_wide else groups:
        table.add_column(escape(name))
    for name in ("epochs", "trial"):
        table.add_column(name, justify="right")
    members = {r.key for r in record.winners}
    for result in shown:
        values = [record.figure(result, o.name) for o in record.objectives]
        values += [unit.figure(record.speed, record.speed_alone(result.key))] if record.alone else []
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
    if record.device:
        console.print(f"speed {escape(device_of(record.device))}{_check(record)}", highlight=False, soft_wrap=True)
    counts = f"{len(record.winners)} on the front of {len(record.done)} trained"
    ended = len(record.results) - len(record.done)
    more = f", {ended} rejected, stopped or failed" if ended else ""
    more += f", {len(record.unfinished())} unfinished" if record.unfinished() else ""
    console.print(f"{counts}{more}; hypervolume {100 * record.hypervolume():.1f} %", highlight=False)


def _check(record: Record) -> str:
    """How far the speeds of the front were from those of its networks alone."""
    off = [abs(e["expected_ms"] / e["ms_min"] - 1) for e in record.alone.values()]
    if off:
        return f"; alone, after the search, the front differs by at most {100 * max(off):.1f} %"
    return "; not measured here" if record.device and record.device["predicted"] else ""
