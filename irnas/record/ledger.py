"""The record of a run: an append-only stream of events, fsynced as they happen.

Everything else about a run (table, front, report, MLflow runs, a strategy's memory) is derived from it and can be made
again. One process writes; a lock keeps a second search off. On a local folder the stream is one JSON-lines file; on an
object store, which can neither append nor lock, each event is an object of its own, numbered, and the search that was
started last is the one that may write: a machine that was cut off, and returns, finds its search taken over.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO, Any

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.core.result import SCHEMA, Result
from irnas.record.events import Event, parse
from irnas.storage import lock

FILE = "ledger.jsonl"
"""The record of a run that is a folder of this machine."""

_FOLDER = "ledger"
_WRITER = "writer"
"""On an object store: who may write."""

_COLUMNS = (
    *("trial", "key", "status", "epochs", "seed", "data_rev", "code_rev", "seconds", "error", "note"),
    *("trained_on", "fused"),
)
"""Of ``results.parquet``, beside the objectives and the axes."""

_READERS = 16
_object_cache: dict[str, dict[str, bytes]] = {}
"""By run on an object store, the events that this process has read: each is a request, and none changes."""


class Ledger:
    """The event stream of the run at ``uri``."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._file: IO[bytes] | None = None
        self._num_objects = 0
        self._writer_name = b""
        """Of this writer, of which there is no other."""
        self._events: list[Event] = []
        """What has been read so far."""
        self._offset = 0
        """Bytes of the file that hold it."""

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return bool(self.events())

    def events(self) -> Sequence[Event]:
        """Every event in order; what was read before is not read again.

        A torn last line, left by a kill in mid-write, is passed over.

        Raises:
            FormatError: a damaged line anywhere else, or a schema newer than this program.
        """
        for line in self._new_lines():
            self._events.append(parse(line, f"{self.uri}, event {len(self._events) + 1}"))
        return tuple(self._events)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for appending.

        Raises:
            SettingsError: another process is writing to this run.
        """
        if not storage.is_local(self.uri):
            self._writer_name = uuid.uuid4().hex.encode()
            storage.write(storage.join(self.uri, _WRITER), self._writer_name)
            self._num_objects = len(storage.names(storage.join(self.uri, _FOLDER)))
            yield
            return
        folder = storage.local(self.uri)
        folder.mkdir(parents=True, exist_ok=True)
        refusal = f"run {self.uri}: got a second search; another one is writing there now"
        with lock.hold(folder / lock.RUN_LOCK, refusal):
            self._drop_torn_line()
            with (folder / FILE).open("ab") as file:
                self._file = file
                try:
                    yield
                finally:
                    self._file = None

    def append(self, event: Event) -> None:
        """Write one event; it is on disk when this returns.

        Raises:
            SettingsError: another search has taken over.
            StorageError: the disk is full.
            ServiceError: the store does not answer.
            ValueError: a number that is not finite.
        """
        line = json.dumps(event.document(), separators=(",", ":"), allow_nan=False).encode() + b"\n"
        if self._file is None:
            assert self._writer_name, "append outside writing()"
            if storage.read(storage.join(self.uri, _WRITER)) != self._writer_name:
                raise SettingsError(f"run {self.uri}: got a second search; that one has taken over, and this one ends")
            storage.write(storage.join(self.uri, _FOLDER, f"{self._num_objects:09d}.json"), line)
            self._num_objects += 1
            return
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage.full_disk(error, storage.local(self.uri) / FILE) from error

    def text(self) -> bytes:
        """The record as one file of JSON lines, wherever it lies, also of a run that is going on."""
        if storage.is_local(self.uri):
            content = storage.read(storage.join(self.uri, FILE)) or b""
            return content[: content.rfind(b"\n") + 1]
        return b"".join(self._objects())

    def _new_lines(self) -> list[bytes]:
        if not storage.is_local(self.uri):
            return self._objects()[len(self._events) :]
        path = storage.local(self.uri) / FILE
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole_lines = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole_lines)
        return whole_lines.splitlines()

    def _objects(self) -> list[bytes]:
        folder = storage.join(self.uri, _FOLDER)
        names, known = storage.names(folder), _object_cache.setdefault(self.uri, {})
        new = [name for name in names if not known.get(name)]
        with ThreadPoolExecutor(_READERS) as pool:
            contents = pool.map(lambda name: storage.read(storage.join(folder, name)) or b"", new)
            known.update(zip(new, contents, strict=True))
        return [known[name] for name in names]

    def _drop_torn_line(self) -> None:
        path = storage.local(self.uri) / FILE
        if not path.is_file():
            return
        content = path.read_bytes()
        num_whole = content.rfind(b"\n") + 1
        if num_whole < len(content):
            with path.open("r+b") as file:
                file.truncate(num_whole)


def compact(uri: str, results: Sequence[Result]) -> None:
    """Write ``results.parquet``: one row a trial, objectives and genotype axes as columns."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [r.document() for r in results]
    table: dict[str, Any] = {name: [row[name] for row in rows] for name in _COLUMNS}
    for name in sorted({n for r in results for n in r.values}):
        table[name] = pa.array([r.values.get(name) for r in results], pa.float64())
    for axis in sorted({a for r in results for a in r.genotype.values}):
        table[f"axis.{axis}"] = [_text(r.genotype.values.get(axis)) for r in results]
    sink = io.BytesIO()
    metadata = {"irnas.schema": str(SCHEMA)}
    pq.write_table(pa.table(table).replace_schema_metadata(metadata), sink)
    storage.write(storage.join(uri, "results.parquet"), sink.getvalue())


def _text(value: object) -> str | None:
    # An axis may hold numbers in one family and words in another: one column, one type.
    return None if value is None else str(value)
