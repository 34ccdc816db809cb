"""The real command line in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import typer
from typer.testing import CliRunner

from irnas.record.ledger import Ledger


def environment(folder: Path) -> dict[str, str]:
    """The caller's environment with a home of its own: Ray keeps a token there and MLflow its caches."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    paths = os.pathsep.join(p for p in sys.path if p)
    own = {name: value for name, value in os.environ.items() if not name.startswith("RAY_AUTH_")}
    return {**own, "HOME": str(home), "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"}


def printed(app: typer.Typer, *arguments: object) -> str:
    """What a command of an app prints, run in this process; its own error where it raises one."""
    done = CliRunner().invoke(app, [str(part) for part in arguments])
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.output


@contextmanager
def started(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """`irnas WORDS` in ``folder``, running; killed at the end where it still is."""
    with subprocess.Popen(
        [sys.executable, "-m", "irnas", *words],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
        # Whoever starts the tests in the background ignores the signal, and so would everything below them.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def run(folder: Path, *words: str, code: int = 0, timeout_s: float = 240) -> str:
    """What `irnas WORDS` prints; fails where it exits with another code."""
    done = subprocess.run(
        [sys.executable, "-m", "irnas", *words],
        cwd=folder,
        env=environment(folder),
        timeout=timeout_s,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout if code == 0 else done.stderr


def run_json(folder: Path, *words: str) -> Any:
    """The same, parsed."""
    return json.loads(run(folder, *words, "--json"))


def events(folder: str | Path, kind: str = "") -> list[dict[str, Any]]:
    """The events of the run in ``folder``, which may be a URI, of one kind or all."""
    return [e.document() for e in Ledger(str(folder)).events() if kind in ("", e.KIND)]
