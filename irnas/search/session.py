"""What every executor does in the same way: hand out trials, take in what they say, keep the record, know when to stop.

An executor (ray, sequential, simulated) calls ``next``, ``report``, ``retry`` and ``finish`` from one thread and owns
nothing but time and place. A trial that is paused leaves its worker; ``next`` may hand it out again, and it goes on
from its checkpoint. What has happened stands in the ``Run``; a session keeps beside it only what is at work.
"""

from __future__ import annotations

import collections
from collections.abc import Callable
from dataclasses import replace

from irnas import models
from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.heritage import NOT_TRAINED_ON
from irnas.core.objective import OBJECTIVES
from irnas.core.proposal import Proposal
from irnas.core.result import TRAINED, Result, Status
from irnas.core.text import duration_option
from irnas.record.events import Continued, Event, Finished, Proposed, Reported, Retried
from irnas.record.run import Run
from irnas.search.assign import Place, make_assignment
from irnas.search.parents import choose_parent
from irnas.search.strategy import Decision, History, Strategy
from irnas.search.strategy.belief import Belief
from irnas.training.checkpoint import checkpoint_uri, delete_checkpoint
from irnas.training.trial import Assignment, Report

Append = Callable[[Event], object]
"""Writes one event durably before it returns."""

MAX_REFUSED_IN_A_ROW = 400
MAX_FAILED_IN_A_ROW = 5
MAX_FAILED_SHARE = 0.2
"""Of the trials so far, once there are at least ``MAX_FAILED_IN_A_ROW`` failures."""


class Session:
    """One search in progress; a ``Stage``."""

    def __init__(self, strategy: Strategy, run: Run, place: Place, append: Append) -> None:
        """Begin a search, or go on with one: what is finished or paused stays so, the rest is handed out again first.

        Args:
            strategy: what decides; it is given the history of the run.
            run: the run so far; it is kept up to date here.
            place: where things are kept.
            append: writes an event to the record.
        """
        self._strategy, self._place, self._append = strategy, place, append
        self.run = run
        self.settings = run.settings
        self._pending = [t.proposal for t in run.open_trials.values() if t.number not in run.paused]
        self._running: dict[int, Assignment] = {}
        self._promoted = {number for number, trial in run.trials.items() if trial.is_promoted}
        """Trials that are trained to their end whatever the strategy says."""
        self._alike: dict[str, list[int]] = {}
        """Trials by the key of what stands for all networks that deploy like theirs."""
        for trial in run.trials.values():
            self._remember(trial.proposal)
        self._num_trained, self._errors = 0, list[str]()
        """Of the trials that ended: how many were trained, and why some failed."""
        self._failed_in_a_row = 0
        self._has_nothing = False
        """Whether the strategy had nothing to propose, and has learnt nothing since."""
        self._enough = ""
        """Why nothing more is to be proposed, though the budget is not used up."""
        self.stop_reason = ""
        """Why no further trial is handed out; empty while there may be one."""
        self.gave_up = False
        """Whether that is because too many failed, or all did."""
        strategy.restore(History.of(run))
        for result in run.outcomes:
            if not run.trials[result.trial].proposal.is_known:
                self._count_failure(result)

    def record(self, event: Event) -> None:
        """Write an event to the record, and take it up."""
        self._append(event)
        self.run.add(event)

    def next(self) -> Assignment | None:
        """The next trial to run; None when no more is to be started now (see ``stop_reason``).

        Raises:
            SettingsError: the limits refuse every network that was tried.
        """
        # What was at work before a restart goes on however little is left: so it would have without one.
        proposal = self._pop_pending()
        reason = self.stop_reason or ("" if proposal else self._limit_reached())
        proposal = proposal or (None if reason else self._propose())
        reason = reason or self._enough
        if proposal is None and reason:
            proposal = self._promote()
        if proposal is None:
            self._has_nothing = True
            # With finalists, what is at work may yet be paused, and be one.
            if not self._running or (reason and not self.settings.finalists):
                self.stop_reason = reason or self._exhausted()
            return None
        trial = self.run.trials[proposal.trial]
        if proposal.trial in self.run.paused or not trial.is_open:
            belief, promoted = proposal.memory.get("belief", {}), proposal.trial in self._promoted
            self.record(Continued(trial=proposal.trial, belief=belief, promoted=promoted))
        # Only now is a trial that had ended one that is trained on.
        assignment = self._running[proposal.trial] = self._assign(proposal)
        return assignment

    def report(self, trial: int, report: Report, replicate: int = 0) -> Decision:
        """Record what a trial says after an epoch, and whether it is paused."""
        # Of a whole training only the result is missing.
        is_held = report.epoch >= self.settings.budget.epochs or trial in self._promoted
        decision = self._strategy.observe(trial, report.epoch, report.values, report.seconds)
        decision = Decision.CONTINUE if is_held else decision
        # One event for both: a kill in between would leave a report without its consequence.
        self.record(
            Reported(
                trial=trial,
                epoch=report.epoch,
                values=dict(report.values),
                seconds=report.seconds,
                paused=decision is Decision.PAUSE,
                trained_on=report.trained_on,
                fused=report.fused,
            )
        )
        self._has_nothing = False
        if decision is Decision.PAUSE:
            del self._running[trial]
        return decision

    def retry(self, trial: int, error: str, replicate: int = 0) -> None:
        """Record that a trial lost its worker and is started again from its checkpoint."""
        self.record(Retried(trial=trial, error=error))

    def finish(self, result: Result, replicate: int = 0) -> None:
        """Record a trial's end. A trial that already has one keeps the first."""
        trial = self.run.trials[result.trial]
        if not trial.is_open:
            return
        earlier, assignment = trial.earlier_result, self._running.pop(result.trial, None)
        outcome = result
        if earlier and result.status is not Status.OK:
            # Its weights are still those of before.
            outcome = replace(earlier, note=f"{NOT_TRAINED_ON}: {result.error or result.status}")
        self.record(Finished(result=outcome))
        self._has_nothing = False
        if result.status is not Status.REJECTED:
            delete_checkpoint(assignment.checkpoint if assignment else checkpoint_uri(self._place.uri, result.key))
        self._strategy.tell(outcome)
        self._count_failure(result)

    def fail(self, trial: int, error: str, replicate: int = 0) -> None:
        """Record that a trial ended without a result of its own."""
        assignment = self._running.get(trial)
        if assignment:
            self.finish(assignment.result(Status.FAILED, {}, epochs=0, seconds=0.0, error=error))

    def close(self) -> None:
        """End the search: what is still paused is stopped, with the epochs that it has."""
        for trial in sorted(self.run.paused):
            self.finish(self._stopped(trial))
        if self._errors and len(self._errors) == self._num_trained:
            self._give_up()

    def repeat(self, result: Result, replicate: int) -> Assignment:
        """The training of a finished trial once more, with another seed; ``replicate`` counts them, from 1."""
        finalist = Proposal(trial=result.trial, genotype=result.genotype, costs={}, origin="finalist")
        return make_assignment(self.run, self._place, finalist, replicate)

    def _promote(self) -> Proposal | None:
        """When the budget is used up: a paused trial that would be on the front as it stands, to be trained on."""
        if self.gave_up or not self.settings.finalists:
            return None
        paused = self.run.paused
        waiting = [replace(self._stopped(t), status=Status.OK, epochs=self.settings.budget.epochs) for t in paused]
        front = Front.of([*self.run.outcomes, *waiting], self.run.objectives, self.run.requirements).results
        best = [r.trial for r in front if r.trial in paused and r.trial not in self._promoted]
        self._promoted.update(best[: self.settings.finalists - len(self._promoted)])
        return next((paused[t].proposal for t in sorted(self._promoted) if t in paused), None)

    def _stopped(self, trial: int) -> Result:
        """The result of a paused trial if it ends as it stands."""
        newest = self.run.trials[trial].reports[-1]
        metrics = {name: value for name, value in newest.values.items() if name in OBJECTIVES}
        return self._assign(self.run.trials[trial].proposal).result(
            Status.STOPPED,
            metrics,
            epochs=newest.epoch,
            seconds=newest.seconds,
            trained_on=newest.trained_on,
            fused=newest.fused,
        )

    def _limit_reached(self) -> str:
        """Why nothing more may be handed out; empty while something may."""
        budget, tally = self.settings.total_budget, self.run.tally
        if tally.epochs >= budget.epochs:
            return f"{tally.epochs} epochs are spent"
        if tally.seconds >= budget.seconds:
            return f"{self.settings.budget_limit} of training are spent"
        is_counted = not self.settings.is_multi_fidelity
        if is_counted and self._num_trained + len(self._running) >= self.settings.trials:
            return "all trials are handed out"
        return self._enough

    def _exhausted(self) -> str:
        """Why the strategy has nothing to propose, with nothing at work."""
        left = self.settings.total_budget.epochs - self.run.tally.epochs
        if self.run.paused or left < self.settings.budget.epochs:
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
            if self._goes_on(proposal):
                return proposal
            if proposal.parent is None and not proposal.refused:
                proposal = replace(proposal, parent=choose_parent(self.run, proposal.genotype))
            self.record(Proposed(proposal=proposal))
            self._remember(proposal)
            reason = self._reason_to_refuse(proposal)
            if not reason:
                return proposal
            refused.append(proposal)
            self._reject(proposal, reason)
        self._judge_refusals(refused)
        return None

    def _pop_pending(self) -> Proposal | None:
        """What a restart found without an end, to be handed out again first."""
        while self._pending:
            proposal = self._pending.pop(0)
            reason = self._reason_to_refuse(proposal)
            if not reason:
                return proposal
            # The search was killed before it could say so.
            self._reject(proposal, reason)
        return None

    def _goes_on(self, proposal: Proposal) -> bool:
        """Whether a proposal is a trial that was paused, or has ended and is to be trained on."""
        trial = self.run.trials.get(proposal.trial)
        return proposal.trial in self.run.paused or (trial is not None and not trial.is_open)

    def _reason_to_refuse(self, proposal: Proposal) -> str:
        """Why a network is not to be trained: a limit, or one that deploys to the same; empty where it is."""
        if proposal.refused:
            return proposal.refused
        for number in self._alike[models.representative(proposal.genotype).key]:
            trial = self.run.trials[number]
            is_trained = not trial.finished or trial.finished.result.status in TRAINED
            if number < proposal.trial and is_trained:
                return f"deploys to the same network as {trial.key}"
        return ""

    def _remember(self, proposal: Proposal) -> None:
        self._alike.setdefault(models.representative(proposal.genotype).key, []).append(proposal.trial)

    def _reject(self, proposal: Proposal, reason: str) -> None:
        self.finish(self._assign(proposal).result(Status.REJECTED, {}, epochs=0, seconds=0.0, note=reason))

    def _judge_refusals(self, refused: list[Proposal]) -> None:
        """Say so where limits refuse too much."""
        if any(p.refused for p in refused) and not self._num_trained + len(self._running):
            refused = [p for p in refused if p.refused]
            name = collections.Counter(p.refused.partition(":")[0] for p in refused).most_common(1)[0][0]
            limit = self.settings.limits[name]
            least = min(p.costs[name] for p in refused)
            raise SettingsError(
                f"limit {name}: got {limit:g}; must admit some network: the smallest of {len(refused)} has {least:g}"
            )
        if len(refused) == MAX_REFUSED_IN_A_ROW:
            self._enough = f"{len(refused)} networks in a row broke a limit, or deploy to one that was trained"

    def _assign(self, proposal: Proposal) -> Assignment:
        return make_assignment(self.run, self._place, proposal)

    def _count_failure(self, result: Result) -> None:
        """Give up when too many trials fail."""
        self._num_trained += result.status is not Status.REJECTED
        if result.status is not Status.FAILED:
            self._failed_in_a_row = 0 if result.status is not Status.REJECTED else self._failed_in_a_row
            return
        self._failed_in_a_row += 1
        self._errors.append(result.error)
        num_failed = len(self._errors)
        too_many = num_failed >= MAX_FAILED_IN_A_ROW and num_failed > MAX_FAILED_SHARE * self._num_trained
        if self._failed_in_a_row >= MAX_FAILED_IN_A_ROW or too_many:
            self._give_up()

    def _give_up(self) -> None:
        self.gave_up = True
        commonest, times = collections.Counter(self._errors).most_common(1)[0]
        self.stop_reason = f"{len(self._errors)} of {self._num_trained} trials failed, {times} with: {commonest}"
