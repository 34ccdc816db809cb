"""Records as irnas would have written them: with numbers and checksums that fit."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from irnas.record.events import Event
from irnas.record.ledger import FILE, Ledger
from irnas.record.line import seal, to_line


def documents(folder: Path) -> list[dict[str, Any]]:
    """What stands in each line of a record."""
    return [json.loads(line) for line in (folder / FILE).read_bytes().splitlines()]


def rewrite(folder: Path, changed: Iterable[Mapping[str, Any]]) -> None:
    """Put these documents in the place of a record, numbered anew."""
    lines = [seal(document, number) for number, document in enumerate(changed, start=1)]
    (folder / FILE).write_bytes(b"".join(line + b"\n" for line in lines))


def grow(folder: Path, event: Event) -> None:
    """Append an event without asking for the lock, as a search does that holds it."""
    number = len(Ledger(str(folder)).events()) + 1
    with (folder / FILE).open("ab") as file:
        file.write(to_line(event, number) + b"\n")
