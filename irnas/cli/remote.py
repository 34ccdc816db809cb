"""`irnas publish` and `irnas fetch`: runs to S3 and back."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import typer

Endpoint = Annotated[
    str | None, typer.Option(help="S3 server.", show_default="AWS_ENDPOINT_URL, a profile's, or Amazon's")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def publish(
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, also of one that is going on.")],
    uri: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="Where to; a prefix for this run alone.")],
    export: Annotated[
        list[Path] | None, typer.Option("--export", help="Publish this exported network too. Repeatable.")
    ] = None,
    endpoint_url: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Publish the record, results, report and weights of a run on S3.

    Others see all of it or nothing: the list of files is written last. What is there already is not sent again, so
    after an interruption the same command goes on. Credentials come from the AWS_* variables, a profile or a role.

      irnas publish runs/biisnet-20261121-101500 s3://bucket/biisnet --export winner.xnor
    """
    from irnas.publish import transfer

    with _progress() as progress:
        done = transfer.publish(run, uri, exports=export or (), endpoint_url=endpoint_url, progress=progress)
    found = done.publication
    if as_json:
        facts = {"uri": uri, "revision": found.revision, "files": len(found.files), "bytes": found.size_bytes}
        typer.echo(json.dumps({**facts, "sent": done.num_sent, "is_new": done.is_new}))
        return
    state = "published" if done.is_new else "already published"
    typer.echo(
        f"{uri}: {state}, {len(found.files)} files, {found.size_bytes} bytes, {done.num_sent} sent; "
        f"revision {found.revision}"
    )


def fetch(
    uri: Annotated[str, typer.Argument(metavar="s3://BUCKET/PREFIX", help="Where a run was published.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A new folder.", show_default="runs/NAME")
    ] = None,
    endpoint_url: Endpoint = None,
    as_json: Json = False,
) -> None:
    """Fetch a published run to a new folder, every byte checked.

    The folder appears when it is whole; after an interruption the same command goes on.
    """
    from irnas.publish import transfer

    with _progress() as progress:
        folder, found = transfer.fetch(uri, output, endpoint_url=endpoint_url, progress=progress)
    if as_json:
        facts = {"folder": str(folder), "revision": found.revision, "files": len(found.files)}
        typer.echo(json.dumps({**facts, "bytes": found.size_bytes}))
        return
    typer.echo(f"{folder}: {len(found.files)} files, {found.size_bytes} bytes; revision {found.revision}")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar of bytes on stderr; nothing where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bars:
        task = bars.add_task("looking", total=None)

        def report(what: str, done: int, total: int) -> None:
            bars.update(task, description=what, completed=done, total=total)

        yield report
