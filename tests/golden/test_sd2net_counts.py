"""SD2Net's sizes to the last parameter, and its multiply-accumulates on a 256x256 image to the printed digit.

Sources: arXiv 2512.03470, tables I to III, and sizes of the revisions of its authors' code.
"""

from __future__ import annotations

import pytest

from irnas import cost
from irnas.core import catalog

IMAGE = (1, 256, 256)
WIDTHS = (4, 8, 16, 32)
VARIANTS = {
    "": (68_233, 269_633, 1_071_937, 4_274_561),
    ",ratios=1-2-4-8,form=reduced,ip=false": (67_597, 266_969, 1_061_041, 4_230_497),
    ",ratios=2-4-8-16,form=stack,head=7x7": (65_693, 259_234, 1_029_860, 4_105_288),
    ",ratios=4-4-4-4,form=reduced,head=7x7": (65_729, 259_314, 1_030_052, 4_105_800),
    ",ratios=2-2-4-8,form=stack,dilations=1-2-3,extra=true,xin=true,ip=false,sd3m_origin=stack,head=7x7": (
        95_033,
        376_018,
        1_495_844,
        5_966_920,
    ),
    ",ratios=2-2-4-8,form=stack,dilations=1-2-3,extra=true,xin=true,ip=false,sd3m_origin=wide,head=7x7": (
        97_401,
        380_754,
        1_505_316,
        5_985_864,
    ),
}


def count(point: str) -> cost.Cost:
    return cost.survey(catalog.find_point("sd2net", point), IMAGE, as_trained=True)


def convolutions(counted: cost.Cost) -> int:
    return sum(layer.work.macs for layer in counted.layers if layer.type == "Conv2d")


@pytest.mark.parametrize(
    ("point", "params"),
    [(f"c={c}{rest}", num) for rest, nums in VARIANTS.items() for c, num in zip(WIDTHS, nums, strict=True)],
)
def test_every_row_of_the_variants_table(point: str, params: int) -> None:
    assert count(point).total.params == params


@pytest.mark.parametrize(
    ("c", "of_convolutions", "of_all"),
    [(4, "0.4154", "0.4404"), (8, "1.6509", "1.7010"), (16, "6.5827", "6.6829"), (32, "26.2888", "26.4893")],
)
def test_macs_without_and_with_decompositions(c: int, of_convolutions: str, of_all: str) -> None:
    counted = count(f"c={c}")
    assert f"{convolutions(counted) / 1e9:.4f}" == of_convolutions
    assert f"{counted.total.macs / 1e9:.4f}" == of_all


@pytest.mark.parametrize(
    ("point", "params", "macs"),
    [
        ("SD2Net/none", 257_601, "1.592"),
        ("SD2Net/SD2M", 269_249, None),
        ("SD2Net/SD2M+IP", 269_249, None),
        ("SD2Net/IP", 257_601, None),
        ("SD2Net/IP+SD3M", 257_985, "1.592"),
        ("SD2Net", 269_633, "1.651"),
    ],
)
def test_the_ablation(point: str, params: int, macs: str | None) -> None:
    counted = count(point)
    assert counted.total.params == params
    assert macs is None or f"{convolutions(counted) / 1e9:.3f}" == macs


def test_the_parts_of_the_published_network() -> None:
    counted = count("SD2Net")
    parts: dict[str, int] = {}
    for layer in counted.layers:
        name, _, rest = layer.name.partition(".")
        part = f"skip.{rest[0]}" if name == "skip" else name
        parts[part] = parts.get(part, 0) + layer.work.numbers
    assert parts == {
        "enter": 13_200,
        "encoder": 151_360,
        "down": 384,
        "decoder": 77_664,
        "leave": 15_360,
        "head": 17,
        "skip.0": 560,
        "skip.1": 560,
        "skip.2": 2_144,
        "skip.3": 8_384,
    }


def test_published_counts_are_those_of_the_points() -> None:
    for row in catalog.load_published("sd2net"):
        assert row.genotype is not None
        for printed in row.counts:
            costs = cost.survey(row.genotype, tuple(printed["input"]), as_trained=True).values()
            for name, value in printed.items():
                # Tables print millions of parameters with two digits.
                near = 5e3 if value in (0.07e6, 0.27e6) else 0
                assert name == "input" or abs(costs[name] - value) <= near, (row.name, name)
