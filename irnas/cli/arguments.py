"""Arguments and options that many commands share."""

from __future__ import annotations

from typing import Annotated

import typer

RunUri = Annotated[str, typer.Argument(metavar="RUN", help="Folder or URI of a run.")]
Key = Annotated[
    str,
    typer.Argument(metavar="KEY", help="A network's key or its beginning, a trial's number, 'best', or 'knee'."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Endpoint = Annotated[
    str | None, typer.Option(help="S3 server.", show_default="AWS_ENDPOINT_URL, a profile's, or Amazon's")
]
