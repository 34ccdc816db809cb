"""`irnas publish` and `irnas fetch` in processes of their own; and credentials, which must be found nowhere."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import s3
from support.command import environment, run, run_json, started
from support.datasets import tiny
from support.runs import space_folder, write_run

SECRETS = {
    **s3.KEYS,
    "RAY_AUTH_TOKEN": "planted-ray-token-0123456789-planted",
    "MLFLOW_TRACKING_USERNAME": "planted-mlflow-user",
    "MLFLOW_TRACKING_PASSWORD": "planted-mlflow-password",
}
PLANTED = tuple(value for name, value in SECRETS.items() if name != "AWS_DEFAULT_REGION")


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3.server() as address:
        yield address


@pytest.fixture
def way(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Proxy]:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**SECRETS, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "2"}.items():
        monkeypatch.setenv(name, value)
    with s3.proxy(server) as proxy:
        yield proxy


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_run(tmp_path / "runs" / "one", space_folder(tmp_path))
    return tmp_path


def closed_port() -> int:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return int(unused.getsockname()[1])


def files_with_secrets(folder: Path) -> list[str]:
    """Files below a folder, names included, in which a planted secret is."""
    paths = [p for p in folder.rglob("*") if p.is_file()]
    in_content = [str(p) for p in paths if any(secret.encode() in p.read_bytes() for secret in PLANTED)]
    return in_content + [str(p) for p in paths if any(secret in str(p) for secret in PLANTED)]


def test_there_and_back(folder: Path, way: s3.Proxy, server: str) -> None:
    uri = f"s3://{s3.BUCKET}/{folder.name}"
    (folder / "winner.xnor").write_bytes(b"XNOR")
    words = ("publish", "runs/one", uri, "--export", "winner.xnor", "--endpoint-url", way.address)
    sent = run_json(folder, *words)
    assert (sent["uri"], sent["files"], sent["sent"], sent["is_new"]) == (uri, 3, 3, True)
    assert run(folder, *words).startswith(f"{uri}: already published, 3 files, ")
    way.asked.clear()
    got = run_json(folder, "fetch", uri, "-o", "got", "--endpoint-url", way.address)
    assert (got["revision"], got["files"]) == (sent["revision"], 3)
    assert (folder / "got" / "exports" / "winner.xnor").read_bytes() == b"XNOR"
    assert (folder / "got" / "ledger.jsonl").read_bytes() == (folder / "runs" / "one" / "ledger.jsonl").read_bytes()
    assert way.count("GET") == 4


@pytest.mark.parametrize("command", ["publish", "fetch"])
def test_nobody_at_the_endpoint_is_one_line_and_exit_3(folder: Path, way: s3.Proxy, command: str) -> None:
    where = f"http://127.0.0.1:{closed_port()}"
    words = {"publish": ("runs/one", "s3://bucket/p"), "fetch": ("s3://bucket/p", "-o", "got")}[command]
    before = sorted(p.name for p in folder.rglob("*"))
    message = run(folder, command, *words, "--endpoint-url", where, code=3)
    assert message.count("\n") == 1 and message.startswith(
        "irnas: s3://bucket/p: got EndpointConnectionError from 127."
    )
    assert message.endswith("must be reachable; try again later\n")
    assert sorted(p.name for p in folder.rglob("*") if "home" not in p.parts and p.name != "home") == before


def test_kill_9_of_a_publish_shows_nothing_and_the_next_goes_on(folder: Path, way: s3.Proxy, server: str) -> None:
    for number in range(4):
        (folder / "runs" / "one" / f"{number}.xnor").write_bytes(os.urandom(1000))
    uri = f"s3://{s3.BUCKET}/{folder.name}"
    words = ("publish", "runs/one", uri, "--endpoint-url", way.address)
    way.rule = lambda method, path: 60.0 if way.count("PUT") > 3 else None
    with started(folder, *words) as process:
        until = time.monotonic() + 60
        while way.count("PUT") < 4 and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
        process.wait()
    way.rule = lambda method, path: None
    stored = s3.objects(server, folder.name)
    assert 0 < len(stored) < 6 and not any(name.endswith("manifest.json") for name in stored)
    assert "got no manifest.json" in run(folder, "fetch", uri, "-o", "got", "--endpoint-url", way.address, code=2)
    assert run_json(folder, *words)["sent"] == 6 - len(stored)


def test_credentials_in_urls_are_refused_and_not_repeated(folder: Path, way: s3.Proxy) -> None:
    secret = s3.KEYS["AWS_SECRET_ACCESS_KEY"].replace("/", "-").replace("+", "-")
    for words in (
        ("publish", "runs/one", f"s3://key:{secret}@bucket/p"),
        ("fetch", f"s3://bucket/p?secret_key={secret}"),
        ("fetch", "s3://bucket/p", "--endpoint-url", f"https://key:{secret}@s3.example.com"),
    ):
        message = run(folder, *words, code=2)
        assert message.count("\n") == 1 and secret not in message and "credentials" in message


@pytest.mark.slow
def test_planted_credentials_are_found_nowhere(way: s3.Proxy, server: str, tmp_path: Path) -> None:
    """A search with mirror and report, publishing and fetching, and what can go wrong on the way: then grep it all."""
    data = str(tiny().root)
    small = ("--trials", "1", "--epochs", "1", "--crop", "32", "--batch", "4", "--input", "1x64x64")
    axes = ("--axis", "base=4,6", "--axis", "stages=2,3", "--executor", "loop")
    uri = f"s3://{s3.BUCKET}/planted"
    at = ("--endpoint-url", way.address)
    outputs = [
        output_of(tmp_path, 0, "search", "--dataset", data, "--run", "runs/one", *small, *axes),
        output_of(tmp_path, 0, "publish", "runs/one", uri, *at),
        output_of(tmp_path, 0, "fetch", uri, "-o", "got", *at),
        output_of(tmp_path, 3, "fetch", uri, "-o", "down", "--endpoint-url", f"http://127.0.0.1:{closed_port()}"),
        output_of(tmp_path, 2, "publish", "runs/one", "s3://absent-bucket/p", *at),
    ]
    publishing, fetching = ("publish", "runs/one", uri), ("fetch", uri)
    for rule, words, code in (("403", publishing, 2), ("500", fetching, 3), ("cut", fetching, 3)):
        way.rule = lambda method, path, rule=rule: rule
        outputs.append(output_of(tmp_path, code, *words, *at))
    assert (tmp_path / "runs" / "mlflow.db").stat().st_size > 0 and (
        tmp_path / "runs" / "one" / "report.html"
    ).is_file()
    assert [text for text in outputs if any(secret in text for secret in PLANTED)] == []
    assert files_with_secrets(tmp_path) == []
    stored = s3.objects(server, "planted")
    assert len(stored) >= 5
    assert [key for key, content in stored.items() if any(s.encode() in content or s in key for s in PLANTED)] == []


def output_of(folder: Path, code: int, *words: str) -> str:
    """Everything that a command printed."""
    done = subprocess.run(
        [sys.executable, "-m", "irnas", *words],
        cwd=folder,
        env=environment(folder),
        timeout=240,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def test_the_grep_finds_what_is_planted(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "log").write_bytes(b"\0" + PLANTED[1].encode())
    (tmp_path / PLANTED[-1]).write_bytes(b"")
    assert len(files_with_secrets(tmp_path)) == 2
