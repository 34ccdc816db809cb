"""STD2Net's sizes to the last parameter, and its multiply-accumulates to the printed digit.

Source: sizes of the authors' code with SD2Net as published; the paper prints none for the multi-frame network.
"""

from __future__ import annotations

import pytest

from irnas import cost
from irnas.core import catalog

IMAGE = (1, 256, 256)
PARAMS = {
    ("light", 8): (284_177, 284_305, 284_433),
    ("light", 16): (286_049, 286_561, 287_073),
    ("light", 32): (290_945, 292_993, 295_041),
    ("heavy", 8): (376_527, 377_683, 378_839),
    ("heavy", 16): (694_759, 699_371, 703_983),
    ("heavy", 32): (1_965_207, 1_983_643, 2_002_079),
}


def count(point: str, window: bool = False, side: int = 256) -> cost.Cost:
    return cost.survey(catalog.find_point("std2net", point), (1, side, side), window=window, as_trained=True)


def convolutions(counted: cost.Cost, prefix: str = "") -> int:
    return sum(layer.work.macs for layer in counted.layers if layer.type == "Conv2d" and layer.name.startswith(prefix))


@pytest.mark.parametrize(
    ("point", "params"),
    [
        (f"temporal_head={head},features={width},frames={frames}", num)
        for (head, width), nums in PARAMS.items()
        for frames, num in zip((3, 5, 7), nums, strict=True)
    ],
)
def test_every_size(point: str, params: int) -> None:
    assert count(point).total.params == params


def test_the_parts_of_the_default() -> None:
    counted = count("STD2Net")
    held = {
        part: sum(layer.work.numbers for layer in counted.layers if layer.name.startswith(part))
        for part in ("encoder", "temporal.origin", "temporal.leave", "temporal.head")
    }
    assert held["encoder"] == 270_160
    assert held["temporal.origin"] == 5_152
    assert held["temporal.leave"] + held["temporal.head"] == 17_681
    assert f"{convolutions(counted, 'encoder') / 1e9:.3f}" == "1.683"
    assert f"{convolutions(counted, 'temporal.origin') / 1e9:.3f}" == "0.336"
    assert f"{convolutions(counted, 'temporal') / 1e9:.3f}" == "0.903"


def test_a_new_frame_costs_less_than_its_window() -> None:
    assert f"{convolutions(count('STD2Net')) / 1e9:.3f}" == "2.586"
    assert f"{convolutions(count('STD2Net', window=True)) / 1e9:.3f}" == "9.320"
    # 2 n c H W multiply-accumulates for the n = 5 basis maps.
    (temporal,) = (layer for layer in count("STD2Net").layers if layer.type == "TemporalRecombination")
    assert temporal.work.macs == 2 * 5 * 32 * 256 * 256
    assert count("STD2Net").total.params == count("STD2Net", window=True).total.params


@pytest.mark.parametrize(("features", "macs"), [(8, "1.91"), (16, "7.62"), (32, "30.47")])
def test_the_heavy_head_alone(features: int, macs: str) -> None:
    counted = count(f"temporal_head=heavy,features={features}")
    assert f"{convolutions(counted, 'temporal') / 1e9:.2f}" == macs


def test_four_times_the_pixels_are_four_times_the_work() -> None:
    assert convolutions(count("STD2Net", side=512)) == 4 * convolutions(count("STD2Net"))
