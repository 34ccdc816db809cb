"""SGEM U-Net lowers, with its semantic-gap module and without, in full precision and with binary layers."""

from __future__ import annotations

import numpy as np
import pytest
from support.xnor import evaluate, logits, network, relative

from irnas.core import catalog
from irnas.deploy.export.lower import lower
from irnas.deploy.export.write import Origin, convert
from irnas.deploy.price import count_xnor_bytes
from irnas.runtime import format, reference

EXACT = 1e-12
SPACE = catalog.load("sgem_unet")


@pytest.mark.parametrize("up", ["nearest", "bilinear"])
@pytest.mark.parametrize("binary", ["off", "body"])
@pytest.mark.parametrize(("depth", "in_ch", "channels"), [(3, 1, 1), (4, 3, 1), (3, 3, 3)])
def test_networks_with_ordinary_skips_fold_exactly(up: str, binary: str, depth: int, in_ch: int, channels: int) -> None:
    values = {"sgem": False, "c": 4, "up": up, "binary": binary, "depth": depth, "in_ch": in_ch}
    model = network(SPACE.complete(values), depth).double()
    lowered = lower(model, channels)
    assert lowered.multiple == 2 ** (depth - 1) and bool(lowered.blocks) == (binary == "body")
    x_hwc = np.random.default_rng(1).random((lowered.multiple, 3 * lowered.multiple, channels))
    assert relative(evaluate(lowered.ops, x_hwc)[-2], logits(model, x_hwc)) < EXACT


@pytest.mark.parametrize("form", ["matrix", "gate"])
@pytest.mark.parametrize(
    ("depth", "d", "t", "size"), [(3, 16, 8, (16, 16)), (4, 16, 32, (24, 40)), (3, 32, 8, (4, 44))]
)
def test_networks_with_the_semantic_gap_fold_exactly(
    form: str, depth: int, d: int, t: int, size: tuple[int, int]
) -> None:
    """Vectors as long as the map is high, shorter and longer; grids of fewer and of more cells than it has pixels."""
    values = {"c": 4, "form": form, "depth": depth, "d": d, "t": t, "binary": "body" if d == 32 else "off"}
    model = network(SPACE.complete(values), depth).double()
    lowered = lower(model, 1)
    x_hwc = np.random.default_rng(1).random((*size, 1))
    assert relative(evaluate(lowered.ops, x_hwc)[-2], logits(model, x_hwc)) < EXACT


@pytest.mark.parametrize("form", ["matrix", "gate"])
def test_the_reference_computes_torchs_logits_with_the_semantic_gap(form: str) -> None:
    genotype = SPACE.complete({"c": 4, "depth": 3, "form": form, "t": 8, "d": 16})
    model = network(genotype, 5)
    converted, _ = convert(model, 1, Origin(name="x"))
    x_hwc = reference.make_reference_input(20, 28, 1, 8)
    computed = reference.compute_tensors(converted, x_hwc)[-2]
    assert converted.version == "1.4" and relative(computed, logits(model, x_hwc)) < 1e-5
    assert 0 <= len(format.write(converted)) - (count_xnor_bytes(genotype, 1) or 0) < 200
