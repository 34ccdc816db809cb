"""The finalists of a search, trained again with other seeds: how much of a front is luck.

One training of a small network is a noisy sample; the best of many is also the luckiest of many. So the networks of the
front are trained again, and from then on count with the mean over all of their trainings.
"""

from __future__ import annotations

from collections.abc import Sequence

from irnas.core.front import Bounds, Front
from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.requirement import Requirement
from irnas.core.result import Result, Status
from irnas.core.settings import trial_seed
from irnas.record.events import Repeated
from irnas.search.session import Session
from irnas.search.strategy import Decision
from irnas.training.checkpoint import delete_checkpoint
from irnas.training.trial import Assignment, Report


class Finals:
    """What an executor works through after a session; a ``Stage``."""

    def __init__(self, session: Session, finalists: Sequence[Result]) -> None:
        """Train each of ``finalists`` until ``settings.seeds`` trainings of it are on record, its own included."""
        self._session = session
        settings, trials = session.settings, session.run.trials
        self._waiting: list[Assignment] = []
        for number in range(1, settings.seeds):
            for result in finalists:
                seed = trial_seed(settings.seed_of_trainings + number, result.key)
                if seed not in {r.seed for r in trials[result.trial].replicates}:
                    self._waiting.append(session.repeat(result, number))
        self._running: dict[tuple[int, int], Assignment] = {}
        self.stop_reason = ""
        """See ``Stage.stop_reason``."""

    def next(self) -> Assignment | None:
        """See ``Stage.next``."""
        if not self._waiting:
            self.stop_reason = "all finalists are trained again"
            return None
        assignment = self._waiting.pop(0)
        self._running[assignment.trial, assignment.replicate] = assignment
        return assignment

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        """Each of them is trained to its end."""
        return Decision.CONTINUE

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        """See ``Stage.retry``."""
        self._session.retry(trial, error)

    def finish(self, result: Result, replicate: int = 0) -> None:
        """Record what a finalist came to this time; one that failed is left out."""
        assignment = self._running.pop((result.trial, replicate), None)
        if assignment is None:
            return
        if result.status is Status.OK:
            self._session.record(repeated(result, replicate))
        # After the record: a kill in between costs nothing but a file.
        delete_checkpoint(assignment.checkpoint)

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        """A finalist that cannot be trained again keeps the trainings that it has."""


def repeated(result: Result, replicate: int) -> Repeated:
    """The event that a network's further training ended in that result."""
    metrics = {n: v for n, v in result.values.items() if n in OBJECTIVES and not OBJECTIVES[n].is_free}
    return Repeated(
        trial=result.trial,
        key=result.key,
        seed=result.seed,
        replicate=replicate,
        seconds=result.seconds,
        values=metrics,
    )


def choose_finalists(
    results: Sequence[Result],
    objectives: Sequence[Objective],
    bounds: Bounds,
    number: int,
    requirements: Sequence[Requirement] = (),
) -> list[Result]:
    """At most ``number`` of the front: while there are more, the one without which least hypervolume is lost goes."""
    kept = list(Front.of(results, objectives, requirements).results)
    while len(kept) > number:
        rest = [[r for r in kept if r is not out] for out in kept]
        kept = max(rest, key=lambda some: Front.of(some, objectives).hypervolume(bounds))
    return kept
