"""What a search shows while it runs: one screen on a terminal, plain lines elsewhere. Fed by the record's events."""

from __future__ import annotations

import collections
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from irnas.cli import live_trainings
from irnas.cli.search_view import SearchView
from irnas.core.redaction import redact_credentials
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
)

if TYPE_CHECKING:
    from rich.console import Group
    from rich.padding import Padding

    from irnas.workflows.execution import Listener


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
        _say(f"warning: {redact_credentials(text)}")

    def watch(self, event: Event) -> None:
        """Show one event."""
        view = self._view
        view.add(event)
        if view.run and view.run.settings.is_training:
            for text in live_trainings.lines(self._uri, view, event):
                _say(text)
            return
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
        self._warnings.append(redact_credentials(text))

    def watch(self, event: Event) -> None:
        """Show one event."""
        self._view.add(event)
        states = {
            Opened: "starting workers",
            Reported: "",
            Repeated: "" if self._is_training else "training the finalists again",
            Measured: "measuring the front",
            Closed: "writing the report",
        }
        self._state = states.get(type(event), self._state)

    @property
    def _is_training(self) -> bool:
        return self._view.run is not None and self._view.run.settings.is_training

    def _render(self) -> Group:
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        view, parts = self._view, list[Any]()
        if view.run and self._is_training:
            parts.append(Text(live_trainings.headline(self._uri, view.run.opened)))
            parts.append(_bar(view))
            parts.append(Text(live_trainings.status_line(view), style="bold"))
            table = Table("network", "training", "epoch", "so far", box=None, pad_edge=False, header_style="dim")
            for cells in live_trainings.rows(view):
                table.add_row(*cells)
            parts.append(table)
        elif view.run:
            epochs = view.run.settings.budget.epochs
            parts.append(Text(headline(self._uri, view.run.opened)))
            parts.append(_bar(view))
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
    from irnas.workflows.execution import Listener

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


def _bar(view: SearchView) -> Padding:
    """How much is done; the padding ends the line, which the bar itself does not."""
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar

    return Padding(ProgressBar(total=view.num_planned, completed=view.num_done, width=60), 0)


def _amounts(values: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {format_si(values[name])}" for name in ("ops", "params", "fps") if name in values)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
