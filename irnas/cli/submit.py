"""`irnas submit`: a search as a job of a Ray cluster, and how it is."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.core.errors import SettingsError
from irnas.core.recipe import RECIPE_NAMES
from irnas.core.settings import NODE

if TYPE_CHECKING:
    from irnas.cli.options import SearchOptions
    from irnas.cluster.job import State

_WHICH, _LOOK = "Which irnas runs there", "Jobs that were sent"


def submit(
    address: Annotated[str, typer.Option(help="The cluster's job server: http://HEAD:8265.")],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- search OPTIONS", help="As it would be typed on the cluster.")
    ] = None,
    var: Annotated[
        list[str] | None, typer.Option(help="NAME=VALUE, or NAME as it is here, for the job. No secrets. Repeatable.")
    ] = None,
    no_follow: Annotated[bool, typer.Option("--no-follow", help="Print the job's id, and do not wait for it.")] = False,
    wheel: Annotated[
        Path | None,
        typer.Option(help="Send this wheel.", show_default="one made of the irnas here", rich_help_panel=_WHICH),
    ] = None,
    pip: Annotated[
        bool,
        typer.Option(
            "--pip", help="Nodes install the wheel and what it needs: for nodes with bare Ray.", rich_help_panel=_WHICH
        ),
    ] = False,
    no_env: Annotated[
        bool, typer.Option("--no-env", help="Send nothing: nodes have irnas, in an image.", rich_help_panel=_WHICH)
    ] = False,
    status: Annotated[str | None, typer.Option(metavar="JOB", help="Say how it is.", rich_help_panel=_LOOK)] = None,
    logs: Annotated[
        str | None, typer.Option(metavar="JOB", help="Print its log, and follow it.", rich_help_panel=_LOOK)
    ] = None,
    stop: Annotated[str | None, typer.Option(metavar="JOB", help="End it.", rich_help_panel=_LOOK)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Send a search to a Ray cluster as a job, and follow its log.

    The job needs you no more: Ctrl-C, or a closed lid, ends the following and not the search. The record belongs on
    storage that all nodes share, so --run (or --resume) must be a URI or an absolute path, as must a data set.

      irnas submit --address http://127.0.0.1:8265 -- search --run s3://bucket/first --trials 100

      irnas submit --address http://127.0.0.1:8265 --logs JOB

    MLflow follows where --var MLFLOW_TRACKING_URI=... names a server, or the nodes' environment does; `irnas track
    rebuild RUN` mirrors the record of a run later, from anywhere.

    Whoever reaches a job server can run any program on its cluster, so it should listen on loopback, be reached through
    a tunnel (`ray dashboard`, `kubectl port-forward`), and ask for a token: that in ~/.ray/auth_token, or in the file
    that RAY_AUTH_TOKEN_PATH names. RAY_AUTH_MODE=disabled is for clusters without one. A token or a password never
    becomes part of a job; the nodes get what they need from a role, a file, or a mounted secret.
    """
    # Set before Ray is loaded, which reads it once.
    os.environ.setdefault("RAY_AUTH_MODE", "token")
    actions = {"status": status, "logs": logs, "stop": stop, "a command": command}
    chosen = [name for name, value in actions.items() if value]
    if len(chosen) != 1:
        raise SettingsError(f"submit: got {' and '.join(chosen) or 'nothing'}; must be one of {', '.join(actions)}")
    if command:
        _send(address, command, var or [], (wheel, pip, no_env), no_follow, as_json)
    elif logs:
        _follow(address, logs, no_follow)
    else:
        _look(address, status or stop or "", stop is not None, as_json)


def _send(
    address: str,
    command: Sequence[str],
    var: Sequence[str],
    which: tuple[Path | None, bool, bool],
    no_follow: bool,
    as_json: bool,
) -> None:
    words = check_command(command)
    from irnas.cluster import job as submission
    from irnas.core import provenance

    variables = submission.variables(var, os.environ)
    is_ours = which[0] is None and not which[2]
    for warning in submission.security_warnings(address):
        _say(f"warning: {warning}")
    with _wheel(*which) as wheel:
        specification = submission.Job(
            words=words,
            wheel=wheel,
            has_pip=which[1],
            variables=variables,
            code_rev=provenance.code_revision() if is_ours else "",
        )
        job = submission.submit(address, specification)
    if as_json:
        typer.echo(json.dumps({"job": job, "address": address}))
    elif no_follow:
        typer.echo(job)
    if no_follow or as_json:
        return
    _say(f"job {job} is on the cluster")
    _follow(address, job)


def _look(address: str, job: str, is_stop: bool, as_json: bool) -> None:
    from irnas.cluster import job as submission

    if is_stop:
        submission.stop(address, job)
        while not submission.state(address, job).is_over:
            time.sleep(0.5)
    state = submission.state(address, job)
    if as_json:
        names = ("job", "status", "message", "entrypoint", "started_s", "ended_s", "exit_code")
        typer.echo(json.dumps({name: getattr(state, name) for name in names}))
    else:
        typer.echo(f"{job} {state.status}: {state.message}")


def _follow(address: str, job: str, is_once: bool = False) -> None:
    from irnas.cluster import job as submission

    again = f"irnas submit --address {address}"
    if is_once:
        typer.echo(submission.log(address, job), nl=False)
        return
    try:
        state = submission.follow(address, job, _pass_on)
    except KeyboardInterrupt:
        _say(f"job {job} goes on; look again: {again} --logs {job}; end it: {again} --stop {job}")
        raise typer.Exit(130) from None
    except SettingsError:
        _say(f"job {job} may go on; look again: {again} --logs {job}")
        raise
    _exit_as(state)


def _exit_as(state: State) -> None:
    """Say how a job ended, and end with the exit status of its search."""
    _say(f"job {state.job} {state.status}: {state.message}")
    if state.status != "SUCCEEDED":
        raise typer.Exit(state.exit_code or 1)


@contextmanager
def _wheel(path: Path | None, has_pip: bool, is_none: bool) -> Iterator[Path | None]:
    """The wheel to send; one that is made for the purpose is gone afterwards."""
    import tempfile

    from irnas.cluster import wheel

    if is_none and (path or has_pip):
        raise SettingsError("no-env: got it with --wheel or --pip; must be alone")
    if is_none or path:
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="irnas-wheel-") as folder:
        yield wheel.make(Path(folder))


def check_command(command: Sequence[str]) -> list[str]:
    """The command with what a job adds, once it is one that can run on any node.

    Raises:
        SettingsError: it is no search, its settings do not hold together, or it names what only this machine has.
    """
    from irnas.cli.options import parse_search

    if command[0] != "search":
        raise SettingsError(f"command: got {command[0]!r}; must be search")
    options, where = parse_search(command[1:])
    if where.address or where.executor != "ray":
        raise SettingsError("command: got --address or --executor; must be without: a job runs on the cluster it is on")
    if not (where.run or where.resume):
        raise SettingsError("run: got none; must be a URI or an absolute path that all nodes of the cluster share")
    for name, uri in (("run", where.run), ("resume", where.resume)):
        if uri:
            _require_shared(name, uri)
    where.make_executor()
    if where.resume:
        where.check_resume()
    else:
        _check_settings(options)
    return [*command, "--address", "auto"]


def _check_settings(options: SearchOptions) -> None:
    """Refuse settings that make no sense, or that not every node of the cluster can read."""
    if options.config is not None:
        if not Path(options.config).is_absolute():
            _refuse("config", options.config, "the absolute path of a file that all nodes share")
        if not Path(options.config).exists():
            # The nodes have that file, and this machine does not: nothing in it can be checked here.
            return
        settings = options.settings()
        options = replace(options, space=settings.space, dataset=settings.dataset, device=settings.device)
    if options.dataset != "synthetic" and not Path(options.dataset).is_absolute():
        _refuse("dataset", options.dataset, "the absolute path of a data folder that all nodes share, or 'synthetic'")
    spaces = options.space.split(",")
    for space in spaces:
        if "/" in space and not Path(space).is_absolute():
            _refuse("space", space, "the name of a space, or an absolute path that all nodes share")
    if any("/" in space and not Path(space).exists() for space in spaces):
        # The nodes have that folder, and this machine does not: of all settings, only its axes cannot be checked here.
        options = replace(options, space="biisnet", axis=None)
    if options.recipe is not None and options.recipe not in RECIPE_NAMES:
        if not Path(options.recipe).is_absolute():
            _refuse(
                "recipe",
                options.recipe,
                f"{', '.join(RECIPE_NAMES)}, or the absolute path of a file that all nodes share",
            )
        if not Path(options.recipe).exists():
            # As with such a space: the nodes have that file.
            options = replace(options, recipe=None)
    device = options.device
    if device and not device.startswith(NODE) and not Path(device).is_absolute():
        _refuse("device", device, "the absolute path of a profile that all nodes share, or node:LABEL")
    _require_buildable(options.settings().space)


def _require_buildable(space: str) -> None:
    """Refuse a space of a user that its family cannot build; those of irnas need no torch to be sent."""
    from irnas.core import catalog

    if not all(catalog.is_shipped(name.strip()) for name in space.split(",")):
        from irnas.training.space_check import require_buildable

        require_buildable(space)


def _require_shared(where: str, uri: str) -> None:
    from irnas import storage

    if storage.redact_credentials(uri) != uri:
        raise SettingsError(f"{where}: got {storage.redact_credentials(uri)!r} with credentials in it; must be without")
    if storage.is_local(uri) and not Path(uri.removeprefix("file://")).is_absolute():
        _refuse(where, uri, "a URI or an absolute path that all nodes of the cluster share")


def _refuse(where: str, got: str, must: str) -> None:
    raise SettingsError(f"{where}: got {got!r}; must be {must}")


def _pass_on(chunk: str) -> None:
    sys.stdout.write(chunk)
    sys.stdout.flush()


def _say(text: str) -> None:
    print(f"irnas: {text}", file=sys.stderr, flush=True)
