"""Counts of SGEM U-Net: the reconstruction's, to the digit, and through them the printed ones, at 3x256x256."""

from __future__ import annotations

import math

import pytest

from irnas import cost
from irnas.core import catalog

RGB = (3, 256, 256)

LAYERS = """
enc.0    32x256x256   10272
enc.1    64x128x128   55680
enc.2   128x64x64    221952
enc.3   256x32x32    886272
enc.4   512x16x16   3542016
up.3    256x32x32   1180416
dec.3   256x32x32   1771008
gap     128x64x64    197634
up.2    128x64x64    295296
dec.2   128x64x64    295680
up.1     64x128x128   73920
dec.1    64x128x128  110976
up.0     32x256x256   18528
dec.0    32x256x256   27840
head      1x256x256      33
"""


def count(point: str, input_chw: cost.Chw = RGB) -> cost.Cost:
    return cost.survey(catalog.find_point("sgem_unet", point), input_chw, as_trained=True)


def thop(counted: cost.Cost) -> float:
    """The figure that the tool thop reports: no biases, matrix products or pooling, but normalisation and the like."""
    per_output = {"BatchNorm2d": 4, "Softmax": 3, "Upsample": 1}
    total = 0
    for layer in counted.layers:
        if layer.type in ("Conv2d", "Linear"):
            total += layer.work.macs
        total += per_output.get(layer.type, 0) * math.prod(layer.shape)
    return total


def test_the_parts_add_up_to_the_printed_network() -> None:
    assert sum(int(row.split()[2]) for row in LAYERS.split("\n")[1:-1]) == 8_687_523
    assert count("SGEM").total.params == 8_687_523


@pytest.mark.parametrize("row", LAYERS.split("\n")[1:-1], ids=lambda row: row.split()[0])
def test_layer_by_layer(row: str) -> None:
    name, shape, numbers = row.split()
    layers = [layer for layer in count("SGEM").layers if layer.name == name or layer.name.startswith(f"{name}.")]
    assert "x".join(map(str, layers[-1].shape)) == shape
    assert sum(layer.work.numbers for layer in layers) == int(numbers)


def test_the_parts_of_the_module() -> None:
    numbers = {layer.name: layer.work.numbers for layer in count("SGEM").layers if layer.name.startswith("gap.")}
    assert {name: n for name, n in numbers.items() if n} == {
        "gap.query_squeeze": 129,
        "gap.query": 65_600,
        "gap.key_squeeze": 257,
        "gap.key": 65_600,
        "gap.restore": 256,
        "gap.value": 65_792,
    }


@pytest.mark.parametrize(
    ("input_chw", "params", "conv", "of_all"),
    [(RGB, 8_687_523, 15_830_351_872, "15.8639"), ((1, 256, 256), 8_686_947, 15_792_603_136, "15.8262")],
)
def test_macs_with_and_without_the_attention(input_chw: cost.Chw, params: int, conv: int, of_all: str) -> None:
    counted = count("SGEM", input_chw)
    products = sum(layer.work.macs for layer in counted.layers if layer.type in ("Outer", "Product"))
    assert counted.total.params == params
    assert products == 128 * 64**3 + 64 * 64
    assert (counted.total.macs - products, f"{counted.total.macs / 1e9:.4f}") == (conv, of_all)


@pytest.mark.parametrize(
    ("point", "params", "printed", "places"),
    [
        ("SGEM", 8_687_523, "15.9195", 4),
        ("SGEM/off", 8_637_345, "16.4537", 4),
        ("c=16", 2_273_299, "4.017", 3),
        ("c=24", 4_946_395, "8.983", 3),
        ("c=48", 19_373_875, "35.707", 3),
        ("c=64", 34_332_355, "63.380", 3),
        ("d=32", 8_621_923, "15.918", 3),
        ("d=128", 8_818_723, "15.926", 3),
    ],
)
def test_parameters_and_the_figure_of_thop(point: str, params: int, printed: str, places: int) -> None:
    counted = count(point)
    assert counted.total.params == params
    assert f"{thop(counted) / 1e9:.{places}f}" == printed


def test_a_larger_token_grid_costs_two_linear_layers() -> None:
    """What 512x512 would take without pooling: two layers of 4096 -> 128 in place of 1024 -> 64, 0.92 M more."""
    assert count("t=64").total.params - count("SGEM").total.params == 2 * 3072 * 64
    more = 2 * (4096 * 128 + 128) - 2 * (1024 * 64 + 64)
    assert count("t=64,d=128").total.params - count("SGEM").total.params == more == 917_632


def test_one_channel_in_figures_of_thop() -> None:
    assert f"{thop(count('SGEM', (1, 256, 256))) / 1e9:.4f}" == "15.8817"


def test_a_layer_of_attention_by_hand() -> None:
    layers = {layer.name: layer.work for layer in count("SGEM").layers}
    assert layers["gap.weigh"].ops == 128 * 64 * 64 * (2 * 64 - 1)
    assert layers["gap.outer"].ops == layers["gap.outer"].macs == 64 * 64
    assert layers["gap.softmax"].elementwise == 3 * 128 * 64 * 64
    assert layers["gap.resize"].elementwise == 8 * 128 * 64 * 64


def test_published_rows_of_this_space_carry_these_counts() -> None:
    rows = [row for row in catalog.load_published("sgem_unet") if row.genotype]
    assert [row.name for row in rows] == ["SGEM", "SGEM/off"]
    for row in rows:
        assert row.genotype is not None
        for printed in row.counts:
            total = cost.survey(row.genotype, tuple(printed["input"]), as_trained=True).total
            assert (total.params, total.macs) == (printed["params"], printed["macs"])


def test_printed_f1_and_iou_belong_together() -> None:
    """On pooled pixels F1 = 2 IoU / (1 + IoU); the table keeps to it within its rounding."""
    for row in catalog.load_published("sgem_unet"):
        for values in row.results.values():
            assert values["f1"] == pytest.approx(2 * values["miou"] / (1 + values["miou"]), abs=2.5e-4), row.name
