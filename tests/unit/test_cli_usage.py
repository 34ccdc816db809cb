"""Words that a command does not take: one line, exit 2, as every other mistake."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from irnas.cli import main

USAGE = [
    ("nix", "irnas: command line: got no such command 'nix'", "must be as irnas -h says"),
    ("serch", "no such command 'serch'", "search"),
    ("--nix", "no such option: --nix", "irnas -h"),
    ("search --nix", "search: got no such option: --nix", "must be as irnas search -h says"),
    ("search --trials x", "--trials: got 'x' (", "must be as irnas search -h says"),
    ("search --trials=x", "--trials: got 'x' (", "must be as irnas search -h says"),
    ("search --trials", "--trials", "argument"),
    ("search a b", "search: got unexpected extra argument", "irnas search -h"),
    ("front", "front: got no RUN; must have it (irnas front -h)", ""),
    ("data stats", "data stats: got no PATH; must have it (irnas data stats -h)", ""),
    ("ui --port 0", "--port: got '0' (", "must be as irnas ui -h says"),
    ("ui --port=65536", "--port: got '65536' (", "must be as irnas ui -h says"),
    ("run m.xnor i.png --threshold 7", "--threshold: got '7' (", "must be as irnas run -h says"),
    ("run m.xnor i.png --threads 0", "--threads: got '0' (", "must be as irnas run -h says"),
    ("export f.safetensors -o f.xnor --images 0", "--images: got '0' (", "must be as irnas export -h says"),
    ("track register r best n --images 0", "--images: got '0' (", "must be as irnas track register -h says"),
    ("device profile -o p --points 3", "--points: got '3' (", "must be as irnas device profile -h says"),
    ("device profile -o p --points 99999999999999999999", "--points: got '99999999999999999999' (", ""),
    ("device profile -o p --checks x", "--checks: got 'x' (", "must be as irnas device profile -h says"),
]


def ended(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["irnas", *words.split()])
    return main()


@pytest.mark.parametrize(("words", "message", "more"), USAGE, ids=[words for words, *_ in USAGE])
def test_a_word_that_a_command_does_not_take_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str, message: str, more: str
) -> None:
    assert ended(words, monkeypatch) == 2
    said = capsys.readouterr()
    assert not said.out and said.err.count("\n") == 1 and said.err.startswith("irnas: ")
    assert message in said.err and more in said.err


@pytest.mark.parametrize("words", ["", "data", "device"])
def test_commands_of_which_one_must_be_chosen_list_them(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    assert ended(words, monkeypatch) == 2
    said = capsys.readouterr()
    assert f"Usage: {' '.join(['irnas', *words.split()])} " in said.out + said.err and "irnas: " not in said.err


def test_what_no_terminal_may_obey_does_not_come_back(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for words in ("ui --port \x1b]0;title\x07", "\x1b[2J", "search --\x1b[2J", "ui a \x9b2J"):
        assert ended(words, monkeypatch) == 2
        assert not {"\x1b", "\x9b"} & set(capsys.readouterr().err)


@pytest.mark.parametrize("words", ["ui --port swordfish", "ui runs swordfish"])
def test_a_secret_of_the_environment_is_not_said_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: str
) -> None:
    monkeypatch.setattr("irnas.cli.require_no_credentials", lambda words: None)
    monkeypatch.setenv("DB_PASSWORD", "swordfish")
    assert ended(words, monkeypatch) == 2
    said = capsys.readouterr().err
    assert said.startswith("irnas: ") and "swordfish" not in said


def test_a_command_may_end_with_a_status_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    app = typer.Typer()

    @app.command()
    def end(code: int) -> None:
        raise typer.Exit(code)

    monkeypatch.setattr("irnas.cli.app.app", app)
    assert [ended(words, monkeypatch) for words in ("0", "1", "130")] == [0, 1, 130]


@pytest.mark.parametrize("at_once", [True, False])
def test_output_that_finds_no_room_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], at_once: bool
) -> None:
    """As on a full disk: seen while it is written, or only when the command has ended."""
    app = typer.Typer()
    app.command()(lambda: print("what was asked for"))
    monkeypatch.setattr("irnas.cli.app.app", app)
    full = Path("/dev/full").open("wb", buffering=0)
    output = io.TextIOWrapper(io.BufferedWriter(full), write_through=at_once)
    monkeypatch.setattr(sys, "stdout", output)
    assert ended("", monkeypatch) == 2
    with Path(os.devnull).open("wb") as nowhere:
        # For what is still in its buffer when it is closed.
        os.dup2(nowhere.fileno(), full.fileno())
    output.close()
    said = capsys.readouterr().err
    assert said == "irnas: output: got 'No space left on device' (OSError); must have room where it is written\n"


@pytest.mark.parametrize("closed", ["1", "0 1", "0 1 2"])
def test_a_command_runs_without_standard_streams(closed: str) -> None:
    """As some services start their programs; files that are opened then must not be taken for output."""
    code = f"""
import os, sys
for number in map(int, "{closed}".split()):
    os.close(number)
os.execv(sys.executable, [sys.executable, "-m", "irnas", "spaces"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_too_little_memory_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    app = typer.Typer()

    @app.command()
    def end() -> None:
        raise MemoryError("Unable to allocate 4.00 TiB for an array")

    monkeypatch.setattr("irnas.cli.app.app", app)
    assert ended("", monkeypatch) == 2
    assert capsys.readouterr().err.startswith("irnas: memory: got Unable to allocate 4.00 TiB for an array; must be ")
