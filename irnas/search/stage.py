"""What an executor works through: a search, the trainings of its finalists with other seeds, or given trainings.

Several trainings of one network may run side by side: ``replicate`` tells them apart, 0 being the trial's own.
"""

from __future__ import annotations

from typing import Protocol

from irnas.core.result import Result
from irnas.search.strategy import Decision
from irnas.training.trial import Assignment, Report


class Stage(Protocol):
    """Hands out trials and takes in what they report; an executor calls it from one thread."""

    @property
    def stop_reason(self) -> str:
        """Why no further trial is handed out; empty while there may be one."""

    def next(self) -> Assignment | None:
        """Hand out the next trial; None when no trial is to be started now (see ``stop_reason``)."""

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        """Take in what a trial reports after an epoch; ``Decision.PAUSE`` when its worker becomes free."""

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        """Take in that a trial lost its worker, for the reason ``error``, and is started again."""

    def finish(self, result: Result, replicate: int = 0) -> None:
        """Take in the result with which a trial ended."""

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        """Take in that a trial ended without a result of its own, for the reason ``error``."""
