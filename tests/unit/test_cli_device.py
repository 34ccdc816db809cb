"""``irnas device``: a profile is made, kept and shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support import profiles
from typer.testing import CliRunner

from irnas.cli import device
from irnas.core.errors import SettingsError
from irnas.deploy.device import calibrate, speed


def call(*arguments: object, code: int = 0) -> Any:
    done = CliRunner().invoke(device.app, [str(part) for part in arguments])
    if done.exception is not None and not isinstance(done.exception, (SystemExit, KeyboardInterrupt)):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose times are made up, and small images."""
    monkeypatch.setattr(speed, "make_runner", profiles.make_runner)
    monkeypatch.setattr(speed, "measure", profiles.measure)
    monkeypatch.setattr("irnas.runtime.kernels", lambda: [profiles.KERNELS])
    monkeypatch.setattr(calibrate, "SIZES", profiles.SIZES)


SMALL = ("--points", 30, "--checks", 10)


@pytest.mark.usefixtures("board")
def test_a_profile_is_written_and_shown(tmp_path: Path) -> None:
    path = tmp_path / "devices" / "board.json"
    made = call("profile", "-o", path, "--name", "a board", *SMALL, "--seed", 3)
    assert "a board" in made.stdout and "32x32" in made.stdout and "warning" not in made.stderr
    printed = call("show", path).stdout
    assert printed.startswith(made.stdout) and "block word" in printed and "block word" not in made.stdout
    document = json.loads(call("show", path, "--json").stdout)
    assert document["name"] == "a board" and document["tables"][0]["kernels"] == profiles.KERNELS
    assert {k: v for k, v in document.items() if k not in ("file", "revision")} == json.loads(path.read_text())


@pytest.mark.usefixtures("board")
def test_a_machine_that_gives_no_even_answer_is_warned_about(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter(range(1_000_000))

    def moody(run: speed.Run, threads: int = 1, seconds: float = 0.0) -> speed.Timing:
        timing = profiles.measure(run)
        return speed.Timing(
            engine="xnor", kernels=timing.kernels, ms_min=timing.ms_min * (1 + next(calls) % 7), ms_median=1.0, runs=5
        )

    monkeypatch.setattr(calibrate, "ROUNDS", 1)
    monkeypatch.setattr(speed, "measure", moody)
    done = call("profile", "-o", tmp_path / "p.json", *SMALL, "--json")
    written = json.loads(done.stdout)
    assert max(e["median"] for e in written["tables"][0]["errors"]) > 0.1
    assert "warning: half of the predictions are off by more than" in done.stderr


@pytest.mark.usefixtures("board")
def test_interrupted_it_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object, **__: object) -> speed.Timing:
        raise KeyboardInterrupt

    monkeypatch.setattr(speed, "measure", stopped)
    done = call("profile", "-o", tmp_path / "p.json", *SMALL, code=130)
    assert "stopped; nothing was written" in done.stderr and not list(tmp_path.iterdir())


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be one that irnas device profile wrote"):
        call("show", tmp_path / "absent.json")
