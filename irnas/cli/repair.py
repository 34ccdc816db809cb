"""`irnas repair`: a damaged record that can be read again."""

from __future__ import annotations

import json

import typer

from irnas.cli.arguments import Json, RunUri

_MAX_LINES = 20


def repair(uri: RunUri, as_json: Json = False) -> None:
    """Repair the record of a run: whole events stay as they are, the original is kept beside it.

    A search whose record was repaired goes on with --resume, and trains again what was lost.
    """
    from irnas.record.repair import repair as repair_record

    done = repair_record(uri)
    if as_json:
        facts = {"kept": done.num_kept, "missing": done.num_missing, "faults": list(done.faults)}
        typer.echo(json.dumps({**facts, "original": done.original or None}))
        return
    if not done.faults:
        typer.echo(f"{uri}: {done.num_kept} events, none of them damaged; nothing is changed")
        return
    for fault in done.faults[:_MAX_LINES]:
        typer.echo(fault)
    if len(done.faults) > _MAX_LINES:
        typer.echo(f"... and {len(done.faults) - _MAX_LINES} more (--json has all)")
    typer.echo(f"{uri}: {done.num_kept} events are whole and kept, {done.num_missing} are lost")
    typer.echo(f"original: {done.original}")
