"""`irnas publish`: a run to S3."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from irnas.cli.arguments import Endpoint, Json
from irnas.cli.console import progress_bars


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

    with progress_bars(is_bytes=True) as progress:
        done = transfer.publish(run, uri, exports=export or (), endpoint_url=endpoint_url, progress=progress)
    manifest = done.publication
    if as_json:
        facts = {"uri": uri, "revision": manifest.revision, "files": len(manifest.files), "bytes": manifest.size_bytes}
        typer.echo(json.dumps({**facts, "sent": done.num_sent, "is_new": done.is_new}))
        return
    state = "published" if done.is_new else "already published"
    typer.echo(
        f"{uri}: {state}, {len(manifest.files)} files, {manifest.size_bytes} bytes, {done.num_sent} sent; "
        f"revision {manifest.revision}"
    )
