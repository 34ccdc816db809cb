"""`irnas doctor`: what this installation has and lacks, on one screen."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from irnas.cli.arguments import Json
from irnas.core.errors import TrainingError


def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Train, export and run a tiny network too: about a minute.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Say what this installation has, what it lacks and how to get that; for reports of bugs, too.

    irnas doctor --self-test
    """
    from irnas.workflows.doctor import examine, test_itself

    findings = examine()
    if not as_json:
        for finding in findings:
            _print(finding.subject, finding.text, finding.remedy)
    for finding in test_itself() if self_test else ():
        findings.append(finding)
        if not as_json:
            _print(finding.subject, finding.text, finding.remedy)
    if as_json:
        typer.echo(json.dumps([asdict(finding) for finding in findings]))
    if findings[-1].text == "failed":
        raise TrainingError(f"doctor: got an installation that {findings[-1].subject} nothing; must do all three")


def _print(subject: str, text: str, remedy: str) -> None:
    typer.echo(f"{subject:<13} {text}")
    if remedy:
        typer.echo(f"{'':<13} -> {remedy}")
