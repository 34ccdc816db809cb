"""The record of a run: an append-only stream of events, fsynced as they happen.

Everything else about a run (table, front, report, MLflow runs, a strategy's memory) is derived from it and can be made
again. One process writes; a lock keeps a second search off. On a local folder the stream is one JSON-lines file; on an
object store, which can neither append nor lock, each event is an object of its own, numbered, and the search that was
started last is the one that may write: a machine that was cut off, and returns, finds its search taken over.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any

from irnas import storage
from irnas.core.errors import FormatError, SettingsError
from irnas.core.result import SCHEMA, Result

Event = Mapping[str, Any]
"""At least {"schema": int, "t": seconds since the epoch, "kind": one of KINDS}."""

KINDS = (
    "opened",  # settings, space, revisions, bounds, the device whose speed counts
    "resumed",
    "proposed",  # trial, genotype, costs, the strategy's memory
    "reported",  # trial, epoch, values, seconds, paused: whether it went no further
    "continued",  # trial, which was paused; what the strategy believes of it; whether it is a finalist
    "retried",  # trial, error
    "finished",  # result (ok, stopped, rejected or failed)
    "repeated",  # trial, key, seed, metrics of a finalist trained again
    "measured",  # trial, key, how fast it is on this machine with nothing beside it
    "closed",  # why
)

_FILE = "ledger.jsonl"
_FOLDER = "ledger"
_WRITER = "writer"
"""On an object store: who may write."""

_READERS = 16
_read: dict[str, dict[str, bytes]] = {}
"""By run on an object store, the events that this process has read: each is a request, and none changes."""


class Ledger:
    """The event stream of the run at ``uri``."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._file: IO[bytes] | None = None
        self._num_events = 0
        self._name = b""
        """Of this writer, of which there is no other."""

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return next(iter(self.events()), None) is not None

    def events(self) -> Iterator[Event]:
        """Every event in order. A torn last line, left by a kill in mid-write, is passed over.

        Raises:
            FormatError: a damaged line anywhere else, or a schema newer than this program.
        """
        lines = self._lines()
        for number, line in enumerate(lines):
            try:
                event = json.loads(line)
            except ValueError:
                if number == len(lines) - 1:
                    return
                raise FormatError(f"{self.uri}, event {number + 1}: got no JSON; must be one event a line") from None
            if event.get("schema", 0) > SCHEMA:
                raise FormatError(f"{self.uri}: got schema {event['schema']}; this irnas reads up to {SCHEMA}")
            yield event

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for appending.

        Raises:
            SettingsError: another process is writing to this run.
        """
        if not storage.is_local(self.uri):
            self._name = uuid.uuid4().hex.encode()
            storage.write(storage.join(self.uri, _WRITER), self._name)
            self._num_events = len(storage.names(storage.join(self.uri, _FOLDER)))
            yield
            return
        folder = storage.local(self.uri)
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SettingsError(f"run {self.uri}: got a second search; another one is writing there now") from None
            self._drop_torn_line()
            with (folder / _FILE).open("ab") as file:
                self._file = file
                try:
                    yield
                finally:
                    self._file = None

    def append(self, kind: str, fields: Mapping[str, Any]) -> Event:
        """Write one event and return it once it is on disk.

        Raises:
            SettingsError: another search has taken over.
            StorageError: the disk is full, or the store does not answer.
        """
        assert kind in KINDS, kind
        event = {"schema": SCHEMA, "t": time.time(), "kind": kind, **fields}
        line = json.dumps(event, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if self._file is None:
            assert self._name, "append outside writing()"
            if storage.read(storage.join(self.uri, _WRITER)) != self._name:
                raise SettingsError(f"run {self.uri}: got a second search; that one has taken over, and this one ends")
            storage.write(storage.join(self.uri, _FOLDER, f"{self._num_events:09d}.json"), line)
            self._num_events += 1
            return event
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage.full_disk(error, storage.local(self.uri) / _FILE) from error
        return event

    def _lines(self) -> list[bytes]:
        if storage.is_local(self.uri):
            return (storage.read(storage.join(self.uri, _FILE)) or b"").splitlines()
        folder = storage.join(self.uri, _FOLDER)
        names, known = storage.names(folder), _read.setdefault(self.uri, {})
        new = [name for name in names if not known.get(name)]
        with ThreadPoolExecutor(_READERS) as pool:
            found = pool.map(lambda name: storage.read(storage.join(folder, name)) or b"", new)
            known.update(zip(new, found, strict=True))
        return [known[name] for name in names]

    def _drop_torn_line(self) -> None:
        path = storage.local(self.uri) / _FILE
        if not path.is_file():
            return
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            with path.open("r+b") as file:
                file.truncate(len(whole))


def opening(uri: str) -> tuple[Event, list[Event]]:
    """The opening event of a run, and all of its events.

    Raises:
        SettingsError: there is no run at ``uri``.
    """
    events = list(Ledger(uri).events())
    if not events or events[0]["kind"] != "opened":
        raise SettingsError(f"run: got {uri!r}; must be the folder or URI of an irnas run")
    return events[0], events


def results(events: Iterable[Event]) -> list[Result]:
    """The finished trials, in the order in which they finished."""
    return [Result.from_document(e["result"]) for e in events if e["kind"] == "finished"]


def compact(uri: str, found: Sequence[Result]) -> None:
    """Write ``results.parquet``: one row a trial, objectives and genotype axes as columns."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    plain = ("trial", "key", "status", "epochs", "seed", "data_rev", "code_rev", "seconds", "error", "note")
    rows = [r.document() for r in found]
    table: dict[str, Any] = {name: [row[name] for row in rows] for name in plain}
    for name in sorted({n for r in found for n in r.values}):
        table[name] = pa.array([r.values.get(name) for r in found], pa.float64())
    for axis in sorted({a for r in found for a in r.genotype.values}):
        table[f"axis.{axis}"] = [_text(r.genotype.values.get(axis)) for r in found]
    sink = io.BytesIO()
    metadata = {"irnas.schema": str(SCHEMA)}
    pq.write_table(pa.table(table).replace_schema_metadata(metadata), sink)
    storage.write(storage.join(uri, "results.parquet"), sink.getvalue())


def _text(value: object) -> str | None:
    # An axis may hold numbers in one family and words in another: one column, one type.
    return None if value is None else str(value)
