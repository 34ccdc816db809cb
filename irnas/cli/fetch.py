"""`irnas fetch`: a published run from S3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from irnas.cli.arguments import Endpoint, Json
from irnas.cli.console import progress_bars


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

    with progress_bars(is_bytes=True) as progress:
        folder, manifest = transfer.fetch(uri, output, endpoint_url=endpoint_url, progress=progress)
    if as_json:
        facts = {"folder": str(folder), "revision": manifest.revision, "files": len(manifest.files)}
        typer.echo(json.dumps({**facts, "bytes": manifest.size_bytes}))
        return
    typer.echo(f"{folder}: {len(manifest.files)} files, {manifest.size_bytes} bytes; revision {manifest.revision}")
