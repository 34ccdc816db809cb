from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from sklearn.metrics import roc_auc_score
from support import oracles

from irnas.core.objective import OBJECTIVES
from irnas.metrics import PRESETS, Counts, Rules, count, image_iou, roc, summarize
from irnas.metrics.component import find

BASIC = PRESETS["basicirstd"]
COLUMNS = tuple(f.name for f in fields(Counts) if f.name != "rules")

# Thresholds themselves, their neighbours, and what 8-bit maps and sigmoids hold.
SCORES = st.sampled_from([0.0, 0.0, 0.0, 0.1, 0.25, 0.3, 127 / 255, 0.5, 128 / 255, 0.7, 0.9, 1.0, 1e-9, 0.999999])
TRUTHS = st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0])
GENERAL = [
    *PRESETS.values(),
    *(
        replace(BASIC, matching=m, radius=r, radius_strict=s)
        for m in ("first", "nearest")
        for r in (1.0, 3.0)
        for s in (True, False)
    ),
    *(replace(rules, connectivity=4) for rules in PRESETS.values()),
    replace(BASIC, false_alarm="area_list", threshold=0.25, threshold_strict=False, empty="skip"),
    replace(BASIC, false_alarm="background", grey_niou="background", roc="sigmoid"),
    replace(BASIC, false_alarm="far", threshold_of="relative", size=5, roc="pixel"),
]


def small_rules(rules: Rules) -> Rules:
    """dnanet256 counts 65536 pixels, which an oracle cannot; 6 pixels a side test the same code."""
    return replace(rules, size=6) if rules.size == 256 else rules


@st.composite
def images(draw: st.DrawFn, rows: int = 9, columns: int = 9) -> tuple[Any, Any]:
    shape = draw(array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=max(rows, columns)))
    shape = min(shape[0], rows), min(shape[1], columns)
    dtype = draw(st.sampled_from([np.float32, np.float64]))
    score = draw(arrays(np.float64, shape, elements=SCORES)).astype(dtype)
    return score, draw(arrays(np.float64, shape, elements=TRUTHS))


def slow_row(score_hw: Any, truth_hw: Any, rules: Rules) -> dict[str, Any]:
    row: dict[str, Any] = oracles.count_slowly(score_hw, truth_hw == 1, (truth_hw >= 0.5) & (truth_hw < 1), rules)
    return row


def assert_equals_oracle(score_hw: Any, truth_hw: Any, rules: Rules) -> None:
    counts, expected = count(score_hw, truth_hw, rules), slow_row(score_hw, truth_hw, rules)
    wrong = int(counts.false_alarm_pixels[0])
    assert wrong in expected["false_alarm_pixels"]
    expected["false_alarm_pixels"] = wrong
    for name in COLUMNS:
        # The overlap is the only count that is no integer, and a sum has an order.
        tolerance = 1e-14 if name == "overlap" else 0
        np.testing.assert_allclose(getattr(counts, name)[0], expected[name], rtol=tolerance, atol=0, err_msg=name)
    values, slow = summarize(counts), oracles.summarize_slowly([expected], rules)
    for name, value in values.items():
        # The oracle divides without the codes' epsilon, and adds areas of up to 255 trapezoids in another order.
        assert value == pytest.approx(slow[name], rel=600 * oracles.EPSILON, abs=600 * oracles.EPSILON), name


@settings(derandomize=True, max_examples=400, deadline=None)
@given(images(), st.sampled_from(GENERAL))
def test_counts_and_metrics_equal_the_oracle(image: tuple[Any, Any], rules: Rules) -> None:
    assert_equals_oracle(*image, small_rules(rules))


@settings(derandomize=True, max_examples=150, deadline=None)
@given(images(rows=3, columns=9), st.sampled_from([3.0, 2.0, 5.0]), st.sampled_from(["map", "area_list"]))
def test_optimal_matching_equals_trying_all(image: tuple[Any, Any], radius: float, false_alarm: Any) -> None:
    rules = replace(BASIC, matching="optimal", radius=radius, false_alarm=false_alarm)
    num_targets = len(oracles.components(image[1] == 1, 8))
    num_blobs = len(oracles.components(image[0] > 0.5, 8))
    assume((num_blobs + 1) ** num_targets <= 5000)
    assert_equals_oracle(*image, rules)


@pytest.mark.parametrize("matching", ["first", "nearest", "optimal"])
@pytest.mark.parametrize("seed", range(3))
def test_scattered_blobs_equal_the_oracle(matching: Any, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth_hw, score_hw = np.zeros((40, 40)), np.zeros((40, 40), np.float32)
    for row, column in rng.integers(2, 36, (5, 2)):
        truth_hw[row : row + rng.integers(1, 4), column : column + rng.integers(1, 4)] = 1
        for dr, dc in rng.integers(-2, 3, (2, 2)):
            score_hw[row + dr, column + dc] = rng.uniform(0.6, 1)
    assert len(oracles.components(score_hw > 0.5, 8)) > len(oracles.components(truth_hw, 8)) > 2
    assert_equals_oracle(score_hw, truth_hw, replace(BASIC, matching=matching))


@pytest.mark.parametrize("name", PRESETS)
def test_a_noisy_image_equals_the_oracle_under_every_preset(name: str) -> None:
    rng = np.random.default_rng(7)
    truth_hw = np.zeros((24, 24))
    truth_hw[0:2, 0:3] = truth_hw[11:14, 9:12] = truth_hw[23, 23] = 1
    score_hw = np.clip(0.7 * truth_hw + rng.normal(0.15, 0.15, truth_hw.shape), 0, 1).astype(np.float32)
    assert_equals_oracle(score_hw, truth_hw, replace(PRESETS[name], size=20 if PRESETS[name].size else None))


@pytest.mark.parametrize("matching", ["first", "nearest", "optimal"])
def test_matchings_differ_where_they_should(matching: Any) -> None:
    # Targets A and B; blob P reaches both and comes first, blob Q reaches A only and is nearer to it.
    truth_hw, score_hw = np.zeros((1, 20)), np.zeros((1, 20))
    truth_hw[0, [5, 9]] = 1
    score_hw[0, [7, 4]] = 1
    counts = count(score_hw[:, ::-1].copy(), truth_hw[:, ::-1].copy(), replace(BASIC, matching=matching))
    # Mirrored, B (column 10) chooses before A (column 14): P is its only blob, and Q stays for A.
    assert counts.hits[0] == 2
    counts = count(score_hw, truth_hw, replace(BASIC, matching=matching, radius=4.5))
    assert counts.hits[0] == 2
    truth_hw[0, 5], score_hw[0, 7], score_hw[0, 8] = 1, 0, 1
    score_hw[0, 4], score_hw[0, 1] = 0, 1
    # A (5) reaches 8 and 1 within 4.5; B (9) only 8. First gives A the blob 1, nearest gives it 8.
    hits = count(score_hw, truth_hw, replace(BASIC, matching=matching, radius=4.5)).hits[0]
    assert hits == {"first": 2, "nearest": 1, "optimal": 2}[matching]


def test_optimal_takes_the_least_total_distance() -> None:
    truth_hw, score_hw = np.zeros((1, 9), bool), np.zeros((1, 9))
    truth_hw[0, 4] = True
    score_hw[0, [2, 3]] = 0.9
    score_hw[0, 5] = 0.9
    wrong = {
        m: int(count(score_hw, truth_hw, replace(BASIC, matching=m)).false_alarm_pixels[0])
        for m in ("first", "optimal")
    }
    assert wrong == {"first": 1, "optimal": 2}


@pytest.mark.parametrize("rules", PRESETS.values(), ids=PRESETS)
def test_a_perfect_map_is_perfect(rules: Rules) -> None:
    truth_hw = np.zeros((256, 256), bool)
    truth_hw[20:23, 30:34] = truth_hw[100:103, 200:203] = True
    values = summarize(count(truth_hw.astype(np.float32), truth_hw, rules))
    # 0.001 in a denominator of 21 pixels; DTUM's curve ends before false rate 1.
    slack = 0.001 / 21 if rules.smoothing > 1e-3 / 2 else oracles.EPSILON
    for name in ("miou", "niou", "hiou", "precision", "recall", "f1", "pd"):
        assert 1 - 2 * slack <= values[name] <= 1, name
    assert values["fa"] == 0
    assert values["auc"] > 0.995


@pytest.mark.parametrize("rules", PRESETS.values(), ids=PRESETS)
@pytest.mark.parametrize("shape", [(1, 1), (1, 5), (16, 16)])
@pytest.mark.parametrize("predicted", [0.0, 0.3, 1.0])
def test_a_set_without_targets_is_finite(rules: Rules, shape: tuple[int, int], predicted: float) -> None:
    counts = count(np.full(shape, predicted), np.zeros(shape, bool), rules)
    values = summarize(counts)
    assert set(values) == {o.name for o in OBJECTIVES.values() if o.kind == "metric"}
    assert {name: v for name, v in values.items() if name != "fa"} == dict.fromkeys(set(values) - {"fa"}, 0.0)
    is_false_alarm = predicted == 1 and rules.empty == "count"
    assert values["fa"] == pytest.approx(1.0 if is_false_alarm else 0.0, rel=2e-3)


@pytest.mark.parametrize("rules", PRESETS.values(), ids=PRESETS)
def test_a_single_pixel_that_is_a_target(rules: Rules) -> None:
    one = np.ones((1, 1))
    assert_equals_oracle(one, one, small_rules(rules))
    assert summarize(count(one, one, small_rules(rules)))["miou"] == pytest.approx(1.0)


def test_an_image_without_targets_counts_in_niou_and_fa() -> None:
    truth_hw = np.zeros((10, 10), bool)
    truth_hw[4:6, 4:6] = True
    hit = count(truth_hw.astype(float), truth_hw)
    empty = count(np.zeros((10, 10)), np.zeros((10, 10), bool))
    false = count(truth_hw.astype(float), np.zeros((10, 10), bool))
    values = summarize(Counts.concat([hit, empty, false]))
    assert values["niou"] == pytest.approx(1 / 3)
    assert values["fa"] == 4 / 300
    assert values["pd"] == 1
    assert values["miou"] == pytest.approx(0.5)
    np.testing.assert_allclose(image_iou(Counts.concat([hit, empty, false])), [1, 0, 0])


def test_skipped_images_leave_pd_fa_and_auc_alone() -> None:
    rules = PRESETS["rpcanet"]
    truth_hw = np.zeros((10, 10), bool)
    truth_hw[4:6, 4:6] = True
    score_hw = np.random.default_rng(0).random((10, 10))
    with_target, without = count(score_hw, truth_hw, rules), count(score_hw, np.zeros_like(truth_hw), rules)
    only_target, both = summarize(with_target), summarize(Counts.concat([with_target, without]))
    assert {n: only_target[n] for n in ("pd", "fa", "auc")} == {n: both[n] for n in ("pd", "fa", "auc")}
    assert both["precision"] < only_target["precision"]


def random_split(seed: int, images: int = 12) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    split = []
    for _ in range(images):
        shape = tuple(rng.integers(6, 24, 2))
        truth_hw = rng.random(shape) > 0.96
        split.append((np.clip(truth_hw * 0.8 + rng.normal(0.1, 0.2, shape), 0, 1), truth_hw))
    return split


@pytest.mark.parametrize("rules", PRESETS.values(), ids=PRESETS)
def test_batches_and_order_do_not_matter(rules: Rules) -> None:
    rows = [count(*image, rules) for image in random_split(3)]
    at_once = summarize(Counts.concat(rows))
    batches = [Counts.concat(rows[:5]), rows[5], Counts.concat([Counts.concat(rows[6:9]), Counts.concat(rows[9:])])]
    assert summarize(Counts.concat(batches)) == at_once
    shuffled = [rows[i] for i in np.random.default_rng(0).permutation(len(rows))]
    # Only the mean over images depends on the order, by rounding.
    assert summarize(Counts.concat(shuffled)) == {
        name: pytest.approx(value, rel=len(rows) * oracles.EPSILON) for name, value in at_once.items()
    }


def test_counts_of_a_split_have_one_row_per_image() -> None:
    counts = Counts.concat([count(*image) for image in random_split(1, images=3)])
    assert len(counts) == 3
    assert {name: getattr(counts, name).shape for name in COLUMNS} == {
        name: (3, 256) if name.startswith("roc") else (3,) for name in COLUMNS
    }


@pytest.mark.parametrize("seed", range(5))
def test_the_default_auc_is_that_of_scikit_learn_on_8_bit_maps(seed: int) -> None:
    split = [(np.rint(score_hw * 255) / 255, truth_hw) for score_hw, truth_hw in random_split(seed)]
    value = summarize(Counts.concat([count(*image) for image in split]))["auc"]
    truth, score = (np.concatenate([image[i].ravel() for image in split]) for i in (1, 0))
    assert value == pytest.approx(roc_auc_score(truth, score), rel=1e-12)


def test_auc_of_a_map_without_information_is_a_half() -> None:
    truth_hw = np.zeros((8, 8), bool)
    truth_hw[3, 3] = True
    for level in (0.0, 0.4, 1.0):
        assert summarize(count(np.full((8, 8), level), truth_hw))["auc"] == 0.5


def test_the_curve_falls_and_has_one_point_per_threshold() -> None:
    counts = Counts.concat([count(*image) for image in random_split(2)])
    curve = roc(counts)
    assert curve.threshold.shape == curve.true_rate.shape == curve.false_rate.shape == (255,)
    assert (np.diff(curve.threshold) > 0).all()
    assert (np.diff(curve.true_rate) <= 0).all() and (np.diff(curve.false_rate) <= 0).all()


@pytest.mark.parametrize("corner", [(0, 0), (0, -1), (-1, 0), (-1, -1)])
@pytest.mark.parametrize("side", [1, 2, 3])
def test_a_target_in_a_corner_is_found(corner: tuple[int, int], side: int) -> None:
    truth_hw = np.zeros((32, 32), bool)
    rows, columns = (slice(0, side) if c == 0 else slice(32 - side, 32) for c in corner)
    truth_hw[rows, columns] = True
    values = summarize(count(truth_hw.astype(np.float32), truth_hw))
    assert (values["pd"], values["fa"]) == (1, 0)
    for rules in PRESETS.values():
        assert_equals_oracle(truth_hw.astype(np.float32), truth_hw.astype(float), small_rules(rules))


@settings(derandomize=True, max_examples=200, deadline=None)
@given(arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12)), st.sampled_from([4, 8]))
def test_components_are_those_of_a_flood_fill_in_raster_order(mask_hw: Any, connectivity: int) -> None:
    components, expected = find(mask_hw, connectivity), oracles.components(mask_hw, connectivity)
    assert components.area_k.tolist() == [len(members) for members in expected]
    assert components.centroid_k2.tolist() == [list(oracles.centroid(members)) for members in expected]
    pixels = {(r, c): k for k, members in enumerate(expected) for r, c in members}
    rows = zip(components.row_m.tolist(), components.column_m.tolist(), components.component_m.tolist(), strict=True)
    assert {(r, c): k for r, c, k in rows} == pixels
