"""Published and reconstructed counts, to the printed digit, from the built networks at 3x512x512.

Five reconstructions of the ablation of Table 3, six rows each: Params in K to one place, OPs in G to three. The starred
row leaves the operations of the lowest blocks out, as the paper's column seems to; the honest one is in the table.
"""

from __future__ import annotations

import pytest

from irnas import cost
from irnas.core import catalog

RGB = (3, 512, 512)
STEPS = ("/1 baseline", "/2 DySoftSign", "/3 ReDistribution", "/4 DB in blocks", "/5 DB in transitions", "")
TABLE = {
    "LIT-O": "36.2 .569  36.2 .569  37.2 .569  24.5 .419  19.0 .382  6.4 .344",
    "LIT-P": "74.6 .607  74.7 .607  76.1 .607  44.7 .437  39.2 .401  10.3 .344",
    "U16": "74.6 .607  74.7 .607  83.4 .607  70.7 .456  65.2 .420  9.3 .344",
    "B12": "78.1 .560  78.2 .560  84.1 .560  74.1 .433  64.6 .393  10.0 .330",
    "G16": "72.0 .564  72.1 .564  84.9 .564  71.3 .416  65.8 .380  9.7 .354",
}
STARRED = (".569", ".569", ".569", ".419", ".382", ".344")
ROWS = [
    (family + step, *row.split()[2 * index : 2 * index + 2])
    for family, row in TABLE.items()
    for index, step in enumerate(STEPS)
]


def count(point: str, input_chw: cost.Chw = RGB) -> cost.Cost:
    return cost.survey(catalog.find_point("biisnet", point), input_chw)


def printed(value: float, places: int) -> str:
    return f"{value:.{places}f}".removeprefix("0")


@pytest.mark.parametrize(("point", "params", "ops"), [*ROWS, ("U16F", "10.5", ".349")])
def test_a_row_of_the_ablation(point: str, params: str, ops: str) -> None:
    total = count(point).total
    assert (printed(total.params / 1e3, 1), printed(total.ops / 1e9, 3)) == (params, ops)


@pytest.mark.parametrize(("step", "ops"), [*zip(STEPS, STARRED, strict=True)])
def test_u16_without_the_operations_of_the_lowest_blocks(step: str, ops: str) -> None:
    counted = count(f"U16{step}")
    assert printed(counted.without("bottom.").total.ops / 1e9, 3) == ops
    # Their parameters are in the table all the same.
    assert counted.without("bottom.").total.params < counted.total.params or step == ""


@pytest.mark.parametrize(
    ("point", "input_chw", "params", "ops"),
    [
        ("LIT10", RGB, "10.32", ".344"),
        ("LIT10", (1, 512, 512), "10.04", ".193"),
        ("D10", RGB, "9.43", ".349"),
        ("LIT10/k0.001", RGB, "10.32", ".344"),
    ],
)
def test_the_ten_thousand_parameter_networks(point: str, input_chw: cost.Chw, params: str, ops: str) -> None:
    total = count(point, input_chw).total
    # 9.425 K is printed 9.43 in the reconstruction: half away from zero.
    assert (printed(total.params / 1e3 + 1e-9, 2), printed(total.ops / 1e9, 3)) == (params, ops)


def test_lit10_in_full() -> None:
    total = count("LIT10").total
    assert (total.bits, total.numbers) == (208_320, 3_814)
    assert (printed(total.ops_full / 1e9, 3), printed(total.ops_binary / 64e9, 3)) == (".230", ".114")
    assert total.bytes == 208_320 // 8 + 4 * 3_814
    # Not printed anywhere: our own count of what the paper leaves out, held so that it does not drift.
    assert total.elementwise == 371_720_192


LAYERS = """
stem      16x512x512      0   432  222.30
enc.0.0   16x512x512   2304    49   18.81
enc.0.1   16x512x512     16    64    0.07
down.0    32x256x256     32    64    0.03
enc.1.0   32x256x256   9216    97   18.84
enc.1.1   32x256x256     32   128    0.03
down.1    64x128x128     64   128    0.02
enc.2.0   64x128x128  36864   193   18.86
enc.2.1   64x128x128     64   256    0.02
down.2    128x64x64     128   256    0.01
bottom.0  128x64x64  147456   385   18.87
bottom.1  128x64x64     128   512    0.01
up.2      64x128x128    128   256    0.03
fuse.2    64x128x128    128   256    0.03
up.1      32x256x256     64   128    0.07
fuse.1    32x256x256     64   128    0.07
dec.1.0   32x256x256   9216    97   18.84
dec.1.1   32x256x256     32   128    0.03
up.0      16x512x512     32    64    0.13
fuse.0    16x512x512     32    64    0.13
dec.0.0   16x512x512   2304    49   18.81
dec.0.1   16x512x512     16    64    0.07
head      1x512x512       0    16    8.13
"""


@pytest.mark.parametrize("row", LAYERS.split("\n")[1:-1], ids=lambda row: row.split()[0])
def test_lit10_layer_by_layer(row: str) -> None:
    name, shape, bits, numbers, ops = row.split()
    layers = [layer for layer in count("LIT10").layers if layer.name == name or layer.name.startswith(f"{name}.")]
    assert "x".join(map(str, layers[-1].shape)) == shape
    assert sum(layer.work.bits for layer in layers) == int(bits)
    assert sum(layer.work.numbers for layer in layers) == int(numbers)
    assert f"{sum(layer.work.ops for layer in layers) / 1e6:.2f}" == ops


def test_published_rows_of_this_space_carry_these_counts() -> None:
    for row in catalog.load_published("biisnet"):
        for printed_count in row.counts if row.genotype else ():
            assert row.genotype is not None
            total = cost.survey(row.genotype, tuple(printed_count["input"])).total
            assert total.params == pytest.approx(printed_count["params"], rel=0.006), row.name
            assert total.ops == pytest.approx(printed_count["ops"], rel=0.002), row.name
