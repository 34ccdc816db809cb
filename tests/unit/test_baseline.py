"""Detectors that learn nothing: each finds what was planted, and their parts equal slow or direct forms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from support.datasets import tiny

from irnas.baseline import METHODS, find_method, patch_image, patch_tensor
from irnas.baseline.background import max_median, top_hat
from irnas.baseline.contrast import mpcm, tllcm
from irnas.baseline.patch import Grid, median
from irnas.baseline.scale import to_score
from irnas.baseline.threshold import CHOICES, Threshold, parse
from irnas.baseline.trial import choose, choose_evenly, judge
from irnas.core.errors import SettingsError
from irnas.metrics import PRESETS, Counts, count, summarize

RULES = PRESETS["basicirstd"]
TARGET = (37, 52)


def scene(height: int = 72, width: int = 96, seed: int = 0) -> Any:
    """A smooth slope with an edge and a little noise, and a target of 3x3 pixels."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width]
    image_hw = 60 + 0.3 * rows + 0.2 * columns + 25 * (rows > 50) + rng.normal(0, 0.7, (height, width))
    row, column = TARGET
    image_hw[row - 1 : row + 2, column - 1 : column + 2] += np.array([[30, 45, 30], [45, 80, 45], [30, 45, 30]])
    return image_hw.round().astype(np.uint8)


@pytest.mark.parametrize("name", METHODS)
def test_a_planted_target_has_the_greatest_score(name: str) -> None:
    image_hw = scene()
    before = image_hw.copy()
    score_hw = METHODS[name].score(image_hw)
    assert score_hw.shape == image_hw.shape and score_hw.dtype == np.float32
    assert np.isfinite(score_hw).all() and score_hw.min() >= 0 and score_hw.max() == 1
    row, column = np.unravel_index(int(score_hw.argmax()), score_hw.shape)
    assert abs(row - TARGET[0]) <= 1 and abs(column - TARGET[1]) <= 1
    # And not much else has any: the edge and the noise stay below.
    away = score_hw.copy()
    away[TARGET[0] - 6 : TARGET[0] + 7, TARGET[1] - 6 : TARGET[1] + 7] = 0
    assert away.max() < 0.5
    assert np.array_equal(image_hw, before)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("level", [0, 200])
def test_a_flat_image_holds_nothing(name: str, level: int) -> None:
    assert not METHODS[name].score(np.full((48, 41), level, np.uint8)).any()


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 20), (41, 45)])
def test_odd_sizes_and_full_contrast_stay_finite(name: str, shape: tuple[int, int]) -> None:
    image_hw = np.random.default_rng(2).choice(np.array([0, 1, 255], np.uint8), shape)
    score_hw = METHODS[name].score(image_hw)
    assert score_hw.shape == shape and np.isfinite(score_hw).all()
    assert 0 <= score_hw.min() and score_hw.max() <= 1


@pytest.mark.parametrize("name", METHODS)
def test_one_image_has_one_score(name: str) -> None:
    image_hw = scene(48, 64, seed=3)
    image_hw.setflags(write=False)
    assert np.array_equal(METHODS[name].score(image_hw), METHODS[name].score(image_hw))


def test_top_hat_leaves_what_is_wider_than_its_square() -> None:
    image_hw = np.zeros((30, 30), np.uint8)
    image_hw[3:8, 3:8] = image_hw[20:24, 20:24] = 100
    score_hw = top_hat(image_hw)
    assert not score_hw[3:8, 3:8].any() and (score_hw[20:24, 20:24] == 1).all()


def test_max_median_equals_medians_along_four_lines() -> None:
    image_hw = scene(seed=4)[25:50, 40:71]
    lines = [np.zeros((15, 15), bool) for _ in range(4)]
    lines[0][7, :] = lines[1][:, 7] = True
    lines[2] |= np.eye(15, dtype=bool)
    lines[3] |= np.eye(15, dtype=bool)[::-1]
    medians = [ndimage.median_filter(image_hw, footprint=line, mode="nearest").astype(float) for line in lines]
    np.testing.assert_array_equal(max_median(image_hw), to_score(image_hw - np.maximum.reduce(medians)))


def cells_slowly(image_hw: Any, side: int, of: Any) -> dict[tuple[int, int], Any]:
    """A statistic of the cell at each offset, pixel by pixel, with edges replicated."""
    height, width = image_hw.shape
    half = side // 2
    values = {}
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            value = np.zeros((height, width))
            for y in range(height):
                for x in range(width):
                    rows = np.clip(np.arange(y + dy * side - half, y + dy * side + half + 1), 0, height - 1)
                    columns = np.clip(np.arange(x + dx * side - half, x + dx * side + half + 1), 0, width - 1)
                    value[y, x] = of(image_hw[np.ix_(rows, columns)].astype(float))
            values[dy, dx] = value
    return values


def test_mpcm_equals_its_definition() -> None:
    image_hw = np.random.default_rng(5).integers(0, 256, (11, 13)).astype(np.uint8)
    best = np.zeros(image_hw.shape)
    for side in (3, 5, 7, 9):
        cell = cells_slowly(image_hw, side, np.mean)
        d = {key: cell[0, 0] - value for key, value in cell.items()}
        opposite = [d[dy, dx] * d[-dy, -dx] for dy, dx in ((-1, -1), (-1, 0), (-1, 1), (0, 1))]
        best = np.maximum(best, np.minimum.reduce(opposite))
    np.testing.assert_allclose(mpcm(image_hw), to_score(best), atol=1e-6)


def test_tllcm_equals_its_definition() -> None:
    image_hw = np.random.default_rng(6).integers(0, 256, (9, 12)).astype(np.uint8)
    padded = np.pad(image_hw.astype(float), 1, mode="edge")
    weights = np.array([1, 2, 1]) / 4
    core = sum(weights[i] * weights[j] * padded[i : i + 9, j : j + 12] for i in range(3) for j in range(3))
    best = np.zeros(image_hw.shape)
    for side in (3, 5, 7, 9):
        cell = cells_slowly(image_hw, side, lambda values: np.sort(values.ravel())[-9:].mean())
        around = np.maximum.reduce([value for key, value in cell.items() if key != (0, 0)])
        best = np.maximum(best, (core / np.maximum(around, 1) - 1) * core)
    np.testing.assert_allclose(tllcm(image_hw), to_score(best), atol=1e-6)


@pytest.mark.parametrize(("shape", "side", "step"), [((23, 31), 10, 4), ((40, 40), 40, 10), ((12, 9), 5, 5)])
def test_patches_cover_an_image_and_give_it_back(shape: tuple[int, int], side: int, step: int) -> None:
    f_hw = np.random.default_rng(7).normal(size=shape)
    grid = Grid(height=shape[0], width=shape[1], side=side, step=step)
    patches = grid.cut(f_hw)
    assert patches.shape == (len(grid.corners()), side, side)
    np.testing.assert_array_equal(grid.join(patches, median), f_hw)


def test_overlaps_are_joined_by_their_median() -> None:
    grid = Grid(height=5, width=9, side=5, step=2)
    values = np.array([4.0, 1.0, 10.0])
    joined = grid.join(values[:, None, None] * np.ones((3, 5, 5)), median)
    assert joined[0].tolist() == [4, 4, 2.5, 2.5, 4, 5.5, 5.5, 10, 10]


def test_ipi_separates_a_low_rank_matrix_from_a_rare_part() -> None:
    rng = np.random.default_rng(8)
    low = rng.random((300, 2)) @ rng.random((2, 30))
    rare = np.zeros_like(low)
    rare[rng.integers(0, 300, 25), rng.integers(0, 30, 25)] = 1.5
    sparse = patch_image.separate(low / low.max() + rare, 0.1)
    assert sparse[rare > 0].min() > 0.5 > 0.25 > np.abs(sparse[rare == 0]).max()


def test_pstnn_separates_patches_that_repeat_from_a_rare_part() -> None:
    rng = np.random.default_rng(9)
    # One shape at another brightness in each patch, so that every frequency along the patches holds it.
    shape = np.outer(np.linspace(1, 2, 20), np.linspace(2, 1, 20))
    low = rng.uniform(10, 60, (6, 1, 1)) * shape + rng.normal(0, 0.2, (6, 20, 20))
    rare = np.zeros_like(low)
    rare[3, 9:12, 9:12] = 60
    sparse = patch_tensor.separate(low + rare, np.where(rare > 0, 1.0, 0.05))
    assert sparse.min() >= 0 and sparse[rare > 0].min() > 20 > np.abs(sparse[rare == 0]).max()


def test_a_corner_weighs_more_than_an_edge() -> None:
    image_hw = np.zeros((30, 40))
    image_hw[:, 30:] = 100
    image_hw[10:13, 10:13] = 100
    prior_hw = patch_tensor.corners(image_hw)
    assert prior_hw.min() == 0 and prior_hw.max() == 1
    assert prior_hw[9:14, 9:14].max() == 1 and prior_hw[:, 26:34].max() < 0.1


@pytest.mark.parametrize(
    ("text", "expected"), [("10sigma", (10, "sigma")), ("0.5max", (0.5, "max")), (".2max", (0.2, "max"))]
)
def test_a_threshold_is_a_number_and_a_unit(text: str, expected: tuple[float, str]) -> None:
    threshold = parse(text)
    assert threshold is not None and (threshold.amount, threshold.unit) == expected
    assert parse(str(threshold)) == threshold


@pytest.mark.parametrize("text", ["", "10", "sigma", "-1sigma", "1.5max", "5 sigma", "best"])
def test_other_thresholds_are_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="--threshold: got"):
        parse(text)


@pytest.mark.parametrize("rule", [Threshold(amount=3, unit="sigma"), Threshold(amount=0.5, unit="max")], ids=str)
def test_a_probability_keeps_order_and_halves_at_the_threshold(rule: Threshold) -> None:
    score_hw = (np.random.default_rng(10).random((40, 50)) ** 8).astype(np.float32)
    score_hw /= score_hw.max()
    probability = rule.probability(score_hw)
    assert np.array_equal(probability > 0.5, score_hw > rule.of(score_hw)) and (probability > 0.5).any()
    order = np.argsort(score_hw, axis=None)
    assert (np.diff(probability.ravel()[order]) >= 0).all()
    assert 0 <= probability.min() and probability.max() == 1


@pytest.mark.parametrize("rule", [Threshold(amount=3, unit="sigma"), Threshold(amount=0.5, unit="max")], ids=str)
def test_a_map_of_zeros_marks_nothing(rule: Threshold) -> None:
    assert not rule.probability(np.zeros((4, 5), np.float32)).any()


def silent(what: str, done: int, total: int) -> None:
    pass


def test_a_verdict_is_that_of_its_images() -> None:
    split, rule, heard = tiny().split("train"), Threshold(amount=6, unit="sigma"), []
    outcome = judge(find_method("top-hat"), split, rule, RULES, images=4, tick=lambda *tick: heard.append(tick))
    assert [done for _, done, _ in heard] == [1, 2, 3, 4] and outcome.seconds > 0 <= outcome.cpu_seconds
    rows = [
        count(rule.probability(top_hat(split.image(i))), split.mask(i), RULES) for i in choose_evenly(len(split), 4)
    ]
    assert outcome.metrics == summarize(Counts.concat(rows))


def test_the_chosen_threshold_is_the_best_on_its_split() -> None:
    split, method = tiny().split("fit"), find_method("top-hat")
    threshold = choose(method, split, RULES, images=None, tick=silent)

    def reached(amount: float) -> float:
        rule = Threshold(amount=amount, unit="sigma")
        return judge(method, split, rule, RULES, images=None, tick=silent).metrics["miou"]

    assert reached(threshold.amount) == max(reached(float(amount)) for amount in CHOICES) > 0


def test_images_are_spread_evenly() -> None:
    assert choose_evenly(10, 4) == [0, 2, 5, 7] and choose_evenly(3, 8) == choose_evenly(3, None) == [0, 1, 2]
    with pytest.raises(SettingsError, match="--images: got 0"):
        choose_evenly(3, 0)


def test_an_unknown_method_is_refused() -> None:
    with pytest.raises(SettingsError, match=r"baseline: got 'lcm'; one of top-hat, max-median"):
        find_method("lcm")
