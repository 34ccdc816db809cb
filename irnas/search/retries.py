"""A session as it is seen from where workers die: a trial whose worker is lost is handed out again.

The executor has ids of its own for what it starts, a new one each time; here they find their trials.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import Any

from irnas.core.result import Result
from irnas.search.finalists import Finals
from irnas.search.session import Session
from irnas.training.trial import Assignment, Report

MAX_RETRIES = 2
"""Times a trial is started again after its worker died, unless it got further in between."""


class Relay:
    """Between an executor and a session; keeps the first error that the session raises."""

    def __init__(self, session: Session | Finals) -> None:
        self._session = session
        self._given: dict[str, Assignment] = {}
        """By the executor's id, what is at work."""
        self._again: list[Assignment] = []
        """Those whose worker died, to be handed out before all others."""
        self._deaths: collections.Counter[tuple[int, int]] = collections.Counter()
        """By trial and seed, since it last reported."""
        self._accused: dict[str, str] = {}
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its plug-ins for a restore that never happens here; an empty shell serves it.
        return {}

    def ask(self, name: str) -> Assignment | None:
        """What the executor is to start under that id; None for nothing now."""
        found = self._again.pop(0) if self._again else self.guard(self._session.next)
        if isinstance(found, Assignment):
            self._given[name] = found
            return found
        return None

    @property
    def is_over(self) -> bool:
        """Whether nothing more will come: what is at work may yet lose its worker, so it must have ended."""
        return bool(self._session.stop_reason) and not self._given and not self._again

    def take(self, name: str, found: Report | Result) -> bool:
        """Pass on what a trial says; True where its worker is to let it go."""
        if isinstance(found, Result):
            self.guard(lambda: self._session.finish(found))
            is_over = True
        else:
            given = self._given[name]
            self._deaths.pop((given.trial, given.seed), None)
            is_over = bool(self.guard(lambda: self._session.report(given.trial, found)))
        if is_over:
            self._given.pop(name, None)
        return is_over

    def accuse(self, name: str, error: str) -> None:
        """Say beforehand why a worker is about to die."""
        self._accused[name] = error

    def lose(self, name: str) -> None:
        """Its worker is dead: the trial goes on elsewhere from its checkpoint, or is given up."""
        given = self._given.pop(name, None)
        if given is None:
            return
        error = self._accused.pop(name, "its worker died")
        self._deaths[given.trial, given.seed] += 1
        deaths = self._deaths[given.trial, given.seed]
        if deaths > MAX_RETRIES:
            self.guard(lambda: self._session.fail(given.trial, f"{error}, {deaths} times without an epoch in between"))
        else:
            self.guard(lambda: self._session.retry(given.trial, f"{error}; started again from its checkpoint"))
            self._again.append(given)

    def guard(self, call: Callable[[], object]) -> object:
        """The call's result; its error is kept, as Tune wraps whatever its plug-ins raise."""
        try:
            return call()
        except Exception as error:
            self.error = self.error or error
            raise
