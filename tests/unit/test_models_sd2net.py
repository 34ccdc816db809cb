"""SD2Net's structure, its shortcuts, its loss and its refusals."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from support import literal_sd2net
from support.decomposition import literal
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.models.sd2net import SD2Net
from irnas.nn import loss
from irnas.nn.binary import BinaryConv2d
from irnas.nn.decomposition import SD2M, SD3M, InceptionPool
from irnas.nn.difference import HighPass, Recombination, directional
from irnas.nn.dynamic import DynamicFilter, with_dynamic_filters
from irnas.nn.rsu import RSU
from irnas.training.prediction import predict

SPACE = catalog.load("sd2net")


def network(seed: int = 0, **values: Any) -> Any:
    """An untrained network whose normalisation has seen two batches."""
    torch.manual_seed(seed)
    built = models.build(SPACE.complete({"c": 2, **values}))
    for _ in range(2):
        built(torch.rand(2, 1, 32, 32))
    return built.eval()


class Literal(nn.Module):
    """A decomposition that keeps every basis map."""

    def __init__(self, layer: Recombination) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, origin: Tensor, source: Tensor) -> Tensor:
        return literal(origin, [*self.layer.bank.maps(source), *self.layer.extra_maps(source)])


def test_a_small_u_has_fourteen_convolutions_and_a_residual() -> None:
    small = RSU(3, 4, 6).eval()
    assert sum(isinstance(part, nn.Conv2d) for part in small.modules()) == 14
    x = torch.rand(1, 3, 32, 64)
    assert small(x).shape == (1, 6, 32, 64)
    last = small.up[0][1]
    with torch.no_grad():
        last.weight.zero_()
        last.bias.zero_()
    torch.testing.assert_close(small(x), small.enter(x))


def test_four_poolings_take_a_quarter_of_the_channels_each() -> None:
    x = torch.rand(1, 8, 4, 6)
    y = InceptionPool(8, nn.AvgPool2d(2))(x)
    blocks = x.reshape(1, 8, 2, 2, 3, 2).permute(0, 1, 2, 4, 3, 5).flatten(4)
    torch.testing.assert_close(y[:, :2], blocks[:, :2].amax(4))
    torch.testing.assert_close(y[:, 2:4], blocks[:, 2:4].amin(4))
    torch.testing.assert_close(y[:, 4:], blocks[:, 4:].mean(4))
    with pytest.raises(SpaceError, match="InceptionPool: got 6 channels; must be a multiple of 4"):
        InceptionPool(6, None)


@pytest.mark.parametrize("values", [{}, {"kernel": "haar", "extra": True}, {"form": "stack", "ratios": "1-2-4-8"}])
def test_decompositions_without_basis_maps_change_nothing(values: dict[str, Any]) -> None:
    quick = network(**values).double()
    slow = network(**values).double()
    for parent in list(slow.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, Recombination):
                setattr(parent, name, Literal(child))
    x = torch.rand(2, 1, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(quick(x), slow(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("xin", [False, True])
def test_the_way_up_is_the_literal_one(xin: bool) -> None:
    model = network(xin=xin, kernel="haar").double()
    x = torch.rand(2, 1, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(model(x), literal_sd2net.sd2net(model, x, xin=xin), rtol=1e-12, atol=1e-12)
        other = literal_sd2net.sd2net(model, x, xin=not xin)
    assert (model(x) - other).abs().max() > 1e-3


def test_a_wide_sd3m_is_the_literal_one() -> None:
    torch.manual_seed(0)
    layer, x = SD3M(4, "wide").double(), torch.randn(2, 4, 12, 8, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(layer(x), literal_sd2net.wide_sd3m(layer, x), rtol=1e-12, atol=1e-12)
    assert layer.recombine.terms == 5 and SD3M(4, "stack").recombine.terms == 4


@pytest.mark.parametrize("values", [{"xin": True}, {"kernel": "fourier"}, {"sd3m_origin": "wide"}], ids=str)
def test_weights_of_what_was_mended_are_refused(values: dict[str, Any]) -> None:
    model = network(**values)
    state = model.state_dict()
    model.load_state_dict(state)
    for of_layer in state._metadata.values():
        of_layer["version"] = min(of_layer["version"], 1)
    with pytest.raises(DataError, match=r"weights of \S+: got some from before .* was mended; must be trained again"):
        model.load_state_dict(state)
    plain = network()
    state = plain.state_dict()
    for of_layer in state._metadata.values():
        of_layer["version"] = min(of_layer["version"], 1)
    plain.load_state_dict(state)


def test_a_deployed_network_is_equal_without_normalisation() -> None:
    model = network()
    with_dynamic_filters = model.deploy()
    assert sum(isinstance(part, DynamicFilter) for part in with_dynamic_filters.modules()) == 8
    assert not any(isinstance(part, nn.BatchNorm2d) for part in with_dynamic_filters.modules())
    assert any(isinstance(part, nn.BatchNorm2d) for part in model.modules())
    x = torch.rand(1, 1, 64, 32)
    with torch.no_grad():
        torch.testing.assert_close(with_dynamic_filters(x), model(x), rtol=1e-5, atol=1e-6)


def test_random_networks_deploy() -> None:
    rng = random.Random(3)
    for seed in range(6):
        values = {**SPACE.sample(rng).values, "c": 4}
        model = network(seed, **values).double()
        x = torch.rand(1, 1, 32, 32, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(model.deploy()(x), model(x), rtol=1e-8, atol=1e-8)


def test_the_axes_choose_the_layers() -> None:
    assert not any(isinstance(part, SD2M) for part in network(sd2m=False).modules())
    assert sum(isinstance(part, HighPass) for part in network(kernel="fourier").modules()) == 4
    plain = network(ip=False, sd3m=False)
    assert sum(isinstance(part, Recombination) for part in plain.modules()) == 4
    banks = {part.bank for part in plain.modules() if isinstance(part, Recombination)}
    assert banks == {directional((1, 3))}
    hidden = [part.origin.in_channels for part in network(c=8, ratios="1-2-4-8").modules() if isinstance(part, SD2M)]
    assert hidden == [16, 8, 8, 8]


def test_a_binary_body_spares_the_image_and_1x1_convolutions() -> None:
    model = network(binary="body")
    assert sum(isinstance(part, BinaryConv2d) for part in model.modules()) == 13 + 8 + 8 + 14
    wide = [name for name, part in model.named_modules() if isinstance(part, nn.Conv2d) and part.kernel_size != (1, 1)]
    assert wide == ["enter.enter.0"]


def test_the_loss_is_soft_iou_over_the_batch() -> None:
    model, x = network(), torch.rand(2, 1, 32, 32)
    truth = (torch.rand(2, 1, 32, 32) > 0.9).float()
    torch.testing.assert_close(model.loss(x, truth), loss.softiou(model(x), truth))


def test_odd_inputs_are_refused() -> None:
    model = network()
    with pytest.raises(DataError, match="got 48x32 pixels; must be multiples of 32"):
        model(torch.rand(1, 1, 48, 32))
    with pytest.raises(DataError, match="got 3 channels; must be 1"):
        model(torch.rand(1, 3, 32, 32))
    with pytest.raises(SpaceError, match="head: got '3x3'; one of 1x1, 7x7"):
        SD2Net(SPACE.default().values, head="3x3")


def test_prediction_pads_to_the_stride() -> None:
    accepted = onnx.input_of(network(), 1)
    assert (accepted.multiple, accepted.pad) == (32, 32)
    assert predict(network(), np.zeros((40, 70), np.uint8)).shape == (40, 70)


class Halved(nn.Module):
    """The layers that are new to the exporter, in a network that exports in seconds rather than half a minute."""

    stride = 4

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(1, 4, 3, padding=1)
        self.skip = SD2M(4, 2, "reduced", directional((1, 3)), extra=True)
        self.down = InceptionPool(4, SD3M(1))
        self.up, self.head = nn.Upsample(scale_factor=2, mode="bilinear"), nn.Conv2d(4, 1, 1)

    def forward(self, x_n1hw: Tensor) -> Tensor:
        logits_n1hw: Tensor = self.head(self.up(self.down(self.skip(self.enter(x_n1hw)))))
        return logits_n1hw

    def deploy(self) -> nn.Module:
        return with_dynamic_filters(self)


def test_its_layers_run_in_onnx_runtime() -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    torch.manual_seed(0)
    model = Halved().eval()
    accepted = onnx.input_of(model, 1)
    run, _ = onnx.make_runner(onnx.convert(model, accepted, Origin(name="x", trial="t")))
    for height, width in ((64, 64), (50, 70)):
        image = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
        assert np.abs(run(image) - predict(model, image)).max() <= 1e-4
