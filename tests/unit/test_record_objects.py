"""A damaged record on an object store, one object an event: refused as it is, and repaired object by object."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pyarrow import fs
from support.opened import opened
from support.results import proposed, result
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.core.errors import FormatError
from irnas.record import ledger
from irnas.record.events import Closed, Event, Finished, Repaired, Reported
from irnas.record.ledger import Ledger
from irnas.record.line import to_line
from irnas.record.repair import repair
from irnas.record.run import Run
from irnas.storage import files

URI = "s3://bucket/run"


def trained(trial: int) -> list[Event]:
    report = Reported(trial=trial, epoch=1, values={"miou": 0.5}, seconds=1.0, paused=False)
    values = {"miou": 0.5 + trial / 10, "ops": 2e8, "params": 1e3}
    return [proposed(trial), report, Finished(result=result(trial, values))]


EVENTS = [opened(), *trained(0), *trained(1), *trained(2), Closed(reason="done")]
LINES = [to_line(event, number) + b"\n" for number, event in enumerate(EVENTS, start=1)]
PROPOSED, REPORTED, FINISHED = 4, 5, 6
"""Of trial 1, from 0."""

Objects = dict[str, bytes]


def name(place: int) -> str:
    return f"{place:09d}.json"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store in a folder, with a whole record."""
    there = fs.LocalFileSystem()
    monkeypatch.setattr(files, "_open_remote", lambda uri: (there, uri.replace("s3://bucket", str(tmp_path))))
    monkeypatch.setattr(ledger, "_object_cache", {})
    objects = tmp_path / "run" / "ledger"
    objects.mkdir(parents=True)
    for copies in ("ledger.damaged-1", "ledger.damaged-2"):
        # A store has no folders that would have to be made.
        (tmp_path / "run" / copies).mkdir()
    for place, line in enumerate(LINES):
        (objects / name(place)).write_bytes(line)
    return objects


def contents(folder: Path) -> Objects:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def replaced(place: int, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name(place)).write_bytes(content) and None


def swap(folder: Path) -> None:
    first, second = folder / name(PROPOSED), folder / name(FINISHED)
    before = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(before)


def flip(folder: Path) -> None:
    path = folder / name(FINISHED)
    path.write_bytes(path.read_bytes().replace(b'"miou":0.6', b'"miou":0.7'))


DAMAGES: dict[str, tuple[Callable[[Path], object], set[int]]] = {
    "garbage": (replaced(FINISHED, b"garbage"), {FINISHED}),
    "zeros": (replaced(FINISHED, b"\0" * 200), {FINISHED}),
    "an empty object": (replaced(REPORTED, b""), {REPORTED}),
    "null": (replaced(REPORTED, b"null\n"), {REPORTED}),
    "UTF-16": (replaced(FINISHED, LINES[FINISHED].decode().encode("utf-16")), set()),
    "a byte order mark": (replaced(FINISHED, b"\xef\xbb\xbf" + LINES[FINISHED]), set()),
    "CRLF": (replaced(FINISHED, LINES[FINISHED].replace(b"\n", b"\r\n")), set()),
    "half of an event": (replaced(FINISHED, LINES[FINISHED][:150]), {FINISHED}),
    "a byte flipped": (flip, {FINISHED}),
    "two events": (replaced(REPORTED, LINES[REPORTED] + LINES[FINISHED]), set()),
    "one event twice": (replaced(FINISHED, LINES[REPORTED]), {FINISHED}),
    "swapped": (swap, set()),
    "an object lost": (lambda folder: (folder / name(FINISHED)).unlink(), {FINISHED}),
    "a proposal lost": (lambda folder: (folder / name(PROPOSED)).unlink(), {PROPOSED}),
    "three lost": (
        lambda folder: [(folder / name(place)).unlink() for place in (PROPOSED, REPORTED, FINISHED)],
        {PROPOSED, REPORTED, FINISHED},
    ),
    "an object more": (replaced(len(LINES), LINES[REPORTED]), set()),
    "an object far behind": (replaced(500, LINES[REPORTED]), set()),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_told_harms_nothing_and_is_repaired(damage: str, folder: Path) -> None:
    harm, lost = DAMAGES[damage]
    harm(folder)
    damaged = contents(folder)
    with pytest.raises(FormatError, match=r"^s3://bucket/run, event \d+.*irnas repair s3://bucket/run keeps") as error:
        Run.read(URI)
    assert "\n" not in str(error.value)
    with pytest.raises(FormatError), Ledger(URI).writing():
        pytest.fail("a damaged record was opened for writing")
    assert contents(folder) == damaged

    done = repair(URI)
    after, copies = contents(folder), contents(folder.parent / "ledger.damaged-1")
    assert done.faults and done.num_kept == len(LINES) - len(lost) and done.num_missing == len(lost)
    assert {place: after.get(name(place)) for place in range(len(LINES)) if place not in lost} == {
        place: line for place, line in enumerate(LINES) if place not in lost
    }
    assert copies == {key: damaged[key] for key in damaged if after.get(key) != damaged[key]}
    run = Run.read(URI)
    assert run.num_done == (2 if FINISHED in lost else 3)
    with Ledger(URI).writing() as _:
        pass
    writer = Ledger(URI)
    with writer.writing():
        writer.append(Closed(reason="again"))
    assert Run.read(URI).end_reason == "again" and len(contents(folder)) == len(after) + 1
    assert repair(URI).faults == ()


def test_several_lost_in_a_row_are_one_object(folder: Path) -> None:
    for place in (PROPOSED, REPORTED, FINISHED):
        (folder / name(place)).unlink()
    repair(URI)
    markers = [event for event in Ledger(URI).events() if isinstance(event, Repaired)]
    assert [marker.num_events for marker in markers] == [3] and (folder / name(PROPOSED)).is_file()
    assert not (folder / name(REPORTED)).exists()


def test_the_command_says_where_the_originals_are(folder: Path) -> None:
    replaced(FINISHED, b"garbage")(folder)
    said = CliRunner().invoke(app, ["repair", URI]).output
    assert "000000006.json, line 1: got no JSON" in said and "original: s3://bucket/run/ledger.damaged-1" in said
