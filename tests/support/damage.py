"""Kinds of damage to a record: each makes bytes of the lines of a whole one, and tells which events it destroys.

The lines are those of a search of four networks of one epoch: the opening; then, for each network, proposed, reported
and finished; and the closing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from irnas.record.line import seal

PROPOSED_1, REPORTED_1, FINISHED_1, PROPOSED_2, REPORTED_2, FINISHED_2 = 4, 5, 6, 7, 8, 9
"""Places in the lines, from 0; the closing is the last."""
Lines = list[bytes]


@dataclass(frozen=True)
class Damage:
    """A kind of damage."""

    name: str
    apply: Callable[[Lines], bytes]
    """The bytes of the damaged record."""
    lost: tuple[int, ...] = ()
    """Places of the events that are not whole any more; -1 for the closing."""
    says: str = ""
    """What opening it must say."""
    is_old: bool = True
    """Whether a record without checksums shows it too."""


def text(lines: Lines) -> bytes:
    return b"".join(line + b"\n" for line in lines)


def put(place: int, change: Callable[[bytes], bytes]) -> Callable[[Lines], bytes]:
    """Change one line."""
    return lambda lines: text([change(line) if i == place % len(lines) else line for i, line in enumerate(lines)])


def insert(place: int | None, *new: bytes) -> Callable[[Lines], bytes]:
    """Lines of something else ahead of one; None for the end."""

    def apply(lines: Lines) -> bytes:
        at = len(lines) if place is None else place
        return text([*lines[:at], *new, *lines[at:]])

    return apply


def forge(place: int, **changes: Any) -> Callable[[Lines], bytes]:
    """Change fields of an event, and make its checksum fit; a value of ... removes a field."""

    def change(line: bytes) -> bytes:
        document = json.loads(line)
        number = document.get("n")
        nested = document["result"] if document["kind"] == "finished" else document
        for name, value in changes.items():
            (document if name in ("schema", "kind", "t") else nested).update({name: value})
        kept = {name: value for name, value in document.items() if value is not ...}
        if "result" in kept:
            kept["result"] = {name: value for name, value in nested.items() if value is not ...}
        return seal({"schema": None, **kept}, number) if number else json.dumps(kept).encode()

    return put(place, change)


def middle(change: Callable[[bytes, int], bytes]) -> Callable[[bytes], bytes]:
    return lambda line: change(line, len(line) // 2)


def without_quote(line: bytes) -> bytes:
    """One byte less: the quote that ends a name."""
    at = line.index(b'"', len(line) // 2)
    return line[:at] + line[at + 1 :]


def other_digit(line: bytes) -> bytes:
    """One digit of a metric replaced."""
    at = line.index(b'"miou":0.') + len(b'"miou":0.')
    return line[:at] + (b"1" if line[at : at + 1] != b"1" else b"2") + line[at + 1 :]


def cut(lines: Lines) -> bytes:
    """A piece out of the middle of the file, from within one event into another."""
    begin = sum(len(line) + 1 for line in lines[:REPORTED_1]) + 40
    end = sum(len(line) + 1 for line in lines[:PROPOSED_2]) + 40
    return text(lines)[:begin] + text(lines)[end:]


def without(*places: int) -> Callable[[Lines], bytes]:
    return lambda lines: text([line for i, line in enumerate(lines) if i not in places])


def swapped(lines: Lines) -> bytes:
    lines = list(lines)
    lines[PROPOSED_1], lines[FINISHED_1] = lines[FINISHED_1], lines[PROPOSED_1]
    return text(lines)


def joined(lines: Lines) -> bytes:
    return text([*lines[:FINISHED_1], lines[FINISHED_1] + lines[PROPOSED_2], *lines[PROPOSED_2 + 1 :]])


def torn_then_on(lines: Lines) -> bytes:
    """An event torn by a kill, and the next one appended to what was left of it."""
    torn = lines[REPORTED_1][:60] + lines[FINISHED_1]
    return text([*lines[:REPORTED_1], torn, *lines[PROPOSED_2:]])


GARBAGE = b"\x8f\x02 garbage \xff\xfe\x00 and more"
DEEP = b'{"schema":3,"t":1.0,"kind":"closed","reason":' + b"[" * 50_000 + b"]" * 50_000 + b"}"

DAMAGES = (
    Damage("garbage at the end", insert(None, GARBAGE), says="zero bytes"),
    Damage("garbage in the middle", insert(REPORTED_1, b"garbage"), says="event 6: got no JSON"),
    Damage("zeros at the end", insert(None, b"\0" * 4096), says="4096 zero bytes"),
    Damage("zeros within", put(FINISHED_1, middle(lambda x, i: x[: i - 20] + b"\0" * 40 + x[i + 20 :])), (FINISHED_1,)),
    Damage("an event of zeros", put(FINISHED_1, lambda x: b"\0" * len(x)), (FINISHED_1,)),
    Damage("a blank line at the end", insert(None, b""), says="an empty line"),
    Damage("blank lines in the middle", insert(REPORTED_2, b"", b"", b""), says="an empty line"),
    Damage("a line of spaces", insert(REPORTED_2, b"    \t"), says="an empty line"),
    Damage("two events on a line", joined, says="2 events on one line"),
    Damage("a torn event and another", torn_then_on, (REPORTED_1,), says="2 events on one line"),
    Damage("a repeated end", lambda lines: insert(PROPOSED_2, lines[FINISHED_1])(lines)),
    Damage("a repeated line at the end", lambda lines: insert(None, lines[-1])(lines), is_old=False),
    Damage("repeated lines", lambda lines: insert(PROPOSED_2, *lines[PROPOSED_1:PROPOSED_2])(lines)),
    Damage("a number", insert(REPORTED_1, b"5"), says="got int"),
    Damage("null", insert(REPORTED_1, b"null"), says="got NoneType"),
    Damage("a list", insert(None, b"[1, 2]"), says="got list"),
    Damage("a text", insert(REPORTED_1, b'"closed"'), says="got str"),
    Damage("an empty object", insert(None, b"{}"), says="got schema None"),
    Damage("a missing field", forge(FINISHED_1, status=...), (FINISHED_1,), says="got no status"),
    Damage("a missing time", forge(REPORTED_1, t=...), (REPORTED_1,), says="got no t"),
    Damage("a time that no calendar has", forge(REPORTED_1, t=1e300), (REPORTED_1,), says="got t 1e+300"),
    Damage("a time before all", forge(REPORTED_1, t=-1e15), (REPORTED_1,), says="got t -1"),
    Damage("an unknown field", forge(FINISHED_1, danced=True), (FINISHED_1,), says="danced"),
    Damage("a wrong type", forge(FINISHED_1, epochs="1"), (FINISHED_1,), says="got result.epochs '1'"),
    Damage("a wrong type within", forge(FINISHED_1, values={"miou": [0]}), (FINISHED_1,), says="(finished): got"),
    Damage("null for a network", forge(PROPOSED_1, genotype=None), (PROPOSED_1,), says="(proposed): got"),
    Damage("a text as schema", forge(FINISHED_1, schema="3"), (FINISHED_1,), says="got schema '3'"),
    Damage("no schema", forge(FINISHED_1, schema=...), (FINISHED_1,), says="got schema None"),
    Damage("an unknown kind", forge(REPORTED_1, kind="danced"), (REPORTED_1,), says="got kind 'danced'"),
    Damage("deep nesting", insert(REPORTED_1, DEEP), says="got no JSON"),
    Damage("nesting that JSON takes", insert(REPORTED_1, DEEP.replace(b"[" * 49_300, b"").replace(b"]" * 49_300, b""))),
    Damage("a byte lost", put(FINISHED_1, without_quote), (FINISHED_1,)),
    Damage(
        "a byte flipped", put(FINISHED_1, other_digit), (FINISHED_1,), says="do not fit their checksum", is_old=False
    ),
    Damage("a byte added", put(FINISHED_1, middle(lambda x, i: x[:i] + b"\x01" + x[i:])), (FINISHED_1,)),
    Damage("a line broken in two", put(FINISHED_1, middle(lambda x, i: x[:i] + b"\n" + x[i:])), (FINISHED_1,)),
    Damage("the checksum lost", put(REPORTED_1, lambda x: x[:-26] + b"}"), (REPORTED_1,), "no checksum", is_old=False),
    Damage("UTF-16", lambda lines: text(lines).decode().encode("utf-16")),
    Damage("UTF-16 without its mark", lambda lines: text(lines).decode().encode("utf-16-le")),
    Damage("a byte order mark", lambda lines: b"\xef\xbb\xbf" + text(lines)),
    Damage("CRLF", lambda lines: text(lines).replace(b"\n", b"\r\n"), is_old=False),
    Damage("CR", lambda lines: text(lines).replace(b"\n", b"\r"), says="must be the folder or URI of an irnas run"),
    # Without checksums, halves of two events that happen to be of one form are an event.
    Damage("the middle cut out", cut, (REPORTED_1, FINISHED_1, PROPOSED_2), is_old=False),
    Damage("two lines swapped", swapped),
    Damage("all lines backwards", lambda lines: text(lines[::-1])),
    Damage("invalid UTF-8", put(FINISHED_1, middle(lambda x, i: x[:i] + b"\xc3\x28" + x[i + 2 :])), (FINISHED_1,)),
    Damage("a huge number", forge(FINISHED_1, epochs=10**40), (FINISHED_1,), says="got result.epochs 1000"),
    Damage("NaN", put(FINISHED_1, lambda x: x.replace(b'"miou":0.', b'"miou":NaN,"x":0.', 1)), (FINISHED_1,)),
    Damage("a very long line", insert(REPORTED_1, b"x" * 3_000_000), says="got no JSON"),
    Damage("an event lost", without(FINISHED_1), (FINISHED_1,), says="got event 8 in its place", is_old=False),
    Damage("a proposal lost", without(PROPOSED_1), (PROPOSED_1,)),
    Damage("a proposal and its result lost", without(PROPOSED_1, FINISHED_1), (PROPOSED_1, FINISHED_1)),
    Damage("the newest proposal and its end lost", without(10, 12, 13), (10, 12, 13)),
    Damage("another record behind it", lambda lines: text(lines) + text(lines[:1])),
)

HOPELESS = (
    Damage("the opening lost", without(0), (0,)),
    Damage("the opening flipped", put(0, middle(lambda x, i: x[:i] + b"\x01" + x[i + 1 :])), (0,)),
    Damage("an unknown setting", put(0, lambda x: x.replace(b'"settings":{', b'"settings":{"danced":1,', 1)), (0,)),
    Damage("a setting of a wrong type", put(0, lambda x: x.replace(b'"trials":4', b'"trials":"4"', 1)), (0,)),
    Damage("nothing but garbage", lambda lines: GARBAGE + b"\n"),
)
"""Without its opening a record is no record, and only a copy of it helps."""


def of_schema_3(lines: Lines) -> Lines:
    """The record as an irnas of before wrote it: without numbers and checksums."""
    documents: list[Mapping[str, Any]] = [json.loads(line) for line in lines]
    kept = [{k: v for k, v in document.items() if k not in ("n", "sum")} for document in documents]
    return [json.dumps({**document, "schema": 3}, separators=(",", ":")).encode() for document in kept]
