"""The sequential executor: one trial after the other in this process; the reference for the others."""

from __future__ import annotations

from irnas.core.result import Result
from irnas.search.stage import Stage
from irnas.search.strategy import Decision
from irnas.training.trial import evaluate


def run(stage: Stage) -> None:
    """Work through a stage until it hands out no more."""
    while (assignment := stage.next()) is not None:
        for outcome in evaluate(assignment):
            if isinstance(outcome, Result):
                stage.finish(outcome, assignment.replicate)
            elif stage.report(assignment.trial, outcome, assignment.replicate) is Decision.PAUSE:
                break
