from __future__ import annotations

import itertools
import random

import pytest
from support.results import result

from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.objective import OBJECTIVES, parse
from irnas.core.result import Status

BOUNDS = {"miou": (1.0, 0.0), "ops": (1e6, 1e9), "params": (1e3, 1e5), "fa": (0.0, 1e-3)}


def by_pairs(points: list[tuple[float, float]]) -> set[int]:
    """Members of the front of (miou, ops), from the definition."""
    kept = set()
    for i, (miou, ops) in enumerate(points):
        if not any((m >= miou and o <= ops) and (m > miou or o < ops) for m, o in points):
            kept.add(i)
    return kept


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_the_definition(seed: int) -> None:
    rng = random.Random(seed)
    # Few levels, so that ties and equal points occur.
    points = [(rng.randint(0, 4) / 4, float(10 ** rng.randint(6, 9))) for _ in range(18)]
    results = [result(i, {"miou": m, "ops": o}) for i, (m, o) in enumerate(points)]
    front = Front.of(results, parse("miou,ops"))
    assert {r.trial for r in front.results} == by_pairs(points)
    assert [r.key for r in front.results] == sorted(r.key for r in front.results)


@pytest.mark.parametrize("seed", range(5))
def test_hypervolume_is_the_share_of_random_points_dominated(seed: int) -> None:
    rng = random.Random(seed)
    values = [
        {"miou": rng.random(), "ops": 10 ** rng.uniform(6, 9), "params": 10 ** rng.uniform(3, 5)} for _ in range(6)
    ]
    front = Front.of([result(i, v) for i, v in enumerate(values)], parse("miou,ops,params"))

    def is_covered(m: float, o: float, p: float) -> bool:
        return any(
            v["miou"] >= m and v["ops"] <= 10 ** (6 + 3 * o) and v["params"] <= 10 ** (3 + 2 * p) for v in values
        )

    num = 20_000
    hits = sum(is_covered(rng.random(), rng.random(), rng.random()) for _ in range(num))
    # Five standard deviations of the Monte-Carlo estimate.
    assert abs(front.hypervolume(BOUNDS) - hits / num) < 5 * (0.25 / num) ** 0.5


def test_hypervolume_by_hand() -> None:
    def front(*points: tuple[float, float]) -> Front:
        return Front.of([result(i, {"miou": m, "ops": o}) for i, (m, o) in enumerate(points)], parse("miou,ops"))

    assert front((1.0, 1e6)).hypervolume(BOUNDS) == pytest.approx(1.0)
    # Two thirds of the decades and half of the accuracy.
    assert front((0.5, 1e7)).hypervolume(BOUNDS) == pytest.approx(0.5 * 2 / 3)
    assert front((0.5, 1e7), (0.75, 1e8)).hypervolume(BOUNDS) == pytest.approx(0.5 * 2 / 3 + 0.25 / 3)
    assert front((0.0, 1e9)).hypervolume(BOUNDS) == 0
    assert front((0.9, 1e12)).hypervolume(BOUNDS) == 0
    assert Front.of([], parse("miou,ops")).hypervolume(BOUNDS) == 0


def test_hypervolume_only_grows() -> None:
    rng = random.Random(3)
    results = [result(i, {"miou": rng.random(), "fa": rng.random() * 1e-3}) for i in range(12)]
    volumes = [Front.of(results[:n], parse("miou,fa")).hypervolume(BOUNDS) for n in range(13)]
    assert all(b >= a for a, b in itertools.pairwise(volumes)) and volumes[-1] > 0


def test_only_finished_trials_count() -> None:
    good = result(0, {"miou": 0.2, "ops": 1e8})
    better = [result(i, {"miou": 0.9, "ops": 1e6}, status=s) for i, s in enumerate(Status, 1) if s is not Status.OK]
    assert Front.of([good, *better], parse("miou,ops")).results == (good,)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (result(1, {"miou": 0.1, "ops": 1.0}, data_rev="other"), "more than one data revision"),
        (result(1, {"miou": 0.1, "ops": 1.0}, epochs=9), "more than one number of epochs"),
        (result(0, {"miou": 0.1, "ops": 1.0}), "two results of"),
        (result(1, {"miou": 0.1}), "got ops=None"),
    ],
)
def test_what_cannot_be_compared_is_refused(second: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        Front.of([result(0, {"miou": 0.2, "ops": 1e8}), second], parse("miou,ops"))  # type: ignore[list-item]


def test_a_result_refuses_nan_and_a_silent_failure() -> None:
    with pytest.raises(SettingsError, match="must be finite"):
        result(0, {"miou": float("nan")})
    with pytest.raises(SettingsError, match="must go together"):
        result(0, {}, status=Status.FAILED, error="")


def test_directions_are_decided_once() -> None:
    for objective in OBJECTIVES.values():
        better, worse = (0.9, 0.1) if objective.goal == "max" else (0.1, 0.9)
        assert objective.loss(better) < objective.loss(worse)
        assert objective.position(better) < objective.position(worse)


@pytest.mark.parametrize("text", ["", "miou,miou", "miou,speed", ","])
def test_wrong_objectives_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^objective: got"):
        parse(text)
