from __future__ import annotations

from typing import Any

import pytest
from support.results import result, tiny_space

from irnas.cli.live import Lines, Progress, Screen, amount, status_line
from irnas.core.result import Status
from irnas.core.settings import Budget, SearchSettings


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"schema": 1, "t": 0.0, "kind": kind, **fields}


def opened(trials: int = 4) -> dict[str, Any]:
    settings = SearchSettings(space="tiny", trials=trials, budget=Budget(epochs=3)).document()
    data = {"name": "d", "revision": "r" * 16, "path": "p"}
    bounds = {"miou": [1.0, 0.0], "ops": [1e6, 1e9]}
    return event("opened", settings=settings, space=tiny_space().document(), data=data, bounds=bounds)


def proposed(trial: int, refused: str = "") -> dict[str, Any]:
    found = result(trial, {})
    return event(
        "proposed", trial=trial, key=found.key, costs={"ops": 2e8, "params": 1e3}, origin="tpe", refused=refused
    )


def reported(trial: int, epoch: int) -> dict[str, Any]:
    return event("reported", trial=trial, epoch=epoch, values={"miou": 0.25, "loss": 1.5}, seconds=1.0)


def finished(trial: int, status: Status = Status.OK) -> dict[str, Any]:
    values = {"miou": 0.5, "ops": 1e7 * (trial + 1), "params": 1e3}
    return event("finished", result=result(trial, values, status=status).document())


STREAM = [
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


def test_a_second_run_begins_anew() -> None:
    progress = Progress()
    for one in (*STREAM, opened(), proposed(0), reported(0, 1), finished(0)):
        progress.take(one)
    assert (progress.num_trained, progress.count("ok"), progress.front_size, progress.num_epochs) == (1, 1, 1, 1)


def test_the_counts_follow_the_events() -> None:
    progress = Progress()
    for one in STREAM:
        progress.take(one)
    assert (progress.num_trained, progress.count("ok"), progress.count("failed"), progress.count("rejected")) == (
        2,
        1,
        1,
        1,
    )
    assert list(progress.running) == [3] and progress.front_size == 1
    assert progress.hypervolume == pytest.approx(0.5 * 2 / 3)
    text = status_line(progress)
    assert text.startswith("2/4: 1 done, 1 running, 1 failed, 1 over a limit; front 1, hypervolume 0.3333;")
    assert "left" in text


def test_a_resumed_search_starts_its_clock_anew_and_may_be_longer() -> None:
    progress = Progress()
    for one in STREAM:
        progress.take(one)
    progress.take(event("resumed", trials=9, code_rev="c"))
    assert progress.eta_s is None and not progress.running and progress.num_trials == 9


def test_lines_say_what_happens(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("run")
    for one in STREAM:
        lines.watch(one)
    said = capsys.readouterr().err
    assert "tiny for miou, ops on d (rrrrrrrrrrrr): 4 networks x 3 epochs, tpe, run run" in said
    assert "trial 0" in said and "failed: ValueError: broken" in said and "mIoU 0.250" in said
    assert "trial 2" not in said


def test_the_screen_shows_what_is_running() -> None:
    screen = Screen("run")
    for one in STREAM:
        screen.watch(one)
    screen.warn("the tracking server is away")
    with screen.live.console.capture() as captured:
        screen.live.console.print(screen._render())
    text = captured.get()
    assert result(3, {}).key in text and "2/3" in text and "tracking server is away" in text


@pytest.mark.parametrize(
    ("value", "text"), [(343.9e6, "343.9M"), (0.4e9, "400M"), (1.5e9, "1.5G"), (10036, "10.04K"), (7, "7")]
)
def test_amounts_are_short(value: float, text: str) -> None:
    assert amount(value) == text


def test_speed_is_told_where_it_counts(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("runs/one")
    lines.watch(opened())
    lines.watch({**proposed(0), "costs": {"ops": 2e8, "params": 1e3, "latency_ms": 4.0, "fps": 250.0}})
    lines.watch(event("measured", key="abc", trial=0, ms_min=4.21, ms_median=4.4, expected_ms=4.0))
    told = capsys.readouterr().err
    assert "fps 250" in told and "abc alone: 4.21 ms, 4 ms in the search" in told


def test_what_one_more_percent_would_cost_is_told() -> None:
    progress = Progress()
    belief = {"mean": 0.4, "spread": 0.1, "gain": 0.02, "seconds": 120.0, "options": 9}
    for one in (opened(), {**proposed(0), "memory": {"belief": belief}}):
        progress.take(one)
    assert progress.next_percent == pytest.approx(60.0) and "(1 % more: about 1:00 of training)" in status_line(
        progress
    )
    progress.take({**event("continued", trial=0), "belief": {**belief, "gain": 0.0}})
    assert progress.next_percent is None and "1 % more" not in status_line(progress)
