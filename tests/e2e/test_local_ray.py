"""A search on real Ray on this machine: what listens meanwhile, what it leaves, and that its numbers are the loop's."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support import sockets
from support.command import environment, events
from support.datasets import tiny
from support.s3 import KEYS, PLANTED

TIMEOUT_S = 1200
PASSWORD = "planted-password-0123456789"
SMALL = ("--axis", "base=4", "--axis", "stages=2", "--crop", "32", "--batch", "4", "--input", "1x64x64")

pytestmark = pytest.mark.service


@dataclass
class Searched:
    """A search that has ended, and what was seen while it ran."""

    folder: Path
    temporary: Path
    """Where Ray and everything else put what is temporary."""
    listening: list[sockets.Listening] = field(default_factory=list)
    without_token: dict[int, list[str]] = field(default_factory=dict)
    """Answers by port."""
    with_token: dict[int, list[str]] = field(default_factory=dict)
    has_inherited: bool = False
    """Whether the worker has the keys in its environment."""
    printed: str = ""

    @property
    def token(self) -> Path:
        return self.folder / "home" / ".ray" / "auth_token"


def words(run: str, *more: str) -> list[str]:
    budget = ["--strategy", "random", "--trials", "2", "--epochs", "12"]
    return ["search", "--dataset", str(tiny().root), "--run", run, *budget, *SMALL, *more]


def surroundings(folder: Path, temporary: Path) -> dict[str, str]:
    """An environment with keys, and without what would fix the number of threads or switch off the token's use."""
    found = {**environment(folder), **KEYS, "MLFLOW_TRACKING_PASSWORD": PASSWORD, "RAY_AUTH_MODE": "disabled"}
    del found["OMP_NUM_THREADS"]
    return {**found, "RAY_TMPDIR": str(temporary), "TMPDIR": str(temporary)}


def watch(process: subprocess.Popen[bytes], found: Searched) -> None:
    """Look at the processes once a trial is being trained, while it is."""
    until = time.monotonic() + TIMEOUT_S
    while not events(found.folder / "run", "reported"):
        assert process.poll() is None and time.monotonic() < until, (found.folder / "out.txt").read_text()
        time.sleep(0.1)
    found.listening = sockets.listening(process.pid)
    for pid in sockets.descendants(process.pid):
        with contextlib.suppress(OSError):
            title, variables = (Path(f"/proc/{pid}/{name}").read_bytes() for name in ("cmdline", "environ"))
            if title.startswith(b"ray::") and b"Agent" not in title:
                found.has_inherited |= KEYS["AWS_SECRET_ACCESS_KEY"].encode() in variables
    for each in found.listening:
        found.without_token[each.port] = sockets.answers(each.port)
        if "gcs_server" in each.command:
            found.with_token[each.port] = sockets.answers(each.port, found.token.read_text())


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Searched]:
    # Its name must be short, for Ray's sockets.
    temporary = Path(tempfile.mkdtemp(prefix="irnas", dir="/tmp"))
    found = Searched(folder=tmp_path_factory.mktemp("local"), temporary=temporary)
    try:
        with (found.folder / "out.txt").open("wb") as out:
            command = [sys.executable, "-m", "irnas", *words("run", "--workers", "1")]
            env = surroundings(found.folder, temporary)
            process = subprocess.Popen(command, cwd=found.folder, env=env, stdout=out, stderr=out)
            try:
                watch(process, found)
                code = process.wait(TIMEOUT_S)
            finally:
                process.kill()
                process.wait()
        found.printed = (found.folder / "out.txt").read_text()
        assert code == 0, found.printed
        yield found
    finally:
        shutil.rmtree(temporary)


def test_what_listens_listens_on_loopback(searched: Searched) -> None:
    assert len(searched.listening) >= 5, searched.listening
    assert {each.host for each in searched.listening} <= sockets.LOOPBACK, searched.listening


def test_nobody_is_answered_without_the_token(searched: Searched) -> None:
    for each in searched.listening:
        said = searched.without_token[each.port]
        assert {"UNAUTHENTICATED", "401"} & set(said), (each, said)
        assert not {"OK", "200"} & set(said), (each, said)
    assert searched.with_token and all("OK" in said for said in searched.with_token.values())


def test_the_token_is_for_its_owner_alone(searched: Searched) -> None:
    assert searched.token.stat().st_mode & 0o777 == 0o600


def test_no_key_of_the_environment_is_in_any_file(searched: Searched) -> None:
    secrets = [text.encode() for text in (*PLANTED, PASSWORD, searched.token.read_text())]
    assert searched.has_inherited, "the worker must have them, only not from a runtime environment"
    seen = set()
    for root in (searched.folder, searched.temporary):
        for file in (f for f in root.rglob("*") if f.is_file() and not f.is_symlink() and f != searched.token):
            seen.add(file.name)
            content = file.read_bytes()
            assert not any(secret in content for secret in secrets), file
    # It would prove nothing if it read nothing: Ray's own logs, the record, the page and MLflow's store are there.
    assert {"runtime_env_agent.log", "raylet.out", "ledger.jsonl", "report.html", "mlflow.db"} <= seen


def test_the_loop_and_ray_come_to_the_same_numbers(searched: Searched) -> None:
    env = surroundings(searched.folder, searched.temporary)
    command = [sys.executable, "-m", "irnas", *words("loop", "--executor", "loop")]
    subprocess.run(command, cwd=searched.folder, env=env, check=True, timeout=TIMEOUT_S, capture_output=True)
    found = {
        run: {e["result"]["key"]: e["result"]["values"] for e in events(searched.folder / run, "finished")}
        for run in ("run", "loop")
    }
    assert found["run"] == found["loop"] and len(found["run"]) == 2
    (opened,) = events(searched.folder / "loop", "opened")
    assert opened["settings"]["threads"] == 1
