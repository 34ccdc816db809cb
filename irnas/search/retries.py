"""What happens to a trial whose worker died: it is handed out again, and given up where it kills one worker after
another.

An executor has an id of its own for everything that it starts, a new one each time; the supervisor knows the trials
behind those ids.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any, TypeVar

from irnas.core.result import Result
from irnas.search.stage import Stage
from irnas.search.strategy import Decision
from irnas.training.trial import Assignment, Report

T = TypeVar("T")

MAX_RETRIES = 2
"""Times a trial is started again after its worker died, unless it got further in between."""


class TrialSupervisor:
    """Stands between an executor whose workers may die and a stage; keeps the first error that the stage raises."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._running: dict[str, Assignment] = {}
        """What runs, by the executor's id."""
        self._lost: list[Assignment] = []
        """Trials whose worker died, to be handed out before all others."""
        self._deaths: collections.Counter[tuple[int, int]] = collections.Counter()
        """Dead workers by trial and replicate, since it last reported."""
        self._causes: dict[str, str] = {}
        """Why a worker is about to die, by the executor's id."""
        self._blameless: set[str] = set()
        """Ids of trials that others may have made die."""
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its plug-ins for a restore that never happens here; an empty shell serves it.
        return {}

    def next_assignment(self, name: str) -> Assignment | None:
        """What the executor is to start under the id ``name``; None for nothing now."""
        assignment = self._lost.pop(0) if self._lost else self.keep_error(self._stage.next)
        if assignment is not None:
            self._running[name] = assignment
        return assignment

    @property
    def num_running(self) -> int:
        """What was handed out and is at work."""
        return len(self._running)

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: what still runs may yet lose its worker, so it must have ended."""
        return bool(self._stage.stop_reason) and not self._running and not self._lost

    def on_result(self, name: str, outcome: Report | Result) -> bool:
        """Pass on what a trial says; True when its worker becomes free: the trial has ended or is paused."""
        running = self._running[name]
        if isinstance(outcome, Result):
            self.keep_error(lambda: self._stage.finish(outcome, running.replicate))
            is_free = True
        else:
            self._deaths.pop((running.trial, running.replicate), None)
            decision = self.keep_error(lambda: self._stage.report(running.trial, outcome, running.replicate))
            is_free = decision is Decision.PAUSE
        if is_free:
            self._running.pop(name, None)
        return is_free

    def expect_loss(self, name: str, cause: str, *, is_blameless: bool = False) -> None:
        """Note beforehand why a worker is about to die, and whether that counts against its trial."""
        self._causes[name] = cause
        if is_blameless:
            self._blameless.add(name)

    def on_worker_lost(self, name: str) -> None:
        """Start the trial of a dead worker again from its checkpoint, or give it up after ``MAX_RETRIES``."""
        assignment = self._running.pop(name, None)
        if assignment is None:
            return
        cause, trial, replicate = self._causes.pop(name, "its worker died"), assignment.trial, assignment.replicate
        self._deaths[trial, replicate] += name not in self._blameless
        deaths = self._deaths[trial, replicate]
        if deaths > MAX_RETRIES:
            error = f"{cause}, {deaths} times without an epoch in between"
            self.keep_error(lambda: self._stage.fail(trial, error, replicate))
        else:
            again = f"{cause}; started again from its checkpoint"
            self.keep_error(lambda: self._stage.retry(trial, again, replicate))
            self._lost.append(assignment)

    def keep_error(self, call: Callable[[], T]) -> T:
        """The call's result; its error is kept, as Tune wraps whatever its plug-ins raise."""
        try:
            return call()
        except Exception as error:
            self.error = self.error or error
            raise
