from __future__ import annotations

import dataclasses
import math
import random
from collections.abc import Collection, Mapping
from dataclasses import replace

import pytest
from support.results import tiny_space
from support.tables import SPACE, flat, made_table

from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.strategies import INHERITING, STRATEGY_ENTRIES
from irnas.core.union import unite
from irnas.search.strategy import Decision, History
from irnas.search.strategy.catalogue import NAMES, UNCACHED, make_strategy
from irnas.simulation.simulator import Arena, Trajectory, bounds, replay
from irnas.simulation.tabular_space import TabularSpace

MIOU_OPS = parse("miou,ops")
SEEDED = {"asha", *(entry.name for entry in STRATEGY_ENTRIES if entry.module == "optuna_sampler")}
"""Strategies of which the seed alone decides what comes first."""
NEVER = math.inf
"""More than the whole front: a replay until then ends when all is trained."""


class Script:
    """Proposes the table's networks in their order; pauses the trials at the epochs of a list, refuses at epoch 0."""

    def __init__(self, arena: Arena, stops: Collection[tuple[int, int]] = ()) -> None:
        self._arena, self._stops = arena, stops
        self._genotypes = list(arena.space.points())
        self._made: dict[int, Proposal] = {}
        self._paused: list[int] = []
        self.results: list[Result] = []
        self.observed: list[tuple[int, int]] = []

    def ask(self) -> Proposal | None:
        if len(self._made) == len(self._genotypes):
            return self._made[self._paused.pop(0)] if self._paused else None
        trial = len(self._made)
        genotype = self._genotypes[trial]
        refused = "ops: too many" if (trial, 0) in self._stops else ""
        costs = self._arena.price(genotype)
        self._made[trial] = Proposal(trial=trial, genotype=genotype, costs=costs, origin="script", refused=refused)
        return self._made[trial]

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        self.observed.append((trial, epoch))
        if (trial, epoch) not in self._stops:
            return Decision.CONTINUE
        self._paused.append(trial)
        return Decision.PAUSE

    def tell(self, result: Result) -> None:
        self.results.append(result)
        self._paused = [t for t in self._paused if t != result.trial]

    def restore(self, history: History) -> None:
        raise NotImplementedError


def timed(*seconds: float, epochs: int = 2) -> Arena:
    """An arena of networks that take so many seconds an epoch."""
    made = made_table(len(seconds), num_seeds=1, epochs=epochs)
    points = []
    for point, pace in zip(made.points, seconds, strict=True):
        steps = tuple(replace(s, seconds=pace * s.epoch) for s in point.curves[0])
        points.append(replace(point, curves={0: steps}))
    return Arena(table=replace(made, points=tuple(points)), objectives=MIOU_OPS)


def by_name(name: str, arena: Arena, seed: int = 0, workers: int = 1, **changes: float) -> Trajectory:
    strategy = make_strategy(name, arena.problem(seed))
    return replay(strategy, arena, workers=workers, **{"until": NEVER, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [n for n in NAMES if "gp" not in n and "nsga3" not in n])
def test_every_strategy_trains_a_whole_table_reproducibly(name: str) -> None:
    arena = Arena(table=made_table(24, epochs=9), objectives=MIOU_OPS)
    trajectory = by_name(name, arena, workers=2)
    assert trajectory == by_name(name, arena, workers=2)
    assert len({m.key for m in trajectory.moments}) == len(trajectory.moments) == trajectory.started == 24
    assert trajectory.moments[-1].share == pytest.approx(1.0)
    shares = [m.share for m in trajectory.moments]
    costs = [m.cost for m in trajectory.moments]
    assert shares == sorted(shares) and costs == sorted(costs)
    if name in INHERITING:
        # Heirs are declared to take a third, and the front is trained on.
        assert trajectory.resumed and trajectory.cost < 24
        return
    assert trajectory.cost == pytest.approx(24)
    if name.removesuffix(UNCACHED) in SEEDED:
        assert trajectory != by_name(name, arena, seed=1, workers=2)


def test_the_clock_by_hand() -> None:
    # Two workers: A 0-4, B 0-2, then C 2-8. At 2 both were busy for 2; at 4 for 4; at 8 one more for 4.
    arena = timed(2.0, 1.0, 3.0)
    assert arena.unit == 4.0
    trajectory = replay(Script(arena), arena, workers=2, until=NEVER)
    assert [(m.trial, m.seconds, m.cost) for m in trajectory.moments] == [(1, 2.0, 1.0), (0, 4.0, 2.0), (2, 8.0, 3.0)]
    assert (trajectory.seconds, trajectory.cost, trajectory.started, trajectory.resumed) == (8.0, 3.0, 3, 0)
    share = trajectory.moments[1].share
    assert trajectory.cost_to(share) == 2.0 and trajectory.seconds_to(share) == 4.0
    assert trajectory.cost_to(1.1) is None is trajectory.seconds_to(1.1)


@pytest.mark.parametrize("workers", [1, 2, 5, 50])
def test_full_training_costs_the_same_with_any_workers(workers: int) -> None:
    arena = Arena(table=made_table(20, epochs=3), objectives=MIOU_OPS)
    trajectory = replay(Script(arena), arena, workers=workers, until=NEVER)
    assert trajectory.cost == pytest.approx(20) and len(trajectory.moments) == 20
    longest = max(arena.visible_curve(p.key)[-1].seconds for p in arena.table.points)
    assert trajectory.seconds >= max(longest, 20 * arena.unit / workers) - 1e-9
    if workers == 50:
        assert trajectory.seconds == pytest.approx(longest)


def test_a_paused_trial_goes_on_where_it_was() -> None:
    arena = timed(2.0, 1.0, epochs=3)
    script = Script(arena, {(0, 1)})
    trajectory = replay(script, arena, until=NEVER)
    assert script.observed == [(0, 1), (1, 1), (1, 2), (1, 3), (0, 2), (0, 3)]
    assert (trajectory.seconds, trajectory.started, trajectory.resumed) == (9.0, 2, 1)
    assert [(r.trial, r.status, r.epochs, r.seconds) for r in script.results] == [
        (1, Status.OK, 3, 3.0),
        (0, Status.OK, 3, 6.0),
    ]


def test_a_pause_at_the_last_epoch_does_not_count() -> None:
    arena = timed(2.0, epochs=3)
    script = Script(arena, {(0, 3)})
    assert len(replay(script, arena, until=0.5).moments) == 1
    assert [r.status for r in script.results] == [Status.OK]


def test_a_refused_network_costs_nothing() -> None:
    arena = timed(2.0, 1.0)
    script = Script(arena, {(0, 0)})
    trajectory = replay(script, arena, until=NEVER)
    assert [r.status for r in script.results] == [Status.REJECTED, Status.OK]
    assert (trajectory.seconds, trajectory.started) == (2.0, 1)


def test_a_replay_ends_at_the_share_that_is_asked_for() -> None:
    arena = Arena(table=made_table(30, epochs=3), objectives=MIOU_OPS)
    trajectory = replay(Script(arena), arena, until=0.8)
    assert trajectory.moments[-1].share >= 0.8 > trajectory.moments[-2].share


def test_a_search_sees_one_seed_and_the_others_score_it() -> None:
    made = made_table(5, num_seeds=3, epochs=2)
    key = made.points[2].key
    finals = [made.points[2].curves[s][-1].values["miou"] for s in range(3)]
    for replica in range(4):
        arena = Arena(table=made, objectives=MIOU_OPS, replica=replica)
        script = Script(arena)
        replay(script, arena, until=NEVER)
        mine = replica % 3
        assert script.results[2].values["miou"] == finals[mine]
        others = [f for s, f in enumerate(finals) if s != mine]
        assert arena.truth(key, 2).values["miou"] == pytest.approx(sum(others) / 2)


def test_one_seed_serves_for_both() -> None:
    arena = Arena(table=made_table(3, num_seeds=1, epochs=2), objectives=MIOU_OPS)
    key = arena.table.points[0].key
    assert arena.truth(key, 0).values["miou"] == arena.visible_curve(key)[-1].values["miou"]


def test_the_box_and_the_share_by_hand() -> None:
    table = flat((0.2, 1e3), (0.7, 1e5))
    box = bounds(table, MIOU_OPS)
    assert box["miou"] == pytest.approx((0.7, 0.15)) and box["ops"] == pytest.approx((1e3, 10**5.2))
    arena = Arena(table=table, objectives=MIOU_OPS)
    trajectory = replay(Script(arena), arena, until=NEVER)
    # In units of the box: A covers (0.05 / 0.55) x 1, B 1 x (0.2 / 2.2), and both share the product.
    side = 1 / 11
    assert trajectory.moments[0].share == pytest.approx(side / (2 * side - side * side))
    assert trajectory.moments[1].share == pytest.approx(1.0)


def test_a_platform_without_a_cache_pays_for_repeats() -> None:
    arena = Arena(table=made_table(16, epochs=3), objectives=MIOU_OPS)
    cached, uncached = (by_name("nsga2", arena, pays_repeats=pays) for pays in (False, True))
    assert [m.key for m in cached.moments] == [m.key for m in uncached.moments]
    assert uncached.cost > cached.cost == pytest.approx(16)


def test_decision_time_is_measured_and_off_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(100))
    monkeypatch.setattr("time.process_time", lambda: float(next(ticks)))
    arena = timed(2.0, 1.0)
    trajectory = replay(Script(arena), arena, until=NEVER)
    # Each call takes a second: ask, two reports and tell for the first network, as many for the second, a last ask.
    assert [m.decided * arena.unit for m in trajectory.moments] == pytest.approx([4.0, 8.0])
    assert trajectory.decided_seconds == 9.0 and trajectory.seconds == 6.0
    assert [m.billed - m.cost for m in trajectory.moments] == pytest.approx([4 / arena.unit, 8 / arena.unit])
    monkeypatch.undo()
    assert trajectory == replay(Script(arena), arena, until=NEVER)


def test_wrong_questions() -> None:
    arena = timed(1.0)
    with pytest.raises(SettingsError, match="workers: got 0; must be at least 1"):
        replay(Script(arena), arena, workers=0)
    with pytest.raises(SettingsError, match=r"objective: got 'fps'; one of fa, miou, ops, params"):
        Arena(table=arena.table, objectives=parse("miou,fps"))
    with pytest.raises(SettingsError, match="strategy: got 'best'; one of tpe"):
        by_name("best", arena)


def test_values_that_are_not_listed_mean_the_nearest_network() -> None:
    everything = tuple(SPACE.points())
    complete = TabularSpace.of(SPACE, everything)
    assert all(complete.genotype(g.values) == g for g in everything)
    narrow = tuple(g for g in everything if g.values["width"] in (4, 24) and not g.values["attention"])
    part = TabularSpace.of(SPACE, narrow)
    assert part.count() == len(narrow) and tuple(part.points()) == narrow
    moved = part.genotype({"width": 16, "depth": 3, "kind": "cat", "attention": False})
    assert moved.values == {"width": 24, "depth": 3, "kind": "cat", "attention": False}
    moved = part.genotype({"width": 6, "depth": 2, "kind": "add", "attention": True, "ratio": 4})
    assert moved.values == {"width": 4, "depth": 2, "kind": "add", "attention": False}
    rng = random.Random(0)
    assert {part.sample(rng).key for _ in range(200)} <= {g.key for g in narrow}
    assert dataclasses.is_dataclass(part) and part.fingerprint == SPACE.fingerprint


def test_the_nearest_listed_network_is_of_the_same_family() -> None:
    union = unite([SPACE, tiny_space()])
    listed = tuple(g for g in union.points() if g.space == "made" or g.values["base"] != 8)
    part = TabularSpace.of(union, listed)
    assert all(part.genotype(union.values_of(g)) == g for g in listed)
    moved = part.genotype({"space": "tiny", "tiny.stages": 2, "tiny.base": 8, "tiny.kind": "DB"})
    assert moved.space == "tiny" and moved.values["kind"] == "DB" and moved.values["base"] in (4, 16)
