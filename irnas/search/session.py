"""What every executor does in the same way: hand out trials, take in what they say, keep the record, know when to stop.

An executor (ray, sequential, simulated) calls ``next``, ``report``, ``retry`` and ``finish`` from one thread and owns
nothing but time and place.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irnas import storage
from irnas.errors import SettingsError
from irnas.objective import OBJECTIVES
from irnas.result import Result, Status
from irnas.search.strategy import Proposal, Strategy
from irnas.settings import SearchSettings, trial_seed
from irnas.trial import Assignment, Report

Record = Callable[[str, Mapping[str, Any]], object]
"""Writes one event (kind, fields) durably before it returns."""

MAX_REFUSED_IN_A_ROW = 400
MAX_FAILED_IN_A_ROW = 5
MAX_FAILED_SHARE = 0.2
"""Of the trials so far, once there are at least ``MAX_FAILED_IN_A_ROW`` failures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a run keeps its things and what it was started on."""

    uri: str
    dataset: str
    data_rev: str
    code_rev: str


class Session:
    """One search in progress."""

    def __init__(self, strategy: Strategy, settings: SearchSettings, place: Place, record: Record) -> None:
        self._strategy, self._settings, self._place, self._record = strategy, settings, place, record
        self._pending: list[Proposal] = []
        self._running: dict[int, Assignment] = {}
        self._finished: dict[int, Result] = {}
        self._failed_in_a_row = 0
        self.stop_reason = ""
        """Why no further trial is handed out; empty while there may be one."""
        self.gave_up = False
        """Whether that is because too many failed."""

    def restore(self, proposals: Sequence[Proposal], results: Sequence[Result]) -> None:
        """Take up a recorded search: finished trials stay finished, the others are handed out again, first."""
        self._strategy.restore(proposals, results)
        self._finished = {r.trial: r for r in results}
        self._pending = [p for p in proposals if p.trial not in self._finished]
        for result in results:
            self._count_failure(result)

    @property
    def results(self) -> list[Result]:
        """The finished trials, refused ones included, in the order in which they finished."""
        return list(self._finished.values())

    @property
    def num_trained(self) -> int:
        """Finished trials that were trained."""
        return sum(r.status is not Status.REJECTED for r in self._finished.values())

    def next(self) -> Assignment | None:
        """The next trial to run; None when no more is to be started now (see ``stop_reason``).

        Raises:
            SettingsError: the limits refuse every network that was tried.
        """
        if self.stop_reason or self.num_trained + len(self._running) >= self._settings.trials:
            self.stop_reason = self.stop_reason or "all trials are handed out"
            return None
        proposal = self._pending.pop(0) if self._pending else self._propose()
        if proposal is None:
            self.stop_reason = self.stop_reason or "the space has no further point"
            return None
        assignment = self._assign(proposal)
        self._running[proposal.trial] = assignment
        return assignment

    def report(self, trial: int, report: Report) -> bool:
        """Record what a trial says after an epoch; True when it is stopped, and thereby finished."""
        event = {"trial": trial, "epoch": report.epoch, "values": dict(report.values), "seconds": report.seconds}
        self._record("reported", event)
        if not self._strategy.observe(trial, report.epoch, report.values):
            return False
        metrics = {name: value for name, value in report.values.items() if name in OBJECTIVES}
        assignment = self._running[trial]
        self.finish(assignment.result(Status.STOPPED, metrics, epochs=report.epoch, seconds=report.seconds))
        return True

    def retry(self, trial: int, error: str) -> None:
        """Record that a trial lost its worker and is started again from its checkpoint."""
        self._record("retried", {"trial": trial, "error": error})

    def finish(self, result: Result) -> None:
        """Record a trial's end. A trial that already has one keeps the first."""
        if result.trial in self._finished:
            return
        self._record("finished", {"result": result.document()})
        assignment = self._running.pop(result.trial, None)
        if assignment:
            storage.remove(assignment.checkpoint)
        self._finished[result.trial] = result
        self._strategy.tell(result)
        self._count_failure(result)

    def fail(self, trial: int, error: str) -> None:
        """Record that a trial ended without a result of its own."""
        assignment = self._running.get(trial)
        if assignment:
            self.finish(assignment.result(Status.FAILED, {}, epochs=0, seconds=0.0, error=error))

    def _propose(self) -> Proposal | None:
        refused: list[Proposal] = []
        while len(refused) < MAX_REFUSED_IN_A_ROW and (proposal := self._strategy.ask()) is not None:
            self._record("proposed", proposal.document())
            if not proposal.refused:
                return proposal
            refused.append(proposal)
            rejected = self._assign(proposal).result(
                Status.REJECTED, {}, epochs=0, seconds=0.0, note=proposal.refused
            )  # fmt: skip
            self.finish(rejected)
        if refused and not self.num_trained + len(self._running):
            name = collections.Counter(p.refused.partition(":")[0] for p in refused).most_common(1)[0][0]
            limit = self._settings.limits[name]
            least = min(p.costs[name] for p in refused)
            raise SettingsError(
                f"limit {name}: got {limit:g}; must admit some network: the smallest of {len(refused)} has {least:g}"
            )
        if len(refused) == MAX_REFUSED_IN_A_ROW:
            self.stop_reason = f"{len(refused)} networks in a row broke a limit"
        return None

    def _assign(self, proposal: Proposal) -> Assignment:
        settings, place = self._settings, self._place
        return Assignment(
            trial=proposal.trial, genotype=proposal.genotype, costs=proposal.costs,
            seed=trial_seed(settings.seed_of_trainings, proposal.genotype.key), dataset=place.dataset, data_rev=place.data_rev,
            code_rev=place.code_rev, budget=settings.budget, recipe=settings.recipe, preset=settings.preset,
            uri=place.uri,
        )  # fmt: skip

    def _count_failure(self, result: Result) -> None:
        if result.status is Status.REJECTED:
            return
        self._failed_in_a_row = self._failed_in_a_row + 1 if result.status is Status.FAILED else 0
        errors = [r.error for r in self._finished.values() if r.status is Status.FAILED]
        too_many = len(errors) >= MAX_FAILED_IN_A_ROW and len(errors) > MAX_FAILED_SHARE * self.num_trained
        if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW or too_many:
            self.gave_up = True
            commonest, times = collections.Counter(errors).most_common(1)[0]
            self.stop_reason = f"{len(errors)} of {self.num_trained} trials failed, {times} with: {commonest}"
