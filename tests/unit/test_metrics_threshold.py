"""The threshold that belongs to a model: the best of few, by a count that goes over the maps once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from irnas.metrics import IGNORED, PRESETS, Counts, count_labels, summarize
from irnas.metrics.threshold import CANDIDATES, ThresholdMeter

Map = NDArray[np.float32]


def chosen(*pairs: tuple[Map, NDArray[np.uint8]]) -> tuple[float, float, float]:
    meter = ThresholdMeter()
    for probability_hw, label_hw in pairs:
        meter.add(probability_hw, label_hw)
    choice = meter.choose()
    return choice.threshold, choice.miou, choice.miou_at_half


def test_the_candidates_are_even_in_the_logit_around_a_half() -> None:
    assert len(CANDIDATES) == 49 and CANDIDATES[24] == 0.5 and list(CANDIDATES) == sorted(set(CANDIDATES))
    logits = np.log(np.array(CANDIDATES) / (1 - np.array(CANDIDATES)))
    np.testing.assert_allclose(logits, np.arange(-24, 25) / 4, atol=0.02)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_equals_trying_all_by_the_metrics_themselves(seed: int, dtype: type) -> None:
    random = np.random.default_rng(seed)
    pairs = []
    for _ in range(3):
        label_hw = (random.random((16, 20)) < 0.1).astype(np.uint8)
        label_hw[random.random((16, 20)) < 0.05] = IGNORED
        logits = random.normal(3.0 * (label_hw == 1) - random.uniform(0, 3), 1.5)
        probability_hw = (1 / (1 + np.exp(-logits))).astype(dtype)
        # Values on a candidate must not pass it.
        probability_hw.flat[:49] = np.array(CANDIDATES, dtype)
        pairs.append((probability_hw, label_hw))
    miou = {}
    for threshold in CANDIDATES:
        rules = replace(PRESETS["basicirstd"], threshold=threshold)
        miou[threshold] = summarize(Counts.concat([count_labels(*pair, rules) for pair in pairs]))["miou"]
    threshold, best, at_half = chosen(*pairs)
    assert best == pytest.approx(max(miou.values()), rel=1e-12) == miou[threshold]
    assert at_half == pytest.approx(miou[0.5], rel=1e-12)


def test_among_equals_the_nearest_to_a_half_is_taken() -> None:
    label_hw = np.array([[1, 0, 0, 0]], np.uint8)
    wide_hw = np.array([[0.99, 0.01, 0.01, 0.01]], np.float32)
    assert chosen((wide_hw, label_hw)) == (0.5, pytest.approx(1), pytest.approx(1))
    threshold, best, at_half = chosen((np.array([[0.2, 0.01, 0.01, 0.01]], np.float32), label_hw))
    assert (threshold, at_half) == (0.1824, 0.0) and best == pytest.approx(1)
    threshold, *_ = chosen((np.array([[0.99, 0.8, 0.8, 0.8]], np.float32), label_hw))
    assert threshold == 0.8176


def test_without_targets_it_is_a_half() -> None:
    empty_hw = np.zeros((2, 2), np.uint8)
    assert chosen((np.full((2, 2), 0.9, np.float32), empty_hw)) == (0.5, 0.0, 0.0)
    assert chosen() == (0.5, 0.0, 0.0)
    assert chosen((np.zeros((2, 2), np.float32), empty_hw + 1)) == (0.5, 0.0, 0.0)
