"""Sizes of RPCANet+: published and recounted numbers, and the closed formulas behind them, from the built networks."""

from __future__ import annotations

import pytest

from irnas import cost, models
from irnas.core import catalog
from irnas.models.rpcanet_plus import RPCANetPlus

SIDE = 256
INPUT = (1, SIDE, SIDE)

# Parameters of a stage, of six; GMAC of six at 256x256, and without what only the loss asks for in the last stage.
TABLE = """
bc=4,tc=32              35986  215916  13.663  11.660
bc=4,tc=40              53042  318252  20.260  17.205
bc=4,tc=48              73942  443652  28.216  23.882
bc=4,tc=56              97974  587844  37.530  31.691
bc=4,tc=64             125978  755868  48.204  40.633
bc=8,tc=32              46070  276420  17.588  15.337
bc=16,tc=32             79198  475188  30.532  27.446
bc=16,tc=32,depth_n=3   72238  433428  27.815  25.182
"""
ROWS = [row.split() for row in TABLE.strip().split("\n")]

# K = 1..7: parameters in M as printed, GMAC, and GMAC trimmed.
STAGES = [
    (1, "0.0360", "2.277", "0.274"),
    (2, "0.0720", "4.554", "2.551"),
    (3, "0.1080", "6.832", "4.829"),
    (4, "0.1439", "9.109", "7.106"),
    (5, "0.1799", "11.386", "9.383"),
    (6, "0.2159", "13.663", "11.660"),
    (7, "0.2519", "15.941", "13.938"),
]


def count(point: str) -> cost.Cost:
    return cost.survey(catalog.find_point("rpcanet_plus", point), INPUT, as_trained=True)


def trimmed(point: str) -> cost.Cost:
    network = models.build(catalog.find_point("rpcanet_plus", point))
    assert isinstance(network, RPCANetPlus)
    return cost.count(network.trim(), INPUT)


def giga(counted: cost.Cost) -> str:
    """Multiply-accumulates of the convolutions of maps; the table leaves squeeze and excite out."""
    maps = sum(layer.work.macs for layer in counted.layers if ".excitation." not in layer.name)
    return f"{maps / 1e9:.3f}"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_row_of_the_table(row: list[str]) -> None:
    point, per_stage, params, macs, macs_trimmed = row
    counted = count(point)
    assert counted.total.params == int(params)
    assert count(f"{point},stages=1").total.params == int(per_stage) == int(params) // 6
    assert (giga(counted), giga(trimmed(point))) == (macs, macs_trimmed)


@pytest.mark.parametrize(("stages", "params", "macs", "macs_trimmed"), STAGES)
def test_a_row_of_the_stage_table(stages: int, params: str, macs: str, macs_trimmed: str) -> None:
    counted = count(f"stages={stages}")
    assert counted.total.params == 35_986 * stages
    assert f"{counted.total.params / 1e6:.4f}" == params
    assert (giga(counted), giga(trimmed(f"stages={stages}"))) == (macs, macs_trimmed)


@pytest.mark.parametrize(
    ("point", "parts"),
    [("stages=1", (2119, 2532, 2564, 28_771)), ("stages=1,bc=16", (12_211, 19_044, 19_172, 28_771))],
)
def test_the_four_networks_of_a_stage(point: str, parts: tuple[int, ...]) -> None:
    layers = count(point).layers
    for words, params in zip(("background", "target", "noise", "merge"), parts, strict=True):
        numbers = sum(x.work.numbers for x in layers if x.name.startswith((f"stages.0.{words}.", f"stages.0.{words}_")))
        assert numbers == params, words


@pytest.mark.parametrize(
    ("bc", "tc", "reduction", "depths"), [(4, 32, 16, (3, 6, 6, 3)), (8, 40, 8, (0, 1, 2, 4)), (2, 24, 4, (1, 0, 3, 0))]
)
def test_the_formulas(bc: int, tc: int, reduction: int, depths: tuple[int, int, int, int]) -> None:
    hidden = tc // reduction
    excite = 2 * tc * hidden + hidden + tc
    ends = (9 * bc * tc + tc) + (9 * tc + 1) + excite
    b, t, n, m = depths
    params = [
        2 * bc + 2 * bc + b * (9 * bc**2 + 3 * bc) + ends,
        2 * bc + t * (9 * bc**2 + bc) + ends + 1,
        10 * bc + n * (9 * bc**2 + bc) + ends + 1,
        12 * tc + m * (9 * tc**2 + 3 * tc) + (9 * tc + 1) + excite,
    ]
    macs = [
        bc + 9 * b * bc**2 + 9 * bc * tc + 9 * tc,
        bc + 9 * t * bc**2 + 9 * bc * tc + 9 * tc,
        9 * bc + 9 * n * bc**2 + 9 * bc * tc + 9 * tc,
        9 * tc + 9 * m * tc**2 + 9 * tc,
    ]
    axes = ",".join(f"depth_{part}={depth}" for part, depth in zip("btnm", depths, strict=True))
    point = f"stages=3,bc={bc},tc={tc},reduction={reduction},{axes}"
    total = count(point).total
    assert total.params == 3 * sum(params)
    assert total.macs == 3 * (sum(macs) * SIDE**2 + 4 * 2 * tc * hidden)
    dead = sum(macs[2:]) * SIDE**2 + 2 * 2 * tc * hidden
    assert trimmed(point).total.macs == total.macs - dead


def test_a_bottleneck_where_most_of_the_work_is() -> None:
    """Nobody printed it: ours, held so that it does not drift."""
    for width, params, macs in ((4, 56_196, "3.316"), (8, 71_388, "4.292"), (16, 117_324, "7.265")):
        counted = count(f"merge_bc={width}")
        assert (counted.total.params, giga(counted)) == (params, macs)


def test_binary_layers_hold_bits() -> None:
    total, full = count("binary=body").total, count("default").total
    # 15 trunk convolutions of 4 channels and 3 of 32 in each stage.
    assert total.bits == 6 * (15 * 9 * 4**2 + 3 * 9 * 32**2)
    assert total.macs == full.macs and total.macs_binary == total.bits * SIDE**2


def test_published_rows_carry_these_counts() -> None:
    rows = [row for row in catalog.load_published("rpcanet_plus") if row.genotype and row.counts]
    assert len(rows) == 18
    for row in rows:
        assert row.genotype is not None
        for printed in row.counts:
            total = cost.survey(row.genotype, tuple(printed["input"]), as_trained=True).total
            assert (total.params, total.macs) == (printed["params"], printed["macs"]), row.name
