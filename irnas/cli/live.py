"""What a search shows while it runs: one screen on a terminal, plain lines elsewhere. Fed by the record's events."""

from __future__ import annotations

import collections
import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.text import format_duration, format_si
from irnas.record.events import (
    Closed,
    Continued,
    Event,
    Finished,
    Measured,
    Opened,
    Proposed,
    Repeated,
    Reported,
    Resumed,
)
from irnas.record.run import Run
from irnas.record.trial import Trial

if TYPE_CHECKING:
    from rich.console import Group

    from irnas.workflows.search import Listener


USUAL_METRICS = ("miou", "niou", "pd", "fa")
"""Shown whatever is optimised."""


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
                self._since, self._epochs_before = time.time(), self.run.tally.epochs
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
        epochs = self.run.tally.epochs - self._epochs_before
        return max(self.num_planned - self.num_done, 0.0) * self.elapsed_s / epochs if epochs else None

    @property
    def num_planned(self) -> float:
        """Epochs that the search is to come to."""
        assert self.run is not None
        settings = self.run.settings
        return min(float(settings.trials * settings.budget.epochs), settings.total_budget.epochs)

    @property
    def num_done(self) -> float:
        """How many of those are done; of a network that failed early, all."""
        assert self.run is not None
        if self.run.settings.is_multi_fidelity:
            return self.run.tally.epochs
        return float(self.run.num_trained * self.run.settings.budget.epochs + sum(t.epoch for t in self.running))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began or was resumed."""
        return time.time() - self._since


class Lines:
    """Plain lines on stderr."""

    def __init__(self, uri: str) -> None:
        self._uri, self._view = uri, SearchView()

    def progress(self, what: str, done: int, total: int) -> None:
        """Show the making of the data set."""
        if done in (0, total) or done % max(total // 5, 1) == 0:
            _say(f"{what}: {done}/{total}")

    def warn(self, text: str) -> None:
        """Show a warning."""
        _say(f"warning: {text}")

    def watch(self, event: Event) -> None:
        """Show one event."""
        view = self._view
        view.add(event)
        match event:
            case Opened():
                _say(headline(self._uri, event))
            case Proposed(proposal=p) if not p.refused:
                _say(f"trial {p.trial} {p.key} started ({p.origin}): {_amounts(p.costs)}")
            case Continued(trial=trial):
                _say(f"trial {trial} goes on")
            case Reported(paused=True):
                _say(f"trial {event.trial} paused after epoch {event.epoch}: {view.metrics(event.values)}")
                _say(status_line(view))
            case Reported():
                epochs = view.run.settings.budget.epochs if view.run else 1
                if event.epoch in (1, epochs) or event.epoch % max(epochs // 4, 1) == 0:
                    _say(f"trial {event.trial} epoch {event.epoch}/{epochs}: {view.metrics(event.values)}")
            case Finished(result=result) if result.status is not Status.REJECTED:
                _say(finish_line(result, view))
                _say(status_line(view))
            case Repeated():
                _say(f"{event.key} trained again (seed {event.seed}): {view.metrics(event.values)}")
            case Measured():
                _say(f"{event.key} alone: {event.ms_min:.3g} ms, {event.expected_ms:.3g} ms in the search")


class Screen:
    """One live screen."""

    def __init__(self, uri: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._uri, self._view = uri, SearchView()
        self._state, self._warnings = "starting", list[str]()
        self.live = Live(
            get_renderable=self._render, console=Console(stderr=True), refresh_per_second=4, transient=False
        )

    def progress(self, what: str, done: int, total: int) -> None:
        """Show the making of the data set."""
        self._state = f"{what}: {done}/{total}"

    def warn(self, text: str) -> None:
        """Show a warning."""
        self._warnings.append(text)

    def watch(self, event: Event) -> None:
        """Show one event."""
        self._view.add(event)
        states = {
            Opened: "starting workers",
            Reported: "",
            Repeated: "training the finalists again",
            Measured: "measuring the front",
            Closed: "writing the report",
        }
        self._state = states.get(type(event), self._state)

    def _render(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        view, parts = self._view, list[Any]()
        if view.run:
            epochs = view.run.settings.budget.epochs
            parts.append(Text(headline(self._uri, view.run.opened)))
            parts.append(ProgressBar(total=view.num_planned, completed=view.num_done, width=60))
            parts.append(Text(status_line(view), style="bold"))
            if view.waiting:
                rungs = collections.Counter(trial.epoch for trial in view.waiting)
                parts.append(Text("paused: " + ", ".join(f"{n} after epoch {e}" for e, n in sorted(rungs.items()))))
            table = Table(box=None, pad_edge=False, header_style="dim")
            for heading in ("trial", "network", "epoch", "so far", "cost"):
                table.add_column(heading)
            for trial in view.running:
                values = trial.reports[-1].values if trial.reports else {}
                row = (str(trial.number), trial.key, f"{trial.epoch}/{epochs}")
                table.add_row(*row, view.metrics(values), _amounts(trial.proposal.costs))
            parts.append(table)
        if self._state:
            parts.append(Text(self._state + " ...", style="dim"))
        parts += [Text(f"warning: {text}", style="yellow") for text in self._warnings[-3:]]
        return Group(*parts)


@contextmanager
def view(uri: str) -> Iterator[Listener]:
    """A screen where stderr is a terminal, lines where it is not."""
    from irnas.workflows.search import Listener

    if not sys.stderr.isatty():
        lines = Lines(uri)
        yield Listener(watch=lines.watch, warn=lines.warn, progress=lines.progress)
        return
    screen = Screen(uri)
    with screen.live:
        yield Listener(watch=screen.watch, warn=screen.warn, progress=screen.progress)


def headline(uri: str, opened: Opened) -> str:
    """What is searched, on what, and where it is written."""
    settings, data = opened.settings, opened.data
    names = ", ".join(o.name for o in settings.objectives)
    return (
        f"{settings.space} for {names} on {data.name} ({data.revision[:12]}): "
        f"{_plan(settings)}, {settings.strategy}, run {uri}"
    )


def _plan(settings: SearchSettings) -> str:
    epochs = settings.budget.epochs
    if settings.budget_limit:
        return f"{settings.budget_limit} of training, {epochs} epochs to a full one"
    if settings.is_multi_fidelity:
        return f"{settings.total_budget.epochs:.0f} epochs, {epochs} to a full training"
    return f"{settings.trials} networks x {epochs} epochs"


def status_line(view: SearchView) -> str:
    """Counts, front and time."""
    run = view.run
    if run is None:
        return ""
    counts = f"{view.count(Status.OK)} done, {len(view.running)} running, {view.count(Status.FAILED)} failed"
    if view.waiting or view.count(Status.STOPPED):
        counts += f", {len(view.waiting)} paused, {view.count(Status.STOPPED)} stopped"
    if refused := view.count(Status.REJECTED):
        counts += f", {refused} refused"
    eta = "" if view.eta_s is None else f", about {format_duration(view.eta_s)} left"
    percent = view.seconds_per_percent
    more = "" if percent is None else f" (1 % more: about {format_duration(percent)} of training)"
    done = f"{run.num_trained}/{run.settings.trials}"
    if run.settings.is_multi_fidelity:
        done = f"{run.tally.epochs}/{view.num_planned:.0f} epochs"
    return (
        f"{done}: {counts}; front {len(run.front.results)}, "
        f"hypervolume {view.hypervolume:.4f}{more}; {format_duration(view.elapsed_s)} so far{eta}"
    )


def finish_line(result: Result, view: SearchView) -> str:
    """How one trial ended."""
    after = f" after epoch {result.epochs}" if result.status is Status.STOPPED else ""
    text = f"trial {result.trial} {result.key} {result.status}{after}: "
    text += result.error or f"{view.metrics(result.values)} | {_amounts(result.values)}"
    return text + (f" ({result.note})" if result.note else "")


def _metrics(values: Mapping[str, float], objectives: Sequence[Objective]) -> str:
    """The usual metrics and those that are optimised, each as its objective writes it, and the training loss."""
    names = dict.fromkeys((*USUAL_METRICS, *(o.name for o in objectives if not o.is_free)))
    parts = [f"{OBJECTIVES[n].label} {OBJECTIVES[n].quantity(values[n])}" for n in names if n in values]
    return ", ".join([*parts, f"loss {values['loss']:.3f}"] if "loss" in values else parts)


def _amounts(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {format_si(values[name])}" for name in ("ops", "params", "fps") if name in values)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
