"""The main job through the real command line, real Ray and real MLflow, on a data set of a few tiny images."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from support.command import environment, events, run, run_json, started
from support.datasets import tiny

TRIALS = 5
SMALL = ("--axis", "base=4,6", "--axis", "stages=2,3", "--crop", "32", "--batch", "4", "--input", "1x64x64")


def search_words(*more: str, trials: int = TRIALS, epochs: int = 2) -> list[str]:
    data = ["--dataset", str(tiny().root), "--run", "run"]
    return ["search", *data, "--trials", str(trials), "--epochs", str(epochs), *SMALL, *more]


def wait_for(folder: Path, kind: str, count: int, process: subprocess.Popen[str], timeout_s: float = 120) -> None:
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if len(events(folder, kind)) >= count:
            return
        assert process.poll() is None, process.communicate()[0]
        time.sleep(0.1)
    raise AssertionError(f"no {count} events {kind!r} within {timeout_s} s")


def assert_whole(folder: Path, trials: int) -> None:
    """As many finished trials as planned, each network once, none twice."""
    finished = [e["result"] for e in events(folder, "finished")]
    assert len(finished) == len({r["trial"] for r in finished}) == len({r["key"] for r in finished}) == trials
    assert {e["trial"] for e in events(folder, "proposed")} == {r["trial"] for r in finished}


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which one search was run."""
    folder = tmp_path_factory.mktemp("searched")
    tiny()
    out = run(folder, *search_words())
    assert "stopped: all trials are handed out" in out
    return folder


@pytest.mark.slow
def test_a_search_leaves_a_front_a_report_and_mlflow_runs(searched: Path) -> None:
    assert_whole(searched / "run", TRIALS)
    found = run_json(searched, "front", "run")
    assert len(found["results"]) == TRIALS and 1 <= len(found["front"]) <= TRIALS
    assert {"key", "status", "values", "genotype", "epochs", "seed"} <= set(found["front"][0])
    assert pq.read_table(searched / "run" / "results.parquet").num_rows == TRIALS
    assert (searched / "run" / "report.html").stat().st_size > 10_000
    assert (searched / "run" / "report.png").read_bytes().startswith(b"\x89PNG")
    with sqlite3.connect(searched / "mlflow.db") as database:
        statuses = [row[0] for row in database.execute("select status from runs")]
    assert statuses == ["FINISHED"] * (TRIALS + 1)


@pytest.mark.slow
def test_front_and_report_can_be_made_again(searched: Path) -> None:
    assert re.search(r"all.background", run(searched, "front", "run", "--all"))
    run(searched, "report", "run", "-o", "again.html")
    assert (searched / "again.html").is_file() and (searched / "again.png").is_file()


@pytest.mark.slow
def test_a_second_search_on_the_same_folder_is_refused(searched: Path) -> None:
    before = (searched / "run" / "ledger.jsonl").read_bytes()
    message = run(searched, *search_words(), code=2)
    assert message.splitlines()[-1].startswith("irnas: run run: got a folder that holds a run; must be new")
    assert (searched / "run" / "ledger.jsonl").read_bytes() == before


@pytest.mark.slow
def test_resuming_a_finished_search_with_more_trials_adds_only_those(searched: Path, tmp_path: Path) -> None:
    subprocess.run(["cp", "-r", str(searched / "run"), str(tmp_path / "run")], check=True)
    before = [e["result"] for e in events(tmp_path / "run", "finished")]
    run(tmp_path, "search", "--resume", "run", "--trials", str(TRIALS + 1))
    assert_whole(tmp_path / "run", TRIALS + 1)
    assert [e["result"] for e in events(tmp_path / "run", "finished")][:TRIALS] == before


@pytest.mark.slow
def test_the_sequential_executor_finds_the_same_first_networks(searched: Path, tmp_path: Path) -> None:
    """Both executors ask one strategy; before any result is told, its answers cannot differ, nor what they train to."""
    run(tmp_path, *search_words("--executor", "loop", trials=2))
    by_trial = {e["result"]["trial"]: e["result"] for e in events(searched / "run", "finished")}
    mine = events(tmp_path / "run", "finished")[0]["result"]
    assert mine["key"] == by_trial[0]["key"]
    assert mine["values"] == by_trial[0]["values"]


@pytest.mark.slow
def test_kill_9_loses_and_repeats_no_finished_trial(tmp_path: Path) -> None:
    with started(tmp_path, *search_words(trials=6, epochs=3)) as process:
        wait_for(tmp_path / "run", "finished", 2, process)
        wait_for(tmp_path / "run", "reported", 7, process)
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = [e["result"] for e in events(tmp_path / "run", "finished")]
    assert 2 <= len(before) < 6
    run(tmp_path, "search", "--resume", "run")
    assert_whole(tmp_path / "run", 6)
    assert [e["result"] for e in events(tmp_path / "run", "finished")][: len(before)] == before


@pytest.mark.slow
def test_ctrl_c_says_how_to_go_on(tmp_path: Path) -> None:
    with started(tmp_path, *search_words(trials=4, epochs=40)) as process:
        wait_for(tmp_path / "run", "reported", 1, process)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=120)
    assert process.returncode == 130, out
    assert "irnas search --resume run" in out and "Traceback" not in out
    assert events(tmp_path / "run")[-1]["reason"] == "interrupted"


def workers_of(process: subprocess.Popen[str]) -> list[int]:
    """Process ids of the trial workers below a driver."""
    table = subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True, check=True).stdout
    rows = [(int(pid), int(parent), args) for pid, parent, args in (r.split(None, 2) for r in table.splitlines()[1:])]
    below = {process.pid}
    while more := {pid for pid, parent, _ in rows if parent in below} - below:
        below |= more
    return [pid for pid, _, args in rows if pid in below and args.startswith("ray::") and args.endswith(".train")]


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry_not_the_search(tmp_path: Path) -> None:
    with started(tmp_path, *search_words(trials=2, epochs=40)) as process:
        wait_for(tmp_path / "run", "reported", 4, process)
        victims = workers_of(process)
        assert victims
        os.kill(victims[0], signal.SIGKILL)
        out, _ = process.communicate(timeout=240)
    assert process.returncode == 0, out
    assert_whole(tmp_path / "run", 2)
    assert events(tmp_path / "run", "retried")
    assert {e["result"]["status"] for e in events(tmp_path / "run", "finished")} == {"ok"}
    for trial in range(2):
        # From its checkpoint: no epoch is reported twice.
        epochs = [e["epoch"] for e in events(tmp_path / "run", "reported") if e["trial"] == trial]
        assert epochs == sorted(set(epochs)) and epochs[-1] == 40


@pytest.mark.slow
def test_a_dead_tracking_server_never_stops_a_search(tmp_path: Path) -> None:
    env = {**environment(tmp_path), "MLFLOW_TRACKING_URI": "http://127.0.0.1:9"}
    words = [sys.executable, "-m", "irnas", *search_words("--executor", "loop", trials=2)]
    done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    assert_whole(tmp_path / "run", 2)
    assert "irnas track rebuild run" in done.stderr
    run(tmp_path, "track", "rebuild", "run")
    with sqlite3.connect(tmp_path / "mlflow.db") as database:
        assert [row[0] for row in database.execute("select status from runs")] == ["FINISHED"] * 3
