"""`irnas train` from a plan to weights: whatever kills it, what is resumed ends as what was left alone."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.datasets import tiny

from irnas.cli.front import _document, print_front
from irnas.core.errors import DataError, IrnasError, SettingsError
from irnas.core.recipe import Budget, Late, Recipe
from irnas.core.settings import trial_seed
from irnas.data import Dataset
from irnas.record.events import Closed, Event, Finished, Opened, Proposed, Repeated, Reported
from irnas.record.ledger import FILE, Ledger
from irnas.record.run import Run
from irnas.report.why import explain
from irnas.search.assign import start_uri
from irnas.training import checkpoint as checkpoints
from irnas.training import fit as fitting
from irnas.training.weights import read_weights, weights_uri
from irnas.workflows import execution, preconditions
from irnas.workflows import train as workflow
from irnas.workflows.execution import Listener, Outcome
from irnas.workflows.executor import Executor
from irnas.workflows.training_plan import TrainingPlan, plan_for, read_plan

LOOP = Executor(kind="loop")
POINT = "base=4,stages=2,n_bot=0,bn=true"


LATE = Late(share=0.4, crop=48, batch=2)
KILLED: dict[str, Any] = {"recipe": Recipe(ema=0.9, paste=0.5, pos_weight_end=2.0, schedule="poly", late=LATE)}
"""Of the training that is killed at every moment."""


class Killed(BaseException):
    """As a kill is: nobody expects it, and nothing is tidied up."""


@pytest.fixture(autouse=True)
def _without_mirror_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)
    # The checkout may change while the tests run, and weights name their revision.
    monkeypatch.setattr(execution, "code_revision", lambda: "code")


def plan(*points: str, **changes: Any) -> TrainingPlan:
    made = plan_for("biisnet", points or ["base=4,stages=2,n_bot=0"])
    fields: dict[str, Any] = {
        "dataset": str(tiny().root),
        "budget": Budget(epochs=3, batch=4, crop=32),
        "recipe": Recipe(),
        "seeds": 2,
        "cost_input": (1, 64, 64),
    }
    return replace(made, settings=replace(made.settings, **{**fields, **changes}))


def listener(watch: Callable[[Event], None] = lambda _: None) -> Listener:
    def warn(text: str) -> None:
        # The records of these tests name no version that there was.
        if "its record is of irnas code" not in text:
            pytest.fail(text)

    return Listener(watch=watch, warn=warn, progress=lambda *_: None)


def go(folder: Path, wanted: TrainingPlan) -> Outcome:
    return workflow.train(wanted, str(folder), LOOP, listener())


def weights(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "weights").iterdir())}


def kill_after(folder: Path, wanted: TrainingPlan, is_time: Callable[[Event], bool]) -> None:
    """Begin a training and end it as a kill would right after an event: no tidying up, no closing of the record."""

    def watch(event: Event) -> None:
        if is_time(event):
            shutil.copytree(folder, folder.with_suffix(".killed"))
            raise Killed

    with pytest.raises(Killed):
        workflow.train(wanted, str(folder), LOOP, listener(watch))
    shutil.rmtree(folder)
    folder.with_suffix(".killed").rename(folder)


@pytest.fixture(scope="module")
def left_alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of ``KILLED``, whom nothing happened to."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
        patch.setattr(execution, "write_report", lambda *_: None)
        patch.setattr(execution, "code_revision", lambda: "code")
        go(folder, plan(POINT, **KILLED))
    return folder


def test_the_record_is_that_of_given_networks(tmp_path: Path) -> None:
    outcome = go(tmp_path / "run", plan())
    kinds = [type(event) for event in Ledger(str(tmp_path / "run")).events()]
    assert kinds == [Opened, Proposed, *[Reported] * 3, Finished, *[Reported] * 3, Repeated, Closed]
    run = outcome.run
    assert not outcome.gave_up and outcome.stop_reason == "all 2 trainings came to their end"
    assert run.settings.is_training and run.settings.is_validation_seen and run.settings.trials == 1
    assert run.trials[0].statistics["miou"].num == 2 and not list((tmp_path / "run" / "checkpoints").iterdir())


def test_each_seed_leaves_weights_that_say_what_they_are(tmp_path: Path) -> None:
    go(tmp_path / "run", plan())
    assert len(weights(tmp_path / "run")) == 2
    key = Run.read(str(tmp_path / "run")).trials[0].key
    for replicate in (0, 1):
        _, info = read_weights(weights_uri(str(tmp_path / "run"), key, replicate))
        assert (info.split, info.epochs, info.replicate, info.origin) == ("train", 3, replicate, "trained")
        assert info.seed == trial_seed(replicate, key) and info.data and info.data.revision == tiny().revision
        # By images that it was trained on no threshold is chosen.
        assert info.threshold == 0.5 and info.miou_at_threshold is None


@pytest.mark.parametrize(
    "is_time",
    [
        lambda e: isinstance(e, Opened),
        lambda e: isinstance(e, Reported) and (e.replicate, e.epoch) == (0, 2),
        lambda e: isinstance(e, Reported) and (e.replicate, e.epoch) == (0, 3),
        lambda e: isinstance(e, Finished),
        lambda e: isinstance(e, Reported) and (e.replicate, e.epoch) == (1, 1),
        lambda e: isinstance(e, Repeated),
    ],
    ids=["opened", "first-2", "first-3", "first-end", "second-1", "second-end"],
)
def test_a_killed_training_ends_with_the_same_bytes(
    tmp_path: Path, left_alone: Path, is_time: Callable[[Event], bool]
) -> None:
    kill_after(tmp_path / "killed", plan(POINT, **KILLED), is_time)
    outcome = workflow.resume(str(tmp_path / "killed"), LOOP, listener())
    assert weights(tmp_path / "killed") == weights(left_alone) and len(weights(left_alone)) == 2
    assert outcome.run.trials[0].statistics == Run.read(str(left_alone)).trials[0].statistics


def test_the_best_epoch_survives_a_kill_before_it_is_judged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = plan(POINT, fit_on="fit", keep="best", seeds=1, budget=Budget(epochs=5, batch=4, crop=32))
    alone = go(tmp_path / "left-alone", wanted)
    best = max(alone.run.reports, key=lambda r: (r.values["miou"], -r.epoch))
    assert best.epoch < 5, "choose another seed: the last is the best"
    write, written = checkpoints.write_checkpoint, list[int]()

    def killing(uri: str, parts: Any, epoch: int, loss: float) -> None:
        write(uri, parts, epoch, loss)
        written.append(epoch)
        if epoch == best.epoch and written.count(epoch) == 1:
            raise Killed

    monkeypatch.setattr(fitting, "write_checkpoint", killing)
    with pytest.raises(Killed):
        go(tmp_path / "killed", wanted)
    outcome = workflow.resume(str(tmp_path / "killed"), LOOP, listener())
    assert weights(tmp_path / "killed") == weights(tmp_path / "left-alone")
    (result,) = outcome.run.results
    assert result.values["miou"] == best.values["miou"] and f"weights of epoch {best.epoch}" in result.note
    _, info = read_weights(weights_uri(str(tmp_path / "killed"), result.key))
    assert info.epochs == best.epoch and info.miou_at_half is not None


def test_the_plan_in_the_folder_trains_the_same_again(tmp_path: Path) -> None:
    go(tmp_path / "first", plan(seeds=1, seed=3))
    go(tmp_path / "second", read_plan(str(tmp_path / "first" / "train.yaml")))
    assert weights(tmp_path / "second") == weights(tmp_path / "first")


def test_a_training_may_start_from_weights(tmp_path: Path) -> None:
    go(tmp_path / "first", plan(seeds=1))
    (name,) = weights(tmp_path / "first")
    start = str(tmp_path / "first" / "weights" / name)
    wanted = plan(seeds=1, starts_from=start)
    go(tmp_path / "second", wanted)
    assert Path(start_uri(str(tmp_path / "second"))).read_bytes() == Path(start).read_bytes()
    assert weights(tmp_path / "second") != weights(tmp_path / "first")
    losses = [Run.read(str(tmp_path / f)).reports[0].values["loss"] for f in ("first", "second")]
    assert losses[1] != losses[0]
    # The file may go: the run has its own.
    kill_after(tmp_path / "third", wanted, lambda e: isinstance(e, Reported))
    Path(start).unlink()
    workflow.resume(str(tmp_path / "third"), LOOP, listener())
    assert weights(tmp_path / "third") == weights(tmp_path / "second")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"keep": "best"}, "keep: got best with val, whose images are trained on"),
        ({"fit_on": "nowhere"}, "split of tiny: got 'nowhere'; one of train, fit"),
        ({"starts_from": "absent.safetensors"}, "--from: got 'absent.safetensors', which is not there"),
        ({"dataset": "nowhere"}, "dataset: got 'nowhere'"),
    ],
)
def test_what_cannot_be_met_leaves_nothing_behind(tmp_path: Path, changes: dict[str, Any], error: str) -> None:
    with pytest.raises(IrnasError, match=error):
        go(tmp_path / "run", plan("base=4,stages=2", **changes))
    assert not (tmp_path / "run").exists()


def test_a_crop_that_a_network_does_not_take_is_refused(tmp_path: Path) -> None:
    wanted = plan_for("sd2net", ["default"])
    settings = replace(wanted.settings, dataset=str(tiny().root), recipe=Recipe(), budget=Budget(epochs=1, crop=48))
    with pytest.raises(SettingsError, match=r"crop: got 48, which .* of sd2net does not take .*must be a multiple"):
        go(tmp_path / "run", replace(wanted, settings=settings))
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network_are_no_start(tmp_path: Path) -> None:
    go(tmp_path / "first", plan(seeds=1, budget=Budget(epochs=1, batch=4, crop=32)))
    (name,) = weights(tmp_path / "first")
    start = str(tmp_path / "first" / "weights" / name)
    with pytest.raises(SettingsError, match=r"--from: got the weights of .* must be of one network"):
        go(tmp_path / "run", plan("base=6,stages=2", starts_from=start))
    assert not (tmp_path / "run").exists()


def without(name: str) -> Dataset:
    splits = {n: members for n, members in tiny().manifest.splits.items() if n != name}
    return replace(tiny(), manifest=replace(tiny().manifest, splits=splits))


def test_splits_follow_from_the_data_set() -> None:
    settings = plan().settings
    chosen = workflow.with_splits(settings, tiny())
    assert (chosen.fit_on, chosen.validate_on, chosen.is_validation_seen) == ("train", "val", True)
    chosen = workflow.with_splits(replace(settings, fit_on="fit"), tiny())
    assert (chosen.fit_on, chosen.validate_on, chosen.is_validation_seen) == ("fit", "val", False)
    chosen = workflow.with_splits(settings, without("val"))
    assert (chosen.validate_on, chosen.validation) == ("train", "train (images that were trained on)")
    with pytest.raises(DataError, match="split of tiny: got 'train'; one of fit"):
        workflow.with_splits(settings, without("train"))


def test_a_search_is_not_resumed_as_a_training(tmp_path: Path) -> None:
    go(tmp_path / "run", plan(seeds=1, budget=Budget(epochs=1, batch=4, crop=32)))
    run = Run.read(str(tmp_path / "run"))
    with pytest.raises(SettingsError, match=r"got a training; must be a search \(irnas train --resume goes on"):
        preconditions.require_kind(run, is_training=False)
    run.settings = replace(run.settings, strategy="tpe", fit_on="fit")
    with pytest.raises(SettingsError, match=r"got a search; must be a training \(irnas search --resume"):
        preconditions.require_kind(run, is_training=True)


def test_what_is_told_of_it_is_of_trainings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    outcome = go(tmp_path / "run", plan("base=4,stages=2", "base=6,stages=2", seeds=2))
    print_front(outcome.run.uri)
    printed = capsys.readouterr().out
    assert "point base=4,stages=2" in printed and "±" in printed and "4 of 4 trainings are done" in printed
    assert "judged on val (images that were trained on) of tiny" in printed and "hypervolume" not in printed
    document = _document(outcome.run)
    assert "hypervolume" not in document and [t["replicate"] for t in document["trainings"]] == [0, 1, 0, 1]
    story = "\n".join(explain(outcome.run, "0"))
    assert "training 2 (seed" in story and "over 2 trainings" in story and "hypervolume" not in story


def test_a_torn_record_is_resumed_too(tmp_path: Path) -> None:
    wanted = plan(seeds=1)
    go(tmp_path / "left-alone", wanted)
    kill_after(tmp_path / "killed", wanted, lambda e: isinstance(e, Reported))
    with (tmp_path / "killed" / FILE).open("ab") as file:
        file.write(b'{"schema": 3, "kind": "rep')
    workflow.resume(str(tmp_path / "killed"), LOOP, listener())
    assert weights(tmp_path / "killed") == weights(tmp_path / "left-alone")
