"""The sequential executor: one trial after the other in this process; the reference for the others."""

from __future__ import annotations

from irnas.core.result import Result
from irnas.search.stage import Stage
from irnas.search.strategy import Decision
from irnas.training.trial import evaluate


def run(stage: Stage, *, on_gpu: bool = False) -> None:
    """Work through a stage until it hands out no more, on the first GPU where it is to be ``on_gpu``."""
    while (assignment := stage.next()) is not None:
        for outcome in evaluate(assignment, on_gpu=on_gpu):
            if isinstance(outcome, Result):
                stage.finish(outcome, assignment.replicate)
            elif stage.report(assignment.trial, outcome, assignment.replicate) is Decision.PAUSE:
                break
