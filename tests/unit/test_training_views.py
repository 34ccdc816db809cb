"""What is told of trainings in full: while they run, on the page, and in MLflow; nothing of it is about a search."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.opened import opened
from support.results import tiny_space

from irnas.cli.live import Lines
from irnas.cli.live_screen import Screen
from irnas.cli.search_view import SearchView
from irnas.core.proposal import Proposal
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, trial_seed
from irnas.core.strategies import LISTED
from irnas.record.events import Closed, Event, Finished, Proposed, Repeated, Reported, Resumed, Retried
from irnas.record.run import Run
from irnas.report import page, training
from irnas.tracking.entries import entries

START = 1_790_000_000.0
SETTINGS = SearchSettings(
    space="tiny",
    strategy=LISTED,
    trials=1,
    seeds=3,
    budget=Budget(epochs=4),
    fit_on="train",
    is_validation_seen=True,
)
GENOTYPE = tiny_space().default()
KEY = GENOTYPE.key


def values(miou: float) -> dict[str, float]:
    return {"miou": miou, "niou": miou, "f1": miou, "pd": 1.0, "fa": 2e-5}


def reported(replicate: int, epoch: int, miou: float) -> Reported:
    metrics = {**values(miou), "loss": 1.0}
    return Reported(trial=0, epoch=epoch, values=metrics, seconds=2.0, paused=False, replicate=replicate)


def finished(miou: float) -> Finished:
    costs = {"ops": 1e6, "params": 1e3, "bytes": 400.0}
    return Finished(
        result=Result(
            trial=0,
            genotype=GENOTYPE,
            status=Status.OK,
            values={**costs, **values(miou)},
            epochs=4,
            seed=trial_seed(0, KEY),
            data_rev="d",
            code_rev="c",
            seconds=8.0,
        )
    )


def repeated(replicate: int, miou: float) -> Repeated:
    seed = trial_seed(replicate, KEY)
    return Repeated(trial=0, key=KEY, seed=seed, replicate=replicate, seconds=8.0, values=values(miou))


def stream() -> list[Event]:
    """Three trainings of one network; the second ends before the first, the third goes on."""
    proposal = Proposal(trial=0, genotype=GENOTYPE, costs={"ops": 1e6, "params": 1e3}, origin="published <TINY>")
    events = [
        opened(SETTINGS, space=tiny_space()),
        Proposed(proposal=proposal),
        reported(0, 2, 0.3),
        reported(1, 4, 0.5),
        repeated(1, 0.5),
        Retried(trial=0, error="its worker died; started again from its checkpoint"),
        reported(0, 4, 0.7),
        finished(0.7),
        reported(2, 2, 0.2),
    ]
    return [replace(event, t=START + number) for number, event in enumerate(events)]


def test_lines_tell_each_training_apart(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("runs/x", since=0)
    for event in [*stream(), repeated(2, 0.6)]:
        lines.watch(event)
    printed = capsys.readouterr().err
    assert "1 network of tiny x 3 seeds x 4 epochs on d" in printed
    assert "validated on val (images that were trained on); run runs/x" in printed
    assert f"{KEY} 2/3 epoch 4/4: mIoU 50.00 %" in printed and f"{KEY} 2/3 ok" in printed
    assert f"{KEY}, mean of 3: mIoU 60.00 ± 10.00 %" in printed and "3 of 3 trainings done" in printed
    assert "hypervolume" not in printed and "front" not in printed


def test_the_screen_has_a_row_for_each_training() -> None:
    screen = Screen("runs/x")
    for event in stream():
        screen.watch(event)
    with screen.live.console.capture() as captured:
        screen.live.console.print(screen._render())
    text = " ".join(captured.get().split())
    assert "2 of 3 trainings done; 10/12 epochs" in text and text.count(KEY) == 3 and "2/4" in text
    assert "hypervolume" not in text


def test_what_is_left_counts_every_seed() -> None:
    view = SearchView()
    for event in stream():
        view.add(event)
    assert (view.num_planned, view.num_done) == (12.0, 10.0) and view.eta_s is not None
    view.add(Resumed(trials=1, code_rev="c"))
    assert view.eta_s is None
    view.add(reported(2, 3, 0.3))
    assert view.eta_s is not None and view.num_done == 11.0


def test_the_page_is_about_trainings() -> None:
    run = Run.of("runs/x", [*stream(), Closed(reason="interrupted", t=START + 20)])
    text = page.html(run, (), images=False).partition("</head>")[2]
    assert "Training in full, run x" in text and "2 of 3" in text and "60.00<br><small>± 14.14</small>" in text
    assert "published &lt;TINY&gt;" in text and "val (images that were trained on)" in text
    assert "say nothing of images that are new" in text and "Retries after a worker was lost: 1" in text
    for word in ("hypervolume", "Architecture search", "search space", "strategy", "Trials across axes"):
        assert word not in text
    figure = training.curves(run)
    assert figure is not None and len(figure.data) == 6


def test_mlflow_shows_the_mean_also_where_a_further_seed_ends_first() -> None:
    run = Run.of("runs/x", stream())
    parent, children = entries(run)
    assert parent.tags["irnas.kind"] == "training" and parent.points == []
    assert "1 of 1 networks trained in full, 3 seeds each, on train" in parent.tags["mlflow.note.content"]
    points = [p for p in children[0].points if p[0] == "miou"]
    # What MLflow shows is the point of the latest step and time.
    assert max(points, key=lambda p: (p[3], p[2]))[1] == pytest.approx(0.6)
    assert {p[0] for p in children[0].points if p[0].endswith("/miou")} == {"training_2/miou", "training_3/miou"}
