"""The record of a run: an append-only stream of events, fsynced as they happen.

Everything else about a run (table, front, report, MLflow runs, a strategy's memory) is derived from it and can be made
again. One process writes; a lock keeps a second search off. On a local folder the stream is one JSON-lines file; on an
object store, which can neither append nor lock, each event is an object of its own, numbered, and the search that was
started last is the one that may write: a machine that was cut off, and returns, finds its search taken over.

Events are numbered from 1 and carry a checksum (``irnas.record.line``). Nothing is appended to a record in which one is
damaged, missing, or there twice; ``irnas.record.repair`` keeps what is whole of it.
"""

from __future__ import annotations

import os
import re
import shlex
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import IO

from irnas import storage
from irnas.core.errors import FormatError, SettingsError
from irnas.core.result import Result
from irnas.record.events import Event, Repaired
from irnas.record.line import START, DamagedLine, read_line, to_line
from irnas.record.result_table import to_table
from irnas.storage import atomic, lock

FILE = "ledger.jsonl"
"""The record of a run that is a folder of this machine."""

FOLDER = "ledger"
"""On an object store: where the events are, one object each."""
_WRITER = "writer"
"""On an object store: who may write."""

_READERS = 16
_OBJECT = re.compile(r"\d{9}\.json")
_object_cache: dict[str, dict[str, bytes]] = {}
"""By run on an object store, the events that this process has read: each is a request, and none changes."""


class Ledger:
    """The event stream of the run at ``uri``."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self._file: IO[bytes] | None = None
        self._next_to_write = 1
        """The number of the event that is appended next."""
        self._writer_name = b""
        """Of this writer, of which there is no other."""
        self._events: list[Event] = []
        """What has been read so far."""
        self._next_to_read = 1
        """The number of the event after them."""
        self._is_numbered = False
        """Whether numbers have begun: an older irnas wrote none, and knows none of what a newer one writes."""
        self._offset = 0
        """Bytes of the file that hold what has been read."""

    def exists(self) -> bool:
        """Whether a run was ever started here."""
        return bool(self.events())

    def events(self) -> Sequence[Event]:
        """Every event in order; what was read before is not read again.

        A torn last line, left by a kill in mid-write, is passed over.

        Raises:
            FormatError: an event that is damaged, missing or there twice, or a schema newer than this program.
        """
        try:
            for line, place in self._new_lines():
                self._take_up(line, place)
        except DamagedLine as error:
            hint = f"irnas repair {shlex.quote(self.uri)} keeps every whole event"
            raise FormatError(f"{error} ({hint})") from None
        return tuple(self._events)

    def _take_up(self, line: bytes, place: int | None) -> None:
        """Read the next line; ``place`` is the number that its object's name gives it, None in a file."""
        expected = self._next_to_read
        where = f"{self.uri}, event {expected}"
        if place not in (None, expected):
            raise DamagedLine(f"{where}: got the object of event {place}; must be there")
        event, number = read_line(line, where)
        if number is None and self._is_numbered:
            raise DamagedLine(f"{where}: got no number and no checksum; must have both, as the events before")
        if number not in (None, expected):
            got = "once more" if number is not None and number < expected else "in its place"
            raise DamagedLine(f"{where}: got event {number} {got}; must be event {expected}")
        is_marker = isinstance(event, Repaired)
        self._is_numbered |= number is not None and not is_marker
        self._events.append(event)
        self._next_to_read += event.num_events if isinstance(event, Repaired) else 1
        self._offset += len(line) + 1

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Hold the run for appending, once its record has been read whole.

        Raises:
            SettingsError: another process is writing to this run.
            FormatError: the record is damaged; it stays as it is.
        """
        with self.held():
            self.events()
            if not storage.is_local(self.uri):
                self._next_to_write = self._next_to_read
                yield
                return
            self._end_last_line()
            atomic.remove_dead_parts(storage.local(self.uri))
            self._next_to_write = self._next_to_read
            with (storage.local(self.uri) / FILE).open("ab") as file:
                self._file = file
                try:
                    yield
                finally:
                    self._file = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other writers off: with a lock, or, on an object store, by being the last who came.

        Raises:
            SettingsError: another process is writing to this run.
        """
        if not storage.is_local(self.uri):
            self._writer_name = uuid.uuid4().hex.encode()
            storage.write(storage.join(self.uri, _WRITER), self._writer_name)
            yield
            return
        folder = storage.local(self.uri)
        folder.mkdir(parents=True, exist_ok=True)
        refusal = f"run {self.uri}: got a second search; another one is writing there now"
        with lock.hold(folder / lock.RUN_LOCK, refusal):
            yield

    def append(self, event: Event) -> None:
        """Write one event; it is on disk when this returns.

        Raises:
            SettingsError: another search has taken over.
            StorageError: the disk is full.
            ServiceError: the store does not answer.
            ValueError: a number that is not finite.
        """
        line = to_line(event, self._next_to_write) + b"\n"
        if self._file is None:
            assert self._writer_name, "append outside writing()"
            if storage.read(storage.join(self.uri, _WRITER)) != self._writer_name:
                raise SettingsError(f"run {self.uri}: got a second search; that one has taken over, and this one ends")
            # The look may be minutes old when the request arrives, so the store decides who was first.
            if not storage.create(storage.join(self.uri, FOLDER, object_name(self._next_to_write)), line):
                raise SettingsError(
                    f"run {self.uri}: got event {self._next_to_write} of a second search; that one has taken over, and "
                    "this one ends"
                )
            self._next_to_write += 1
            return
        try:
            self._file.write(line)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage.full_disk(error, storage.local(self.uri) / FILE) from error
        self._next_to_write += 1

    def text(self) -> bytes:
        """The record as one file of JSON lines, wherever it lies, also of a run that is going on."""
        if storage.is_local(self.uri):
            content = storage.read(storage.join(self.uri, FILE)) or b""
            return content[: content.rfind(b"\n") + 1]
        return b"".join(content for _, content in self.objects())

    def _new_lines(self) -> list[tuple[bytes, int | None]]:
        """The whole lines that have not been read, each with the number that its object's name gives it."""
        if not storage.is_local(self.uri):
            new = self.objects()[len(self._events) :]
            return [(content.removesuffix(b"\n"), place) for place, content in new]
        path = storage.local(self.uri) / FILE
        if not path.is_file():
            return []
        with path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        return [(line, None) for line in content.split(b"\n")[:-1]]

    def objects(self) -> list[tuple[int, bytes]]:
        """On an object store: the numbers that the objects' names give to events, and the objects, in order."""
        folder = storage.join(self.uri, FOLDER)
        names = [name for name in storage.names(folder) if _OBJECT.fullmatch(name)]
        known = _object_cache.setdefault(self.uri, {})
        new = [name for name in names if not known.get(name)]
        with ThreadPoolExecutor(_READERS) as pool:
            contents = pool.map(lambda name: storage.read(storage.join(folder, name)) or b"", new)
            known.update(zip(new, contents, strict=True))
        return [(int(name.partition(".")[0]) + 1, known[name]) for name in names]

    def forget_objects(self) -> None:
        """Read every object again the next time: one that was there was replaced."""
        _object_cache.pop(self.uri, None)

    def _end_last_line(self) -> None:
        """Drop the last line where a kill tore it; end it where only its end is missing.

        Raises:
            FormatError: it is neither.
        """
        path = storage.local(self.uri) / FILE
        content = path.read_bytes()[self._offset :] if path.is_file() else b""
        if not content:
            return
        where = f"{self.uri}, event {self._next_to_read}"
        if content.count(START) > 1:
            hint = f"irnas repair {shlex.quote(self.uri)} keeps every whole event"
            raise FormatError(f"{where}: got several events on a line without an end; must be one ({hint})")
        try:
            is_whole = read_line(content, where)[1] == self._next_to_read
        except FormatError:
            is_whole = False
        with path.open("r+b") as file:
            if is_whole:
                file.seek(0, os.SEEK_END)
                file.write(b"\n")
            else:
                file.truncate(self._offset)
        self.events()


def object_name(number: int) -> str:
    """The name of the object that holds the event of that number, counted from 1."""
    return f"{number - 1:09d}.json"


def compact(uri: str, results: Sequence[Result]) -> None:
    """Write ``results.parquet``: one row a trial, objectives and genotype axes as columns."""
    import io

    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(to_table(results), sink)
    storage.write(storage.join(uri, "results.parquet"), sink.getvalue())
