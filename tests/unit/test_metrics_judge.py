from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from irnas.core.errors import DataError
from irnas.metrics import PRESETS, Counts, Judge, count_labels, judge, roc, summarize

THRESHOLDS = (0.8, 0.5)


def images(num: int = 7) -> list[tuple[Any, Any]]:
    """Maps with the mask of each: targets that are found well, badly and not, noise, and pixels that do not count."""
    rng = np.random.default_rng(5)
    pairs = []
    for k in range(num):
        label_hw = np.zeros((24, 30 + k), np.uint8)
        label_hw[3:6, 4 + k : 8 + k] = label_hw[15:18, 20:24] = 1
        label_hw[20:22, 2:9] = 2
        map_hw = np.clip(rng.normal(0.25, 0.2, label_hw.shape) + 0.15 * k * (label_hw == 1), 0, 1).astype(np.float32)
        pairs.append((map_hw, label_hw))
    return pairs


def judged(num: int = 7, curve_of: str = "basicirstd") -> Judge:
    judge_of = Judge(THRESHOLDS, curve_of)
    for map_hw, label_hw in images(num):
        judge_of.add(map_hw, label_hw)
    return judge_of


def counts(preset: str, threshold: float) -> Counts:
    rules = replace(PRESETS[preset], threshold=threshold)
    return Counts.concat([count_labels(map_hw, label_hw, rules) for map_hw, label_hw in images()])


@pytest.mark.parametrize("threshold", THRESHOLDS)
def test_it_judges_by_every_preset_at_a_threshold(threshold: float) -> None:
    metrics = judged().metrics(threshold)
    assert metrics == {preset: summarize(counts(preset, threshold)) for preset in PRESETS}
    assert metrics["basicirstd"]["miou"] > 0.1


def test_blocks_of_images_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    at_once = judged()
    monkeypatch.setattr(judge, "_BLOCK", 3)
    in_blocks = judged()
    assert [len(block.roc_true) for block in in_blocks._builders[PRESETS["basicirstd"]]._blocks] == [1, 1]
    assert in_blocks.metrics(0.5) == at_once.metrics(0.5)
    assert in_blocks.num_targets("basicirstd") == at_once.num_targets("basicirstd") == 14


def test_pooled_counts_have_the_same_metrics() -> None:
    for preset in PRESETS:
        before = counts(preset, 0.5)
        assert summarize(before.pooled()) == summarize(before)
        assert before.pooled().roc_true.shape[0] == 1 and len(before.pooled()) == len(before)


def test_roc_curves_are_those_of_the_presets() -> None:
    for preset, curve in judged().curves().items():
        wanted = roc(counts(preset, 0.5))
        assert curve.auc == wanted.auc
        np.testing.assert_array_equal(curve.true_rate, wanted.true_rate)


@pytest.mark.parametrize("preset", ["basicirstd", "rdian"])
def test_the_curve_of_detections_is_pd_and_fa(preset: str) -> None:
    curve = judged(curve_of=preset).detections()
    for threshold, pd, fa in zip(curve.threshold, curve.pd, curve.fa, strict=True):
        values = summarize(counts(preset, float(threshold)))
        assert (pd, fa) == (values["pd"], values["fa"])
    assert curve.fa[0] > curve.fa[-1]


def test_equal_thresholds_are_counted_once() -> None:
    assert Judge((0.5, 0.5), "basicirstd").thresholds == (0.5,)


def test_an_image_is_told_by_preset_and_threshold() -> None:
    (map_hw, label_hw), *_ = images()
    rows = Judge(THRESHOLDS, "basicirstd").add(map_hw, label_hw)
    assert set(rows) == {(preset, threshold) for preset in PRESETS for threshold in THRESHOLDS}
    assert rows["dtum", 0.8].rules == replace(PRESETS["dtum"], threshold=0.8)


def test_nothing_is_judged_without_images() -> None:
    with pytest.raises(DataError, match="got no images"):
        Judge(THRESHOLDS, "basicirstd").metrics(0.5)
