"""Networks that are given, each trained in full with several seeds, all side by side; a ``Stage``.

It is a search without a search: the same record, executors and checkpoints. The first training of a network is its
trial (``Finished``), the further ones are its replicates (``Repeated``).
"""

from __future__ import annotations

import collections
import itertools
from collections.abc import Sequence

from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.record.events import Event, Finished, Proposed, Reported, Retried
from irnas.record.run import Run
from irnas.search.assign import Place, make_assignment
from irnas.search.finalists import repeated
from irnas.search.session import Append
from irnas.search.strategy import Decision
from irnas.training.checkpoint import delete_checkpoint
from irnas.training.trial import Assignment, Report


class Trainings:
    """What an executor works through: every network of a run with every seed."""

    def __init__(self, run: Run, place: Place, append: Append, networks: Sequence[Proposal] = ()) -> None:
        """Begin, or go on with what has not come to its end.

        Args:
            run: the run so far; it is kept up to date here.
            place: where things are kept.
            append: writes an event to the record.
            networks: those to train; the ones on record already are not recorded again.
        """
        self.run, self._place, self._append = run, place, append
        for proposal in networks:
            if proposal.trial not in run.trials:
                self.record(Proposed(proposal=proposal))
        # Seed by seed: whoever looks early sees something of every network.
        self._waiting = collections.deque(
            (trial.proposal, replicate)
            for replicate, trial in itertools.product(range(run.settings.seeds), run.trials.values())
            if trial.is_unfinished(replicate)
        )
        self._running: dict[tuple[int, int], Assignment] = {}
        self._failures = [
            _failure(trial.key, 0, trial.finished.result.error)
            for trial in run.trials.values()
            if trial.finished and trial.finished.result.status is Status.FAILED
        ]
        self.stop_reason = ""
        """Why no further training is handed out; empty while there may be one."""

    @property
    def gave_up(self) -> bool:
        """Whether a training did not come to its end."""
        return bool(self._failures)

    def record(self, event: Event) -> None:
        """Write an event to the record, and take it up."""
        self._append(event)
        self.run.add(event)

    def next(self) -> Assignment | None:
        """The next training; None when none is left (see ``stop_reason``)."""
        if not self._waiting:
            self.stop_reason = self._outcome()
            return None
        proposal, replicate = self._waiting.popleft()
        assignment = make_assignment(self.run, self._place, proposal, replicate)
        self._running[assignment.trial, replicate] = assignment
        return assignment

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        """Record what a training says after an epoch; it is trained to its end."""
        self.record(
            Reported(
                trial=trial,
                epoch=report.epoch,
                values=dict(report.values),
                seconds=report.seconds,
                paused=False,
                replicate=replicate,
                trained_on=report.trained_on,
                fused=report.fused,
            )
        )
        return Decision.CONTINUE

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        """Record that a training lost its worker and is started again from its checkpoint."""
        which = f"training {replicate + 1}: " if replicate else ""
        self.record(Retried(trial=trial, error=which + error))

    def finish(self, result: Result, replicate: int = 0) -> None:
        """Record a training's end. One that has ended already keeps the first end.

        A further training that failed leaves no trace but the reason for which the run was closed: when the run is
        resumed, it is trained again.
        """
        assignment = self._running.pop((result.trial, replicate), None)
        if assignment is None:
            return
        if result.status is Status.FAILED:
            self._failures.append(_failure(result.key, replicate, result.error))
        if not replicate:
            self.record(Finished(result=result))
        elif result.status is Status.OK:
            self.record(repeated(result, replicate))
        # After the record: a kill in between costs nothing but a file.
        delete_checkpoint(assignment.checkpoint)
        self._settle()

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        """Leave a training open whose workers died: when the run is resumed, it goes on from its checkpoint."""
        assignment = self._running.pop((trial, replicate), None)
        if assignment is not None:
            self._failures.append(_failure(assignment.genotype.key, replicate, error))
        self._settle()

    def _settle(self) -> None:
        """Say anew how it ended: the last trainings end after the last one was handed out."""
        if self.stop_reason:
            self.stop_reason = self._outcome()

    def _outcome(self) -> str:
        total = len(self.run.trials) * self.run.settings.seeds
        if self._failures:
            return f"{len(self._failures)} of {total} trainings failed: {'; '.join(self._failures)}"
        return f"all {total} trainings came to their end" if total > 1 else "the training came to its end"


def _failure(key: str, replicate: int, error: str) -> str:
    return f"{key}, training {replicate + 1}: {error}"
