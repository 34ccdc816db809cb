"""Why a network of a run is where it is: who proposed it, what was believed of it, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.result import Result, Status
from irnas.core.text import format_duration
from irnas.record.ledger import Event
from irnas.report import unit
from irnas.report.record import Record, differing, phrases
from irnas.search.strategy.belief import Belief

SHOWN = 3
"""Networks that are named as better ones."""


def explain(record: Record, key: str) -> list[str]:
    """The story of the network with this key (its beginning is enough), a sentence a line.

    Raises:
        SettingsError: the run proposed no such network, or several.
    """
    proposals = {e["key"]: e for e in record.events if e["kind"] == "proposed" and e["key"].startswith(key)}
    if len(proposals) != 1:
        got = f"{len(proposals)} networks" if proposals else "a key that was never proposed there"
        raise SettingsError(f"key {key!r} of {record.uri}: got {got}; must be one that `irnas front --all` shows")
    (proposal,) = proposals.values()
    results = {r.key: r for r in record.results}
    result = results.get(proposal["key"])
    genotype = [e for e in (result.genotype if result else None,) if e]
    axes = differing([r.genotype for r in record.results], record.space)
    said = [
        f"{proposal['key']}, trial {proposal['trial']}" + "".join(f": {' '.join(phrases(g, axes))}" for g in genotype)
    ]
    free = [o.name for o in record.objectives if o.is_free]
    costs = ", ".join(f"{unit.label(n)} {unit.quantity(n, proposal['costs'][n])}" for n in free)
    said.append(f"{_clock(proposal)} proposed by {proposal['origin']}: {costs or 'no free objective'}")
    said += _belief(Belief.in_memory(proposal.get("memory", {})), record)
    if proposal["refused"]:
        return [*said, f"never trained, for it breaks a limit: {proposal['refused']}"]
    said += _training(record, proposal["trial"])
    return [*said, *_verdict(record, result)]


def _training(record: Record, trial: int) -> Iterator[str]:
    """What became of the training, rung by rung."""
    name = next((o.name for o in record.objectives if not o.is_free), "miou")
    events = list(record.events)
    for number, event in enumerate(events):
        if event.get("trial") != trial and event.get("result", {}).get("trial") != trial:
            continue
        if event["kind"] == "reported" and event.get("paused"):
            so_far = f"{unit.label(name)} {unit.quantity(name, event['values'][name])}"
            yield f"{_clock(event)} paused after epoch {event['epoch']} with {so_far}{_next(events[number + 1 :])}"
        elif event["kind"] == "continued":
            yield f"{_clock(event)} went on, as the most promising thing to do"
            yield from _belief(Belief.in_memory(event), record)
        elif event["kind"] == "retried":
            yield f"{_clock(event)} {event['error']}"
        elif event["kind"] == "finished":
            found = event["result"]
            value = found["values"].get(name)
            shown = f", {unit.label(name)} {unit.quantity(name, value)}" if value is not None else ""
            yield f"{_clock(event)} {found['status']} after epoch {found['epochs']}{shown}"


def _next(later: Sequence[Event]) -> str:
    """What was handed out then."""
    following = next((e for e in later if e["kind"] in ("proposed", "continued")), None)
    if following is None:
        return "; nothing was handed out after it"
    what = "a new network" if following["kind"] == "proposed" else "which had been paused"
    return f"; next came trial {following['trial']}, {what}"


def _belief(belief: Belief | None, record: Record) -> Iterator[str]:
    """What the strategy believed when it chose this."""
    if belief is None:
        return
    name = next(o.name for o in record.objectives if not o.is_free)
    low, high = (unit.quantity(name, belief.mean + s * 2 * belief.standard_deviation) for s in (-1, 1))
    yield (
        f"         believed: final {unit.label(name)} {low} to {high} (two deviations), an expected improvement of "
        f"{100 * belief.expected_improvement:.2g} % of the hypervolume in {format_duration(belief.seconds)}, the best "
        f"of {belief.options} options"
    )


def _verdict(record: Record, result: Result | None) -> Iterator[str]:
    if result is None:
        yield "it has not ended"
        return
    if result.status is Status.FAILED:
        yield f"failed: {result.error}"
        return
    spread = record.replicate_statistics.get(result.key)
    if spread:
        yield "trained again: " + ", ".join(
            f"{unit.label(n)} {record.figure(result, n)}" for n in spread if n in {o.name for o in record.objectives}
        )
    if result in record.front.results:
        rest = [r for r in record.done if r is not result]
        lost = record.front.hypervolume(record.bounds) - Front.of(rest, record.objectives).hypervolume(record.bounds)
        yield f"on the front: without it the hypervolume would be {100 * lost:.2g} points less"
        return
    better = [r for r in record.winners if _beats(record, r, result)]
    words = [f"{r.key} ({', '.join(_value(o.name, r) for o in record.objectives)})" for r in better[:SHOWN]]
    more = f" and {len(better) - SHOWN} more" if len(better) > SHOWN else ""
    end = "as it stood when it was stopped, " if result.status is Status.STOPPED else ""
    if better:
        yield f"not on the front: {end}dominated by {', '.join(words)}{more}"
    else:
        yield f"not on the front: {end}nothing dominates it, but it was not trained to its end"


def _value(name: str, result: Result) -> str:
    return f"{unit.label(name)} {unit.quantity(name, result.values[name])}"


def _beats(record: Record, one: Result, other: Result) -> bool:
    return all(o.loss(one.values[o.name]) <= o.loss(other.values[o.name]) for o in record.objectives)


def _clock(event: Event) -> str:
    return time.strftime("%H:%M:%S", time.localtime(event["t"]))
