"""Which number each whole event of a damaged record has, and so where events are missing.

Events of today say it themselves. Those of before schema 4 are counted in the order in which they stand, and what is no
event between them counts for one that was lost, as far as there is room before the first that has a number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from irnas.record.events import Event, Opened, Proposed, Repaired
from irnas.record.salvage import Piece


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """The whole events of a record by number, from 1."""

    events: Mapping[int, Piece]
    faults: tuple[str, ...]
    """Everything that was found, a sentence each."""
    faults_at: Mapping[int, tuple[str, ...]]
    """The same, by the number of the event in whose place it was found."""

    def faults_between(self, first: int, last: int) -> tuple[str, ...]:
        """What was found in the places of these events, both ends included."""
        numbers = sorted(number for number in self.faults_at if first <= number <= last)
        return tuple(fault for number in numbers for fault in self.faults_at[number])

    def without(self, number: int, fault: str) -> Numbered:
        """The same without one event, and why."""
        return Numbered(
            events={n: piece for n, piece in self.events.items() if n != number},
            faults=(*self.faults, fault),
            faults_at={**self.faults_at, number: (*self.faults_at.get(number, ()), fault)},
        )


def size(event: Event | None) -> int:
    """How many numbers an event takes."""
    return event.num_events if isinstance(event, Repaired) else 1


def trial_of(event: Event | None) -> int | None:
    """The trial that an event tells of, apart from its proposal; None where it tells of none."""
    return None if isinstance(event, Proposed) else getattr(event, "trial", None)


def number_pieces(pieces: Sequence[Piece]) -> Numbered:
    """Number the whole events of a record, whose pieces are in the order in which they were found."""
    pieces, disorder = _in_order(pieces)
    first = min((p.number for p in pieces if p.number and not isinstance(p.event, Repaired)), default=math.inf)
    num_old = len({p.content for p in pieces if p.event and p.number is None})
    room = first - 1 - num_old
    events: dict[int, Piece] = {}
    faults: dict[int, list[str]] = {1: disorder} if disorder else {}
    known, expected = set[bytes](), 1
    for piece in pieces:
        if piece.event is None or piece.content in known:
            fault = piece.fault or f"event {piece.number or expected - 1}: got it once more; dropped"
            faults.setdefault(expected, []).append(fault)
            if piece.event is None and piece.may_be_event and room > 0:
                expected, room = expected + 1, room - 1
            continue
        number = piece.number or expected
        if number in events:
            faults.setdefault(number + 1, []).append(f"event {number}: got a second one with its number; dropped")
            continue
        if number < expected:
            faults.setdefault(number, []).append(f"event {number}: got it after later ones; is in its place now")
        known.add(piece.content)
        events[number] = piece
        expected = number + size(piece.event)
    return Numbered(
        events=_with_room_for_lost(events, room),
        faults=tuple(fault for each in faults.values() for fault in each),
        faults_at={number: tuple(each) for number, each in faults.items()},
    )


def _in_order(pieces: Sequence[Piece]) -> tuple[Sequence[Piece], list[str]]:
    """The pieces, those without numbers sorted by time where one tells of a trial that is proposed after it."""
    places = [i for i, piece in enumerate(pieces) if piece.event and piece.number is None]
    events = [event for i in places if (event := pieces[i].event)]
    late = {event.proposal.trial for event in events if isinstance(event, Proposed)}
    is_wrong = any(isinstance(event, Opened) for event in events[1:])
    for event in events:
        if isinstance(event, Proposed):
            late.discard(event.proposal.trial)
        is_wrong |= trial_of(event) in late
    if not is_wrong:
        return pieces, []
    by_time = sorted((pieces[i] for i in places), key=lambda p: p.event.t if p.event else 0.0)
    result = list(pieces)
    for place, piece in zip(places, by_time, strict=True):
        result[place] = piece
    return result, ["events: got some ahead of what they follow from; are in the order of their times now"]


def _with_room_for_lost(events: dict[int, Piece], room: float) -> dict[int, Piece]:
    """Leave a number free ahead of the first word of a trial that was never proposed, where none is free before it."""
    proposed: set[int] = set()
    expected = 1
    for number, piece in sorted(events.items()):
        event, trial = piece.event, trial_of(piece.event)
        if number > expected or room < 1:
            break
        if isinstance(event, Proposed):
            proposed.add(event.proposal.trial)
        elif isinstance(event, Repaired):
            proposed.update(event.lost_trials, (proposal.trial for proposal in event.proposals))
        elif trial is not None and trial not in proposed:
            if any(other.number for n, other in events.items() if n >= number and isinstance(other.event, Repaired)):
                break
            return {n + (n >= number and not other.number): other for n, other in events.items()}
        expected = number + size(event)
    return events
