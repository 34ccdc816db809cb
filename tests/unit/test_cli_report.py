"""The commands front, report, ui and track."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import typer
from support import records
from support.runs import Writer, space_folder, with_speed, write_run
from typer.testing import CliRunner

from irnas.cli import front, report, track, ui, why
from irnas.cli.console import working
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.result import Status
from irnas.record.run import Run
from irnas.tracking import client, database

app = typer.Typer()
app.command("front")(front.front)
app.command("report")(report.report)
app.command("ui")(ui.ui)
app.command("why")(why.why)
app.add_typer(track.app, name="track")


@pytest.fixture
def run(tmp_path: Path) -> str:
    return write_run(tmp_path / "runs" / "one", space_folder(tmp_path))


def call(*words: str) -> str:
    outcome = CliRunner().invoke(app, list(words))
    if isinstance(outcome.exception, IrnasError):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def test_what_takes_long_says_so_on_a_terminal_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (False, True):
        if is_terminal:
            monkeypatch.setenv("FORCE_COLOR", "1")
            monkeypatch.setenv("TERM", "xterm")
        with working("drawing the page"):
            pass
        said = capsys.readouterr()
        assert ("drawing the page" in said.err) is is_terminal and not said.out


def test_front_as_json(run: str) -> None:
    document = json.loads(call("front", run, "--json"))
    expected = Run.read(run).results
    assert [r["key"] for r in document["results"]] == [r.key for r in expected]
    assert {r["status"] for r in document["results"]} == {"ok", "failed", "rejected"}
    assert {r["key"] for r in document["front"]} <= {r["key"] for r in document["results"] if r["status"] == "ok"}
    for row in document["front"]:
        assert {"key", "status", "values", "genotype", "epochs", "seed"} <= set(row)
        assert row["values"]["miou"] > 0
        assert row["genotype"]["values"]["width"] in (4, 8, 16, 32)
    assert document["baselines"]["global_threshold"]["miou"] == 0.21
    assert 0 < document["hypervolume"] < 1


def test_front_as_a_table(run: str) -> None:
    text = call("front", run)
    document = json.loads(call("front", run, "--json"))
    on_front = {r["key"] for r in document["front"]}
    for row in document["results"]:
        assert (row["key"] in text) == (row["key"] in on_front)
    assert "mIoU (%)" in text
    assert "binarizer" in text
    # An axis on which all agree says nothing.
    assert "norm" not in text
    assert "baseline global threshold: mIoU 21.00 %" in text
    assert f"hypervolume {100 * document['hypervolume']:.1f} %" in text


def test_front_with_every_trial(run: str) -> None:
    text = call("front", run, "--all")
    for row in json.loads(call("front", run, "--json"))["results"]:
        assert row["key"] in text
    assert "rejected" in text
    assert "got loss nan" in text
    assert "ok, front" in text


def test_front_of_a_run_in_which_nothing_ended(tmp_path: Path) -> None:
    def propose(writer: Writer) -> None:
        writer.propose(writer.space.default())

    uri = write_run(tmp_path / "one", space_folder(tmp_path), trials=0, closed=None, then=propose)
    opened, *_, proposed = records.documents(Path(uri))
    records.rewrite(Path(uri), [opened, proposed])
    text = call("front", uri)
    assert "no trial was trained to the end yet" in text
    assert "1 unfinished" in text
    assert json.loads(call("front", uri, "--json"))["front"] == []


def test_markup_in_an_error_is_only_text(tmp_path: Path) -> None:
    def fail(writer: Writer) -> None:
        genotype = writer.space.complete({"width": 32, "depth": 3, "binarizer": "sign"})
        writer.finish(writer.propose(genotype), genotype, Status.FAILED, {}, 0, "got [/bold] and [red]text")

    text = call("front", write_run(tmp_path / "one", space_folder(tmp_path), trials=1, then=fail), "--all")
    assert "got [/bold] and [red]text" in text


def test_markup_in_an_axis_is_only_text(tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    text = (space / "space.yaml").read_text()
    (space / "space.yaml").write_text(text.replace("sign", "'[/sign]'"))
    assert "[/sign]" in call("front", write_run(tmp_path / "one", space), "--all")


def test_print_front_is_the_same(run: str, capsys: pytest.CaptureFixture[str]) -> None:
    front.print_front(run)
    assert capsys.readouterr().out == call("front", run)


def test_why_means_the_same_network_by_any_of_its_names(run: str) -> None:
    best = json.loads(call("why", run, "best", "--json"))
    assert best["result"]["key"] == best["key"] and best["story"] == call("why", run, "best").splitlines()
    assert (
        max(r["values"]["miou"] for r in json.loads(call("front", run, "--json"))["front"])
        == (best["result"]["values"]["miou"])
    )
    for name in (best["key"][:8], str(best["trial"])):
        assert json.loads(call("why", run, name, "--json")) == best


def test_report_says_where_it_is(run: str, tmp_path: Path) -> None:
    out = tmp_path / "page.html"
    assert call("report", run, "-o", str(out), "--no-images").split() == [str(out), str(out.with_suffix(".png"))]
    assert out.stat().st_size > 1_000_000


@pytest.mark.parametrize("words", [("front",), ("report",), ("track", "rebuild")])
def test_a_run_that_is_not_there_is_a_user_error(tmp_path: Path, words: tuple[str, ...]) -> None:
    with pytest.raises(SettingsError, match="must be the folder or URI of an irnas run"):
        call(*words, str(tmp_path / "nowhere"))
    assert not list(tmp_path.iterdir())


def test_rebuild_says_what_it_did(run: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "rebuild", lambda uri, **_: ("sqlite:///there.db", 14))
    assert call("track", "rebuild", run) == f"{run}: the search and its 14 trials are in sqlite:///there.db\n"


@pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")
def test_ui_serves_the_store_on_this_machine_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    started: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda path, words: started.append((path, words)))
    database.prepare(database.sqlite_uri(tmp_path / database.DATABASE), pytest.fail, may_replace=True)
    text = call("ui", str(tmp_path), "--port", "5055")
    assert "http://127.0.0.1:5055/#/experiments?workflowType=machine_learning" in text
    # MLflow's own first experiment is empty: where there is a run, its experiment is opened.
    with closing(sqlite3.connect(tmp_path / database.DATABASE)) as connection, connection:
        columns = "run_uuid, experiment_id, start_time, lifecycle_stage"
        connection.execute(
            "INSERT INTO experiments (experiment_id, name, lifecycle_stage) VALUES (7, 'irnas', 'active')"
        )
        for name, experiment, begun in (("a", 0, 1), ("b", 7, 2)):
            connection.execute(f"INSERT INTO runs ({columns}) VALUES (?, ?, ?, 'active')", (name, experiment, begun))
    text = call("ui", str(tmp_path), "--port", "5055")
    assert "http://127.0.0.1:5055/#/experiments/7/runs?workflowType=machine_learning" in text
    path, words = started[-1]
    assert path == sys.executable
    text = " ".join(words)
    assert "mlflow server" in text
    assert "--host 127.0.0.1 --port 5055" in text
    assert f"--backend-store-uri sqlite:///{tmp_path / database.DATABASE}" in text


def test_ui_without_a_store_is_a_user_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    with pytest.raises(SettingsError, match=r"without mlflow\.db"):
        call("ui", str(tmp_path))


def test_ui_of_a_server_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert "http://127.0.0.1:9" in call("ui")


def test_the_front_shows_speeds_beside_those_of_networks_alone(run: str) -> None:
    with_speed(run)
    text, document = call("front", run), json.loads(call("front", run, "--json"))
    assert "FPS alone" in text and "differs by at most 25.0 %" in text and "of a board (a <small> chip" in text
    for row in document["front"]:
        assert f"{row['values']['fps'] / 0.8:.4g}" in text
        assert row["alone"]["ms_min"] == pytest.approx(0.8 * row["values"]["latency_ms"])
    assert document["device"]["name"] == "a board"


def test_a_front_that_was_only_predicted_says_so(run: str) -> None:
    with_speed(run, predicted=True)
    text = call("front", run)
    assert "predicted from the profile abcdefabcdef; not measured here" in text and "FPS alone" not in text
    assert "alone" not in json.loads(call("front", run, "--json"))["front"][0]
