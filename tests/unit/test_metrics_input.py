from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from irnas.core.errors import DataError, SettingsError
from irnas.data import sample
from irnas.metrics import (
    IGNORED,
    LIMITIRSTD,
    PRESETS,
    Counts,
    Rules,
    contest_score,
    count,
    count_labels,
    preset,
    summarize,
)


def image(seed: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(seed)
    truth_hw = rng.random((13, 17)) > 0.95
    return np.clip(truth_hw * 0.8 + rng.normal(0.1, 0.2, truth_hw.shape), 0, 1), truth_hw


def test_truth_may_be_bool_float_or_8_bit() -> None:
    score_hw, truth_hw = image(4)
    values = [truth_hw, truth_hw.astype(np.float32), truth_hw.astype(np.uint8), truth_hw * np.uint8(255)]
    counted = [summarize(count(score_hw, value)) for value in values]
    assert all(other == counted[0] for other in counted)


def test_grey_truth_counts_from_128_on() -> None:
    truth_hw = np.array([[255, 128, 127, 0]], dtype=np.uint8)
    counts = count(np.ones((1, 4)), truth_hw)
    assert [int(getattr(counts, name)[0]) for name in ("tp", "fp", "fn", "grey")] == [1, 3, 0, 1]


def test_inputs_are_left_as_they_were() -> None:
    for rules in PRESETS.values():
        score_hw, truth_hw = image(5)
        kept = score_hw.copy(), truth_hw.copy()
        count(score_hw, truth_hw, rules)
        np.testing.assert_array_equal(score_hw, kept[0])
        np.testing.assert_array_equal(truth_hw, kept[1])


@pytest.mark.parametrize(
    ("score_hw", "truth_hw", "message"),
    [
        (np.zeros((3, 4)), np.zeros((4, 3), bool), "shape"),
        (np.zeros((1, 3, 4)), np.zeros((1, 3, 4), bool), "shape"),
        (np.zeros((0, 4)), np.zeros((0, 4), bool), "shape"),
        (np.zeros((3, 4), np.uint8), np.zeros((3, 4), bool), "uint8"),
        (np.full((3, 4), 1.5), np.zeros((3, 4), bool), "1.5"),
        (np.full((3, 4), -0.1), np.zeros((3, 4), bool), "-0.1"),
        (np.full((3, 4), math.nan), np.zeros((3, 4), bool), "nan"),
        (np.zeros((3, 4)), np.full((3, 4), 2.0), "truth"),
        (np.zeros((3, 4)), np.full((3, 4), 256), "truth"),
        (np.zeros((3, 4)), np.full((3, 4), -1), "truth"),
    ],
)
def test_wrong_images_are_refused(score_hw: Any, truth_hw: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        count(score_hw, truth_hw)


def test_counts_of_different_rules_do_not_join() -> None:
    one, other = (count(np.zeros((2, 2)), np.zeros((2, 2), bool), PRESETS[name]) for name in ("basicirstd", "dtum"))
    with pytest.raises(DataError, match="different rules"):
        Counts.concat([one, other])
    with pytest.raises(DataError, match="no images"):
        Counts.concat([])


@pytest.mark.parametrize(
    "wrong",
    [
        {"matching": "best"},
        {"connectivity": 6},
        {"threshold": 1.5},
        {"size": 0},
        {"radius": 0.0},
        {"hit": "overlap"},
        {"smoothing": 0.0},
        {"grey_miou": "half"},
        {"roc": "none"},
    ],
)
def test_wrong_rules_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match=next(iter(wrong))):
        Rules(**wrong)


def test_presets_are_found_by_name() -> None:
    assert list(PRESETS) == ["basicirstd", "sctransnet", "dnanet256", "rpcanet", "dtum", "rdian", LIMITIRSTD]
    assert preset("basicirstd") == Rules()
    with pytest.raises(SettingsError, match=r"'mshnet'.*basicirstd"):
        preset("mshnet")


def test_only_dtum_predicts_at_the_threshold_itself() -> None:
    score_hw, truth_hw = np.array([[0.5, 1.0]]), np.array([[True, True]])
    hits = {name: int(count(score_hw, truth_hw, rules).tp[0]) for name, rules in PRESETS.items() if not rules.size}
    assert hits == {name: 2 if name == "dtum" else 1 for name in hits}


@pytest.mark.parametrize(
    ("target", "predicted", "hits"),
    [
        ([(5, 5), (5, 6), (6, 6)], (4, 5), 1),  # centroid 5.33, 5.67: rounded to 5, 6
        ([(5, 5), (5, 6), (6, 6)], (4, 6), 0),
        ([(5, 5), (6, 6)], (5, 5), 1),  # 5.5 rounds to 6, the even neighbour
        ([(6, 6), (7, 7)], (6, 6), 0),  # and 6.5 to 6
    ],
)
def test_the_window_of_rdian_lies_above_and_left_of_centre(
    target: list[tuple[int, int]], predicted: tuple[int, int], hits: int
) -> None:
    score_hw, truth_hw = np.zeros((12, 12)), np.zeros((12, 12), bool)
    truth_hw[tuple(zip(*target, strict=True))] = True
    score_hw[predicted] = 1
    assert count(score_hw, truth_hw, PRESETS["rdian"]).hits[0] == hits


@pytest.mark.parametrize(
    ("miou", "pd", "params", "gflops", "score"),
    [
        (0.3387, 0.7845, 28.8e3, 0.0426, 77.67),
        (0.3825, 0.7538, 46.9e3, 0.4065, 77.07),
        (0.3057, 0.7727, 19.9e3, 0.2530, 76.23),
        (0.3647, 0.7080, 26.2e3, 0.3379, 75.85),
        (0.3311, 0.6976, 7.5e3, 0.3438, 74.95),
        (0.3457, 0.5556, 0.914e6, 5.179, 51.95),
    ],
)
def test_the_contest_s_score_is_that_of_its_leaderboard(
    miou: float, pd: float, params: float, gflops: float, score: float
) -> None:
    assert contest_score({"miou": miou, "pd": pd}, params=params, flops=gflops * 1e9) == pytest.approx(score, abs=6e-3)


@pytest.mark.parametrize("rules", PRESETS.values(), ids=PRESETS)
def test_what_nobody_cares_about_changes_nothing(rules: Rules) -> None:
    rng = np.random.default_rng(5)
    label_hw = np.zeros((40, 40), np.uint8)
    label_hw[5:8, 5:9] = label_hw[30:33, 30:32] = 1
    label_hw[18:22, 10:20] = label_hw[28, 28:35] = IGNORED
    score_hw = np.clip(0.7 * (label_hw == 1) + rng.normal(0.2, 0.1, label_hw.shape), 0, 1)
    counts = [count_labels(np.where(label_hw == IGNORED, score, score_hw), label_hw, rules) for score in (0, 0.4, 1)]
    assert summarize(counts[0]) == summarize(counts[1]) == summarize(counts[2])
    if rules.size is None:
        assert counts[0].pixels == 1600 - np.count_nonzero(label_hw == IGNORED)
    background = count(score_hw, label_hw == 1, rules)
    assert counts[0].false_alarm_area < background.false_alarm_area and counts[0].tp == background.tp
    assert counts[0].roc_false[0, 0] < background.roc_false[0, 0]


def test_the_number_of_what_nobody_cares_about_is_the_data_sets() -> None:
    assert IGNORED == sample.IGNORED
