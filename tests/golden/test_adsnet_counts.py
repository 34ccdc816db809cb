"""Counts of ADSNet's reconstruction at 256x256, to the printed digit, and how they fall with the skipped patches.

The paper prints no sizes: these are those of its graph with the widths that this space supplies.
"""

from __future__ import annotations

import pytest

from irnas import cost
from irnas.core import catalog
from irnas.cost.rules import Work

GREY, RGB = (1, 256, 256), (3, 256, 256)


def total(point: str, input_chw: cost.Chw = GREY) -> Work:
    return cost.survey(catalog.find_point("adsnet", point), input_chw, as_trained=True).total


@pytest.mark.parametrize(
    ("point", "params", "gigamacs"),
    [
        ("d=64", 6_028_415, "5.336"),
        ("d=128", 7_202_559, "7.413"),
        ("d=256", 11_836_415, "15.664"),
        ("afd=off", 4_362_953, "4.519"),
        ("afd=no_channel", 7_191_503, "7.413"),
        ("afd=no_spatial", 7_202_553, "7.413"),
        ("afd_to=4", 5_667_564, "5.845"),
        ("afd_to=234", 8_190_730, "8.424"),
        ("iou=false", 7_202_301, "7.413"),
    ],
)
def test_parameters_and_dense_macs(point: str, params: int, gigamacs: str) -> None:
    dense = total(f"{point},drop=0/0")
    assert (dense.numbers, f"{dense.macs / 1e9:.3f}") == (params, gigamacs)
    assert total(point).numbers == params


def test_three_channels() -> None:
    dense = total("in_ch=3,drop=0/0", RGB)
    assert (dense.numbers, f"{dense.macs / 1e9:.3f}") == (7_208_831, "7.516")


PARTS = {
    64: (2_776_512, 2_839_606, 28_864, 382_848, 585),
    128: (2_776_512, 2_839_606, 57_728, 1_527_552, 1_161),
    256: (2_776_512, 2_839_606, 115_456, 6_102_528, 2_313),
}
NAMES = (("stem", "level"), ("distribution",), ("lateral",), ("act",), ("head", "segment"))


@pytest.mark.parametrize("d", PARTS)
def test_parameters_part_by_part(d: int) -> None:
    layers = cost.survey(catalog.find_point("adsnet", f"d={d}"), GREY, as_trained=True).layers
    numbers = tuple(sum(x.work.numbers for x in layers if x.name.startswith(names)) for names in NAMES)
    assert numbers == PARTS[d]


@pytest.mark.parametrize(
    ("d", "macs"), [(64, (520, 130, 33)), (128, (2080, 520, 130)), (256, (8321, 2080, 520))], ids=str
)
def test_macs_of_each_activation_block_and_of_the_backbone(d: int, macs: tuple[int, ...]) -> None:
    layers = cost.survey(catalog.find_point("adsnet", f"d={d},drop=0/0"), GREY, as_trained=True).layers
    works = {layer.name: layer.work for layer in layers}
    macs_of_level = [works[name].macs for name in ("act2", "act3", "act4")]
    assert [macs // 31 for macs in macs_of_level] == [64 * 64 * d * d, 32 * 32 * d * d, 16 * 16 * d * d]
    # In millions; 32.5 is printed as 33.
    assert tuple(int(value / 1e6 + 0.5) for value in macs_of_level) == macs
    backbone = sum(layer.work.macs for layer in layers if layer.name.startswith(("stem", "level")))
    assert f"{backbone / 1e9:.3f}" == "1.729"


@pytest.mark.parametrize(
    ("drop", "shares"),
    [
        ("0/0", "1.000 1.000 1.000"),
        ("0/0.25", "0.976 0.930 0.867"),
        ("0.2/0.4", "0.956 0.874 0.761"),
        ("0.25/0.5", "0.945 0.842 0.701"),
        ("0.3/0.6", "0.934 0.811 0.641"),
    ],
)
def test_what_skipping_leaves_of_the_macs(drop: str, shares: str) -> None:
    ratios = [total(f"d={d},drop={drop}").macs / total(f"d={d},drop=0/0").macs for d in (64, 128, 256)]
    assert " ".join(f"{share:.3f}" for share in ratios) == shares


def test_operations_are_two_for_each_mac_but_one() -> None:
    layers = cost.survey(catalog.find_point("adsnet", "drop=0/0"), GREY, as_trained=True).layers
    act = next(layer.work for layer in layers if layer.name == "act4")
    # Five convolutions of 128 channels without biases on 16x16 positions.
    assert act.ops == 2 * act.macs - 5 * 128 * 16 * 16
    assert act.elementwise == 11 * 128 * 16 * 16


def test_published_rows_of_this_space_carry_these_counts() -> None:
    rows = [row for row in catalog.load_published("adsnet") if row.genotype and row.counts]
    assert len(rows) > 10
    for row in rows:
        assert row.genotype is not None
        for printed in row.counts:
            counted = cost.survey(row.genotype, tuple(printed["input"]), as_trained=True).total
            assert (counted.numbers, counted.macs) == (printed["params"], printed["macs"]), row.name
