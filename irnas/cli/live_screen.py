"""The live screen of a search or a training: time first, then how far it is, what runs, and the front so far.

It is drawn for the size of the terminal: of 80 columns and 24 lines as of larger ones.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from irnas.cli import live_text, live_trainings
from irnas.cli.search_view import SearchView
from irnas.core.objective import OBJECTIVES, USUAL_METRICS
from irnas.core.redaction import redact_credentials
from irnas.record.events import Closed, Event, Measured, Opened, Repeated, Reported, Resumed

if TYPE_CHECKING:
    from rich.console import Group, RenderableType
    from rich.table import Table

_WIDE = 100
"""Columns from which there is room for more than what is optimised."""
_LEAST_ROWS, _OTHER_LINES = 3, 12
"""Rows of the front however low the terminal is, and lines of what stands around both tables."""
_LONGEST_BAR = 60
_LOSS = "loss"


class Screen:
    """One live screen on standard error."""

    def __init__(self, uri: str) -> None:
        from rich.console import Console
        from rich.live import Live

        self._uri, self._view = uri, SearchView()
        self._state, self._warnings, self._resumed = "starting", list[str](), ""
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
        if isinstance(event, Resumed):
            self._resumed = live_text.resumed_line(self._view)
        states = {
            Opened: "starting workers",
            Resumed: "starting workers",
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
        from rich.text import Text

        parts = list[Any]()
        if self._view.run:
            headlines = live_trainings if self._is_training else live_text
            parts.append(Text(headlines.headline(self._uri, self._view.run), style="dim"))
            parts += [Text(live_text.time_line(self._view), style="bold"), _bar(self._view, self.live.console.width)]
            parts += self._training_parts() if self._is_training else self._search_parts()
        if self._resumed:
            parts.append(Text(self._resumed, style="dim"))
        if self._state:
            parts.append(Text(self._state + " ...", style="dim"))
        parts += [Text(f"warning: {text}", style="yellow") for text in self._warnings[-3:]]
        return Group(*parts)

    def _search_parts(self) -> list[RenderableType]:
        from rich.text import Text

        view, parts = self._view, list[Any]()
        assert view.run is not None
        epochs = view.run.settings.budget.epochs
        parts.append(Text(live_text.count_line(view)))
        if view.waiting:
            rungs = collections.Counter(trial.epoch for trial in view.waiting)
            parts.append(Text("paused: " + ", ".join(f"{n} after epoch {e}" for e, n in sorted(rungs.items()))))
        rows = [
            (
                str(t.number),
                t.key,
                f"{t.epoch}/{epochs}",
                {**t.proposal.costs, **(t.reports[-1].values if t.reports else {})},
            )
            for t in view.running
        ]
        if rows:
            parts.append(self._table(("running", "network", "epoch"), rows))
        first = view.run.objectives[0]
        best = sorted(view.run.front.results, key=lambda result: first.loss(result.values[first.name]))
        if best:
            size = max(self.live.console.height - _OTHER_LINES - len(rows), _LEAST_ROWS)
            best_rows = [(str(r.trial), r.key, f"{r.epochs}/{epochs}", r.values) for r in best[:size]]
            parts.append(self._table(("front", "network", "epoch"), best_rows))
        return parts

    def _training_parts(self) -> list[RenderableType]:
        from rich.text import Text

        rows = live_trainings.rows(self._view)
        return [
            Text(live_trainings.count_line(self._view)),
            self._table(("network", "training", "epoch"), [(*cells, values) for *cells, values in rows]),
        ]

    def _table(self, headings: Iterable[str], rows: Iterable[tuple[Any, ...]]) -> Table:
        """Rows of three texts and the values behind them, whose columns go by what is searched and the width."""
        from rich.table import Table

        assert self._view.run is not None
        names = _columns(self._view, is_wide=self.live.console.width >= _WIDE)
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1))
        for heading in headings:
            table.add_column(heading, no_wrap=True)
        for name in names:
            table.add_column(OBJECTIVES[name].title if name in OBJECTIVES else name, justify="right", no_wrap=True)
        for *cells, values in rows:
            table.add_row(*cells, *(_figure(name, values) for name in names))
        return table


def _columns(view: SearchView, *, is_wide: bool) -> list[str]:
    """Names of the values that have a column: what is optimised, the loss, and, with room, the usual metrics."""
    objectives = view.run.objectives if view.run else ()
    metrics = [o.name for o in objectives if not o.is_free]
    costs = [o.name for o in objectives if o.is_free]
    if is_wide:
        metrics += [name for name in USUAL_METRICS if name not in metrics]
    return [*metrics, _LOSS, *costs]


def _figure(name: str, values: Mapping[str, float]) -> str:
    if name == _LOSS:
        return f"{values[_LOSS]:.3f}" if _LOSS in values else "-"
    return OBJECTIVES[name].figure(values.get(name))


def _bar(view: SearchView, width: int) -> RenderableType:
    """How much is done; the padding ends the line, which the bar itself does not."""
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar

    return Padding(ProgressBar(total=view.num_planned, completed=view.num_done, width=min(width, _LONGEST_BAR)), 0)
