"""SGEM U-Net without its semantic-gap module lowers, in full precision and with binary layers."""

from __future__ import annotations

import numpy as np
import pytest
from support.xnor import evaluate, logits, network, relative

from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.deploy.export.lower import lower
from irnas.deploy.price import count_xnor_bytes

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


def test_the_semantic_gap_has_no_form_in_xnor() -> None:
    genotype = SPACE.complete({"c": 4, "depth": 3})
    with pytest.raises(ExportError, match=r"sgem: got true; must be false in a \.xnor file; export to \.onnx"):
        lower(network(genotype), 1)
    assert count_xnor_bytes(genotype, 1) is None
