"""What a search shows while it runs: one screen on a terminal, plain lines elsewhere. Fed by the record's events."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from irnas.cli import live_trainings
from irnas.cli.live_text import amounts, finish_line, headline, resumed_line, status_line
from irnas.cli.search_view import SearchView
from irnas.core.redaction import redact_credentials
from irnas.core.result import Status
from irnas.record.events import (
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

if TYPE_CHECKING:
    from irnas.workflows.execution import Listener


class Lines:
    """Plain lines on stderr; what a resumed run did before is not said again."""

    def __init__(self, uri: str, since: float | None = None) -> None:
        """Begin to listen.

        Args:
            uri: the run.
            since: seconds since the epoch; events of before are history. None for this moment.
        """
        self._uri, self._view = uri, SearchView()
        self._since = time.time() if since is None else since

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
        if event.t < self._since or view.run is None:
            return
        if isinstance(event, Opened | Resumed):
            headlines = live_trainings.headline if view.run.settings.is_training else headline
            _say(headlines(self._uri, view.run))
            if isinstance(event, Resumed):
                _say(resumed_line(view))
        elif view.run.settings.is_training:
            for text in live_trainings.lines(view, event):
                _say(text)
        else:
            for text in _lines(view, event):
                _say(text)


def _lines(view: SearchView, event: Event) -> Iterator[str]:
    """What an event of a search is worth saying, once the view has taken it up."""
    match event:
        case Proposed(proposal=p) if not (p.refused or p.is_known):
            yield f"trial {p.trial} {p.key} started ({p.origin}): {amounts(p.costs)}"
        case Continued(trial=trial):
            yield f"trial {trial} goes on"
        case Reported(paused=True):
            yield f"trial {event.trial} paused after epoch {event.epoch}: {view.metrics(event.values)}"
            yield status_line(view)
        case Reported():
            epochs = view.run.settings.budget.epochs if view.run else 1
            if event.epoch in (1, epochs) or event.epoch % max(epochs // 4, 1) == 0:
                yield f"trial {event.trial} epoch {event.epoch}/{epochs}: {view.metrics(event.values)}"
        case Finished(result=result) if result.status is not Status.REJECTED:
            yield finish_line(result, view)
            yield status_line(view)
        case Repeated():
            yield f"{event.key} trained again (seed {event.seed}): {view.metrics(event.values)}"
        case Measured():
            before = f", {event.expected_ms:.3g} ms in the search" if event.expected_ms else ""
            yield f"{event.key} alone: {event.ms_min:.3g} ms{before}"


@contextmanager
def view(uri: str) -> Iterator[Listener]:
    """A screen where stderr is a terminal, lines where it is not."""
    from irnas.workflows.execution import Listener

    if not sys.stderr.isatty():
        lines = Lines(uri)
        yield Listener(watch=lines.watch, warn=lines.warn, progress=lines.progress)
        return

    from irnas.cli.live_screen import Screen

    screen = Screen(uri)
    with screen.live:
        yield Listener(watch=screen.watch, warn=screen.warn, progress=screen.progress)


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
