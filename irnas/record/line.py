"""A line of the record: one event as JSON, with its number and a checksum on which damage is seen.

``{"schema":5,"n":7,"t":...,"kind":...,"sum":"0123456789abcdef"}``: ``n`` counts the events of a record from 1, and
``sum`` is the beginning of the SHA-256 of all bytes before it. Lines of schemas before 4 have neither, and are read as
they are.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from irnas.core.errors import FormatError, IrnasError
from irnas.core.text import printable
from irnas.record.events import KINDS, SCHEMA, Event
from irnas.record.field_types import wrong_field
from irnas.record.upgrade import upgrade
from irnas.storage import hashing

_FIRST_SEALED = 4
"""The first schema whose lines have a number and a checksum."""
_SUM = b',"sum":"'
_END = re.compile(rb'[0-9a-f]{16}"\}')
START = b'{"schema":'
"""How every line begins that irnas wrote; inside an event the same bytes cannot stand."""

_LATEST_S = 1e11
"""Unix seconds of an event, in the year 5138: a calendar has no much later ones."""

_UNREADABLE = (TypeError, ValueError, AttributeError, LookupError, OverflowError, RecursionError, IrnasError)


class DamagedLine(FormatError):
    """A line is not as any irnas wrote it."""


def to_line(event: Event, number: int) -> bytes:
    """The line of an event, without its end.

    Raises:
        ValueError: a number that is not finite.
    """
    return seal(event.document(), number)


def seal(document: Mapping[str, Any], number: int) -> bytes:
    """The line of an event's document, as ``to_line``."""
    rest = {name: value for name, value in document.items() if name not in ("schema", "n", "sum")}
    numbered = {"schema": document["schema"], "n": number, **rest}
    body = json.dumps(numbered, separators=(",", ":"), allow_nan=False).encode()[:-1]
    return body + _SUM + _checksum(body) + b'"}'


def read_line(line: bytes, where: str) -> tuple[Event, int | None]:
    """The event in a line without its end, and its number; None in a line of before schema 4.

    Args:
        line: as it stands in the record.
        where: what messages begin with.

    Raises:
        DamagedLine: a checksum that does not fit, or anything that ``parse`` refuses.
        FormatError: a newer schema.
    """
    body, mark, end = line.rpartition(_SUM)
    if not (mark and _END.fullmatch(end)):
        document = _document(line, where)
        if document["schema"] >= _FIRST_SEALED:
            raise DamagedLine(f"{where}: got no checksum at its end; must be as it was written")
        return _event(document, where), None
    if _checksum(body) != end[:-2]:
        num_events = line.count(START)
        got = f"{num_events} events on one line" if num_events > 1 else "bytes that do not fit their checksum"
        raise DamagedLine(f"{where}: got {got}; must be one event as it was written")
    document = _document(line, where)
    number = document.get("n")
    if type(number) is not int:
        raise DamagedLine(f"{where}: got no number; must be there")
    return _event(document, where), number


def parse(line: bytes, where: str) -> Event:
    """The event in a line of JSON, whatever its number and its checksum; ``where`` is for messages.

    Raises:
        DamagedLine: no JSON, an unknown kind, or a field that is missing or makes no sense.
        FormatError: a newer schema.
    """
    return _event(_document(line, where), where)


def _document(line: bytes, where: str) -> Mapping[str, Any]:
    """The JSON object in a line, of a schema that can be read."""
    try:
        document = _printable(json.loads(line.decode(), parse_constant=_refuse_constant))
    except (ValueError, RecursionError):
        raise DamagedLine(f"{where}: got {_describe(line)}; must be one event a line") from None
    if not isinstance(document, dict):
        raise DamagedLine(f"{where}: got {type(document).__name__}; must be one event a line")
    schema = document.get("schema")
    if type(schema) is not int or schema < 1:
        raise DamagedLine(f"{where}: got schema {_short(schema)}; must be a whole number from 1")
    if schema > SCHEMA:
        raise FormatError(f"{where}: got schema {_short(schema)}; this irnas reads up to {SCHEMA}")
    return document


def _printable(value: Any) -> Any:
    """What JSON holds, with texts that a terminal shows and does not obey: a record may be somebody else's."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, list):
        return [_printable(each) for each in value]
    return {printable(k): _printable(v) for k, v in value.items()} if isinstance(value, dict) else value


def _event(document: Mapping[str, Any], where: str) -> Event:
    name = document.get("kind")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise DamagedLine(f"{where}: got kind {_short(name)}; must be one of {', '.join(KINDS)}")
    try:
        event = kind.from_document(upgrade(document))
        wrong = wrong_field(event) or ("" if 0 <= event.t <= _LATEST_S else f"t {event.t}")
    except KeyError as error:
        raise DamagedLine(f"{where} ({kind.KIND}): got no {error.args[0]}; must be there") from None
    except _UNREADABLE as error:
        got = " ".join(str(error).split())[:200]
        raise DamagedLine(f"{where} ({kind.KIND}): got {got}; must be an event of an irnas run") from None
    if wrong:
        raise DamagedLine(f"{where} ({kind.KIND}): got {wrong}; must be an event of an irnas run")
    return event


def _describe(line: bytes) -> str:
    """What a line is that is no JSON."""
    if not line.strip():
        return "an empty line"
    if line.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    if line.startswith(b"\xef\xbb\xbf"):
        return "a byte order mark"
    if b"\0" in line:
        return f"{line.count(0)} zero bytes"
    return f"{line.count(START)} events on one line" if line.count(START) > 1 else "no JSON"


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"got {name}")


def _checksum(body: bytes) -> bytes:
    return hashing.of_bytes(body)[:16].encode()
