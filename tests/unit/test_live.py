from __future__ import annotations

from dataclasses import replace

import pytest
from rich.console import ConsoleDimensions
from support.opened import opened as opening
from support.results import proposed, result, tiny_space

from irnas.cli.live import Lines
from irnas.cli.live_screen import Screen
from irnas.cli.live_text import status_line
from irnas.cli.search_view import SearchView
from irnas.core.objective import parse
from irnas.core.recipe import Budget
from irnas.core.result import Status
from irnas.core.settings import SearchSettings
from irnas.record.events import Continued, DataSource, Event, Finished, Measured, Opened, Proposed, Reported, Resumed


def opened(trials: int = 4) -> Opened:
    settings = SearchSettings(space="tiny", trials=trials, budget=Budget(epochs=3))
    data = DataSource(name="d", revision="r" * 16, path="p")
    return opening(settings, space=tiny_space(), data=data)


def reported(trial: int, epoch: int, *, paused: bool = False) -> Reported:
    return Reported(trial=trial, epoch=epoch, values={"miou": 0.25, "loss": 1.5}, seconds=1.0, paused=paused)


def finished(trial: int, status: Status = Status.OK) -> Finished:
    values = {"miou": 0.5, "ops": 1e7 * (trial + 1), "params": 1e3}
    return Finished(result=result(trial, values, status=status))


STREAM: list[Event] = [
    opened(),
    proposed(0),
    reported(0, 1),
    proposed(1),
    finished(0),
    reported(1, 1),
    proposed(2, "ops: too many"),
    finished(2, Status.REJECTED),
    finished(1, Status.FAILED),
    proposed(3),
    reported(3, 2),
]


def view_of(*events: Event) -> SearchView:
    view = SearchView()
    for event in events:
        view.add(event)
    assert view.run is not None
    return view


def test_a_second_run_begins_anew() -> None:
    view = view_of(*STREAM, opened(), proposed(0), reported(0, 1), finished(0))
    assert view.run and (view.run.num_trained, view.run.tally.epochs, len(view.run.front.results)) == (1, 1, 1)
    assert view.count(Status.OK) == 1 and view.running == []


def test_the_counts_follow_the_events() -> None:
    view = view_of(*STREAM)
    assert view.run and view.run.num_trained == 2
    assert [view.count(s) for s in (Status.OK, Status.FAILED, Status.REJECTED)] == [1, 1, 1]
    assert [t.number for t in view.running] == [3] and len(view.run.front.results) == 1
    assert view.hypervolume == pytest.approx(0.5 * 2 / 3)
    text = status_line(view)
    assert text.endswith(" left; 2/4: 1 done, 1 running, 1 failed, 1 refused; front 1, hypervolume 33.3 %")


def test_what_is_optimised_is_shown_whatever_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    settings = replace(opened().settings, objectives=parse("auc,fa,ops"))
    lines, values = (
        Lines("runs/x", since=0),
        {"miou": 0.5, "fa": 2e-5, "auc": 0.875, "f1": 0.25, "ops": 1e7, "params": 1e3},
    )
    for event in (
        opening(settings, space=tiny_space(), bounds={"auc": (1, 0), "fa": (0, 1e-3), "ops": (1e6, 1e9)}),
        proposed(0),
        Finished(result=result(0, values)),
    ):
        lines.watch(event)
    assert "mIoU 50.00 %, Fa 20.0·10⁻⁶, AUC 87.50 % | ops 10 M" in capsys.readouterr().err


def test_a_paused_trial_waits_until_it_is_continued() -> None:
    view = view_of(opened(), proposed(0), reported(0, 1, paused=True))
    assert view.running == [] and [t.number for t in view.waiting] == [0]
    view.add(Continued(trial=0))
    assert [t.number for t in view.running] == [0] and view.waiting == []


def test_a_resumed_search_starts_its_clock_anew() -> None:
    view = view_of(*STREAM)
    view.add(Resumed(trials=9, code_rev="c"))
    assert view.eta_s is None and view.running == [] and [t.number for t in view.waiting] == [3]
    assert view.run and view.run.settings.trials == 9 and view.num_planned == 27


def test_lines_say_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("run", since=0)
    for event in STREAM:
        lines.watch(event)
    printed = capsys.readouterr().err
    assert "tiny for miou, ops on d (rrrrrrrrrrrr): 4 networks x 3 epochs, tpe, run run" in printed
    assert "trial 0" in printed and "failed: ValueError: broken" in printed and "mIoU 25.00 %" in printed
    assert "trial 2" not in printed


def drawn(screen: Screen, width: int, height: int = 24) -> list[str]:
    """The lines of a screen on a terminal of that size."""
    screen.live.console.size = ConsoleDimensions(width, height)
    with screen.live.console.capture() as captured:
        screen.live.console.print(screen._render())
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.mark.parametrize(("width", "has_usual_metrics"), [(80, False), (120, True)])
def test_the_screen_fits_the_terminal_with_the_time_first(width: int, has_usual_metrics: bool) -> None:
    screen = Screen("run")
    for event in STREAM:
        screen.watch(event)
    screen.warn("the tracking server is away")
    lines = drawn(screen, width)
    text = "\n".join(lines)
    assert all(len(line) <= width for line in lines) and len(lines) < 24 and "tracking server is away" in text
    (time_at,) = (number for number, line in enumerate(lines) if "so far, about" in line and "left" in line)
    # The bar has a line of its own.
    assert set(lines[time_at + 1]) <= set("━╸╺ ") and lines[time_at + 2].startswith("2/4: 1 done, 1 running")
    running, front = (next(i for i, line in enumerate(lines) if line.startswith(word)) for word in ("running", "front"))
    assert result(3, {}).key in lines[running + 1] and "2/3" in lines[running + 1] and "25.00" in lines[running + 1]
    assert result(0, {}).key in lines[front + 1] and "50.00" in lines[front + 1] and "10 M" in lines[front + 1]
    assert ("nIoU" in text) is has_usual_metrics


def test_a_low_terminal_shows_the_best_of_the_front() -> None:
    screen = Screen("run")
    screen.watch(opened(8))
    for number in range(8):
        screen.watch(proposed(number))
        values = {"miou": 0.1 + number / 10, "ops": 1e7 * (number + 1), "params": 1e3}
        screen.watch(Finished(result=result(number, values)))
    lines = drawn(screen, 80, height=16)
    assert len(lines) <= 16 and any("80.00" in line for line in lines) and not any("10.00" in line for line in lines)


def test_a_resumed_search_says_what_was_done_and_not_what_was_said(capsys: pytest.CaptureFixture[str]) -> None:
    lines, screen = Lines("run", since=50.0), Screen("run")
    before = [replace(event, t=float(number)) for number, event in enumerate(STREAM)]
    for event in [*before, Resumed(trials=4, code_rev="c", trains_on="NVIDIA X, 2 trials on each", t=60.0)]:
        lines.watch(event)
        screen.watch(event)
    headline, resumed = capsys.readouterr().err.splitlines()
    assert headline.endswith("tpe, on NVIDIA X, 2 trials on each, run run") and resumed == "resumed: 2 of 4 done"
    assert "resumed: 2 of 4 done" in drawn(screen, 80)


def test_speed_is_told_where_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("runs/one", since=0)
    lines.watch(opened())
    costs = {"ops": 2e8, "params": 1e3, "latency_ms": 4.0, "fps": 250.0}
    proposal = replace(proposed(0).proposal, costs=costs)
    lines.watch(Proposed(proposal=proposal))
    lines.watch(
        Measured(
            trial=0,
            key="abc",
            input=(1, 256, 256),
            threads=1,
            expected_ms=4.0,
            engine="xnor",
            kernels="avx2",
            ms_min=4.21,
            ms_median=4.4,
            runs=9,
        )
    )
    printed = capsys.readouterr().err
    assert "fps 250" in printed and "abc alone: 4.21 ms, 4 ms in the search" in printed


@pytest.mark.parametrize(("deviation", "gain"), [("spread", "gain"), ("standard_deviation", "expected_improvement")])
def test_what_one_more_percent_would_cost_is_told(deviation: str, gain: str) -> None:
    # The first names are those of version 0.1.
    belief = {"mean": 0.4, deviation: 0.1, gain: 0.02, "seconds": 120.0, "options": 9}
    proposal = replace(proposed(0).proposal, memory={"belief": belief})
    view = view_of(opened(), Proposed(proposal=proposal))
    assert view.seconds_per_percent == pytest.approx(60.0)
    assert "(1 % more: about 1 min 0 s of training)" in status_line(view)
    view.add(Continued(trial=0, belief={**belief, gain: 0.0}))
    assert view.seconds_per_percent is None and "1 % more" not in status_line(view)
