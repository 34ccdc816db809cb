"""Arguments and options that many commands share."""

from __future__ import annotations

import math
from typing import Annotated

import typer

from irnas.cli.completion import complete_keys, complete_runs
from irnas.core.errors import SettingsError

RunUri = Annotated[str, typer.Argument(metavar="RUN", help="Folder or URI of a run.", autocompletion=complete_runs)]
Key = Annotated[
    str,
    typer.Argument(
        metavar="KEY",
        help="A network's key or its beginning, a trial's number, 'best', or 'knee'.",
        autocompletion=complete_keys,
    ),
]


def finite(parameter: typer.CallbackParam, value: float | None) -> float | None:
    """Refuse a number that is none, which no range keeps out.

    Raises:
        SettingsError: it is infinite, or not a number.
    """
    if value is not None and not math.isfinite(value):
        raise SettingsError(f"{parameter.opts[0]}: got {value}; must be a finite number")
    return value


Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Endpoint = Annotated[
    str | None, typer.Option(help="S3 server.", show_default="AWS_ENDPOINT_URL, a profile's, or Amazon's")
]
