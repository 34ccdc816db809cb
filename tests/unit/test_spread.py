from __future__ import annotations

from typing import Any

import pytest
from support.results import result

from irnas.core.result import Result, Status
from irnas.record.replicates import replicate_statistics, with_replicate_means
from irnas.search.finalists import choose


def finished(found: Result) -> dict[str, Any]:
    return {"kind": "finished", "result": found.document()}


def repeated(found: Result, miou: float) -> dict[str, Any]:
    return {"kind": "repeated", "trial": found.trial, "key": found.key, "seed": 9, "values": {"miou": miou}}


def test_a_network_trained_three_times_counts_with_its_mean() -> None:
    lucky, steady = (result(t, {"miou": 0.6, "ops": 1e6}) for t in (0, 1))
    events = [finished(lucky), finished(steady), repeated(lucky, 0.3), repeated(lucky, 0.3)]
    found = replicate_statistics(events)
    spread = found[lucky.key]["miou"]
    assert (spread.mean, spread.num) == (pytest.approx(0.4), 3)
    assert spread.deviation == pytest.approx(0.3 / 3**0.5)
    assert set(found) == {lucky.key}
    first, second = with_replicate_means([lucky, steady], found)
    assert first.values == {"miou": pytest.approx(0.4), "ops": 1e6} and second == steady


def test_what_did_not_end_stays_as_it_is() -> None:
    stopped = result(0, {"miou": 0.2, "ops": 1e6}, status=Status.STOPPED)
    assert replicate_statistics([finished(stopped)]) == {} and with_replicate_means([stopped], {}) == [stopped]


def test_the_finalists_are_those_that_span_the_front() -> None:
    from irnas.core.objective import parse

    pairs = [(0.2, 1e6), (0.5, 1e7), (0.505, 1.1e7), (0.8, 1e8), (0.1, 5e7)]
    results = [result(i, {"miou": miou, "ops": ops}) for i, (miou, ops) in enumerate(pairs)]
    bounds = {"miou": (1.0, 0.0), "ops": (1e5, 1e9)}
    objectives = parse("miou,ops")
    assert {r.trial for r in choose(results, objectives, bounds, 9)} == {0, 1, 2, 3}
    assert {r.trial for r in choose(results, objectives, bounds, 3)} in ({0, 1, 3}, {0, 2, 3})
