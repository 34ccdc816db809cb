"""What MLflow should hold of a run."""

from __future__ import annotations

import itertools
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
from support.runs import Writer, space_folder, with_speed, write_run

from irnas.core.result import Status
from irnas.record.events import Closed, Resumed, Retried
from irnas.record.run import Run
from irnas.tracking.entries import Entry, entries


def read(uri: str) -> Run:
    return Run.read(uri)


def run(tmp_path: Path, closed: str | None = "all trials are handed out") -> str:
    return write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=5, closed=closed)


def points(entry: Entry, name: str) -> list[tuple[int, float]]:
    return [(step, value) for found, value, _, step in entry.points if found == name]


def test_a_finished_search_has_no_run_that_goes_on(tmp_path: Path) -> None:
    parent, children = entries(read(run(tmp_path)))
    assert parent.status == "FINISHED"
    assert [c.status for c in children.values()] == [
        "FINISHED",
        "FINISHED",
        "FINISHED",
        "FAILED",
        "FINISHED",
        "KILLED",
        "FINISHED",
    ]
    assert all(e.end_ms is not None and e.end_ms >= e.start_ms for e in (parent, *children.values()))


def test_the_front_is_marked(tmp_path: Path) -> None:
    uri = run(tmp_path)
    _, children = entries(read(uri))
    found = {t for t, c in children.items() if c.tags["irnas.front"] == "true"}
    results = [r for r in read(uri).outcomes if r.status is Status.OK]
    best = max(results, key=lambda r: r.values["miou"]).trial
    cheapest = min(results, key=lambda r: (r.values["ops"], -r.values["miou"])).trial
    assert {best, cheapest} <= found < set(children)


def test_metrics_come_from_the_reported_epochs_only(tmp_path: Path) -> None:
    uri = run(tmp_path)
    _, children = entries(read(uri))
    reports = read(uri).trials[0].reports
    assert points(children[0], "miou") == [(r.epoch, r.values["miou"]) for r in reports]
    assert points(children[0], "loss") == [(r.epoch, r.values["loss"]) for r in reports]
    assert [step for step, _ in points(children[0], "ops")] == [0]
    assert points(children[0], "seconds") == [(4, 16.8)]


def test_a_value_of_record_that_no_epoch_reported_is_added(tmp_path: Path) -> None:
    known = read(run(tmp_path))
    ended = known.trials[0].finished
    assert ended
    values = {**ended.result.values, "miou": 0.987}
    known.trials[0].finished = replace(ended, result=replace(ended.result, values=values))
    _, children = entries(known)
    assert points(children[0], "miou")[-1] == (4, 0.987)
    assert len(points(children[0], "miou")) == 5


def test_an_epoch_that_was_told_twice_is_one_point(tmp_path: Path) -> None:
    def again(writer: Writer) -> None:
        genotype = writer.space.complete({"width": 32, "depth": 3, "binarizer": "sign"})
        trial = writer.propose(genotype)
        for epoch in (1, 2, 3):
            writer.report(trial, genotype, epoch)
        writer.append(Retried(trial=trial, error="the worker died"))
        for epoch in (3, 4):
            values = writer.report(trial, genotype, epoch)
        writer.finish(trial, genotype, Status.OK, values, 4)

    uri = write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=1, then=again)
    _, children = entries(read(uri))
    assert [step for step, _ in points(children[3], "miou")] == [1, 2, 3, 4]
    third, third_again = (r.values["miou"] for r in read(uri).trials[3].reports if r.epoch == 3)
    # What MLflow was told once stays.
    assert points(children[3], "miou")[2] == (3, third) != (3, third_again)


def finals(writer: Writer) -> None:
    """Two networks are trained twice more, in turns."""
    finalists = [(n, writer.space.complete({"width": w, "attention": True})) for n, w in ((7, 8), (8, 16))]
    for _, genotype in finalists:
        writer.train(genotype)
    for seed in (1, 2):
        for trial, genotype in finalists:
            writer.repeat(trial, genotype, seed)


def test_a_network_trained_again_shows_its_mean(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=5, then=finals)
    parent, children = entries(read(uri))
    found = {r.trial: r for r in read(uri).outcomes}
    for trial in (7, 8):
        trainings = [
            found[trial].values,
            *(r.values for r in read(uri).trials[trial].replicates),
        ]
        *curve, second, third = points(children[trial], "miou")
        assert [step for step, _ in curve] == [1, 2, 3, 4]
        assert second == (4, statistics.fmean(v["miou"] for v in trainings[:2]))
        assert third == (4, statistics.fmean(v["miou"] for v in trainings))
        times = [when for name, _, when, step in children[trial].points if (name, step) == ("miou", 4)]
        assert times == sorted(set(times)), "of one step MLflow shows the latest"
        assert children[trial].tags["irnas.trainings"] == "3" and "irnas.deviation.ops" not in children[trial].tags
        deviation = statistics.stdev(v["miou"] for v in trainings)
        assert float(children[trial].tags["irnas.deviation.miou"]) == pytest.approx(deviation, rel=1e-3)
    assert "irnas.trainings" not in children[0].tags
    rows = [line for line in parent.tags["mlflow.note.content"].splitlines() if "±" in line]
    members = [t for t in (7, 8) if children[t].tags["irnas.front"] == "true"]
    assert len(rows) == len(members) > 0


def test_what_was_said_once_stays(tmp_path: Path) -> None:
    """A mirror that follows a run and one that comes later hold the same."""
    uri = write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=5, then=finals)
    events = read(with_speed(uri)).events
    last_parent, last = entries(read(uri))
    for number in range(1, len(events)):
        parent, children = entries(Run.of(uri, events[:number]))
        assert set(parent.points) <= set(last_parent.points)
        for trial, child in children.items():
            assert set(child.points) <= set(last[trial].points), f"trial {trial} after {events[number - 1].KIND}"


def test_parameters_are_the_active_axes_and_the_seed(tmp_path: Path) -> None:
    uri = run(tmp_path)
    _, children = entries(read(uri))
    result = next(r for r in read(uri).outcomes if r.trial == 2)
    assert children[2].params == {**{k: str(v) for k, v in result.genotype.values.items()}, "seed": str(result.seed)}


def test_hypervolume_grows_on_the_parent(tmp_path: Path) -> None:
    uri = run(tmp_path)
    parent, _ = entries(read(uri))
    curve = points(parent, "hypervolume")
    assert [step for step, _ in curve] == [1, 2, 3, 4, 5]
    assert all(a <= b for (_, a), (_, b) in itertools.pairwise(curve))
    assert points(parent, "baseline/miou_global_threshold") == [(0, 0.21)]


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        ("all trials are handed out", "FINISHED"),
        ("interrupted", "KILLED"),
        ("RuntimeError: no node is left", "FAILED"),
        ("5 of 9 trials failed, 4 with: TrainingError: nan", "FINISHED"),
    ],
)
def test_why_a_search_ended_decides_its_status(tmp_path: Path, reason: str, status: str) -> None:
    parent, _ = entries(read(run(tmp_path, closed=reason)))
    assert (parent.status, parent.tags["irnas.status"]) == (status, reason)


def unfinished(writer: Writer) -> None:
    genotype = writer.space.default()
    writer.report(writer.propose(genotype), genotype, 1)


def test_a_search_without_an_end_is_alive_or_was_killed(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "runs" / "one", space_folder(tmp_path), trials=1, closed=None, then=unfinished)
    parent, children = entries(read(uri))
    assert (parent.status, parent.end_ms, children[3].status) == ("RUNNING", None, "RUNNING")
    parent, children = entries(read(uri), is_live=False)
    last_ms = int(read(uri).events[-1].t * 1000)
    assert (parent.status, parent.end_ms) == ("KILLED", last_ms)
    assert (children[3].status, children[3].end_ms) == ("KILLED", last_ms)


def test_a_resumed_search_is_alive_again(tmp_path: Path) -> None:
    space = space_folder(tmp_path)

    def go_on(writer: Writer) -> None:
        unfinished(writer)
        writer.append(Closed(reason="interrupted"))
        writer.append(Resumed(trials=12, code_rev="0.1.0"))

    uri = write_run(tmp_path / "runs" / "one", space, trials=1, closed=None, then=go_on)
    parent, children = entries(read(uri))
    assert (parent.status, children[3].status) == ("RUNNING", "RUNNING")


def test_the_run_has_the_name_that_its_opening_gave_it(tmp_path: Path) -> None:
    uri = run(tmp_path)
    parent, children = entries(read(uri))
    assert {e.tags["irnas.run"] for e in (parent, *children.values())} == {read(uri).opened.run_id}


def test_speed_and_the_device_reach_mlflow(tmp_path: Path) -> None:
    uri = with_speed(run(tmp_path))
    parent, children = entries(read(uri))
    assert parent.tags["irnas.device.name"] == "a board" and parent.tags["irnas.device.predicted"] == "False"
    members = {t: c for t, c in children.items() if c.tags["irnas.front"] == "true"}
    alone = {t: found[0][1] for t, c in children.items() if (found := points(c, "latency_alone_ms"))}
    assert alone.keys() == members.keys()
    for trial, child in members.items():
        ((_, expected),) = points(child, "latency_ms")
        assert alone[trial] == pytest.approx(0.8 * expected, rel=1e-3)
