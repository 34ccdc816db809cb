from __future__ import annotations

import pytest
from support.opened import opened
from support.results import proposed, result

from irnas.core.objective import parse
from irnas.core.result import Result, Status
from irnas.record.events import Finished, Repeated
from irnas.record.run import Run
from irnas.search.finalists import choose_finalists


def repeated(again: Result, miou: float) -> Repeated:
    return Repeated(trial=again.trial, key=again.key, seed=9, seconds=1.0, values={"miou": miou})


def run_of(*results: Result) -> Run:
    run = Run("runs/one", opened())
    for ended in results:
        run.add(proposed(ended.trial))
        run.add(Finished(result=ended))
    return run


def test_a_network_trained_three_times_counts_with_its_mean() -> None:
    lucky, steady = (result(t, {"miou": 0.6, "ops": 1e6 * (t + 1)}) for t in (0, 1))
    run = run_of(lucky, steady)
    run.add(repeated(lucky, 0.3))
    run.add(repeated(lucky, 0.3))
    (statistics,) = run.replicates[lucky.key].values()
    assert (statistics.mean, statistics.num) == (pytest.approx(0.4), 3)
    assert statistics.deviation == pytest.approx(0.3 / 3**0.5)
    assert set(run.replicates) == {lucky.key}
    first, second = run.results
    assert first.values == {"miou": pytest.approx(0.4), "ops": 1e6} and second == steady
    assert run.outcomes[0] == lucky, "what the first training came to stays on record"


def test_the_front_moves_with_the_means() -> None:
    lucky, steady = result(0, {"miou": 0.6, "ops": 1e7}), result(1, {"miou": 0.5, "ops": 5e6})
    run = run_of(lucky, steady)
    assert {r.trial for r in run.front.results} == {0, 1}
    run.add(repeated(lucky, 0.2))
    assert {r.trial for r in run.front.results} == {1}
    assert [(g.num_done, g.is_replicate) for g in run.growth] == [(1, False), (2, False), (2, True)]


def test_what_did_not_end_stays_as_it_is() -> None:
    stopped = result(0, {"miou": 0.2, "ops": 1e6}, status=Status.STOPPED)
    run = run_of(stopped)
    assert run.replicates == {} and run.results == (stopped,) and not run.front.results


def test_the_finalists_are_those_that_span_the_front() -> None:
    pairs = [(0.2, 1e6), (0.5, 1e7), (0.505, 1.1e7), (0.8, 1e8), (0.1, 5e7)]
    results = [result(i, {"miou": miou, "ops": ops}) for i, (miou, ops) in enumerate(pairs)]
    bounds = {"miou": (1.0, 0.0), "ops": (1e5, 1e9)}
    objectives = parse("miou,ops")
    assert {r.trial for r in choose_finalists(results, objectives, bounds, 9)} == {0, 1, 2, 3}
    assert {r.trial for r in choose_finalists(results, objectives, bounds, 3)} in ({0, 1, 3}, {0, 2, 3})
