"""An MLflow server of the test's own, with PostgreSQL for its runs and an S3 server for its files."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import s3

DATABASE_PASSWORD = "planted-Database-Password-31"
"""Of PostgreSQL's user; to be found nowhere."""

_START_S = 300


def free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])


def program(name: str) -> str:
    """A program of PostgreSQL, which Debian keeps off the path; skips the test where it is not installed."""
    found = shutil.which(name) or next(map(str, sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"))), None)
    if found is None:
        pytest.skip(f"needs PostgreSQL's {name} (Debian: apt-get install postgresql)")
    return found


@dataclass(frozen=True)
class Database:
    """A PostgreSQL server."""

    port: int

    @property
    def uri(self) -> str:
        """Without the password, which libpq takes from the variable PGPASSWORD; with the driver, as in infra/mlflow."""
        return f"postgresql+psycopg2://mlflow@127.0.0.1:{self.port}/postgres"

    def dump(self) -> str:
        """All that is in it."""
        env = {**os.environ, "PGPASSWORD": DATABASE_PASSWORD}
        command = [program("pg_dump"), "--inserts", self.uri.replace("+psycopg2", "")]
        return subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout


@contextmanager
def database() -> Iterator[Database]:
    """A new PostgreSQL server on loopback, with a password, in a folder of its own."""
    programs = program("initdb"), program("postgres")
    folder = Path(tempfile.mkdtemp(prefix="irnas-postgres-"))
    # PostgreSQL refuses to run as root.
    owner = "nobody" if getpass.getuser() == "root" else None
    secret, data, port = folder / "secret", folder / "data", free_port()
    secret.write_text(DATABASE_PASSWORD)
    if owner:
        for path in (folder, secret):
            shutil.chown(path, owner)
    init = [programs[0], "-D", str(data), "-U", "mlflow", "--auth=scram-sha-256", f"--pwfile={secret}", "--no-sync"]
    subprocess.run(init, user=owner, cwd=folder, capture_output=True, check=True)
    settings = ["listen_addresses=127.0.0.1", f"port={port}", "unix_socket_directories=", "fsync=off"]
    command = [programs[1], "-D", str(data), *(word for each in settings for word in ("-c", each))]
    with subprocess.Popen(command, user=owner, cwd=folder, stderr=subprocess.DEVNULL) as process:
        try:
            _wait(lambda: socket.create_connection(("127.0.0.1", port), 1).close(), process)
            yield Database(port=port)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
            shutil.rmtree(folder)


@dataclass
class Server:
    """An MLflow server that can be killed and started again."""

    command: list[str]
    env: dict[str, str]
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def uri(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return (self.folder / "server.log").read_text()

    def start(self) -> None:
        with (self.folder / "server.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command, env=self.env, cwd=self.folder, stdout=log, stderr=log, start_new_session=True
            )
        _wait(lambda: urllib.request.urlopen(f"{self.uri}/health", timeout=5).close(), self.process)

    def kill(self) -> None:
        """Kill -9 it and all of its workers."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.process = None


@contextmanager
def server(folder: Path, backend: str, artifacts: str, **more: str) -> Iterator[Server]:
    """An MLflow server on loopback; ``more`` is added to its environment."""
    port = free_port()
    command = [
        sys.executable,
        "-m",
        "mlflow",
        "server",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
        "--workers",
        "1",
        "--backend-store-uri",
        backend,
        "--artifacts-destination",
        artifacts,
    ]
    # Its queue of jobs costs more processes, and no test has any jobs.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    env = {**os.environ, **quiet, **more}
    found = Server(command=command, env=env, folder=folder, port=port)
    try:
        found.start()
        yield found
    finally:
        found.kill()


@contextmanager
def full_server(folder: Path) -> Iterator[tuple[Server, Database, str]]:
    """With PostgreSQL and S3; the third is the address of the S3 server."""
    pytest.importorskip("psycopg2", reason="needs psycopg2 (pip install psycopg2-binary)")
    with database() as db, s3.server() as storage:
        secrets = {**s3.KEYS, "PGPASSWORD": DATABASE_PASSWORD, "MLFLOW_S3_ENDPOINT_URL": storage}
        with server(folder, db.uri, f"s3://{s3.BUCKET}/mlflow", **secrets) as running:
            yield running, db, storage


def _wait(attempt: object, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_S
    while True:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            attempt()  # type: ignore[operator]
            return
        except OSError:
            assert time.monotonic() < until, f"{process.args} does not answer"
            time.sleep(0.2)
