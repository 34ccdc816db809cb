"""`irnas why`: the story of one network of a run."""

from __future__ import annotations

import json

import typer

from irnas.cli.arguments import Json, Key, RunUri


def why(uri: RunUri, key: Key, as_json: Json = False) -> None:
    """Say why a network was proposed, paused, continued or dropped, and what dominates it.

    irnas why runs/biisnet-20261121-101500 90c1c867f3fc
    """
    from irnas.record.run import Run
    from irnas.record.selection import select_trial
    from irnas.report.why import explain

    run = Run.read(uri)
    lines = explain(run, key)
    if as_json:
        trial = select_trial(run, key)
        result = trial.finished.result.document() if trial.finished else None
        typer.echo(json.dumps({"trial": trial.number, "key": trial.key, "result": result, "story": lines}))
    else:
        typer.echo("\n".join(lines))
