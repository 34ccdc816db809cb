from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyarrow import fs
from support.opened import opened
from support.results import result

from irnas import storage
from irnas.core.errors import FormatError, SettingsError, StorageError
from irnas.core.result import Status
from irnas.record import ledger
from irnas.record.events import Closed, Finished, Reported, Resumed
from irnas.record.ledger import Ledger
from irnas.record.line import read_line
from irnas.record.run import Run
from irnas.storage import files


def reported(trial: int, miou: float = 0.5) -> Reported:
    return Reported(trial=trial, epoch=1, values={"miou": miou}, seconds=1.0, paused=False)


def test_events_come_back_in_order(tmp_path: Path) -> None:
    record = Ledger(str(tmp_path / "run"))
    assert not record.exists()
    with record.writing():
        record.append(opened())
        record.append(Finished(result=result(3, {"miou": 0.5})))
    assert record.exists()
    assert [e.KIND for e in record.events()] == ["opened", "finished"]
    assert record.events()[1] == Ledger(record.uri).events()[1]
    assert [e.result for e in record.events()[1:] if isinstance(e, Finished)] == [result(3, {"miou": 0.5})]


def test_what_was_read_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer, reader = Ledger(str(tmp_path)), Ledger(str(tmp_path))
    parsed: list[bytes] = []
    monkeypatch.setattr(ledger, "read_line", lambda line, where: parsed.append(line) or read_line(line, where))
    with writer.writing():
        writer.append(opened())
        assert len(reader.events()) == 1
        writer.append(reported(0))
        assert [e.KIND for e in reader.events()] == ["opened", "reported"] and len(parsed) == 2
    assert len(reader.events()) == 2 and len(parsed) == 2


def test_a_torn_last_line_is_dropped_and_overwritten(tmp_path: Path) -> None:
    record = Ledger(str(tmp_path))
    with record.writing():
        record.append(opened())
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'{"schema":1,"kind":"repor')
    assert [e.KIND for e in record.events()] == ["opened"]
    with record.writing():
        record.append(Resumed(trials=4, code_rev="c"))
    assert [e.KIND for e in record.events()] == ["opened", "resumed"]


def test_a_damaged_line_inside_is_an_error(tmp_path: Path) -> None:
    record = Ledger(str(tmp_path))
    with record.writing():
        record.append(opened())
    with (tmp_path / "ledger.jsonl").open("ab") as file:
        file.write(b'rubbish\n{"schema":2,"t":1.0,"kind":"closed","reason":"done"}\n')
    with pytest.raises(FormatError, match="event 2"):
        list(Ledger(str(tmp_path)).events())


def test_nan_never_enters_the_record(tmp_path: Path) -> None:
    record = Ledger(str(tmp_path))
    with record.writing(), pytest.raises(ValueError, match="JSON compliant"):
        record.append(reported(0, miou=float("nan")))


def _hold(folder: str, ready: object, done: object) -> None:
    with Ledger(folder).writing():
        ready.set()  # type: ignore[attr-defined]
        done.wait(30)  # type: ignore[attr-defined]


def test_a_second_writer_is_kept_off(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    ready, done = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(str(tmp_path), ready, done))
    other.start()
    try:
        assert ready.wait(30)
        with pytest.raises(SettingsError, match="second search"), Ledger(str(tmp_path)).writing():
            pass
    finally:
        done.set()
        other.join(30)
    with Ledger(str(tmp_path)).writing():
        pass


def test_what_was_appended_survives_a_kill(tmp_path: Path) -> None:
    code = (
        "import sys, os\n"
        "from irnas.record.events import Closed\n"
        "from irnas.record.ledger import Ledger\n"
        "record = Ledger(sys.argv[1])\n"
        "with record.writing():\n"
        "    for i in range(10**6):\n"
        "        record.append(Closed(reason=str(i))); print(i, flush=True)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    process = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True, env=env)
    assert process.stdout is not None
    said = [next(process.stdout) for _ in range(20)]
    process.send_signal(signal.SIGKILL)
    process.wait()
    said += list(process.stdout)
    process.stdout.close()
    reasons = [e.reason for e in Ledger(str(tmp_path)).events() if isinstance(e, Closed)]
    assert reasons[: len(said)] == [str(i) for i in range(len(said))]


def test_a_full_disk_is_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    record = Ledger(str(tmp_path))
    with record.writing():
        monkeypatch.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="No space left"):
            record.append(opened())
    with pytest.raises(StorageError, match="No space left"):
        storage.write(str(tmp_path / "x.bin"), b"1")
    assert not list(tmp_path.glob(".*part")) and not (tmp_path / "x.bin").exists()


def test_an_object_store_keeps_one_object_an_event(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ledger").mkdir()
    monkeypatch.setattr(ledger, "_object_cache", {})
    there = fs.LocalFileSystem()
    monkeypatch.setattr(files, "_open_remote", lambda uri: (there, uri.replace("s3://bucket", str(tmp_path))))
    record = Ledger("s3://bucket")
    for number in range(3):
        with record.writing():
            record.append(reported(number))
    assert [e.trial for e in Ledger("s3://bucket").events() if isinstance(e, Reported)] == [0, 1, 2]
    with record.writing(), Ledger("s3://bucket").writing():
        # A machine that was cut off returns, and finds its search resumed elsewhere.
        with pytest.raises(SettingsError, match="that one has taken over, and this one ends"):
            record.append(reported(3))
    assert len(list(Ledger("s3://bucket").events())) == 3
    assert len(list((tmp_path / "ledger").iterdir())) == 3
    asked: list[str] = []
    read = storage.read
    monkeypatch.setattr(storage, "read", lambda uri: asked.append(uri) or read(uri))
    # Each of them is a request.
    assert len(list(Ledger("s3://bucket").events())) == 3 and not asked
    monkeypatch.setattr(ledger, "_object_cache", {})
    assert [e.trial for e in Ledger("s3://bucket").events() if isinstance(e, Reported)] == [0, 1, 2] and len(asked) == 3


def test_an_unknown_kind_of_uri_is_a_clear_error() -> None:
    with pytest.raises(SettingsError, match="must be a folder or a URI"):
        storage.read("nonsense://bucket/run")


def test_no_run_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be the folder or URI of an irnas run"):
        Run.read(str(tmp_path / "nowhere"))


def test_compacting_loses_no_number(tmp_path: Path) -> None:
    found = [result(0, {"miou": 0.25, "ops": 1e8}), result(1, {"ops": 2e8}, status=Status.FAILED)]
    ledger.compact(str(tmp_path), found)
    table = pq.read_table(tmp_path / "results.parquet").to_pylist()
    assert [row["miou"] for row in table] == [0.25, None]
    assert [row["key"] for row in table] == [r.key for r in found]
    assert table[1]["error"] == "ValueError: broken" and table[0]["axis.base"] == str(found[0].genotype.values["base"])
