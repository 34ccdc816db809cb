from __future__ import annotations

import contextlib
import json
import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support import profiles, records
from support.datasets import tiny
from support.native import library, products  # noqa: F401
from support.results import result

import irnas
from irnas import runtime
from irnas.cli.search import _print_outcome as print_outcome
from irnas.cluster.resources import Resources
from irnas.core import catalog, provenance
from irnas.core.errors import DataError, ServiceError, SettingsError, TrainingError
from irnas.core.objective import parse
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.data import cache, lock
from irnas.deploy.device.profile import load
from irnas.deploy.export.source import from_run
from irnas.record.events import Measured
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.search import local_executor, pricing
from irnas.training import crop_check
from irnas.training.trial import Assignment, Report
from irnas.workflows import execution
from irnas.workflows import search as search_workflow
from irnas.workflows.executor import Executor

LOOP = Executor(kind="loop")
MIRRORED = execution.mirrored


@pytest.fixture(autouse=True)
def _without_mirror_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)


def settings(**changes: Any) -> SearchSettings:
    fields: dict[str, Any] = {
        "space": "biisnet",
        "dataset": str(tiny().root),
        "trials": 2,
        "budget": Budget(epochs=1, batch=4, crop=32),
        "axes": {"base": (4, 6), "stages": (2,)},
        "cost_input": (1, 64, 64),
    }
    return SearchSettings(**{**fields, **changes})


def heard() -> tuple[execution.Listener, list[dict[str, Any]]]:
    events: list[dict[str, Any]] = []
    return execution.Listener(
        watch=lambda event: events.append(event.document()), warn=pytest.fail, progress=lambda *_: None
    ), events


def documents(folder: Path) -> list[dict[str, Any]]:
    return [event.document() for event in Ledger(str(folder)).events()]


def go(folder: Path, **changes: Any) -> tuple[execution.Outcome, list[dict[str, Any]]]:
    listener, events = heard()
    return search_workflow.search(settings(**changes), str(folder), LOOP, listener), events


def test_what_is_heard_is_what_is_recorded(tmp_path: Path) -> None:
    outcome, events = go(tmp_path / "run")
    assert documents(tmp_path / "run") == events
    assert [e["kind"] for e in events if e["kind"] != "measured"] == [
        "opened",
        "proposed",
        "reported",
        "finished",
        "proposed",
        "reported",
        "finished",
        "closed",
    ]
    assert len(outcome.run.results) == 2 and not outcome.gave_up


def test_the_opening_says_all_that_numbers_depend_on(tmp_path: Path) -> None:
    _, events = go(tmp_path / "run")
    opened = events[0]
    assert opened["data"]["revision"] == tiny().revision and opened["code_rev"].startswith(irnas.__version__)
    assert SearchSettings.from_document(opened["settings"]) == settings()
    best, worst = opened["bounds"]["ops"]
    costs = [e["costs"]["ops"] for e in events if e["kind"] == "proposed"]
    assert best <= min(costs) and opened["bounds"]["miou"] == [1.0, 0.0]
    assert worst == pytest.approx(max(worst, *costs))
    assert set(opened["baselines"]) == {"all_background", "global_threshold"}
    assert opened["baselines"]["all_background"]["miou"] == 0


def test_published_points_come_first_when_asked(tmp_path: Path) -> None:
    _, events = go(tmp_path / "run", warm_start="published", trials=2)
    origins = [e["origin"] for e in events if e["kind"] == "proposed"]
    assert origins[0] == "published LIT10" and all(o.startswith("published ") and "/" not in o for o in origins)


def test_named_designs_come_first_in_their_order(tmp_path: Path) -> None:
    _, events = go(tmp_path / "run", warm_start="D10, LIT-P,LIT10,BNN", trials=3)
    # LIT-P and LIT10 are one network.
    assert [e["origin"] for e in events if e["kind"] == "proposed"] == [
        f"published {n}" for n in ("D10", "LIT-P", "BNN")
    ]


def test_all_published_points_can_be_asked_for() -> None:
    headlines, every = (dict(catalog.find_designs("biisnet", word)) for word in ("published", "published/all"))
    assert list(headlines) == ["LIT10", "LIT-O", "LIT-P"]
    assert set(every) == {row.name for row in catalog.load_published("biisnet") if row.genotype}
    with pytest.raises(SettingsError, match=r"warm-start: got 'LIT11'; must be none, .*; did you mean LIT10$"):
        catalog.find_designs("biisnet", "LIT11")


def test_a_run_goes_on_in_the_part_of_the_space_that_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(tmp_path / "run")
    whole = catalog.load("biisnet")
    widened = replace(whole, params=tuple(replace(p, search=p.values) for p in whole.params))
    monkeypatch.setattr(catalog, "load", lambda name: widened)
    listener, _ = heard()
    outcome = search_workflow.resume(str(tmp_path / "run"), 3, LOOP, listener)
    began = outcome.run.space
    assert len(outcome.run.results) == 3
    assert all(began.genotype(r.genotype.values) for r in outcome.run.results)


def test_a_limit_keeps_the_dear_ones_untrained(tmp_path: Path) -> None:
    outcome, events = go(tmp_path / "run", limits={"ops": 6e5}, trials=2)
    rejected = [r for r in outcome.run.results if r.status is Status.REJECTED]
    trained = [r for r in outcome.run.results if r.status is Status.OK]
    assert rejected and all(r.values["ops"] > 6e5 and r.epochs == 0 and r.note for r in rejected)
    assert len(trained) == 2 and all(r.values["ops"] <= 6e5 for r in trained)
    assert events[0]["bounds"]["ops"][1] <= 6e5


def test_several_objectives_at_once(tmp_path: Path) -> None:
    outcome, _ = go(tmp_path / "run", objectives=parse("niou,fa,params,bytes"))
    assert [o.name for o in outcome.run.front.objectives] == ["niou", "fa", "params", "bytes"]


def test_resuming_needs_the_space_and_the_data_it_began_with(tmp_path: Path) -> None:
    go(tmp_path / "run")
    opened, *rest = records.documents(tmp_path / "run")
    listener, _ = heard()
    for field, wrong, message in (
        ("data", {**opened["data"], "revision": "0" * 16}, "must be 0000"),
        ("space", {**opened["space"], "params": opened["space"]["params"][:-1]}, "a space biisnet that has changed"),
    ):
        records.rewrite(tmp_path / "run", [{**opened, field: wrong}, *rest])
        with pytest.raises(SettingsError, match=message):
            search_workflow.resume(str(tmp_path / "run"), None, LOOP, listener)


def test_resuming_refuses_files_that_changed_below_their_lock(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    shutil.copytree(tiny().root, folder)
    (tmp_path / ".dvc").mkdir()
    pointer = {"outs": [{"md5": lock.digest(folder), "path": "data"}]}
    (tmp_path / "data.dvc").write_text(json.dumps(pointer))
    go(tmp_path / "run", dataset=str(folder))
    # The manifest, and so the revision, stays as it is.
    (folder / "more.txt").write_text("changed")
    with pytest.raises(DataError, match=r"must be .*, as data\.dvc says"):
        search_workflow.resume(str(tmp_path / "run"), 3, LOOP, heard()[0])


def test_a_data_set_is_looked_for_where_it_moved_to(tmp_path: Path) -> None:
    old, new, run = tmp_path / "old", tmp_path / "new", str(tmp_path / "run")
    shutil.copytree(tiny().root, old)
    go(tmp_path / "run", dataset=str(old))
    old.rename(new)
    with pytest.raises(SettingsError, match=r"--dataset names the place"):
        search_workflow.resume(run, None, LOOP, heard()[0])
    search_workflow.resume(run, None, LOOP, heard()[0], dataset_at=str(new))
    search_workflow.resume(run, None, LOOP, heard()[0])
    places = [e["data_path"] for e in documents(tmp_path / "run") if e["kind"] == "resumed"]
    assert places == [str(new), ""] and Run.read(run).data.path == str(new)
    assert from_run(run, "best", None).origin.data_rev == tiny().revision


def test_resuming_takes_up_a_trial_that_was_under_way(tmp_path: Path) -> None:
    go(tmp_path / "run", trials=3)
    path = tmp_path / "run" / "ledger.jsonl"
    lines = path.read_text().splitlines(keepends=True)
    kinds = [json.loads(line)["kind"] for line in lines]
    whole = [json.loads(line)["result"] for line in lines if '"finished"' in line]
    # Cut as a kill would: the second network proposed, not yet finished.
    path.write_text("".join(lines[: kinds.index("proposed", 4) + 1]))
    listener, _ = heard()
    outcome = search_workflow.resume(str(tmp_path / "run"), None, LOOP, listener)
    finished = [e["result"]["trial"] for e in documents(tmp_path / "run") if e["kind"] == "finished"]
    assert finished == [0, 1, 2]
    again = [r.document() for r in sorted(outcome.run.results, key=lambda r: r.trial)]
    for mine, theirs in zip(again, sorted(whole, key=lambda r: r["trial"]), strict=True):
        assert {**mine, "seconds": 0} == {**theirs, "seconds": 0}


def test_a_missing_split_is_refused_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tiny()
    splits = {name: members for name, members in dataset.manifest.splits.items() if name != "val"}
    empty = replace(dataset, manifest=replace(dataset.manifest, splits=splits))
    monkeypatch.setattr(search_workflow, "open_dataset", lambda *_, **__: empty)
    with pytest.raises(DataError, match="val"):
        go(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_validation_split_without_targets_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = tiny()
    counts = {**dataset.manifest.counts, "val": {"images": 2, "targets": 0}}
    empty = replace(dataset, manifest=replace(dataset.manifest, counts=counts))
    monkeypatch.setattr(search_workflow, "open_dataset", lambda *_, **__: empty)
    with pytest.raises(SettingsError, match="images without any target in 'val'; must have some for a search by"):
        go(tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_too_many_failures_end_the_search_and_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> object:
        raise TrainingError("always")
        yield

    monkeypatch.setattr("irnas.training.trial.fit", broken)
    outcome, events = go(tmp_path / "run", trials=30)
    assert outcome.gave_up and "5 of 5 trials failed" in outcome.stop_reason
    assert events[-1]["reason"] == outcome.stop_reason


def test_the_code_revision_names_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(irnas, "__file__", str(tmp_path / "irnas" / "__init__.py"))
    assert provenance.code_revision() == irnas.__version__
    (tmp_path / ".git").mkdir()
    monkeypatch.setattr(provenance, "_git", lambda folder, *words: "abc1234" if "rev-parse" in words else " M x.py")
    assert provenance.code_revision() == f"{irnas.__version__}+gabc1234.dirty"


def test_the_spaces_are_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert "biisnet" in catalog.list_names() and catalog.load("biisnet").count() > 1e9


def fast(**changes: Any) -> dict[str, Any]:
    return {"objectives": parse("miou,ops,fps"), "axes": {"base": (4,), "stages": (2,)}, **changes}


def test_a_search_for_speed_measures_its_front_once_more(
    tmp_path: Path,
    library: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pricing, "ALONE_SECONDS", 0.0)
    monkeypatch.setattr(pricing, "MEASURED_POOL", 3)
    outcome, events = go(tmp_path / "run", **fast(limits={"latency_ms": 1e4}))
    assert all(r.values["fps"] * r.values["latency_ms"] == pytest.approx(1000) for r in outcome.run.results)
    assert events[0]["device"]["predicted"] is False and events[0]["device"]["kernels"] in runtime.kernels()
    best, worst = events[0]["bounds"]["fps"]
    assert best >= 2 * worst > 0 and 0 <= outcome.run.front.hypervolume(outcome.run.bounds) <= 1
    kinds = [e["kind"] for e in events]
    members = {r.key for r in outcome.run.front.results}
    assert kinds[-1] == "closed" and {e["key"] for e in events if e["kind"] == "measured"} == members
    assert kinds.index("measured") > max(n for n, kind in enumerate(kinds) if kind == "finished")
    again, more = heard()[0], len(events)
    search_workflow.resume(str(tmp_path / "run"), None, LOOP, again)
    later = documents(tmp_path / "run")[more:]
    assert [e["kind"] for e in later] == ["resumed", "closed"]


def test_a_search_of_binary_networks_times_its_front_at_its_end(tmp_path: Path, library: Path) -> None:  # noqa: F811
    outcome, events = go(tmp_path / "run")
    measured = [e for e in events if e["kind"] == "measured"]
    assert [e["kind"] for e in events[-len(measured) - 1 :]] == ["measured"] * len(measured) + ["closed"]
    assert {e["key"] for e in measured} == {r.key for r in outcome.run.front.results}
    for event in measured:
        assert event["expected_ms"] is None and event["ms_min"] > 0 and event["kernels"] in runtime.kernels()
        assert event["cpu"] == provenance.device_name("cpu") and event["input"] == [1, 64, 64]
    search_workflow.resume(str(tmp_path / "run"), None, LOOP, heard()[0])
    assert [e["kind"] for e in documents(tmp_path / "run")[len(events) :]] == ["resumed", "closed"]


@pytest.mark.parametrize(
    ("names", "timed"),
    [
        (["binary", "float"], ["binary", "float"]),
        (["of three signs", "binary"], ["binary"]),
        (["float"], []),
    ],
)
def test_what_the_engine_runs_is_timed_where_a_network_is_binary(
    names: list[str],
    timed: list[str],
    library: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    small = {"base": 4, "stages": 2}
    points = {
        "binary": catalog.load("biisnet").complete(small),
        "of three signs": catalog.load("biisnet").complete({**small, "sign0": 0}),
        "float": catalog.load("rpcanet_plus").complete({"stages": 1}),
    }
    ended = [result(trial, {}, genotype=points[name]) for trial, name in enumerate(names)]
    measured = pricing.measure_here(settings(), ended)
    assert [names[each.trial] for each in measured] == timed
    monkeypatch.setenv("XNOR_LIBRARY", "/absent.so")
    assert pricing.measure_here(settings(), ended) == []


def test_a_search_for_another_device_predicts_and_measures_nothing(
    tmp_path: Path,
    library: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pricing, "POOL", 3)
    monkeypatch.setattr("irnas.deploy.device.target.measure", pytest.fail)
    profile = profiles.written(tmp_path, cpu="a small chip")
    warnings: list[str] = []
    listener = replace(heard()[0], warn=warnings.append)
    wanted = settings(**fast(device=profile))
    search_workflow.search(wanted, str(tmp_path / "run"), LOOP, listener)
    events = documents(tmp_path / "run")
    assert events[0]["device"]["revision"] == load(profile).revision
    assert "measured" not in {e["kind"] for e in events}
    assert warnings == ["speed is that of a board (a small chip) as predicted; nothing was measured here"]

    profiles.written(tmp_path, cpu="a small chip", threads=2)
    with pytest.raises(SettingsError, match=r"got the device a board .* must be the one it began with: a board") as no:
        search_workflow.resume(str(tmp_path / "run"), 3, LOOP, listener)
    assert "\n" not in str(no.value)
    profiles.written(tmp_path, cpu="a small chip")
    assert len(search_workflow.resume(str(tmp_path / "run"), 3, LOOP, listener).run.results) == 3


def test_a_limit_on_latency_keeps_the_slow_ones_untrained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pricing, "POOL", 3)
    device = profiles.written(tmp_path, cpu="a small chip")
    timed = settings(device=device, limits={"latency_ms": 1.0})
    find, space = pricing.pricer(timed, pricing.target_of(timed)), catalog.load("biisnet").focus(timed.axes)
    rng = random.Random(0)
    most = sorted(find(space.sample(rng))["latency_ms"] for _ in range(9))[1]
    listener = replace(heard()[0], warn=lambda _: None)
    wanted = settings(device=device, limits={"latency_ms": most})
    outcome = search_workflow.search(wanted, str(tmp_path / "run"), LOOP, listener)
    slow = [r for r in outcome.run.results if r.status is Status.REJECTED]
    assert slow and all(r.values["latency_ms"] > most and "latency_ms: got" in r.note for r in slow)
    assert all(r.values["latency_ms"] <= most for r in outcome.run.results if r.status is Status.OK)


def test_a_profile_that_misjudges_the_front_is_doubted(
    tmp_path: Path,
    library: Path,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pricing, "POOL", 3)
    measured = Measured(
        trial=0,
        key="k",
        input=(1, 256, 256),
        threads=1,
        expected_ms=3.0,
        engine="xnor",
        kernels="",
        ms_min=2.0,
        ms_median=2.0,
        runs=1,
    )
    monkeypatch.setattr(pricing, "measure_alone", lambda *_: [measured])
    table = replace(profiles.profile().tables[0], kernels=runtime.kernels()[0])
    wanted = settings(**fast(trials=1, device=profiles.written(tmp_path, tables=(table,))))
    warnings: list[str] = []
    search_workflow.search(wanted, str(tmp_path / "run"), LOOP, replace(heard()[0], warn=warnings.append))
    assert len(warnings) == 1 and "the front is up to 50 % off the predictions of" in warnings[0]


def test_finalists_are_trained_to_their_end_and_again(tmp_path: Path) -> None:
    outcome, events = go(
        tmp_path / "run",
        strategy="moasha",
        trials=2,
        budget=Budget(epochs=3, batch=4, crop=32),
        finalists=2,
        seeds=3,
        axes={"base": (4, 6), "stages": (2,)},
        grace_period=1,
    )
    paused = [e for e in events if e["kind"] == "reported" and e["paused"]]
    again = [e for e in events if e["kind"] == "repeated"]
    assert paused and outcome.stop_reason.endswith("epochs are spent")
    assert {r.status for r in outcome.run.results} <= {Status.OK, Status.STOPPED}
    winners = {r.key for r in outcome.run.front.results}
    assert winners and len(again) in (2, 4) and len({(e["key"], e["seed"]) for e in again}) == len(again)
    first = again[0]["key"]
    raw = next(e["result"] for e in events if e["kind"] == "finished" and e["result"]["key"] == first)
    mean = (raw["values"]["miou"] + sum(e["values"]["miou"] for e in again if e["key"] == first)) / 3
    shown = next(r for r in outcome.run.results if r.key == first)
    assert shown.values["miou"] == pytest.approx(mean)
    assert not list((tmp_path / "run" / "checkpoints").glob("*"))

    # Extended, the search does not repeat what was repeated.
    listener, more = heard()
    search_workflow.resume(str(tmp_path / "run"), 2, LOOP, listener)
    assert sum(e["kind"] == "repeated" for e in more) == len(again)


def test_a_job_without_a_tracking_server_leaves_no_store_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It would lie in a folder that is gone with the job."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(execution.JOB, "1")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    said: list[str] = []
    with MIRRORED("s3://bucket/run", said.append):
        pass
    assert len(said) == 1 and said[0].startswith("MLflow: got no MLFLOW_TRACKING_URI")
    assert "irnas track rebuild s3://bucket/run" in said[0]
    assert not list(tmp_path.iterdir())


def test_a_run_goes_on_where_its_data_moved_to(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    shutil.copytree(tiny().root, before)
    go(tmp_path / "run", dataset=str(before), trials=1)
    before.rename(after)
    listener, uri = heard()[0], str(tmp_path / "run")
    with pytest.raises(SettingsError, match=rf"run {uri}: got a data set that cannot be opened .*--dataset names"):
        search_workflow.resume(uri, 2, LOOP, listener)
    another = tmp_path / "another"
    shutil.copytree(tiny(images=10).root, another)
    with pytest.raises(SettingsError, match=f"got data revision .* at {another}; must be {tiny().revision}"):
        search_workflow.resume(uri, 2, LOOP, listener, str(another))
    outcome = search_workflow.resume(uri, 2, LOOP, listener, str(after))
    assert [result.status for result in outcome.run.results] == [Status.OK, Status.OK]


def test_a_shard_that_is_damaged_meanwhile_ends_the_search_and_fails_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, run = tmp_path / "data", tmp_path / "run"
    shutil.copytree(tiny().root, data)
    shard = next(data.glob("*.parquet"))
    whole, train = shard.read_bytes(), local_executor.evaluate

    def damage_after_the_first(assignment: Assignment, **_: object) -> Iterator[Report | Result]:
        if assignment.trial == 1:
            shard.write_bytes(whole[:-1] + b"!")
            cache.path_of(tiny().manifest).unlink(missing_ok=True)
        return train(assignment)

    monkeypatch.setattr(local_executor, "evaluate", damage_after_the_first)
    with pytest.raises(DataError, match="got sha256"):
        go(run, dataset=str(data), trials=3)
    before = Run.read(str(run))
    assert [r.status for r in before.results] == [Status.OK] and "got sha256" in before.end_reason
    with pytest.raises(DataError, match="got sha256"):
        search_workflow.resume(str(run), None, LOOP, heard()[0])
    monkeypatch.setattr(local_executor, "evaluate", train)
    shard.write_bytes(whole)
    outcome = search_workflow.resume(str(run), None, LOOP, heard()[0])
    assert [r.status for r in outcome.run.results] == [Status.OK] * 3 and not outcome.gave_up


def test_a_search_in_which_every_trial_failed_is_a_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(assignment: Assignment, **_: object) -> Iterator[Report | Result]:
        yield assignment.result(Status.FAILED, {}, epochs=0, seconds=0.0, error="E: broken")

    train = local_executor.evaluate
    monkeypatch.setattr(local_executor, "evaluate", fail)
    outcome, events = go(tmp_path / "run", trials=2)
    assert outcome.gave_up and events[-1]["reason"] == "2 of 2 trials failed, 2 with: E: broken"
    with pytest.raises(TrainingError, match="got too many failures"):
        print_outcome(outcome)
    monkeypatch.setattr(local_executor, "evaluate", train)
    again = search_workflow.resume(str(tmp_path / "run"), 3, LOOP, heard()[0])
    assert not again.gave_up and again.run.num_done == 1


def test_resuming_says_that_another_irnas_wrote_the_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go(tmp_path / "run", trials=1)
    opened, *rest = records.documents(tmp_path / "run")
    said: list[str] = []
    listener = replace(heard()[0], warn=said.append)
    search_workflow.resume(str(tmp_path / "run"), 1, LOOP, listener)
    assert not said
    records.rewrite(tmp_path / "run", [{**opened, "code_rev": "0.0.9+gabcdef0"}, *rest])
    search_workflow.resume(str(tmp_path / "run"), 1, LOOP, listener)
    assert len(said) == 1 and "its record is of irnas 0.0.9+gabcdef0, and this is irnas 0." in said[0]
    search_workflow.resume(str(tmp_path / "run"), 1, LOOP, listener)
    assert len(said) == 1, "this one wrote to it last"


def test_a_crop_that_no_network_takes_is_refused_first(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"crop: got 48, which none of 65 networks of sd2net takes .*multiple"):
        go(tmp_path / "run", space="sd2net", axes={}, budget=Budget(epochs=1, batch=4, crop=48))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("space", "crop"), [("biisnet", 48), ("sd2net", 64), ("biisnet,sd2net", 48)])
def test_a_crop_that_some_networks_take_is_taken(space: str, crop: int) -> None:
    wanted = settings(space=space, axes={}, budget=Budget(epochs=1, batch=4, crop=crop))
    crop_check.require_fitting_crop(catalog.load(space).focus({}), wanted)


def test_gpus_that_are_not_there_are_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executor = Executor(resources=Resources(gpus=1))
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    monkeypatch.setattr(search_workflow, "open_dataset", lambda *_, **__: pytest.fail("not at once"))
    with pytest.raises(SettingsError, match=r"--gpus: got 1 for each trial; must be at most the 0 of this machine"):
        search_workflow.search(settings(), str(tmp_path / "run"), executor, heard()[0])
    assert not (tmp_path / "run").exists()
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    executor.require_gpus()
    Executor(resources=Resources(gpus=1, address="10.0.0.1:6379")).require_gpus()


def test_a_cluster_that_is_not_there_leaves_no_folder(tmp_path: Path) -> None:
    executor = Executor(resources=Resources(address="127.0.0.1:1"))
    with pytest.raises(ServiceError, match=r"address: got '127\.0\.0\.1:1'"):
        search_workflow.search(settings(), str(tmp_path / "run"), executor, heard()[0])
    assert not (tmp_path / "run").exists()
