from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.models.adsnet import AdsNet, build, patch_iou
from irnas.nn import traits
from irnas.nn.patch import PatchActivation

SPACE = catalog.load("adsnet")
SMALL: dict[str, Any] = {"width": 16, "d": 16}


def network(seed: int = 0, **values: Any) -> AdsNet:
    """Random weights whose statistics have seen something, in eval mode."""
    torch.manual_seed(seed)
    ads = models.build(SPACE.complete({**SMALL, **values}))
    assert isinstance(ads, AdsNet)
    with torch.no_grad():
        for part in ads.modules():
            if isinstance(part, nn.BatchNorm2d):
                nn.init.uniform_(part.bias, -0.3, 0.3)
        for head in (ads.head4, ads.head3, ads.segment):
            assert head is not None
            nn.init.normal_(head.weight)
        for _ in range(2):
            ads(torch.rand(2, 1, 64, 64))
    return ads.eval()


def masked(ads: AdsNet, x_nchw: Tensor) -> Tensor:
    """The logits of the dense graph with masks."""
    blocks = [part for part in ads.modules() if isinstance(part, PatchActivation)]
    for block in blocks:
        block.skips = False
    logits: Tensor = ads(x_nchw)
    for block in blocks:
        block.skips = True
    return logits


@pytest.mark.parametrize("drop", ["0/0", "0/0.25", "0.25/0.5", "0.3/0.6"])
@pytest.mark.parametrize("grid", [4, 8, 16, 32])
@torch.no_grad()
def test_skipping_patches_equals_masking_them(grid: int, drop: str) -> None:
    ads = network(grid=grid, drop=drop)
    for batch, height, width in ((2, 64, 64), (1, 96, 160), (3, 16, 48)):
        x = torch.rand(batch, 1, height, width)
        torch.testing.assert_close(ads(x), masked(ads, x), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_dropping_matters() -> None:
    x, states = torch.rand(1, 1, 128, 128), network().state_dict()
    logits = []
    for drop in ("0/0", "0.25/0.5"):
        ads = network(drop=drop)
        # One network can be run with any share: its parameters do not depend on it.
        ads.load_state_dict(states)
        logits.append(ads(x))
    assert (logits[0] - logits[1]).abs().max() > 1e-3


@torch.no_grad()
def test_each_image_of_a_batch_is_ranked_alone() -> None:
    # In double precision: in single, sums in another order differ by more than a wrong rank does on some processors.
    ads, x = network().double(), torch.rand(3, 1, 64, 64, dtype=torch.float64)
    one_by_one = torch.cat([ads(image[None]) for image in x])
    torch.testing.assert_close(ads(x), one_by_one, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"drop": "0/0"},
        {"drop": "0/0.25", "grid": 32},
        {"afd_width": "lateral", "iou": False},
        {"afd": "off"},
    ],
    ids=str,
)
@torch.no_grad()
def test_a_deployed_network_is_equal_and_smaller(values: dict[str, Any]) -> None:
    # In double precision: normalisation of small deviations magnifies what folding rounds differently.
    ads = network(**values).double()
    deployed = ads.deploy()
    x = torch.rand(2, 1, 64, 96, dtype=torch.float64)
    torch.testing.assert_close(deployed(x), ads(x), rtol=1e-8, atol=1e-8)
    assert sum(p.numel() for p in deployed.parameters()) < sum(p.numel() for p in ads.parameters())


@pytest.mark.parametrize("values", [{"iou": True}, {"iou": False, "ratio": False}, {"drop": "0/0.25"}], ids=str)
def test_the_loss_reaches_every_parameter_and_falls(values: dict[str, Any]) -> None:
    ads = network(**values).train()
    x, truth = torch.rand(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)
    truth[:, :, 10:13, 12:15] = 1
    x = x * 0.3 + truth * 0.6
    optimizer = torch.optim.Adam(ads.parameters(), 3e-3)
    losses = []
    for _ in range(12):
        loss = ads.loss(x, truth)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        assert all(p.grad is not None and p.grad.isfinite().all() for p in ads.parameters())
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]


def test_the_ratio_term_is_the_squared_miss_of_both_shares() -> None:
    x, truth = torch.rand(2, 1, 64, 64), torch.zeros(2, 1, 64, 64)
    truth[:, :, 8:11, 8:11] = 1
    ads = network().train()
    losses = []
    for has_ratio in (True, False):
        ads.has_ratio = has_ratio
        torch.manual_seed(1)
        losses.append(ads.loss(x, truth).item())
    torch.manual_seed(1)
    active = [output.active for output in ads._run(x)[1]]
    miss = [0.0 if a is None else a.mean().item() - left for a, left in zip(active, (0.75, 0.5), strict=True)]
    assert min(map(abs, miss)) > 0
    assert losses[0] - losses[1] == pytest.approx(2 * miss[0] ** 2 + 2 * miss[1] ** 2, rel=1e-3)
    # The paper prints no such term, whatever the axis says.
    ads.has_ratio = True
    torch.manual_seed(1)
    assert traits.own_loss(ads)(x, truth).item() == losses[1] != traits.default_loss(ads)(x, truth).item()


def test_iou_of_patches() -> None:
    truth, predicted = torch.zeros(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    # Six pixels across the border of two patches, of which four are found and two others besides.
    truth[0, 0, 4, 13:19] = 1
    predicted[0, 0, 4, 15:21] = 1
    iou = patch_iou(predicted, truth, 16)
    wanted = torch.zeros(1, 1, 4, 4)
    wanted[0, 0, 0, :2] = 4 / 8
    torch.testing.assert_close(iou, wanted)
    assert patch_iou(predicted, torch.zeros_like(truth), 16).eq(0).all()
    assert patch_iou(truth, truth, 32).max() == 1


@pytest.mark.parametrize("side", [16, 32, 48])
@pytest.mark.parametrize("batch", [1, 2])
def test_small_crops_train(side: int, batch: int) -> None:
    if (side, batch) == (16, 1):
        pytest.skip("level 4 has one position: batch normalisation needs two")
    for grid in (4, 32):
        ads = network(grid=grid, afd_to="234").train()
        loss = ads.loss(torch.rand(batch, 1, side, side), torch.ones(batch, 1, side, side))
        assert loss.isfinite()


def test_one_channel_is_repeated_and_others_refused() -> None:
    ads = network(in_ch=3)
    grey = torch.rand(1, 1, 32, 32)
    assert torch.equal(ads(grey), ads(grey.expand(-1, 3, -1, -1)))
    with pytest.raises(DataError, match=r"got 2 channels; must be 1 or 3"):
        ads(torch.rand(1, 2, 32, 32))
    with pytest.raises(DataError, match=r"got 40x32 pixels; must be multiples of 16"):
        ads(torch.rand(1, 1, 40, 32))


@pytest.mark.parametrize("drop", ["0.5/0.25", "0/1", "0.5", "a/b"])
def test_drop_must_be_two_rising_shares(drop: str) -> None:
    values = {**SPACE.default().values, "drop": drop}
    with pytest.raises(SpaceError, match=f"drop: got '{drop}'; must"):
        build(values)


def test_onnx_runtime_agrees_at_any_size() -> None:
    """One file for all sizes, which skips what torch skips."""
    ort = pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    ads = network()
    proto = onnx.convert(ads, onnx.input_of(ads, 1), Origin(name="x"))
    assert {"NonZero", "ScatterND", "TopK"} <= {node.op_type for node in proto.graph.node}
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for height, width in ((64, 64), (48, 80), (16, 16), (128, 128)):
        x = torch.rand(1, 1, height, width)
        (probability,) = session.run(None, {"x_nchw": x.numpy()})
        with torch.no_grad():
            torch.testing.assert_close(torch.from_numpy(probability), ads(x).sigmoid(), rtol=0, atol=1e-4)
