"""Every kind of damage to a record is told in one line, harms nothing more, and is repaired as far as can be."""

from __future__ import annotations

import contextlib
import functools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.damage import DAMAGES, FINISHED_1, GARBAGE, HOPELESS, Damage, Lines, of_schema_3, text
from support.datasets import tiny
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.core.errors import FormatError, IrnasError, SettingsError
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.record.events import SCHEMA
from irnas.record.ledger import Ledger
from irnas.record.repair import repair
from irnas.record.run import Run
from irnas.search import local_executor
from irnas.training.trial import Assignment, Report
from irnas.workflows import execution
from irnas.workflows import search as search_workflow
from irnas.workflows.executor import Executor

LOOP = Executor(kind="loop")
LISTENER = execution.Listener(watch=lambda _: None, warn=lambda _: None, progress=lambda *_: None)
NUM_TRIALS = 4


def evaluate(assignment: Assignment, **_: object) -> Iterator[Report | Result]:
    """What a training yields, without one."""
    values = {"miou": 0.5 + assignment.seed % 1000 / 4000}
    yield Report(epoch=1, values={**values, "loss": 0.5}, seconds=1.0)
    yield assignment.result(Status.OK, values, epochs=1, seconds=1.0)


@pytest.fixture(autouse=True)
def _without_training_mirror_and_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)
    monkeypatch.setattr(local_executor, "evaluate", evaluate)


@functools.cache
def whole(strategy: str = "tpe") -> tuple[bytes, ...]:
    """The lines of an undamaged record."""
    folder = Path(tempfile.mkdtemp(prefix="irnas-test-")) / "run"
    settings: dict[str, Any] = {
        "space": "biisnet",
        "dataset": str(tiny().root),
        "trials": NUM_TRIALS,
        "strategy": strategy,
        "budget": Budget(epochs=1, batch=4, crop=32),
        "axes": {"base": (4, 6), "stages": (2,)},
        "cost_input": (1, 64, 64),
    }
    search_workflow.search(SearchSettings(**settings), str(folder), LOOP, LISTENER)
    return tuple((folder / "ledger.jsonl").read_bytes().splitlines())


def lines_of(folder: Path) -> Lines:
    return (folder / "ledger.jsonl").read_bytes().split(b"\n")[:-1]


def one_line(error: pytest.ExceptionInfo[IrnasError]) -> str:
    message = str(error.value)
    assert "\n" not in message and len(message) < 600 and "Traceback" not in message
    return message


NEEDS_FOLD = {
    *("a repeated end", "repeated lines", "two lines swapped", "all lines backwards", "another record behind it"),
    *("a proposal lost", "a proposal and its result lost", "the newest proposal and its end lost"),
}
"""Of what no line of a record without numbers shows."""

CASES = [
    *(pytest.param(damage, False, id=damage.name) for damage in DAMAGES),
    *(pytest.param(damage, True, id=f"{damage.name}, schema 3") for damage in DAMAGES if damage.is_old),
]


@pytest.mark.parametrize(("damage", "is_old"), CASES)
def test_damage_is_told_harms_nothing_and_is_repaired(damage: Damage, is_old: bool, tmp_path: Path) -> None:
    lines = list(whole())
    lines = of_schema_3(lines) if is_old else lines
    run, damaged = tmp_path / "run", damage.apply(lines)
    run.mkdir()
    (run / "ledger.jsonl").write_bytes(damaged)
    with pytest.raises(IrnasError) as error:
        Run.read(str(run))
    message = one_line(error)
    if not is_old:
        assert damage.says in message
        assert isinstance(error.value, FormatError) is (damage.name != "CR")
    if isinstance(error.value, FormatError):
        assert re.search(r"event \d+", message)
    attempts = [lambda: search_workflow.resume(str(run), None, LOOP, LISTENER)]
    if not (is_old and damage.name in NEEDS_FOLD):
        attempts.append(lambda: _append(run))
    for attempt in attempts:
        with pytest.raises(IrnasError) as error:
            attempt()
        one_line(error)
        assert (run / "ledger.jsonl").read_bytes() == damaged

    done = repair(str(run))
    lost = {place % len(lines) for place in damage.lost}
    kept = [line for place, line in enumerate(lines) if place not in lost]
    assert done.faults and Path(done.original).read_bytes() == damaged
    assert all("\n" not in fault and len(fault) < 600 for fault in done.faults)
    assert [line for line in lines_of(run) if b'"kind":"repaired"' not in line] == kept
    # Of a line that is no event nobody knows, without numbers, whether it was one.
    assert done.num_kept == len(kept) and done.num_missing <= (len(lost) + 1 if is_old else len(lost))
    outcome = search_workflow.resume(str(run), None, LOOP, LISTENER)
    assert outcome.run.num_done == NUM_TRIALS == len({r.key for r in outcome.run.results})
    assert sorted(r.trial for r in outcome.run.results) == sorted({r.trial for r in outcome.run.results})
    assert Run.read(str(run)).num_done == NUM_TRIALS and repair(str(run)).faults == ()


def _append(run: Path) -> None:
    with Ledger(str(run)).writing():
        pytest.fail("a damaged record was opened for writing")


def test_there_are_as_many_kinds_as_were_found() -> None:
    assert len({damage.name for damage in DAMAGES}) >= 32


@pytest.mark.parametrize("damage", HOPELESS, ids=lambda damage: damage.name)
def test_a_record_without_its_opening_stays_as_it_is(damage: Damage, tmp_path: Path) -> None:
    run, damaged = tmp_path / "run", damage.apply(list(whole()))
    run.mkdir()
    (run / "ledger.jsonl").write_bytes(damaged)
    for attempt in (Run.read, repair, lambda uri: search_workflow.resume(uri, None, LOOP, LISTENER)):
        with pytest.raises(FormatError) as error:
            attempt(str(run))
        one_line(error)
    assert (run / "ledger.jsonl").read_bytes() == damaged
    assert {path.name for path in run.iterdir()} <= {"ledger.jsonl", "lock"}


@pytest.mark.parametrize("end", [b"", b'{"schema":4,"n":14,"t":17', b"\0" * 512], ids=["whole", "torn", "zeros"])
def test_a_torn_last_line_is_no_damage(end: bytes, tmp_path: Path) -> None:
    content = text(list(whole()[:-1])) + end
    (tmp_path / "ledger.jsonl").write_bytes(content)
    assert Run.read(str(tmp_path)).num_done == NUM_TRIALS
    search_workflow.resume(str(tmp_path), None, LOOP, LISTENER)
    assert lines_of(tmp_path)[: len(whole()) - 1] == list(whole()[:-1])


def test_a_last_line_that_lacks_only_its_end_is_kept(tmp_path: Path) -> None:
    lines = whole()[: FINISHED_1 + 1]
    (tmp_path / "ledger.jsonl").write_bytes(text(list(lines))[:-1])
    assert repair(str(tmp_path)).faults == ()
    search_workflow.resume(str(tmp_path), None, LOOP, LISTENER)
    assert lines_of(tmp_path)[: len(lines)] == list(lines)


def test_a_record_of_a_newer_irnas_is_not_called_damaged(tmp_path: Path) -> None:
    content = text([line.replace(b'"schema":%d' % SCHEMA, b'"schema":99', 1) for line in of_schema_3(list(whole()))])
    content = content.replace(b'"schema":3', b'"schema":99')
    (tmp_path / "ledger.jsonl").write_bytes(content)
    for attempt in (Run.read, repair):
        with pytest.raises(FormatError, match=rf"got schema 99; this irnas reads up to {SCHEMA}$"):
            attempt(str(tmp_path))
    assert (tmp_path / "ledger.jsonl").read_bytes() == content


def test_a_damage_after_a_repair_is_repaired_too(tmp_path: Path) -> None:
    """Old lines, a marker among them, and new ones behind: what a repaired and resumed record of before looks like."""
    old = of_schema_3(list(whole()))
    (tmp_path / "ledger.jsonl").write_bytes(text([*old[:FINISHED_1], GARBAGE, *old[FINISHED_1 + 1 :]]))
    repair(str(tmp_path))
    search_workflow.resume(str(tmp_path), 6, LOOP, LISTENER)
    lines = lines_of(tmp_path)
    (tmp_path / "ledger.jsonl").write_bytes(text([*lines[:-3], GARBAGE, *lines[-2:]]))
    done = repair(str(tmp_path))
    assert done.num_kept == len(lines) - 1 and Path(done.original).name == "ledger.damaged-2.jsonl"
    assert search_workflow.resume(str(tmp_path), None, LOOP, LISTENER).run.num_done == 6


def test_the_command_tells_what_it_did(tmp_path: Path) -> None:
    lines = list(whole())
    (tmp_path / "ledger.jsonl").write_bytes(text([*lines[:FINISHED_1], GARBAGE, *lines[FINISHED_1 + 1 :]]))
    said = CliRunner().invoke(app, ["repair", str(tmp_path)]).output
    assert "line 7: got 2 zero bytes" in said or "line 7: got 1 zero bytes" in said
    assert f"{len(lines) - 1} events are whole and kept, 1 are lost" in said and "ledger.damaged-1.jsonl" in said
    assert "none of them damaged; nothing is changed" in CliRunner().invoke(app, ["repair", str(tmp_path)]).output
    with pytest.raises(SettingsError, match="must be the folder or URI of an irnas run"):
        repair(str(tmp_path / "absent"))
    assert not (tmp_path / "absent").exists()
