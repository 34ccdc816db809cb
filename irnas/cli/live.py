"""What a search shows while it runs: one screen on a terminal, plain lines elsewhere. Fed by the record's events."""

from __future__ import annotations

import collections
import math
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from irnas.core.settings import SearchSettings

if TYPE_CHECKING:
    from rich.console import Group

    from irnas.record.ledger import Event
    from irnas.workflows.search import Listener


class Progress:
    """What is known of a search so far, from its events alone."""

    def __init__(self) -> None:
        self.opened: Event | None = None
        self.num_trials = 0
        """Networks to train in all."""
        self.running: dict[int, dict[str, Any]] = {}
        self.paused: dict[int, dict[str, Any]] = {}
        self.num_epochs = 0
        """Epochs trained in all."""
        self.results: list[Any] = []
        self.hypervolume = 0.0
        self.next_percent: float | None = None
        """Seconds of training for one more percent of hypervolume, as the strategy expects; None where it does not."""
        self._front: Any = None
        self._epochs = 0
        self._since = time.time()

    def take(self, event: Event) -> None:
        """Take note of one event."""
        trial = event.get("trial")
        if event["kind"] == "opened":
            # Of a table of trainings, one run follows another.
            vars(self).update(vars(Progress()))
            self.opened, self.num_trials = event, event["settings"]["trials"]
        elif event["kind"] == "resumed":
            # Handed out again, and shown again as soon as they report.
            self.paused |= {t: s for t, s in self.running.items() if s["epoch"]}
            self.running.clear()
            self._since, self._epochs = time.time(), 0
            self.num_trials = event["trials"]
        self._believe(event)
        if event["kind"] == "proposed" and not event["refused"]:
            self.running[event["trial"]] = {"key": event["key"], "epoch": 0, "values": {}, "costs": event["costs"]}
        elif event["kind"] == "continued" and trial in self.paused:
            self.running[trial] = self.paused.pop(trial)
        elif event["kind"] == "reported" and (trial in self.running or trial in self.paused):
            state = self.running[trial] = self.running.get(trial) or self.paused.pop(trial)
            self._epochs += event["epoch"] - state["epoch"]
            self.num_epochs += event["epoch"] - state["epoch"]
            state.update(epoch=event["epoch"], values=event["values"])
            if event.get("paused"):
                self.paused[trial] = self.running.pop(trial)
        elif event["kind"] == "finished":
            self._finish(event)

    def _believe(self, event: Event) -> None:
        from irnas.search.strategy.belief import Belief

        belief = Belief.in_memory(event.get("memory", event)) if event["kind"] in ("proposed", "continued") else None
        if belief:
            seconds = belief.seconds_per_percent
            self.next_percent = seconds if math.isfinite(seconds) else None

    @property
    def settings(self) -> dict[str, Any]:
        """The search's settings; empty before it is opened."""
        return dict(self.opened["settings"]) if self.opened else {}

    @property
    def num_trained(self) -> int:
        """Trained trials that ended."""
        return sum(r.status != "rejected" for r in self.results)

    def count(self, status: str) -> int:
        """Trials that ended with that status."""
        return sum(r.status == status for r in self.results)

    @property
    def front_size(self) -> int:
        """Networks on the front."""
        return len(self._front.results) if self._front else 0

    @property
    def eta_s(self) -> float | None:
        """Seconds to the planned end at the pace so far; None before the first epoch."""
        if not self._epochs or math.isfinite(SearchSettings.from_document(self.settings).total_budget[1]):
            return None
        return max(self.num_planned - self.num_done, 0.0) * (time.time() - self._since) / self._epochs

    @property
    def is_paced(self) -> bool:
        """Whether the strategy halts trainings, so that epochs count and not networks."""
        return SearchSettings.from_document(self.settings).is_multi_fidelity

    @property
    def num_planned(self) -> float:
        """Epochs that the search is to come to."""
        planned: float = self.num_trials * self.settings["budget"]["epochs"]
        return min(planned, SearchSettings.from_document(self.settings).total_budget[0])

    @property
    def num_done(self) -> float:
        """How many of those are done; of a network that failed early, all."""
        if self.is_paced:
            return self.num_epochs
        epochs = self.settings["budget"]["epochs"]
        return float(self.num_trained * epochs + sum(t["epoch"] for t in self.running.values()))

    @property
    def elapsed_s(self) -> float:
        """Seconds since the search began or was resumed."""
        return time.time() - self._since

    def _finish(self, event: Event) -> None:
        from irnas.core.front import Front
        from irnas.core.objective import parse
        from irnas.core.result import Result, Status
        from irnas.workflows.search import bounds_of

        result = Result.from_document(event["result"])
        self.running.pop(result.trial, None)
        self.paused.pop(result.trial, None)
        self.results.append(result)
        if self.opened and result.status is Status.OK:
            # From the front so far, for a search of ten thousand trials is shown as well.
            before = self._front.results if self._front else ()
            self._front = Front.of([*before, result], parse(self.settings["objectives"]))
            self.hypervolume = self._front.hypervolume(bounds_of(self.opened))


class Lines:
    """Plain lines on stderr."""

    def __init__(self, uri: str) -> None:
        self._uri, self._known = uri, Progress()

    def progress(self, what: str, done: int, total: int) -> None:
        """Show the making of the data set."""
        if done in (0, total) or done % max(total // 5, 1) == 0:
            _say(f"{what}: {done}/{total}")

    def warn(self, text: str) -> None:
        """Show a warning."""
        _say(f"warning: {text}")

    def watch(self, event: Event) -> None:
        """Show one event."""
        progress = self._known
        progress.take(event)
        if event["kind"] == "opened":
            _say(headline(self._uri, event))
        elif event["kind"] == "proposed" and not event["refused"]:
            _say(f"trial {event['trial']} {event['key']} started ({event['origin']}): {_amounts(event['costs'])}")
        elif event["kind"] == "continued":
            _say(f"trial {event['trial']} goes on")
        elif event["kind"] == "reported" and event.get("paused"):
            _say(f"trial {event['trial']} paused after epoch {event['epoch']}: {_metrics(event['values'])}")
            _say(status_line(progress))
        elif event["kind"] == "reported" and event["trial"] in progress.running:
            epochs = progress.settings["budget"]["epochs"]
            if event["epoch"] in (1, epochs) or event["epoch"] % max(epochs // 4, 1) == 0:
                _say(f"trial {event['trial']} epoch {event['epoch']}/{epochs}: {_metrics(event['values'])}")
        elif event["kind"] == "finished" and event["result"]["status"] != "rejected":
            _say(finish_line(event["result"]))
            _say(status_line(progress))
        elif event["kind"] == "repeated":
            _say(f"{event['key']} trained again (seed {event['seed']}): {_metrics(event['values'])}")
        elif event["kind"] == "measured":
            _say(f"{event['key']} alone: {event['ms_min']:.3g} ms, {event['expected_ms']:.3g} ms in the search")


class Screen:
    """One live screen."""

    def __init__(self, uri: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._uri, self._known = uri, Progress()
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
        self._known.take(event)
        if event["kind"] == "opened":
            self._state = "starting workers"
        elif event["kind"] == "reported":
            self._state = ""
        elif event["kind"] == "repeated":
            self._state = "training the finalists again"
        elif event["kind"] == "measured":
            self._state = "measuring the front"
        elif event["kind"] == "closed":
            self._state = "writing the report"

    def _render(self) -> Group:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        progress, parts = self._known, list[Any]()
        if progress.opened:
            settings = progress.settings
            epochs = settings["budget"]["epochs"]
            parts.append(Text(headline(self._uri, progress.opened)))
            parts.append(ProgressBar(total=progress.num_planned, completed=progress.num_done, width=60))
            parts.append(Text(status_line(progress), style="bold"))
            if progress.paused:
                rungs = collections.Counter(state["epoch"] for state in progress.paused.values())
                parts.append(Text("paused: " + ", ".join(f"{n} after epoch {e}" for e, n in sorted(rungs.items()))))
            table = Table(box=None, pad_edge=False, header_style="dim")
            for heading in ("trial", "network", "epoch", "so far", "cost"):
                table.add_column(heading)
            for trial, state in sorted(progress.running.items()):
                row = (str(trial), state["key"], f"{state['epoch']}/{epochs}")
                table.add_row(*row, _metrics(state["values"]), _amounts(state["costs"]))
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


def headline(uri: str, opened: Event) -> str:
    """What is searched, on what, and where it is written."""
    settings, data = opened["settings"], opened["data"]
    return (
        f"{settings['space']} for {', '.join(settings['objectives'])} on {data['name']} ({data['revision'][:12]}): "
        f"{_plan(SearchSettings.from_document(settings))}, {settings['strategy']}, run {uri}"
    )


def _plan(settings: SearchSettings) -> str:
    epochs = settings.budget.epochs
    if settings.budget_limit:
        return f"{settings.budget_limit} of training, {epochs} epochs to a full one"
    if settings.is_multi_fidelity:
        return f"{settings.total_budget[0]:.0f} epochs, {epochs} to a full training"
    return f"{settings.trials} networks x {epochs} epochs"


def status_line(progress: Progress) -> str:
    """Counts, front and time."""
    counts = f"{progress.count('ok')} done, {len(progress.running)} running, {progress.count('failed')} failed"
    if progress.paused or progress.count("stopped"):
        counts += f", {len(progress.paused)} paused, {progress.count('stopped')} stopped"
    if refused := progress.count("rejected"):
        counts += f", {refused} over a limit"
    eta = "" if progress.eta_s is None else f", about {_clock(progress.eta_s)} left"
    more = "" if progress.next_percent is None else f" (1 % more: about {_clock(progress.next_percent)} of training)"
    done = f"{progress.num_trained}/{progress.num_trials}"
    if progress.is_paced:
        done = f"{progress.num_epochs}/{progress.num_planned:.0f} epochs"
    return (
        f"{done}: {counts}; front {progress.front_size}, "
        f"hypervolume {progress.hypervolume:.4f}{more}; {_clock(progress.elapsed_s)} so far{eta}"
    )


def finish_line(result: Any) -> str:
    """How one trial ended."""
    after = f" after epoch {result['epochs']}" if result["status"] == "stopped" else ""
    text = f"trial {result['trial']} {result['key']} {result['status']}{after}: "
    text += result["error"] or f"{_metrics(result['values'])} | {_amounts(result['values'])}"
    return text + (f" ({result['note']})" if result["note"] else "")


def _metrics(values: Any) -> str:
    shown = {"miou": "mIoU", "niou": "nIoU", "pd": "Pd"}
    parts = [f"{label} {values[name]:.3f}" for name, label in shown.items() if name in values]
    if "fa" in values:
        parts.append(f"Fa {values['fa'] * 1e6:.0f}e-6")
    if "loss" in values:
        parts.append(f"loss {values['loss']:.3f}")
    return ", ".join(parts)


def _amounts(values: Any) -> str:
    return ", ".join(f"{name} {amount(values[name])}" for name in ("ops", "params", "fps") if name in values)


def amount(value: float) -> str:
    """A count with a K, M or G: 343.9M."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "K")):
        if abs(value) >= factor:
            return f"{value / factor:.4g}{letter}"
    return f"{value:.4g}"


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
