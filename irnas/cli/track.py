"""`irnas track`: the mirror of runs in MLflow, and its registry of networks."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from irnas.cli.arguments import Json, Key, RunUri
from irnas.core.errors import SettingsError

app = typer.Typer(help="The mirror of runs in MLflow.", no_args_is_help=True)


@app.callback()
def _track() -> None:
    """The mirror of runs in MLflow."""


@app.command("rebuild")
def rebuild(run: RunUri) -> None:
    """Make in MLflow whatever is missing of a run; safe to repeat."""
    from irnas.tracking import client

    store, num_trials = client.rebuild(run, warn=lambda text: typer.echo(text, err=True))
    typer.echo(f"{run}: the search and its {num_trials} trials are in {store}")


@app.command("optuna")
def optuna(
    run: RunUri,
    storage: Annotated[str, typer.Argument(metavar="STORAGE", help="Where Optuna keeps studies: sqlite:///study.db.")],
    name: Annotated[str | None, typer.Option(help="Of the study.", show_default="the run's")] = None,
) -> None:
    """Write a run as a new study of Optuna, for optuna-dashboard and Optuna's own plots.

    irnas track optuna runs/biisnet-20261121-101500 sqlite:///study.db && optuna-dashboard sqlite:///study.db
    """
    from irnas.core.redaction import redact_credentials
    from irnas.record.run import Run
    from irnas.tracking.optuna_study import write_study

    study, number = write_study(Run.read(run), storage, name)
    typer.echo(f"{run}: its {number} trials are the study {study} in {redact_credentials(storage)}")


@app.command("register")
def register(
    run: RunUri,
    key: Key,
    name: Annotated[
        str | None, typer.Option(help="The model whose next version this is.", show_default="the space")
    ] = None,
    alias: Annotated[str, typer.Option(help="What that version is called from now on.")] = "champion",
    format: Annotated[str, typer.Option(help="xnor or onnx.")] = "xnor",
    images: Annotated[int, typer.Option(min=1, help="Most validation images to compare on.")] = 64,
    as_json: Json = False,
) -> None:
    """Export a network and register it in MLflow, which can serve it then; no torch is needed there.

    The file is compared with the network first, as `irnas export` does.

      irnas track register runs/biisnet-20261121-101500 best --alias small

      mlflow models serve -m models:/biisnet@small --env-manager local --host 127.0.0.1
    """
    from irnas import storage
    from irnas.deploy.export import source
    from irnas.deploy.export.convert import convert
    from irnas.nn import traits
    from irnas.tracking import registry

    if format not in ("xnor", "onnx"):
        raise SettingsError(f"--format: got {format!r}; must be xnor or onnx")
    registry.check(name or "the space", alias)
    chosen = source.from_run(run, key, None)
    name = name or chosen.origin.name.split()[0]
    exported = convert(chosen, f".{format}", 1, images)
    network = registry.Network(
        run=run,
        key=chosen.origin.trial,
        suffix=f".{format}",
        content=exported.content,
        frames=traits.frames(chosen.network),
        threshold=chosen.origin.threshold,
    )
    version = registry.register(network, name, alias)
    store, uri = storage.redact_credentials(version.tracking_uri), f"models:/{name}@{alias}"
    if as_json:
        number = {"name": name, "version": version.number, "alias": alias, "new": version.is_new, "uri": uri}
        typer.echo(
            json.dumps({**number, "store": store, "key": network.key, "sha256": network.sha256, **exported.document()})
        )
        return
    again = "" if version.is_new else ", registered before"
    typer.echo(
        f"{name} version {version.number} is {alias} in {store}: {network.key}, {len(exported.content)} bytes{again}\n"
        f"MLFLOW_TRACKING_URI={store} mlflow models serve -m {uri} --env-manager local --host 127.0.0.1"
    )
