"""Repairs a damaged record: every whole event stays, byte for byte, in order; a ``Repaired`` tells what is missing.

Nothing is invented but this: where the proposal of a trial is lost and its result is not, the proposal is made again
from the result. What a trial without either told of itself stays in the record and counts for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from irnas import storage
from irnas.core.errors import FormatError, IrnasError, SettingsError
from irnas.core.objective import OBJECTIVES
from irnas.core.proposal import Proposal
from irnas.record.events import Event, Finished, Opened, Proposed, Repaired
from irnas.record.ledger import FILE, FOLDER, Ledger, object_name
from irnas.record.line import to_line
from irnas.record.numbering import Numbered, number_pieces, size, trial_of
from irnas.record.run import Run
from irnas.record.salvage import Piece, salvage

_MAX_REFUSED = 200
"""Whole events that fit no run; a record with more of them is no record of one."""
_MAX_TOLD = 20
"""Faults that a ``Repaired`` repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repair:
    """What was done to a record."""

    lines: Mapping[int, bytes]
    """Number of an event to its line, without its end, in order."""
    faults: tuple[str, ...]
    """What was found, a sentence each; empty where nothing was wrong, and nothing was done."""
    num_kept: int
    """Whole events, all of which are in the lines."""
    num_missing: int
    """Events that no longer can be read."""
    original: str = ""
    """Where what was replaced is kept; empty where nothing was."""


def repair(uri: str) -> Repair:
    """Repair the record of the run at ``uri``, and keep what it was beside it; a record without a fault stays.

    Raises:
        SettingsError: there is no record, or another process is writing to it.
        FormatError: its opening is lost, or its events are not those of one run; it stays as it is.
    """
    ledger = Ledger(uri)
    is_local = storage.is_local(uri)
    if not (storage.read(storage.join(uri, FILE)) if is_local else ledger.objects()):
        raise SettingsError(f"run: got {uri!r}; must be the folder or URI of an irnas run")
    with ledger.held():
        return _repair_file(uri) if is_local else _repair_objects(ledger)


def _repair_file(uri: str) -> Repair:
    path = storage.join(uri, FILE)
    content = storage.read(path) or b""
    result = repair_pieces(salvage(content, ""), uri)
    if not result.faults:
        return result
    number = next(n for n in range(1, len(content) + 2) if storage.read(_copy_of_file(uri, n)) is None)
    storage.write(_copy_of_file(uri, number), content)
    storage.write(path, b"".join(line + b"\n" for line in result.lines.values()))
    return replace(result, original=_copy_of_file(uri, number))


def _copy_of_file(uri: str, number: int) -> str:
    return storage.join(uri, f"ledger.damaged-{number}.jsonl")


def _repair_objects(ledger: Ledger) -> Repair:
    ledger.forget_objects()
    before = dict(ledger.objects())
    pieces: list[Piece] = []
    for place, content in before.items():
        for piece in salvage(content.removesuffix(b"\n") + b"\n", f"{object_name(place)}, "):
            pieces.append(replace(piece, number=piece.number or place) if piece.event else piece)
    result = repair_pieces(pieces, ledger.uri)
    after = {number: line + b"\n" for number, line in result.lines.items()}
    changed = [number for number in {**before, **after} if before.get(number) != after.get(number)]
    if not changed:
        return replace(result, faults=())
    folder = storage.join(ledger.uri, FOLDER)
    copies = next(
        uri for n in range(1, 10**9) if not storage.names(uri := storage.join(ledger.uri, f"{FOLDER}.damaged-{n}"))
    )
    for number in changed:
        if number in before:
            storage.write(storage.join(copies, object_name(number)), before[number])
    for number in changed:
        if number in after:
            storage.write(storage.join(folder, object_name(number)), after[number])
        else:
            storage.remove(storage.join(folder, object_name(number)))
    ledger.forget_objects()
    return replace(result, original=copies)


def repair_pieces(pieces: Sequence[Piece], where: str) -> Repair:
    """Put the pieces of a record into order, and a ``Repaired`` wherever events are missing.

    Args:
        pieces: all of it, in the order in which they were found.
        where: what messages begin with.

    Raises:
        FormatError: there is no whole opening, or the events are not those of one run.
    """
    numbered = number_pieces(pieces)
    for _ in range(_MAX_REFUSED):
        events = _with_markers(numbered, where)
        refused = _first_refused(events, where)
        if refused is None:
            break
        numbered = numbered.without(refused[0], f"event {refused[0]}: {refused[1]}; dropped")
    else:
        raise FormatError(f"{where}: got more than {_MAX_REFUSED} events that fit no run; must be the events of one")
    kept = numbered.events
    new = {number: event for number, event in events if number not in kept and isinstance(event, Repaired)}
    return Repair(
        lines={number: to_line(event, number) if number in new else kept[number].content for number, event in events},
        faults=tuple(dict.fromkeys((*numbered.faults, *(fault for event in new.values() for fault in event.faults)))),
        num_kept=len(kept),
        num_missing=sum(event.num_events for event in new.values()),
    )


def _with_markers(numbered: Numbered, where: str) -> list[tuple[int, Event]]:
    """The events by number, with a marker in each gap between their numbers."""
    events = [(number, piece.event) for number, piece in sorted(numbered.events.items()) if piece.event]
    if not events or not isinstance(events[0][1], Opened):
        raise FormatError(f"{where}: got no whole opening; must begin with it, and cannot be repaired without")
    result: list[tuple[int, Event]] = []
    markers: list[int] = []
    expected = 1
    for number, event in events:
        if number > expected:
            faults = numbered.faults_between(expected, number - 1) or (f"event {expected}: got nothing; must be there",)
            marker = Repaired(t=result[-1][1].t, num_events=number - expected, faults=faults[:_MAX_TOLD])
            markers.append(len(result))
            result.append((expected, marker))
        result.append((number, event))
        expected = number + size(event)
    _tell_lost(result, markers)
    return result


def _tell_lost(events: list[tuple[int, Event]], markers: Sequence[int]) -> None:
    """Let the last new marker before the first word of a trial that was never proposed tell of it."""
    results = {event.trial: event for _, event in events if isinstance(event, Finished)}
    proposed: set[int] = set()
    last: int | None = None
    for place, (number, event) in enumerate(list(events)):
        last = place if place in markers else last
        trial = trial_of(event)
        if isinstance(event, Proposed):
            proposed.add(event.proposal.trial)
        elif isinstance(event, Repaired):
            proposed.update(event.lost_trials, (proposal.trial for proposal in event.proposals))
        elif trial is not None and trial not in proposed and last is not None:
            proposed.add(trial)
            number, marker = events[last]
            assert isinstance(marker, Repaired)
            if trial in results:
                marker = replace(marker, proposals=(*marker.proposals, _proposal_of(results[trial])))
            else:
                marker = replace(marker, lost_trials=(*marker.lost_trials, trial))
            events[last] = number, marker


def _proposal_of(finished: Finished) -> Proposal:
    result = finished.result
    costs = {name: value for name, value in result.values.items() if name in OBJECTIVES and OBJECTIVES[name].is_free}
    return Proposal(trial=result.trial, genotype=result.genotype, costs=costs, origin="repaired")


def _first_refused(events: Sequence[tuple[int, Event]], where: str) -> tuple[int, str] | None:
    """The number of the first event that does not fit those before it, and why; None where all do."""
    opened = events[0][1]
    assert isinstance(opened, Opened)
    run = Run(where, opened)
    for number, event in events[1:]:
        try:
            run.add(event)
        except (IrnasError, LookupError) as error:
            return number, f"got one that does not fit those before it ({' '.join(str(error).split())})"
    return None
