"""A search or a training that is refused leaves no run behind, and the next try goes where it was to go."""

from __future__ import annotations

import contextlib
import shlex
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.datasets import tiny

from irnas.cli import main
from irnas.workflows import execution

SEARCH = "search --trials 1 --epochs 1 --axis base=4 --axis stages=2 --input 1x64x64 --crop 32 --run mine"
TRAIN = "train biisnet base=4,stages=2 --epochs 1 --seeds 1 --input 1x64x64 --crop 32 --run mine"
REFUSED = [
    (SEARCH, "--executor loop --strategy freeze-thaw --objective miou,pd,ops", 2, "freeze-thaw: got miou, pd as"),
    (SEARCH, "--executor loop --objective miou,opps", 2, "objective: got 'opps'"),
    (SEARCH, "--executor loop --limit-nothing 3", 2, "--limit-nothing"),
    (SEARCH, "--gpus 3", 2, "--gpus: got 3 for each trial; must be at most the 0"),
    (SEARCH, "--address 127.0.0.1:1", 3, "address: got '127.0.0.1:1'"),
    (SEARCH, "--address nowhere", 2, "address: got 'nowhere'"),
    (TRAIN, "--executor loop --split test", 2, "fit_on: got 'test'"),
    (TRAIN, "--executor loop --from torn.safetensors", 2, "torn.safetensors"),
    (TRAIN, "--gpus 3", 2, "--gpus: got 3 for each trial; must be at most the 0"),
    (TRAIN, "--address 127.0.0.1:1", 3, "address: got '127.0.0.1:1'"),
]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty folder; what a search does on SIGTERM ends with the test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)
    Path("torn.safetensors").write_bytes(b"\x10\x00\x00\x00\x00\x00\x00\x00{")
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def ended(words: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setattr(sys, "argv", ["irnas", *shlex.split(words), "--dataset", str(tiny().root)])
    return main()


@pytest.mark.parametrize("command", [SEARCH, TRAIN], ids=["search", "train"])
def test_a_refused_one_leaves_no_run_and_the_next_try_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    for refused, options, code, message in REFUSED:
        if refused != command:
            continue
        assert ended(f"{command} {options}", monkeypatch) == code
        said = capsys.readouterr().err.strip().splitlines()
        # Nor is there advice to go on with what never began.
        assert len(said) == 1 and said[0].startswith("irnas: ") and message in said[0]
        assert not Path("mine").exists()
    assert ended(f"{command} --executor loop", monkeypatch) == 0
    assert Path("mine/ledger.jsonl").is_file()
