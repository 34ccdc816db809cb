"""Products, maxima of windows, decompositions, attention: the engine gives the bits of the reference, as is meant."""

from __future__ import annotations

import numpy as np
import pytest
from support.engine import assert_same, ended, model, stem
from support.native import library, products  # noqa: F401
from support.xnor import apply, relative
from support.xnor_decomposition import FILTERS, Filters, attend, pool, recombine, tiny_with_decompositions, tokens

from irnas.nn.difference import HAAR, directional
from irnas.runtime import reference
from irnas.runtime.graph import Op

pytestmark = pytest.mark.usefixtures("library")
ONE_WAY_EACH = [("streamed", 2), ("layers", 3)]
BANKS: dict[str, Filters] = {
    "awkward": FILTERS,
    "haar": [[list(tap) for tap in taps] for taps in HAAR.filters],
    "directional": [[list(tap) for tap in taps] for taps in directional([1, 2, 3]).filters],
}


@pytest.mark.parametrize("size", [(2, 2), (4, 18), (12, 34), (6, 132)])
@pytest.mark.parametrize(("channels", "bank"), [(1, "directional"), (3, "awkward"), (8, "haar"), (19, "directional")])
def test_decompositions_of_any_width(size: tuple[int, int], channels: int, bank: str) -> None:
    """Over filters and a further map, and over maps alone; widths lie around the sixteens that sums run in."""
    ops = [stem(channels, 1), stem(channels, 3), Op(kind="maximum", inputs=(2,))]
    ops += [recombine(1, 2, 3, filters=BANKS[bank]), pool(4, "rows"), pool(4, "minimum"), pool(3, "columns")]
    ops += [recombine(5, 6, 7), Op(kind="upsample", inputs=(8,), attributes={"kind": "bilinear"})]
    ops += [Op(kind="multiply", inputs=(9, 4))]
    assert_same(model(ended(ops, channels), multiple=2, pad=2), *size, ways=ONE_WAY_EACH)


@pytest.mark.parametrize("size", [(2, 2), (4, 18), (22, 34), (6, 68)])
@pytest.mark.parametrize(
    ("channels", "side", "form"), [(1, 3, "gate"), (5, 4, "matrix"), (17, 5, "gate"), (16, 5, "matrix")]
)
def test_attention_of_any_width(size: tuple[int, int], channels: int, side: int, form: str) -> None:
    """Vectors shorter and longer than the map is high and wide, and a level below."""
    ops = [stem(channels, 1), stem(channels, 3), tokens(1, channels, side), tokens(2, channels, side)]
    ops += [attend(1, 3, 4, channels, form), pool(5, "average"), attend(6, 4, 3, channels, form)]
    ops += [Op(kind="upsample", inputs=(7,), attributes={"kind": "nearest"})]
    assert_same(model(ended(ops, channels), multiple=2, pad=2), *size, ways=ONE_WAY_EACH)


def test_a_map_of_zeros_has_no_part() -> None:
    """Nothing is divided by its sum of squares, which is 0; and a flat map has differences at its edges alone."""
    flat = np.full((6, 20, 2), 3, np.float32)
    zeros = np.zeros_like(flat)
    (x,) = (Op(kind="recombine", inputs=(0, 1), attributes={"filters": []}),)
    assert not reference._apply(x, [flat, zeros]).any()
    y = reference._apply(recombine(0, 1, filters=[[[1, 0, 0], [-1, 0, 1]]]), [flat, flat])
    assert not y[:, :-1].any() and (y[:, -1] == 3).all()


def test_the_reference_computes_what_is_meant() -> None:
    """Each op of version 1.4 against torch in float64, on the values that it meets in a network."""
    tiny = tiny_with_decompositions()
    x_hwc = reference.make_reference_input(14, 38, 1, 9) - np.float32(0.5)
    tensors = reference.compute_tensors(tiny, x_hwc)
    for k, op in enumerate(tiny.ops):
        wanted = apply(op, [tensors[i] for i in op.inputs])
        assert relative(tensors[k + 1].astype(np.float64), wanted) < 1e-5, op.kind
