"""Networks that a search trained more than once: the mean and the spread of their metrics."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from irnas.core.result import Result, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicateStatistics:
    """A metric over the trainings of one network."""

    mean: float
    deviation: float
    """Of the sample, with n - 1 in the denominator."""
    num: int
    """Trainings, at least 2."""


def replicate_statistics(events: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, ReplicateStatistics]]:
    """Key to metric to its spread, of the networks that were trained more than once."""
    taken: dict[str, list[Mapping[str, float]]] = {}
    firsts: dict[str, Mapping[str, float]] = {}
    for event in events:
        if event["kind"] == "finished" and event["result"]["status"] == Status.OK:
            firsts[event["result"]["key"]] = event["result"]["values"]
        elif event["kind"] == "repeated":
            taken.setdefault(event["key"], []).append(event["values"])
    found: dict[str, dict[str, ReplicateStatistics]] = {}
    for key, more in taken.items():
        rows = [firsts[key], *more]
        found[key] = {
            name: ReplicateStatistics(
                mean=statistics.fmean(r[name] for r in rows),
                deviation=statistics.stdev([r[name] for r in rows]),
                num=len(rows),
            )
            for name in more[0]
        }
    return found


def with_replicate_means(
    results: Iterable[Result], found: Mapping[str, Mapping[str, ReplicateStatistics]]
) -> list[Result]:
    """The results, those of networks that were trained more than once with the means of their metrics."""
    return [
        replace(r, values={**r.values, **{n: s.mean for n, s in found[r.key].items()}})
        if r.key in found and r.status is Status.OK
        else r
        for r in results
    ]
