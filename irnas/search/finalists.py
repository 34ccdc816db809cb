"""The finalists of a search, trained again with other seeds: how much of a front is luck.

One training of a small network is a noisy sample; the best of many is also the luckiest of many. So the networks of the
front are trained again, and from then on count with the mean over all of their trainings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from irnas.core.front import Bounds, Front
from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.result import Result, Status
from irnas.core.settings import trial_seed
from irnas.search.session import Session
from irnas.training.checkpoint import delete_checkpoint
from irnas.training.trial import Assignment, Report


class Finals:
    """What an executor works through after a session, in the same way."""

    def __init__(self, session: Session, finalists: Sequence[Result], events: Iterable[Mapping[str, Any]]) -> None:
        """Train each of ``finalists`` until ``settings.seeds`` trainings of it are on record, its own included."""
        self._session, self._settings = session, session.settings
        known = {(e["key"], e["seed"]) for e in events if e["kind"] == "repeated"}
        self._waiting: list[Assignment] = []
        for number in range(1, self._settings.seeds):
            for result in finalists:
                seed = trial_seed(self._settings.seed_of_trainings + number, result.key)
                if (result.key, seed) not in known:
                    self._waiting.append(session.again(result, seed, number))
        self._running: dict[int, Assignment] = {}
        self.stop_reason = ""
        """See ``Session.stop_reason``."""

    def next(self) -> Assignment | None:
        """See ``Session.next``."""
        if not self._waiting:
            self.stop_reason = "all finalists are trained again"
            return None
        assignment = self._waiting.pop(0)
        self._running[assignment.seed] = assignment
        return assignment

    def report(self, trial: int, report: Report) -> bool:
        """Each of them is trained to its end."""
        return False

    def retry(self, trial: int, error: str) -> None:
        """See ``Session.retry``."""
        self._session.retry(trial, error)

    def finish(self, result: Result) -> None:
        """Record what a finalist came to this time; one that failed is left out."""
        assignment = self._running.pop(result.seed, None)
        if assignment is None:
            return
        delete_checkpoint(assignment.checkpoint)
        if result.status is Status.OK:
            metrics = {n: v for n, v in result.values.items() if n in OBJECTIVES and not OBJECTIVES[n].is_free}
            event = {"trial": result.trial, "key": result.key, "seed": result.seed, "seconds": result.seconds}
            self._session.record("repeated", {**event, "values": metrics})

    def fail(self, trial: int, error: str) -> None:
        """A finalist that cannot be trained again keeps the trainings that it has."""


def choose(results: Sequence[Result], objectives: Sequence[Objective], bounds: Bounds, number: int) -> list[Result]:
    """At most ``number`` of the front: while there are more, the one without which least hypervolume is lost goes."""
    kept = list(Front.of(results, objectives).results)
    while len(kept) > number:
        rest = [[r for r in kept if r is not out] for out in kept]
        kept = max(rest, key=lambda some: Front.of(some, objectives).hypervolume(bounds))
    return kept
