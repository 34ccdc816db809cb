"""`irnas submit` against a cluster that asks for a token, from a machine without Ray's processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import DASHBOARD, Cluster, Node, cluster
from support.command import events, run
from support.distribution import VERSION, wheel
from support.s3 import KEYS, PLANTED

TOKEN = "0123456789abcdef" * 4
ASK = f"""
import urllib.request
bearer = {{"Authorization": "Bearer {TOKEN}"}}
request = urllib.request.Request("http://127.0.0.1:{DASHBOARD}/api/jobs/", headers=bearer)
print(urllib.request.urlopen(request).read().decode())
"""
"""Prints all that the job server shows of its jobs."""
AT = ("submit", "--address", f"http://127.0.0.1:{DASHBOARD}")

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster with a job server, and a token that every request needs."""
    folder = tmp_path_factory.mktemp("jobs")
    (folder / "home" / ".ray").mkdir(parents=True)
    (folder / "home" / ".ray" / "auth_token").write_text(TOKEN)
    with cluster(folder, "a", "b", with_jobs=True, RAY_AUTH_MODE="token") as found:
        yield found


def call(on: Cluster, folder: Path, *told: str, code: int = 0, **more: str) -> str:
    """What `irnas submit` prints on the head, where the job server listens on loopback."""
    folder.mkdir(exist_ok=True)
    (folder / "out.txt").unlink(missing_ok=True)
    process = on.head.start(folder, *AT, *told, **more)
    ended = process.wait(600)
    text = (folder / "out.txt").read_text()
    assert ended == code, text
    return text


def told(
    on: Cluster, data: Path, run: Path, *more: str, given: tuple[str, ...] = (), trials: int = TRIALS
) -> list[str]:
    """A search as a job; ``given`` goes to `irnas submit`."""
    return ["--wheel", str(wheel(on.folder)), *given, "--", *words(data, run, trials, EPOCHS, *more)]


def clients(node: Node) -> list[int]:
    """The processes on a node that follow a job."""
    return [pid for pid, line in node.processes(" submit ").items() if line.startswith(sys.executable)]


@pytest.mark.parametrize(
    "more",
    [
        # What comes next depends on what came before, so it is one at a time; the first ten are random.
        pytest.param(("--strategy", "tpe", "--workers", "1", "--trials", "14", "--epochs", "3"), id="tpe"),
        pytest.param((), id="random, as many at a time as there are cores"),
    ],
)
def test_here_on_a_cluster_and_as_a_job_it_is_the_same_search(
    jobs: Cluster, data: Path, expected: dict[str, object], tmp_path: Path, more: tuple[str, ...]
) -> None:
    runs = {place: tmp_path / place / "run" for place in ("here", "cluster", "job")}
    run(tmp_path, *words(data, runs["here"], TRIALS, EPOCHS, *more, "--workers", "1"), timeout_s=600)
    (tmp_path / "cluster").mkdir()
    on = jobs.head.start(
        tmp_path / "cluster", *words(data, runs["cluster"], TRIALS, EPOCHS, *more, "--address", jobs.address)
    )
    assert on.wait(600) == 0, (tmp_path / "cluster" / "out.txt").read_text()
    text = call(jobs, tmp_path / "call", *told(jobs, data, runs["job"], *more))
    assert "SUCCEEDED" in text and "stopped: all trials are handed out" in text
    found = {place: sorted(outcome(run).values(), key=lambda r: r["trial"]) for place, run in runs.items()}
    # Genotypes with their keys and seeds, and every value of every result, to the last bit.
    assert found["here"] == found["cluster"] == found["job"]
    assert len(found["here"]) == (14 if more else TRIALS) and all(r["status"] == "ok" for r in found["here"])
    assert all(account(run).is_whole for run in runs.values())
    if not more:
        assert outcome(runs["here"]) == expected
    (opened,) = events(runs["job"], "opened")
    assert opened["versions"]["irnas"] == VERSION


def test_no_secret_of_the_sender_reaches_the_cluster(jobs: Cluster, data: Path, tmp_path: Path) -> None:
    secrets = {**KEYS, "MLFLOW_TRACKING_PASSWORD": "planted-password-42", "RAY_AUTH_TOKEN": TOKEN}
    call(
        jobs,
        tmp_path / "call",
        *told(jobs, data, tmp_path / "run", given=("--var", "OMP_NUM_THREADS"), trials=1),
        **secrets,
    )
    planted = [text.encode() for text in (*PLANTED, "planted-password-42", TOKEN)]
    seen = 0
    for root in (jobs.head.folder, *(node.folder for node in jobs.workers), tmp_path / "run"):
        for file in (f for f in root.rglob("*") if f.is_file() and not f.is_symlink()):
            content = file.read_bytes()
            seen += 1
            assert not any(secret in content for secret in planted), file
    # It would prove nothing if it read nothing: the job's own log and its specification are among the files.
    assert seen > 50
    shown = subprocess.check_output(jobs.head.inside([sys.executable, "-c", ASK]))
    assert json.loads(shown) and not any(secret in shown for secret in planted)


def test_a_token_is_needed(jobs: Cluster, tmp_path: Path) -> None:
    for wrong in ({"RAY_AUTH_TOKEN": "f" * 64}, {"RAY_AUTH_MODE": "disabled"}, {"HOME": str(tmp_path)}):
        text = call(jobs, tmp_path / "call", "--status", "job", code=2, **wrong)
        assert text.startswith("irnas: token: got none, or another than that of the cluster"), text
        assert len(text.splitlines()) == 1 and TOKEN not in text
    assert "must be a job of the cluster" in call(jobs, tmp_path / "call", "--status", "job", code=2)


def test_a_job_outlives_whoever_sent_it_until_it_is_stopped(jobs: Cluster, data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    client = jobs.head.start(tmp_path, *AT, *told(jobs, data, run, trials=60))
    until(lambda: len(events(run, "finished")) >= 1 or client.poll() is not None, "a finished trial")
    for pid in clients(jobs.head):
        os.kill(pid, signal.SIGINT)
    until(lambda: "goes on; look again" in (tmp_path / "out.txt").read_text(), "the message")
    assert client.wait(120) == 130
    job = (tmp_path / "out.txt").read_text().partition("irnas: job ")[2].split()[0]
    before = len(events(run, "finished"))
    until(lambda: len(events(run, "finished")) > before, "one more")
    assert json.loads(call(jobs, tmp_path / "call", "--status", job, "--json"))["status"] == "RUNNING"
    second = jobs.head.start(tmp_path / "call", *AT, "--logs", job)
    until(lambda: len(clients(jobs.head)) == 1, "the second look")
    os.kill(clients(jobs.head)[0], signal.SIGKILL)
    second.wait(120)
    assert "STOPPED" in call(jobs, tmp_path / "call", "--stop", job)
    assert [e["kind"] for e in events(run)][-1] == "closed"
    assert "trial 0" in call(jobs, tmp_path / "call", "--logs", job, "--no-follow")
