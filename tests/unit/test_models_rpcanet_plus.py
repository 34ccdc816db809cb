"""RPCANet+ at its edges: what its stages compute, what the loss sees, what deployment drops, what it refuses."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from support.xnor import randomize
from torch import Tensor, nn

from irnas import cost, models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.models.rpcanet_plus import RPCANetPlus, Stage
from irnas.nn import BinaryConv2d
from irnas.training.prediction import predict

VARIANTS = (
    "default",
    "stages=1",
    "stages=2,merge_bc=4",
    "stages=3,carry_n=true",
    "stages=2,binary=body,merge_bc=4",
    "stages=2,depth_b=0,depth_t=0,depth_n=0,depth_m=0,reduction=4,tc=16",
)


def build(point: str, seed: int = 0) -> RPCANetPlus:
    torch.manual_seed(seed)
    network = models.build(catalog.find_point("rpcanet_plus", point))
    assert isinstance(network, RPCANetPlus)
    return network


def image(height: int = 24, width: int = 24, num: int = 2) -> Tensor:
    return torch.rand(num, 1, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("point", VARIANTS)
def test_a_deployed_network_gives_the_same_logits_for_less(point: str) -> None:
    network = randomize(build(point), 1).eval()
    trimmed, deployed, exact = network.trim(), network.deploy(), network.double().deploy()
    with torch.no_grad():
        for x in (image(), image(5, 1), image(1, 4)):
            wanted = network(x.double())
            assert torch.equal(trimmed.double()(x.double()), wanted)
            torch.testing.assert_close(exact(x.double()), wanted, rtol=1e-11, atol=1e-11)
            assert (deployed(x) - wanted).abs().max() <= 1e-5 * wanted.abs().max()
    full, less, least = (cost.count(each, (1, 32, 32)).total for each in (network, trimmed, deployed))
    assert full.macs > less.macs > least.macs
    # Normalisation is a part of the convolution ahead of it: a scale and a shift fewer for each of its channels.
    folded = sum(2 * part.num_features for part in trimmed.modules() if isinstance(part, nn.BatchNorm2d))
    folded -= sum(2 * p.num_features for p in deployed.modules() if isinstance(p, nn.BatchNorm2d))
    assert full.numbers > less.numbers == least.numbers + folded and folded


def test_deployment_leaves_the_network_as_it_was() -> None:
    network = build("stages=2")
    before = cost.count(network, (1, 32, 32)).total
    network.deploy()
    assert network.training and cost.count(network, (1, 32, 32)).total == before
    network.loss(image(), torch.zeros(2, 1, 24, 24)).backward()  # type: ignore[no-untyped-call]


def test_the_first_stage_by_hand() -> None:
    """B, T, N and D one after the other, from the networks inside the stage; T and N start at zero."""
    network = randomize(build("stages=1"), 2).eval()
    stage, x = network.stages[0], image()
    assert isinstance(stage, Stage) and stage.noise is not None and stage.noise_step is not None and stage.merge
    with torch.no_grad():
        b = x + stage.background(x)
        t = (x - b) - stage.target_step.rate * stage.target(x - b)
        n = (x - b - t) - stage.noise_step.rate * stage.noise(x - b - t)
        d_n1hw, logits = network._unroll(x)
        torch.testing.assert_close(logits, t)
        torch.testing.assert_close(d_n1hw, stage.merge(b + t + n))


def test_noise_passes_on_only_where_asked() -> None:
    kept, carried = randomize(build("stages=2"), 3), build("stages=2,carry_n=true")
    carried.load_state_dict(kept.state_dict())
    first, second = (network.eval()(image()) for network in (kept, carried))
    assert (first - second).abs().max() > 1e-3
    # After a single stage there is nobody to pass it to.
    one, same = build("stages=1").eval(), build("stages=1,carry_n=true").eval()
    assert torch.equal(one(image()), same(image()))


def test_an_estimator_has_the_layers_of_the_paper() -> None:
    stage = build("stages=1,bc=8").stages[0]
    assert isinstance(stage, Stage)
    kernels = {
        part: [c.kernel_size[0] for c in getattr(stage, part).modules() if isinstance(c, nn.Conv2d)]
        for part in ("background", "target", "noise", "merge")
    }
    # Stem, trunk, expansion; 1x1 twice in squeeze and excite; the last map.
    assert kernels == {
        "background": [1, 3, 3, 3, 3, 1, 1, 3],
        "target": [1, *[3] * 6, 3, 1, 1, 3],
        "noise": [3, *[3] * 6, 3, 1, 1, 3],
        "merge": [3, 3, 3, 3, 1, 1, 3],
    }
    norms = {
        part: sum(isinstance(m, nn.BatchNorm2d) for m in getattr(stage, part).modules())
        for part in ("background", "target", "noise", "merge")
    }
    assert norms == {"background": 4, "target": 0, "noise": 0, "merge": 4}


def test_binary_layers_stand_for_the_trunks_alone() -> None:
    stage = build("stages=1,binary=body").stages[0]
    layers = {name: m for name, m in stage.named_modules() if isinstance(m, BinaryConv2d)}
    assert len(layers) == 3 + 6 + 6 + 3 and all(".trunk." in name for name in layers)


def test_how_it_starts() -> None:
    network = build("default")
    convolutions = [m for m in network.modules() if isinstance(m, nn.Conv2d)]
    for layer in convolutions:
        fan_in, fan_out = layer.weight[0].numel(), layer.weight.shape[0] * layer.weight[0, 0].numel()
        if layer.weight.numel() > 1000:
            assert layer.weight.std().item() == pytest.approx(math.sqrt(2 / (fan_in + fan_out)), rel=0.1)
        assert layer.bias is not None and layer.bias.abs().max() <= 1 / math.sqrt(fan_in)
    rates = [value for name, value in network.named_parameters() if name.endswith("rate")]
    assert len(rates) == 12 and all(rate.item() == pytest.approx(0.01) for rate in rates)


def test_the_loss_is_soft_iou_and_a_tenth_of_the_fidelity() -> None:
    network, x = build("stages=2").eval(), image(num=3)
    truth = torch.zeros_like(x)
    truth[0, 0, 3:6, 4:7] = truth[2, 0, 9, 9] = 1
    with torch.no_grad():
        d_n1hw, logits = network._unroll(x)
        losses = network.loss(x, truth), network.loss(x, torch.zeros_like(x))
    assert d_n1hw is not None
    fidelity = 0.1 * ((d_n1hw - x) ** 2).mean()
    torch.testing.assert_close(
        losses[0], (soft_iou(logits[0], truth[0]) + soft_iou(logits[2], truth[2])) / 2 + fidelity
    )
    with torch.no_grad():
        paper = network.paper_loss(x, truth)
    torch.testing.assert_close(paper, sum(soft_iou(t, g) for t, g in zip(logits, truth, strict=True)) / 3 + fidelity)
    # Without any target, predicting nothing is what is left to learn.
    torch.testing.assert_close(losses[1], sum(soft_iou(t, torch.zeros_like(t)) for t in logits) / 3 + fidelity)


def soft_iou(logits: Tensor, truth: Tensor) -> Tensor:
    p = logits.sigmoid()
    both = (p * truth).sum()
    return 1 - (both + 1) / (p.sum() + truth.sum() - both + 1)


def test_some_parameters_learn_from_the_loss_alone() -> None:
    network, x = build("stages=2"), image()
    network(x).sum().backward()
    idle = {name for name, p in network.named_parameters() if p.grad is None}
    assert idle and all(name.startswith(("stages.1.noise", "stages.1.merge")) for name in idle)
    network.loss(x, (x > 0.9).float()).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize(("shape", "expected"), [((1, 3, 8, 8), "3 channels of 8x8"), ((1, 1, 0, 8), "of 0x8 pixels")])
def test_other_inputs_are_refused(shape: tuple[int, ...], expected: str) -> None:
    with pytest.raises(DataError, match=f"got .*{expected}"):
        build("stages=1")(torch.zeros(shape))


def test_a_reduction_that_leaves_no_channel_is_refused() -> None:
    values = {**catalog.find_point("rpcanet_plus", "stages=1").values, "tc": 8}
    with pytest.raises(SpaceError, match="reduction: got 16 with tc=8; must be at most tc"):
        models.rpcanet_plus.build(values)


def test_a_file_of_it_runs_at_any_size() -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    network = randomize(build("stages=1,binary=body,depth_t=1"), 3).eval()
    accepted = onnx.input_of(network, 1)
    assert accepted.multiple == 1
    run, _ = onnx.make_runner(onnx.convert(network.deploy(), accepted, Origin(name="x")))
    for height, width in ((48, 48), (17, 33)):
        image = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
        np.testing.assert_allclose(run(image), predict(network, image), rtol=0, atol=1e-4)
