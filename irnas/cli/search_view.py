"""What is known of a search while it runs: its run so far, and what only who watches it can know."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

from irnas.core.objective import OBJECTIVES, USUAL_METRICS, Objective
from irnas.core.result import Status
from irnas.record.events import Continued, Event, Finished, Opened, Proposed, Repeated, Reported, Resumed
from irnas.record.run import Run
from irnas.record.trainings import trainings_of
from irnas.record.trial import Trial


class SearchView:
    """What is shown of a search: its run so far, and what only who watches it can know."""

    def __init__(self) -> None:
        self.run: Run | None = None
        self.hypervolume = 0.0
        self.seconds_per_percent: float | None = None
        """Training for one more percent of hypervolume, as the strategy expects; None where it does not."""
        self._active: set[int] = set()
        """Trials that were handed out, and have neither ended nor been paused since."""
        self._since = time.time()
        self._epochs_before = 0
        """Epochs that were trained before the search was resumed."""

    def add(self, event: Event) -> None:
        """Take up one event."""
        if isinstance(event, Opened):
            # Of a table of trainings, one run follows another.
            vars(self).update(vars(SearchView()))
            self.run = Run("", event)
            return
        assert self.run is not None
        self.run.add(event)
        match event:
            case Resumed():
                # Handed out again, and shown again as soon as they report.
                self._active.clear()
                self._since, self._epochs_before = time.time(), self.num_epochs
            case Proposed(proposal=proposal):
                self._expect(proposal.memory)
                self._active |= set() if proposal.refused else {proposal.trial}
            case Continued(trial=trial):
                self._expect({"belief": event.belief})
                self._active.add(trial)
            case Reported(trial=trial, paused=paused):
                (self._active.discard if paused else self._active.add)(trial)
            case Finished() | Repeated():
                self._active.discard(event.trial)
                self.hypervolume = self.run.hypervolume()

    def _expect(self, memory: Mapping[str, Any]) -> None:
        from irnas.search.strategy.belief import Belief

        if belief := Belief.in_memory(memory):
            seconds = belief.seconds_per_percent
            self.seconds_per_percent = seconds if math.isfinite(seconds) else None

    @property
    def running(self) -> list[Trial]:
        """The trials at work, by number."""
        return [self.run.trials[n] for n in sorted(self._active)] if self.run else []

    @property
    def waiting(self) -> list[Trial]:
        """The trials that have trained for a while and are not at work."""
        trials = self.run.open_trials.values() if self.run else ()
        return [t for t in trials if t.reports and t.number not in self._active]

    def count(self, status: Status) -> int:
        """Trials that ended with that status."""
        return sum(r.status is status for r in self.run.outcomes) if self.run else 0

    def metrics(self, values: Mapping[str, float]) -> str:
        """The best known metrics in a line, and whatever else the search optimises."""
        return _metrics(values, self.run.objectives if self.run else ())

    @property
    def eta_s(self) -> float | None:
        """Seconds to the planned end at the pace so far; None before the first epoch, or where time is the budget."""
        if self.run is None or math.isfinite(self.run.settings.total_budget.seconds):
            return None
        epochs = self.num_epochs - self._epochs_before
        return max(self.num_planned - self.num_done, 0.0) * self.elapsed_s / epochs if epochs else None

    @property
    def num_epochs(self) -> int:
        """Epochs that were trained, as far as they were reported."""
        assert self.run is not None
        if self.run.settings.is_training:
            return sum(training.epoch for training in trainings_of(self.run))
        return self.run.tally.epochs

    @property
    def num_planned(self) -> float:
        """Epochs that the search is to come to."""
        assert self.run is not None
        settings = self.run.settings
        if settings.is_training:
            return float(settings.trials * settings.seeds * settings.budget.epochs)
        return min(float(settings.trials * settings.budget.epochs), settings.total_budget.epochs)

    @property
    def num_done(self) -> float:
        """How many of those are done; of a network that failed early, all."""
        assert self.run is not None
        if self.run.settings.is_multi_fidelity or self.run.settings.is_training:
            return self.num_epochs
        return float(self.run.num_trained * self.run.settings.budget.epochs + sum(t.epoch for t in self.running))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began or was resumed."""
        return time.time() - self._since


def _metrics(values: Mapping[str, float], objectives: Sequence[Objective]) -> str:
    """The usual metrics and those that are optimised, each as its objective writes it, and the training loss."""
    names = dict.fromkeys((*USUAL_METRICS, *(o.name for o in objectives if not o.is_free)))
    parts = [f"{OBJECTIVES[n].label} {OBJECTIVES[n].quantity(values[n])}" for n in names if n in values]
    return ", ".join([*parts, f"loss {values['loss']:.3f}"] if "loss" in values else parts)
