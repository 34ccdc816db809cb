"""The commands runs and compare: a folder of runs at a glance, and searches against each other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.opened import opened
from support.runs import space_folder, write_run
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.heritage import Heritage
from irnas.core.objective import OBJECTIVES
from irnas.record.events import Closed
from irnas.record.ledger import FILE, Ledger
from irnas.record.run import Run
from irnas.report import compare, compare_page
from irnas.storage import lock


def call(*words: str) -> str:
    outcome = CliRunner().invoke(app, list(words))
    if isinstance(outcome.exception, IrnasError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def overviews(folder: Path) -> dict[str, Any]:
    return {row["name"]: row for row in json.loads(call("runs", str(folder), "--json"))}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    space, runs = space_folder(tmp_path), tmp_path / "runs"
    write_run(runs / "one", space)
    write_run(runs / "two", space, trials=4, closed="interrupted", objectives=("niou", "ops"))
    write_run(runs / "three", space, trials=3, closed="TypeError: it broke")
    write_run(runs / "four", space, trials=2, closed=None)
    (runs / "not-a-run").mkdir()
    return runs


def test_runs_are_told_with_what_they_found(folder: Path) -> None:
    rows = overviews(folder)
    assert {name: row["state"] for name, row in rows.items()} == {
        "one": "done",
        "two": "interrupted",
        "three": "failed",
        "four": "killed",
    }
    run = Run.read(str(folder / "one"))
    assert rows["one"]["num_front"] == len(run.winners) and rows["one"]["num_done"] == len(run.done)
    assert rows["one"]["best"] == {"miou": max(result.values["miou"] for result in run.done)}
    assert list(rows["two"]["best"]) == ["niou"] and rows["one"]["num_planned"] == 12
    assert (rows["one"]["space"], rows["one"]["data"], rows["one"]["kind"]) == ("toy", "nudt-sirst", "search")
    text = call("runs", str(folder))
    assert "12/12" in text and "mIoU" in text and "three: TypeError: it broke" in text


def test_a_run_that_is_written_to_is_running(folder: Path) -> None:
    with lock.hold(folder / "four" / lock.RUN_LOCK):
        assert overviews(folder)["four"]["state"] == "running"


def test_a_damaged_run_hides_no_other(folder: Path) -> None:
    record = folder / "two" / FILE
    lines = record.read_bytes().splitlines(keepends=True)
    record.write_bytes(b"".join([*lines[:3], b"{]\n", *lines[4:]]))
    (folder / "four" / FILE).write_bytes(b"")
    rows = overviews(folder)
    assert rows["two"]["state"] == "damaged" and rows["one"]["state"] == "done"
    assert rows["four"]["state"] == "killed" and rows["four"]["note"] == "before its first event"
    assert "two: " in call("runs", str(folder))


def test_the_newest_is_first_and_folders_of_runs_are_looked_into(folder: Path) -> None:
    nested = Ledger(str(folder / "table.runs" / "seed-0"))
    with nested.writing():
        nested.append(opened(t=2e9))
        nested.append(Closed(reason="all trials are handed out"))
    rows = json.loads(call("runs", str(folder), "--json"))
    assert rows[0]["name"] == "table.runs/seed-0" and len(rows) == 5
    begun = [row["begun"] for row in rows]
    assert begun == sorted(begun, reverse=True)


def test_a_folder_without_runs(tmp_path: Path) -> None:
    assert call("runs", str(tmp_path)) == f"no runs in {tmp_path}; `irnas search` begins one\n"
    with pytest.raises(SettingsError, match=r"^folder: got 'nowhere'; must be a folder of this machine"):
        call("runs", "nowhere")
    with pytest.raises(SettingsError, match=r"^folder: got 's3://b/runs'; must be a folder of this machine"):
        call("runs", "s3://b/runs")


@pytest.fixture
def pair(tmp_path: Path) -> list[str]:
    space = space_folder(tmp_path)
    return [write_run(tmp_path / "a", space, trials=12), write_run(tmp_path / "b", space, trials=5)]


def test_fronts_are_measured_in_one_box(pair: list[str]) -> None:
    document = json.loads(call("compare", *pair, "--json"))
    runs = [Run.read(uri) for uri in pair]
    points = [result.values for run in runs for result in run.front.results]
    for name, (best, worst) in document["box"].items():
        objective = OBJECTIVES[name]
        ends = [end for run in runs for end in run.bounds[name]] + [values[name] for values in points]
        assert objective.loss(best) == min(map(objective.loss, ends))
        assert objective.loss(worst) == max(map(objective.loss, ends))
    box = {name: tuple(ends) for name, ends in document["box"].items()}
    for run, row in zip(runs, document["runs"], strict=True):
        assert row["hypervolume"] == pytest.approx(run.front.hypervolume(box))
        assert [point["key"] for point in row["front"]] == [result.key for result in run.winners]
    assert document["obstacle"] == ""
    text = call("compare", *pair)
    assert f"{100 * document['runs'][0]['hypervolume']:.1f}" in text


def test_the_joint_front_is_that_of_all_networks(pair: list[str]) -> None:
    document = json.loads(call("compare", *pair, "--json"))
    points = [(row["run"], p["values"]["miou"], p["values"]["ops"]) for row in document["runs"] for p in row["front"]]
    for row in document["runs"]:
        own = [(miou, ops) for run, miou, ops in points if run == row["run"]]
        beaten = [p for p in own if any(m >= p[0] and o <= p[1] and (m, o) != p for _, m, o in points)]
        assert row["on_joint_front"] == len(own) - len(beaten)
    assert sum(row["on_joint_front"] for row in document["runs"]) > 0


def test_settings_that_differ_are_told_and_others_are_not(tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    uris = [write_run(tmp_path / "a", space), write_run(tmp_path / "b", space, objectives=("miou", "ops", "params"))]
    comparison = compare.compare([Run.read(uri) for uri in uris])
    assert comparison.differing == {"objectives": ("['miou', 'ops']", "['miou', 'ops', 'params']")}
    assert [objective.name for objective in comparison.objectives] == ["miou", "ops"]
    assert "objectives" in call("compare", *uris)


def test_values_that_do_not_mean_the_same_have_no_hypervolume(pair: list[str]) -> None:
    ledger = Path(pair[1]) / FILE
    before = Run.read(pair[1])
    events = Ledger(pair[1]).events()[1:]
    ledger.unlink()
    again = Ledger(pair[1])
    with again.writing():
        again.append(replace(before.opened, settings=replace(before.settings, preset="rpcanet")))
        for event in events:
            again.append(event)
    document = json.loads(call("compare", *pair, "--json"))
    assert [row["hypervolume"] for row in document["runs"]] == [None, None]
    assert document["obstacle"] == "preset differs, so equal values do not mean the same"
    assert "no hypervolumes: preset differs" in call("compare", *pair)


def test_what_cannot_be_compared_is_refused(tmp_path: Path, pair: list[str]) -> None:
    with pytest.raises(SettingsError, match=r"^compare: got 1 run; must be two or more$"):
        call("compare", pair[0])
    with pytest.raises(SettingsError, match=r"^compare: got .*a twice; must be different runs$"):
        call("compare", pair[0], pair[0])
    other = write_run(tmp_path / "c", space_folder(tmp_path), objectives=("niou", "params"))
    with pytest.raises(SettingsError, match=r"^compare: got runs for miou, ops; niou, params; must have an objective"):
        call("compare", pair[0], other)


def test_the_page_shows_the_fronts(pair: list[str], tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert call("compare", *pair, "-o", str(page)).endswith(f"{page}\n")
    text = page.read_text()
    assert text.startswith("<!doctype html>") and "mIoU against OPs" in text and "Settings that differ" in text
    for uri in pair:
        for result in Run.read(uri).front.results:
            assert result.key in text


def test_fronts_of_lines_are_said_to_be_no_equals_of_full_trainings(folder: Path) -> None:
    one, two = (Run.read(str(folder / name)) for name in ("one", "three"))
    assert compare.describe_lines(compare.compare([one, two])) == ""
    winner = one.front.results[0]
    line = replace(winner, epochs=2, heritage=Heritage(parent="p", share=1.0, epochs=10))
    one.outcomes = [line if r.trial == winner.trial else r for r in one.outcomes]
    number = len(one.winners)
    text = compare.describe_lines(compare.compare([one, two]))
    assert text == (
        f"one: 1 of {number} on the front began with trained weights, the longest line is 10 epochs where a full "
        "training has 4"
    )
    assert text in compare_page.html(compare.compare([one, two]))
