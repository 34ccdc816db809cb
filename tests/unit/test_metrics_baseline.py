from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support import oracles

from irnas.core.errors import DataError
from irnas.metrics import above, all_background, count, global_threshold, score_baselines, summarize


def scenes(seed: int, images: int, levels: int = 256) -> list[tuple[Any, Any]]:
    rng = np.random.default_rng(seed)
    split = []
    for _ in range(images):
        shape = tuple(rng.integers(4, 12, 2))
        mask_hw = rng.random(shape) > 0.9
        image_hw = np.clip(rng.normal(0.4, 0.15, shape) + 0.3 * mask_hw, 0, 1) * (levels - 1)
        split.append((image_hw.astype(np.uint8), mask_hw))
    return split


@pytest.mark.parametrize("levels", [2, 5, 256])
@pytest.mark.parametrize("seed", range(4))
def test_threshold_equals_trying_all(seed: int, levels: int) -> None:
    train = scenes(seed, images=4, levels=levels)
    assert global_threshold(iter(train)) == oracles.best_threshold_slowly(train)[0]


def test_its_map_reaches_the_iou_it_was_chosen_for() -> None:
    train = scenes(9, images=5)
    level, best = oracles.best_threshold_slowly(train)
    values = score_baselines(train, train)
    assert 0 < level < 255
    assert values["global_threshold"]["miou"] == pytest.approx(best, rel=4 * oracles.EPSILON)


def test_the_threshold_comes_from_train_alone() -> None:
    train, validation = scenes(1, images=3), scenes(2, images=3)
    brighter = [(np.minimum(image_hw, 155) + np.uint8(100), mask_hw) for image_hw, mask_hw in validation]
    level = global_threshold(train)
    one = score_baselines(train, brighter)
    image_hw, mask_hw = brighter[0]
    assert score_baselines(train, brighter[:1])["global_threshold"] == summarize(count(above(image_hw, level), mask_hw))
    assert one != score_baselines(brighter, brighter)


def test_all_background_finds_nothing() -> None:
    values = score_baselines(scenes(3, images=2), scenes(4, images=2))["all_background"]
    assert values == {**dict.fromkeys(values, 0), "auc": 0.5}
    assert all_background(np.ones((2, 3), np.uint8)).tolist() == [[0.0] * 3] * 2


def test_a_separable_set_is_solved() -> None:
    mask_hw = np.zeros((9, 9), np.uint8)
    mask_hw[3:5, 3:5] = 1
    image_hw = np.where(mask_hw, 200, 100).astype(np.uint8)
    # Among thresholds 100..199, which all give the same map, the highest.
    assert global_threshold([(image_hw, mask_hw)]) == 199
    values = score_baselines([(image_hw, mask_hw)], [(image_hw, mask_hw)])["global_threshold"]
    assert (values["miou"], values["pd"], values["fa"]) == (1, 1, 0)


def test_without_targets_the_threshold_predicts_nothing() -> None:
    image_hw = np.arange(256, dtype=np.uint8).reshape(16, 16)
    level = global_threshold([(image_hw, np.zeros((16, 16), bool))])
    assert level == 255
    assert not above(image_hw, level).any()


def test_wrong_images_are_refused() -> None:
    good = np.zeros((3, 4), np.uint8)
    for image_hw, mask_hw in ((good.astype(float), good), (good[0], good[0]), (good, good.T)):
        with pytest.raises(DataError, match="global threshold"):
            global_threshold([(image_hw, mask_hw)])
    with pytest.raises(DataError, match="no images"):
        global_threshold([])
    with pytest.raises(DataError, match="no images"):
        score_baselines([(good, good)], [])
