"""The family at its edges: structure, inputs, loss, and the leaner network that it deploys."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.models.sgem_unet import SgemUnet
from irnas.nn import BinaryConv2d
from irnas.nn.gap import Product, SemanticGap
from irnas.nn.loss import softiou
from irnas.nn.phase import PhaseConv2d

SMALL = "c=4,d=16,t=8"
POINTS = [
    f"{SMALL},depth={depth},{more}"
    for depth in (3, 4, 5)
    for more in ("form=matrix", "form=gate", "up=bilinear,in_ch=3", "binary=body")
]


def build(point: str, seed: int = 0) -> SgemUnet:
    torch.manual_seed(seed)
    network = models.build(catalog.find_point("sgem_unet", point))
    assert isinstance(network, SgemUnet)
    return network


def trained(point: str) -> SgemUnet:
    """In eval mode, with statistics and weights of normalisation that are not the neutral ones."""
    network = build(point)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            assert part.running_mean is not None and part.running_var is not None
            nn.init.normal_(part.running_mean, std=0.3)
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.uniform_(part.weight, -1.5, 1.5)
            nn.init.normal_(part.bias, std=0.3)
    return network.eval()


def image(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(1), dtype=dtype)


@pytest.mark.parametrize(("depth", "level"), [(3, 0), (4, 1), (5, 2)])
def test_the_module_stands_at_the_decoder_s_second_level(depth: int, level: int) -> None:
    network, seen = build(f"{SMALL},depth={depth}").eval(), []
    assert network.gap is not None and network.gap_level == level
    network.gap.register_forward_hook(lambda _m, inputs, z: seen.append([*inputs, z]))
    network(image(1, 1, 32, 64))
    ((x, shallow, deep, z),) = seen
    scale, width = 2**level, 4 * 2**level
    assert x.shape == shallow.shape == z.shape == (1, width, 32 // scale, 64 // scale)
    assert deep.shape == (1, 2 * width, 16 // scale, 32 // scale)
    assert [block[0][0].in_channels // block[0][0].out_channels for block in network.dec] == [
        1 if i == level else 2 for i in range(depth - 1)
    ]


def test_without_the_module_every_level_has_its_skip_connection() -> None:
    network = build("c=4,sgem=false")
    assert network.gap is None
    assert all(block[0][0].in_channels == 2 * block[0][0].out_channels for block in network.dec)


def test_the_forms_are_two_networks_of_the_same_weights() -> None:
    matrix, gate = build(f"{SMALL},form=matrix").eval(), build(f"{SMALL},form=gate").eval()
    gate.load_state_dict(matrix.state_dict())
    assert matrix.gap is not None and isinstance(matrix.gap.weigh, Product)
    assert not torch.allclose(matrix(image(1, 1, 32, 32)), gate(image(1, 1, 32, 32)))


def test_only_the_image_and_the_head_meet_no_binary_layer() -> None:
    network = build(f"{SMALL},binary=body")
    full = [name for name, part in network.named_modules() if isinstance(part, nn.Conv2d) and part.kernel_size[0] == 3]
    assert full == ["enc.0.0.0"]
    binary = [part for part in network.modules() if isinstance(part, BinaryConv2d)]
    assert len(binary) == 9 + 4 + 8 and all(part.kernel == 3 for part in binary)


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_any_multiple_of_its_stride_fits(depth: int) -> None:
    network = build(f"{SMALL},depth={depth}").eval()
    assert network.stride == 2 ** (depth - 1)
    for height, width in ((1, 1), (3, 2), (7, 9)):
        size = (height * network.stride, width * network.stride)
        assert network(image(1, 1, *size)).shape == (1, 1, *size)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1, 1, 24, 32), "24x32 pixels; must be multiples of 16"), ((1, 2, 16, 16), "2 channels; must be 1 or 3")],
)
def test_other_inputs_are_refused(shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(DataError, match=f"network input: got {expected}"):
        build(f"{SMALL},in_ch=3")(torch.zeros(shape))


def test_three_channels_take_one_by_repeating_it() -> None:
    network, x = build(f"{SMALL},in_ch=3").eval(), image(2, 1, 32, 32)
    torch.testing.assert_close(network(x), network(x.expand(-1, 3, -1, -1)))


def test_the_loss_is_soft_iou_and_reaches_every_parameter() -> None:
    network, x, truth = build(SMALL), image(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    truth[0, 0, 3:6, 4:8] = 1
    loss = network.loss(x, truth)
    torch.testing.assert_close(loss, softiou(network(x), truth))
    loss.backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name


def test_an_image_can_be_learnt_by_heart() -> None:
    network, x, truth = build("c=4,depth=3,d=16,t=8"), image(2, 1, 32, 32), torch.zeros(2, 1, 32, 32)
    for index, row in enumerate((5, 20)):
        truth[index, 0, row : row + 3, 10:13] = 1
        x[index, 0, row : row + 3, 10:13] += 1
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = network.loss(x, truth)
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.6


@pytest.mark.parametrize("point", POINTS)
def test_what_is_deployed_yields_the_same_logits(point: str) -> None:
    """In double precision, so that no sign of a binary layer turns on a rounding."""
    network = trained(point).double()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    deployed = network.deploy()
    assert isinstance(deployed, SgemUnet) and not deployed.training and deployed.stride == network.stride
    for height, width in ((1, 2), (3, 2), (4, 4)):
        x = image(2, network.in_channels, height * 16, width * 16, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(deployed(x), network(x), rtol=1e-9, atol=1e-9)
            torch.testing.assert_close(deployed.deploy()(x), deployed(x))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_what_is_deployed_has_taken_every_shortcut() -> None:
    parts = [*trained(SMALL).deploy().modules()]
    assert sum(isinstance(part, PhaseConv2d) for part in parts) == 4
    assert not any(isinstance(part, (nn.BatchNorm2d, nn.Upsample)) for part in parts)
    (gap,) = (part for part in parts if isinstance(part, SemanticGap))
    assert not list(gap.restore.parameters())
    # Bilinear doubling has no such form, and binary convolutions fold at export.
    kept = [*trained(f"{SMALL},up=bilinear").deploy().modules()]
    assert not any(isinstance(part, PhaseConv2d) for part in kept)


@pytest.mark.parametrize("point", [f"{SMALL},depth=3", f"{SMALL},depth=3,form=gate,up=bilinear,in_ch=3"])
def test_a_file_runs_in_onnx_runtime_at_any_size(point: str) -> None:
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    onnxruntime: Any = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    network = trained(point)
    channels = network.in_channels
    proto = onnx.convert(network, onnx.input_of(network, channels), Origin(name="x"))
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    for height, width in ((16, 16), (64, 48), (80, 160)):
        x = image(1, channels, height, width)
        (probability,) = session.run(None, {onnx.INPUT: x.numpy()})
        with torch.no_grad():
            np.testing.assert_allclose(probability, network(x).sigmoid().numpy(), rtol=0, atol=1e-5)
