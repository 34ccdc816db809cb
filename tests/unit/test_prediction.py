"""Prediction in bounded memory: batches by pixels, large images in parts, and the same numbers as at once."""

from __future__ import annotations

import itertools
import random
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.datasets import tiny
from support.fused import kernels  # noqa: F401
from support.native import products  # noqa: F401
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.space import Genotype
from irnas.metrics import PRESETS
from irnas.nn import fused, traits
from irnas.training import prediction
from irnas.training.prediction import predict, predictions, validate, windows
from irnas.training.statistics import estimate_statistics

SIDE = 160


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Mean(nn.Module):
    """Counts the pixels of every batch that it is given; its logits depend on the whole image."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x_n1hw: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x_n1hw.shape))
        return x_n1hw - x_n1hw.mean((2, 3), keepdim=True)


def image(height: int, width: int, seed: int = 0) -> Any:
    return np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)


def local_genotypes() -> list[Genotype]:
    """Points whose networks look at their surroundings only, and not far, so that the tests are quick."""
    drawn = random.Random(3)
    points = [catalog.find_point("biisnet", "LIT10")]
    for name in ("biisnet", "sgem_unet"):
        space = catalog.load(name)
        draws = (space.sample(drawn) for _ in range(60))
        local = (g for g in draws if (traits.halo(models.build(g)) or 1000) <= 80)
        points.extend(itertools.islice(local, 2))
    return points


LOCAL = local_genotypes()


def trained_looking(genotype: Genotype) -> nn.Module:
    """The network with parameters that all matter."""
    torch.manual_seed(1)
    network = models.build(genotype).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    return network


def test_both_kinds_of_families_are_drawn() -> None:
    assert {genotype.space for genotype in LOCAL} == {"biisnet", "sgem_unet"} and len(LOCAL) == 5
    for family in ("adsnet", "rpcanet_plus", "sd2net", "std2net"):
        assert traits.halo(models.build(catalog.load(family).default())) is None


@pytest.mark.parametrize("genotype", LOCAL, ids=lambda g: f"{g.space}-{g.key[:6]}")
def test_nothing_beyond_the_halo_changes_a_logit(genotype: Genotype) -> None:
    network = trained_looking(genotype)
    halo = traits.halo(network)
    assert halo is not None
    side = 2 * (halo + 16) // 16 * 16 + 32
    x = torch.rand(1, traits.frames(network), side, side)
    middle = side // 2
    changed = 1 - x
    changed[..., middle - halo : middle + halo + 1, middle - halo : middle + halo + 1] = x[
        ..., middle - halo : middle + halo + 1, middle - halo : middle + halo + 1
    ]
    with torch.no_grad():
        logits, others = network(x), network(changed)
    assert logits[0, 0, middle, middle] == others[0, 0, middle, middle]
    assert (logits != others).any()


@pytest.mark.parametrize("genotype", LOCAL, ids=lambda g: f"{g.space}-{g.key[:6]}")
def test_parts_give_what_the_whole_image_gives(genotype: Genotype, monkeypatch: pytest.MonkeyPatch) -> None:
    # In float32 a convolution of another size may round otherwise.
    network, picture = trained_looking(genotype).double(), image(SIDE + 8, 2 * SIDE + 3)
    network.register_forward_pre_hook(lambda _, inputs: tuple(x.double() for x in inputs))
    at_once = predict(network, picture)
    halo = traits.halo(network) or 0
    monkeypatch.setattr(prediction, "PART_PIXELS", (2 * (halo + 16) + 64) ** 2)
    calls: list[int] = []
    network.register_forward_hook(lambda *_: calls.append(1))
    in_parts = predict(network, picture)
    if (SIDE + 8) * (2 * SIDE + 3) > prediction.PART_PIXELS:
        assert len(calls) > 1
    np.testing.assert_allclose(in_parts, at_once, rtol=0, atol=1e-12)


def test_a_part_without_its_surroundings_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    network, picture = trained_looking(LOCAL[0]), image(SIDE, SIDE)
    at_once = predict(network, picture)
    monkeypatch.setattr(prediction, "PART_PIXELS", 64 * 64)
    monkeypatch.setattr(network, "halo", 1)
    assert (predict(network, picture) != at_once).any()


@pytest.mark.parametrize(("side", "batches"), [(256, [8, 3]), (512, [8, 3]), (1024, [2, 1]), (1500, [1, 1])])
def test_a_batch_holds_so_many_pixels(side: int, batches: list[int]) -> None:
    network, num = Mean(), sum(batches)
    assert len(list(predictions(network, (image(side, side) for _ in range(num))))) == num
    assert [shape[0] for shape in network.shapes] == batches


@pytest.mark.usefixtures("kernels")
def test_validation_is_quick_in_small_batches_and_says_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels take part, in it and nowhere else; statistics are estimated so as well."""
    model = trained_looking(catalog.find_point("biisnet", "base=4,stages=2,n_bot=0,bn=true"))
    split, rules = tiny().split("val"), PRESETS["basicirstd"]
    num_calls = fused.num_calls()
    list(predictions(model, [image(SIDE, SIDE)]))
    assert fused.num_calls() == num_calls
    quick, sizes = validate(model, split, rules), list[int]()
    assert fused.num_calls() > num_calls
    with fused.off():
        assert validate(model, split, rules) == quick
    monkeypatch.setattr(
        prediction, "_predict_batch", lambda _, batch: sizes.append(len(batch)) or np.stack(batch) / 255
    )
    monkeypatch.setattr(prediction, "CACHED_PIXELS", split.image(0).size)
    validate(model, split, rules)
    assert len(sizes) == len(split) > 1

    num_calls, x_nchw = fused.num_calls(), torch.rand(4, 1, 32, 32)
    estimate_statistics(model, [x_nchw])
    assert fused.num_calls() > num_calls
    estimated = {name: tensor.clone() for name, tensor in model.named_buffers()}
    with fused.off():
        estimate_statistics(model, [x_nchw])
    for name, tensor in model.named_buffers():
        torch.testing.assert_close(estimated[name], tensor, rtol=1e-4, atol=1e-5)


def test_windows_are_made_when_they_are_looked_at() -> None:
    network, split = Mean(), tiny().split("val")
    network.frames = 3  # type: ignore[assignment]
    seen = windows(network, split, [1, 0])
    assert len(seen) == 2 and seen[0].shape == (3, 48, 48) and len(seen[:1]) == 1
    np.testing.assert_array_equal(seen[1][-1], split.image(0))


PROGRAM = """
import re, sys
import numpy as np, torch
torch.set_num_threads(1)
torch.manual_seed(2)
from irnas import models
from irnas.core import catalog
from irnas.metrics import count_labels
from irnas.training.prediction import predict
space, point, side = sys.argv[1], sys.argv[2], int(sys.argv[3])
network = models.build(catalog.find_point(space, point))
image = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
mask = np.zeros((side, side), np.uint8)
mask[20:24, 20:24] = 1
count_labels(predict(network, image), mask)
# Not getrusage: its peak is also that of the process that started this one.
print(re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())[1])
"""


@pytest.mark.slow
def test_a_frame_of_3200_pixels_a_side_takes_under_1_5_gb() -> None:
    command = [sys.executable, "-c", PROGRAM, "biisnet", "LIT10", "3200"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert int(ran.stdout) * 1024 < 1.5e9
