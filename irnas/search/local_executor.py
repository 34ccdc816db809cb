"""The sequential executor: one trial after the other in this process; the reference for the others."""

from __future__ import annotations

from irnas.core.result import Result
from irnas.search.finalists import Finals
from irnas.search.session import Session
from irnas.training.trial import evaluate


def run(session: Session | Finals) -> None:
    """Work through a session until it hands out no more."""
    while (assignment := session.next()) is not None:
        for found in evaluate(assignment):
            if isinstance(found, Result):
                session.finish(found)
            elif session.report(assignment.trial, found):
                break
