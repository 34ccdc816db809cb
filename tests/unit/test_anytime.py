from __future__ import annotations

import math
from dataclasses import replace

import moocore
import numpy as np
import pytest
from support.tables import flat, made_table

from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.simulation import anytime, comparison
from irnas.simulation.simulator import Arena, Moment, Trajectory

MIOU_OPS = parse("miou,ops")


def trajectory(arena: Arena, *ends: tuple[int, float, float]) -> Trajectory:
    """A search that ended with these: (number of the point, cost, share)."""
    moments = tuple(
        Moment(trial=i, key=arena.table.points[i].key, seconds=cost, cost=cost, share=share, decided=0.5)
        for i, cost, share in ends
    )
    return Trajectory(moments=moments, cost=9.0, seconds=9.0, started=3, resumed=0)


def test_regret_by_hand_falls_in_steps_and_pays_the_decisions() -> None:
    arena = Arena(table=flat((0.2, 1e3), (0.7, 1e5)), objectives=MIOU_OPS)
    runs = [trajectory(arena, (0, 1.0, 0.2 * s), (1, 2.0, 1.0)) for s in (1, 2, 3)]
    band = anytime.regret(runs, [1.0, 1.5, 2.4, 2.5, 50.0])
    assert band.median == pytest.approx((1.0, 0.6, 0.6, 0.0, 0.0))
    assert band.low[1] == pytest.approx(0.5) and band.high[1] == pytest.approx(0.7)
    assert anytime.grid(runs, 3) == pytest.approx((1.5, math.sqrt(1.5 * 2.5), 2.5))


def test_nothing_trained_has_no_curve() -> None:
    with pytest.raises(SettingsError, match="got searches that trained nothing"):
        anytime.grid([Trajectory(moments=(), cost=0.0, seconds=0.0, started=0, resumed=0)])


@pytest.mark.parametrize("num_objectives", [2, 3])
def test_igd_plus_is_that_of_another_library(num_objectives: int) -> None:
    rng = np.random.default_rng(1)
    for size in (1, 7):
        front_nk, target_mk = rng.random((size, num_objectives)), rng.random((9, num_objectives))
        assert anytime.igd_plus(front_nk, target_mk) == pytest.approx(moocore.igd_plus(front_nk, ref=target_mk))
    assert anytime.igd_plus(target_mk, target_mk) == 0.0


def test_the_distance_to_the_front_of_the_table_by_hand() -> None:
    # The box is 0.15..0.7 and 10**3..10**5.2; A is its own target, B is 0.5 / 0.55 behind in one of two.
    arena = Arena(table=flat((0.2, 1e3), (0.7, 1e5)), objectives=MIOU_OPS)
    run = trajectory(arena, (0, 1.0, 0.5), (1, 2.0, 1.0))
    median = anytime.shortfall([run], [arena], [1.0, 1.6, 3.0]).median
    assert median == pytest.approx((math.sqrt(2), 0.5 / 0.55 / 2, 0.0))


def test_quartiles_of_attainment_are_values_of_searches() -> None:
    arena = Arena(table=flat((0.2, 1e3), (0.7, 1e5), (0.5, 1e4), (0.1, 1e6)), objectives=MIOU_OPS)
    runs = [trajectory(arena, (0, 1.0, 0.1), (1, 2.0, 0.2))]
    runs += [trajectory(arena, (2, 1.0, 0.1)), trajectory(arena, (3, 1.0, 0.1)), trajectory(arena, (0, 1.0, 0.1))]
    pair, levels = (MIOU_OPS[1], MIOU_OPS[0]), [500.0, 1e3, 1e4, 1e5, 1e6]
    at_end = anytime.attainment(runs, [arena] * 4, pair, levels, 99.0)
    # At 1e3: 0.2 by two. At 1e4: 0.5 by one, 0.2 by two more. At 1e6 the dear network adds 0.1 to the one without.
    assert at_end.high == pytest.approx((-math.inf, 0.2, 0.5, 0.7, 0.7))
    assert at_end.median == pytest.approx((-math.inf, 0.2, 0.2, 0.5, 0.5))
    assert at_end.low == pytest.approx((-math.inf, -math.inf, 0.2, 0.2, 0.2))
    early = anytime.attainment(runs, [arena] * 4, pair, levels, 1.6)
    assert early.high == pytest.approx((-math.inf, 0.2, 0.5, 0.5, 0.5))
    assert anytime.attainable([arena], pair, levels).median == pytest.approx((-math.inf, 0.2, 0.5, 0.7, 0.7))


def test_attainment_of_a_minimised_metric_at_a_maximised_cost() -> None:
    table = flat((0.2, 1e3), (0.7, 1e5))
    fast = tuple(
        replace(p, free={"fps": 1e6 / p.free["ops"]}, curves={0: (replace(c[0], values={"fa": 1e-4 * (1 + i)}),)})
        for i, p in enumerate(table.points)
        for c in p.curves.values()
    )
    objectives = parse("fa,fps")
    arena = Arena(table=replace(table, points=fast), objectives=objectives)
    band = anytime.attainable([arena], (objectives[1], objectives[0]), [10.0, 1000.0, 2000.0])
    assert [-gain for gain in band.median] == pytest.approx([1e-4, 1e-4, math.inf])


def test_several_processes_search_as_one_does() -> None:
    table = made_table(16, epochs=3)
    words = (table, ["random", "freeze-thaw"], MIOU_OPS)
    one, two = (comparison.run_searches(*words, seeds=3, jobs=jobs) for jobs in (1, 2))
    assert one == two and list(one) == ["random", "freeze-thaw"]
    with pytest.raises(SettingsError, match="jobs: got 0; must be at least 1"):
        comparison.run_searches(*words, seeds=1, jobs=0)


def test_a_strategys_own_time_is_billed_beside_the_training() -> None:
    arena = Arena(table=flat((0.2, 1e3), (0.7, 1e5)), objectives=MIOU_OPS)
    run = trajectory(arena, (0, 1.0, 0.95), (1, 2.0, 1.0))
    assert (run.cost_to(0.9), run.billed_to(0.9), run.billed_to(0.99)) == (1.0, 1.5, 2.5)
    share_cost = comparison.summarise([run]).costs[98]
    assert (share_cost.median, share_cost.trained) == (2.5, 2.0)
