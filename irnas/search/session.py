"""What every executor does in the same way: hand out trials, take in what they say, keep the record, know when to stop.

An executor (ray, sequential, simulated) calls ``next``, ``report``, ``retry`` and ``finish`` from one thread and owns
nothing but time and place. A trial that is paused leaves its worker; ``next`` may hand it out again, and it goes on
from its checkpoint.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.objective import OBJECTIVES
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, trial_seed
from irnas.core.text import duration_option
from irnas.search.strategy import Decision, History, Proposal, Strategy
from irnas.search.strategy.belief import Belief
from irnas.training.checkpoint import checkpoint_uri, delete_checkpoint
from irnas.training.trial import Assignment, Report

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
        self._strategy, self.settings, self._place, self.record = strategy, settings, place, record
        self._pending: list[Proposal] = []
        self._running: dict[int, Assignment] = {}
        self._proposals: dict[int, Proposal] = {}
        self._paused: dict[int, Proposal] = {}
        self._promoted: set[int] = set()
        """Trials that are trained to their end whatever the strategy says."""
        self._last: dict[int, Report] = {}
        """The newest report of each trial that has not ended."""
        self._finished: dict[int, Result] = {}
        self._failed_in_a_row = 0
        self._epochs, self._seconds = 0, 0.0
        self._has_nothing = False
        """Whether the strategy had nothing to propose, and has learnt nothing since."""
        self._enough = ""
        """Why nothing more is to be proposed, though not all is spent."""
        self.stop_reason = ""
        """Why no further trial is handed out; empty while there may be one."""
        self.gave_up = False
        """Whether that is because too many failed."""

    def restore(self, history: History) -> None:
        """Take up a recorded search: what is finished or paused stays so, the others are handed out again, first."""
        self._finished = {r.trial: r for r in history.results}
        for seen in history.reports:
            self._spend(seen.trial, Report(epoch=seen.epoch, values=seen.values, seconds=seen.seconds))
        open_ones = [p for p in history.proposals if p.trial not in self._finished]
        self._paused = {p.trial: p for p in open_ones if p.trial in history.paused}
        self._pending = [p for p in open_ones if p.trial not in self._paused]
        self._promoted = set(history.promoted)
        self._strategy.restore(history)
        for result in history.results:
            self._last.pop(result.trial, None)
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
        # What was at work before a restart goes on whatever is spent: so it would have without one.
        reason = self.stop_reason or ("" if self._pending else self._spent())
        proposal = self._pending.pop(0) if self._pending else None if reason else self._propose()
        reason = reason or self._enough
        if proposal is None and reason:
            proposal = self._finalist()
        if proposal is None:
            self._has_nothing = True
            # With finalists, what is at work may yet be paused, and be one.
            if not self._running or (reason and not self.settings.finalists):
                self.stop_reason = reason or self._exhausted()
            return None
        assignment = self._assign(proposal)
        if self._paused.pop(proposal.trial, None):
            belief, promoted = proposal.memory.get("belief", {}), proposal.trial in self._promoted
            self.record("continued", {"trial": proposal.trial, "belief": belief, "promoted": promoted})
        self._running[proposal.trial] = assignment
        self._proposals[proposal.trial] = proposal
        return assignment

    def report(self, trial: int, report: Report) -> bool:
        """Record what a trial says after an epoch; True when its worker is to let it go: it is paused."""
        # Of a whole training only the result is missing.
        is_held = report.epoch >= self.settings.budget.epochs or trial in self._promoted
        decision = self._strategy.observe(trial, report.epoch, report.values, report.seconds)
        pauses = decision is Decision.PAUSE and not is_held
        event = {"trial": trial, "epoch": report.epoch, "values": dict(report.values), "seconds": report.seconds}
        # One event for both: a kill in between would leave a report without its consequence.
        self.record("reported", {**event, "paused": pauses})
        self._spend(trial, report)
        self._has_nothing = False
        if pauses:
            del self._running[trial]
            self._paused[trial] = self._proposals[trial]
        return pauses

    def retry(self, trial: int, error: str) -> None:
        """Record that a trial lost its worker and is started again from its checkpoint."""
        self.record("retried", {"trial": trial, "error": error})

    def finish(self, result: Result) -> None:
        """Record a trial's end. A trial that already has one keeps the first."""
        if result.trial in self._finished:
            return
        self.record("finished", {"result": result.document()})
        self._running.pop(result.trial, None)
        self._last.pop(result.trial, None)
        self._has_nothing = False
        if result.status is not Status.REJECTED:
            delete_checkpoint(checkpoint_uri(self._place.uri, result.key))
        self._finished[result.trial] = result
        self._strategy.tell(result)
        self._count_failure(result)

    def fail(self, trial: int, error: str) -> None:
        """Record that a trial ended without a result of its own."""
        assignment = self._running.get(trial)
        if assignment:
            self.finish(assignment.result(Status.FAILED, {}, epochs=0, seconds=0.0, error=error))

    def close(self) -> None:
        """End the search: what is still paused is stopped, with the epochs that it has."""
        for trial in sorted(self._paused):
            self.finish(self._stopped(self._assign(self._paused.pop(trial))))

    def again(self, result: Result, seed: int, number: int) -> Assignment:
        """The training of a finished trial once more, with another seed; ``number`` tells its files from the others."""
        again = Proposal(trial=result.trial, genotype=result.genotype, costs={}, origin="finalist")
        return replace(self._assign(again), seed=seed, repeat=number)

    def _finalist(self) -> Proposal | None:
        """When all is spent: a paused trial that would be on the front if it ended as it stands, to be trained on."""
        if self.gave_up or not self.settings.finalists:
            return None
        so_far = [self._stopped(self._assign(p)) for p in self._paused.values()]
        waiting = [replace(r, status=Status.OK, epochs=self.settings.budget.epochs) for r in so_far]
        front = Front.of([*self.results, *waiting], self.settings.objectives).results
        best = [r.trial for r in front if r.trial in self._paused and r.trial not in self._promoted]
        self._promoted.update(best[: self.settings.finalists - len(self._promoted)])
        return next((self._paused[t] for t in sorted(self._promoted) if t in self._paused), None)

    def _stopped(self, assignment: Assignment) -> Result:
        last = self._last[assignment.trial]
        metrics = {name: value for name, value in last.values.items() if name in OBJECTIVES}
        return assignment.result(
            Status.STOPPED,
            metrics,
            epochs=last.epoch,
            seconds=last.seconds,
            trained_on=last.trained_on,
            fused=last.fused,
        )

    def _spend(self, trial: int, report: Report) -> None:
        before = self._last.get(trial)
        self._epochs += max(report.epoch - (before.epoch if before else 0), 0)
        # One that was started again after its worker died tells its seconds from there.
        again = before is None or report.seconds < before.seconds
        self._seconds += report.seconds - (0.0 if again or before is None else before.seconds)
        self._last[trial] = report

    def _spent(self) -> str:
        """Why nothing more may be handed out; empty while something may."""
        epochs, seconds = self.settings.total_budget
        if self._epochs >= epochs:
            return f"{self._epochs} epochs are spent"
        if self._seconds >= seconds:
            return f"{self.settings.budget_limit} of training are spent"
        is_counted = not self.settings.is_multi_fidelity
        if is_counted and self.num_trained + len(self._running) >= self.settings.trials:
            return "all trials are handed out"
        return self._enough

    def _exhausted(self) -> str:
        """Why the strategy has nothing to propose, with nothing at work."""
        if self._paused or self.settings.total_budget.epochs - self._epochs < self.settings.budget.epochs:
            return "what is left of the budget ends no training"
        return "the space has no further point"

    def _propose(self) -> Proposal | None:
        refused: list[Proposal] = []
        if self._has_nothing and self._running:
            return None
        while len(refused) < MAX_REFUSED_IN_A_ROW and (proposal := self._strategy.ask()) is not None:
            belief = Belief.in_memory(proposal.memory)
            worth = self.settings.worth
            if belief and worth is not None and belief.seconds_per_percent > worth:
                self._enough = f"one more percent of hypervolume would take more than {duration_option(worth)}"
                return None
            if proposal.trial in self._paused:
                return proposal
            self.record("proposed", proposal.document())
            if not proposal.refused:
                return proposal
            refused.append(proposal)
            rejected = self._assign(proposal).result(Status.REJECTED, {}, epochs=0, seconds=0.0, note=proposal.refused)
            self.finish(rejected)
        if refused and not self.num_trained + len(self._running):
            name = collections.Counter(p.refused.partition(":")[0] for p in refused).most_common(1)[0][0]
            limit = self.settings.limits[name]
            least = min(p.costs[name] for p in refused)
            raise SettingsError(
                f"limit {name}: got {limit:g}; must admit some network: the smallest of {len(refused)} has {least:g}"
            )
        if len(refused) == MAX_REFUSED_IN_A_ROW:
            self._enough = f"{len(refused)} networks in a row broke a limit"
        return None

    def _assign(self, proposal: Proposal) -> Assignment:
        settings, place, last = self.settings, self._place, self._last.get(proposal.trial)
        return Assignment(
            trial=proposal.trial,
            genotype=proposal.genotype,
            costs=proposal.costs,
            seed=trial_seed(settings.seed_of_trainings, proposal.genotype.key),
            dataset=place.dataset,
            data_rev=place.data_rev,
            code_rev=place.code_rev,
            budget=settings.budget,
            recipe=settings.recipe,
            preset=settings.preset,
            uri=place.uri,
            spent=last.seconds if last else 0.0,
        )

    def _count_failure(self, result: Result) -> None:
        if result.status is not Status.FAILED:
            self._failed_in_a_row = 0 if result.status is not Status.REJECTED else self._failed_in_a_row
            return
        self._failed_in_a_row += 1
        errors = [r.error for r in self._finished.values() if r.status is Status.FAILED]
        too_many = len(errors) >= MAX_FAILED_IN_A_ROW and len(errors) > MAX_FAILED_SHARE * self.num_trained
        if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW or too_many:
            self.gave_up = True
            commonest, times = collections.Counter(errors).most_common(1)[0]
            self.stop_reason = f"{len(errors)} of {self.num_trained} trials failed, {times} with: {commonest}"
