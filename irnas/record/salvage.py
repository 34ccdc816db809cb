"""Finds the whole events in the bytes of a damaged record, wherever they stand, and says what stands between them."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from irnas.record.events import Event
from irnas.record.line import START, DamagedLine, read_line

_END = re.compile(rb',"sum":"[0-9a-f]{16}"\}')
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
_BLANK = b"\r\n\t \0\xef\xbb\xbf"


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A whole event of a record, or bytes that are none."""

    content: bytes
    """As it stands there, without the end of its line."""
    event: Event | None = None
    """None of bytes that are no event."""
    number: int | None = None
    """The event's own; None before schema 4."""
    fault: str = ""
    """What is wrong with bytes that are no event, and where they stand."""

    @property
    def may_be_event(self) -> bool:
        """Whether bytes that are no event may be what is left of one."""
        return bool(self.content.strip(_BLANK))


def salvage(content: bytes, where: str) -> list[Piece]:
    """The pieces of a record's bytes, in order.

    Args:
        content: lines, of which the last one may lack its end.
        where: what the name of a line begins with.

    Raises:
        FormatError: an event of a newer schema, which only a newer irnas can repair.
    """
    faults = []
    if content.startswith(_UTF16) or content[:2] in (b"{\0", b"\0{"):
        encoding = "utf-16" if content.startswith(_UTF16) else "utf-16-le" if content[:1] == b"{" else "utf-16-be"
        content = content.decode(encoding, errors="replace").encode()
        faults.append(Piece(content=b"", fault=f"{where}bytes: got UTF-16; are UTF-8 now"))
    lines = content.split(b"\n")
    pieces = faults + [piece for i, line in enumerate(lines[:-1], 1) for piece in _pieces(line, f"{where}line {i}")]
    last = f"{where}line {len(lines)}"
    for piece in _pieces(lines[-1], last) if lines[-1] else ():
        pieces.append(piece if piece.event else replace(piece, fault=f"{last}: got the torn end of a write; dropped"))
    return pieces


def _pieces(line: bytes, where: str) -> Iterator[Piece]:
    """The events of a line, and one more piece for everything else in it."""
    try:
        event, number = read_line(line, where)
    except DamagedLine as error:
        fault = str(error)
    else:
        yield Piece(content=line, event=event, number=number)
        return
    begins = [match.start() for match in re.finditer(re.escape(START), line)]
    rest = line[: begins[0]] if begins else line
    for begin, end in itertools.pairwise([*begins, len(line)]):
        piece = _first_event(line[begin:end], where)
        if piece:
            yield piece
        rest += line[begin + len(piece.content) if piece else begin : end]
    yield Piece(content=rest, fault=fault)


def _first_event(content: bytes, where: str) -> Piece | None:
    """The event with which these bytes begin; None where it is not whole."""
    end = _END.search(content)
    size = end.end() if end else _size_of_json(content)
    try:
        event, number = read_line(content[:size], where)
    except DamagedLine:
        return None
    return Piece(content=content[:size], event=event, number=number)


def _size_of_json(content: bytes) -> int:
    """Bytes of the JSON value with which these begin; 0 where there is none."""
    text = content.decode("utf-8", errors="replace")
    try:
        return len(text[: json.JSONDecoder().raw_decode(text)[1]].encode())
    except (ValueError, RecursionError):
        return 0
