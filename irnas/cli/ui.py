"""`irnas ui`: the pages of MLflow on the runs of a folder."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from irnas.core.errors import SettingsError


def ui(
    folder: Annotated[Path, typer.Argument(help="The folder that holds the runs.")] = Path("runs"),
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port on this machine.")] = 5000,
) -> None:
    """Open MLflow's pages on the runs in a folder, on this machine only; Ctrl-C ends it."""
    from irnas import storage
    from irnas.tracking import client
    from irnas.tracking.database import DATABASE, newest_experiment

    server = os.environ.get("MLFLOW_TRACKING_URI", "")
    if server.startswith(("http://", "https://")):
        typer.echo(f"MLflow is served at {storage.redact_credentials(server)} (MLFLOW_TRACKING_URI)")
        return
    command = ui_command(folder, port)
    client.set_environment()
    # MLflow's own start-up lines name the address too, but only after several seconds.
    # It begins with its pages for language models, unless told otherwise.
    experiment = newest_experiment(folder.absolute() / DATABASE)
    place = f"experiments/{experiment}/runs" if experiment else "experiments"
    page = f"http://127.0.0.1:{port}/#/{place}?workflowType=machine_learning"
    typer.echo(f"MLflow on {folder}: {page} (ready in some seconds; Ctrl-C ends it)")
    sys.stdout.flush()
    os.execv(command[0], command)


def ui_command(folder: Path, port: int) -> list[str]:
    """The command that serves MLflow's pages on this machine for the searches in a folder.

    Raises:
        SettingsError: no search in that folder was ever mirrored.
    """
    from irnas.tracking.database import ARTIFACT_FOLDER, DATABASE, damage_of, sqlite_uri

    database = folder.absolute() / DATABASE
    if not database.is_file():
        raise SettingsError(f"ui: got {str(folder)!r} without {DATABASE}; must be a folder of runs, as 'runs' is")
    if damage := damage_of(database):
        raise SettingsError(f"ui: got {damage} in {database}; must be made anew (irnas track rebuild {folder}/RUN)")
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
        sqlite_uri(database),
        "--artifacts-destination",
        str(database.parent / ARTIFACT_FOLDER),
    ]
