from __future__ import annotations

from pathlib import Path

import pytest
from support.runs import Writer, space_folder, write_run

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.result import Status
from irnas.record.events import Continued, Reported
from irnas.record.run import Run
from irnas.report.why import explain

BELIEF = {"mean": 0.5, "spread": 0.05, "gain": 0.012, "seconds": 90.0, "options": 40}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    folder = space_folder(tmp_path)
    paused = catalog.load(str(folder)).genotype(
        {"width": 32, "depth": 3, "binarizer": "float", "attention": True, "reduction": 4, "norm": "batch"}
    )

    def more(writer: Writer) -> None:
        trial = writer.propose(paused, "freeze-thaw")
        values = writer.report(trial, paused, 1)
        writer.append(Reported(trial=trial, epoch=2, values=values, seconds=8.0, paused=True))
        writer.append(Continued(trial=trial, belief=BELIEF))
        writer.append(Reported(trial=trial, epoch=3, values=values, seconds=9.0, paused=True))
        writer.finish(trial, paused, Status.STOPPED, values, 3)

    return Run.read(write_run(tmp_path / "run", folder, then=more))


def test_a_member_of_the_front_says_what_it_is_worth(run: Run) -> None:
    winner = run.winners[0]
    said = explain(run, winner.key)
    assert said[0].startswith(f"{winner.key}, trial {winner.trial}: ") and "proposed by" in said[1]
    rest = [r for r in run.outcomes if r.status is Status.OK and r.key != winner.key]
    worth = run.hypervolume() - Front.of(rest, run.objectives).hypervolume(run.bounds)
    assert worth > 0
    assert said[-1] == f"on the front: without it the hypervolume would be {100 * worth:.2g} points less"


def test_a_network_of_several_trainings_is_worth_something_too(tmp_path: Path) -> None:
    """Its result is made anew, with the means, whenever it is asked for: only its number tells it from the others."""

    def more(writer: Writer) -> None:
        winner = Run.read(str(tmp_path / "run")).winners[0]
        writer.repeat(winner.trial, winner.genotype, 7)

    run = Run.read(write_run(tmp_path / "run", space_folder(tmp_path), then=more))
    (key,) = run.replicates
    assert key in {r.key for r in run.front.results}
    assert "without it the hypervolume would be 0 points" not in explain(run, key)[-1]


def test_a_dominated_one_names_what_dominates_it(run: Run) -> None:
    losers = [r for r in run.done if r not in run.front.results]
    for loser in losers:
        last = explain(run, loser.key)[-1]
        assert last.startswith("not on the front: dominated by ")
        named = [w for w in run.winners if w.key in last]
        assert named and all(
            w.values["miou"] >= loser.values["miou"] and w.values["ops"] <= loser.values["ops"] for w in named
        )


def test_a_paused_one_tells_its_rungs_and_what_was_believed(run: Run) -> None:
    key = next(r.key for r in run.results if r.status is Status.STOPPED)
    text = "\n".join(explain(run, key[:6]))
    assert "paused after epoch 2 with mIoU" in text and "went on, as the most promising thing to do" in text
    assert "final mIoU 40.00 % to 60.00 % (two deviations)" in text and "1.2 % of the hypervolume in " in text
    assert "of 40 options" in text and "stopped after epoch 3" in text and "as it stood when it was stopped" in text


def test_what_was_never_trained_or_failed_says_so(run: Run) -> None:
    by = {r.status: r.key for r in run.results}
    assert explain(run, by[Status.FAILED])[-1].startswith("failed: TrainingError: epoch 2")
    assert any("started again" in s or "worker died" in s for s in explain(run, by[Status.FAILED]))


def test_an_unknown_or_ambiguous_key_is_refused(run: Run) -> None:
    with pytest.raises(SettingsError, match=r"^key 'zz' of .*: got no such network; must be a key \("):
        explain(run, "zz")
    with pytest.raises(SettingsError, match=r"^key '' of .*: got no such network; must be a key \("):
        explain(run, "")
