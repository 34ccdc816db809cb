"""A training on a GPU sees the crops that one on the CPU sees, and never waits for the GPU within a pass.

What runs on a GPU is run here on the CPU, and on torch's device without values, which can answer no question.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.datasets import tiny

from irnas import models
from irnas.core import catalog
from irnas.core.errors import TrainingError
from irnas.core.recipe import Budget, Recipe
from irnas.data import Split
from irnas.nn import fused
from irnas.training import feed as feeds
from irnas.training import fit as fitting
from irnas.training.feed import HostFeed, ResidentFeed, make_feed
from irnas.training.fit import fit
from irnas.training.phases import Phase, plan_phases

POINT = "base=4,stages=2,n_bot=0,bn=true"


def split() -> Split:
    return tiny().split("fit")


def phase(crop: int, batch: int = 4) -> Phase:
    budget = Budget(epochs=2, batch=batch, crop=crop)
    return plan_phases(budget, Recipe(), peak=0.01, num_images=len(split()))[0]


class Uneven:
    """Images of several shapes, with pixels that nobody cares about; as a split hands them out."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in ((20, 50), (50, 20), (40, 40), (9, 7))]
        self.masks = [
            (rng.random(image.shape) < 0.02).astype(np.uint8) * (1 + i % 2) for i, image in enumerate(self.images)
        ]

    def __len__(self) -> int:
        return len(self.images)

    def shape(self, i: int) -> tuple[int, ...]:
        return self.images[i].shape

    def image(self, i: int) -> np.ndarray:
        return self.images[i]

    def mask(self, i: int) -> np.ndarray:
        return self.masks[i]

    def pixels(self, i: int) -> np.ndarray:
        return np.flatnonzero(self.masks[i] == 1).astype(np.uint32)

    def window(self, i: int, frames: int) -> list[np.ndarray]:
        return [self.images[i]]


@pytest.mark.parametrize("crop", [16, 32, 64])
@pytest.mark.parametrize(
    "recipe",
    [Recipe(), Recipe(fill="mirror"), Recipe(whole_images=True), Recipe(augment="none"), Recipe(augment="flips")],
    ids=["zeros", "mirror", "whole", "as they are", "flips"],
)
def test_crops_that_are_cut_on_the_device_are_those_of_the_loader(crop: int, recipe: Recipe) -> None:
    uneven: Split = Uneven()  # type: ignore[assignment]
    host, resident = HostFeed(uneven, recipe, 1, "cpu"), ResidentFeed(uneven, recipe, "cpu")
    for epoch in range(1, 9):
        pairs = list(zip(host.steps(phase(crop), 3, epoch), resident.steps(phase(crop), 3, epoch), strict=True))
        assert pairs
        for mine, theirs in pairs:
            torch.testing.assert_close(theirs.x_nchw, mine.x_nchw, rtol=0, atol=0)
            torch.testing.assert_close(theirs.truth_n1hw, mine.truth_n1hw, rtol=0, atol=0)
            assert theirs.ignored_n1hw is not None
            wanted = torch.zeros_like(theirs.ignored_n1hw) if mine.ignored_n1hw is None else mine.ignored_n1hw
            assert torch.equal(theirs.ignored_n1hw, wanted)
            assert theirs.x_nchw.is_contiguous(memory_format=torch.channels_last)


def test_what_cannot_be_cut_there_is_cut_on_the_host(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_feed(split(), Recipe(), 1, "meta"), ResidentFeed)
    for recipe, frames, device in (
        (Recipe(), 1, "cpu"),
        (Recipe(), 3, "meta"),
        (Recipe(paste=0.1), 1, "meta"),
        (Recipe(clutter=0.1), 1, "meta"),
    ):
        assert isinstance(make_feed(split(), recipe, frames, device), HostFeed)
    # Images and masks, a byte for each pixel of both.
    of_both = 2 * sum(height * width for height, width in map(split().shape, range(len(split()))))
    for room, kind in ((of_both - 1, HostFeed), (of_both, ResidentFeed)):
        monkeypatch.setattr(feeds, "RESIDENT_BYTES", room)
        assert isinstance(make_feed(split(), Recipe(), 1, "meta"), kind)


def training(device: str, monkeypatch: pytest.MonkeyPatch, **recipe: object) -> fitting._Training:
    # The quick optimisers have no kernels for a device without values.
    monkeypatch.setattr(
        fitting, "_make_optimizer", lambda model, *_: torch.optim.AdamW(model.parameters(), foreach=False)
    )
    torch.manual_seed(0)
    model = models.build(catalog.find_point("biisnet", POINT)).to(device).train()
    budget = Budget(epochs=2, batch=4, crop=32)
    return fitting._Training.of(model, split(), budget, Recipe(**recipe), seed=0, device=device)  # type: ignore[arg-type]


def test_no_step_waits_for_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    # Whoever asks a tensor without values for one gets an error.
    losses: list[torch.Tensor] = []
    monkeypatch.setattr(fitting, "_mean", lambda stack, _: losses.append(stack) or 0.0)
    training("meta", monkeypatch, ema=0.9).run_epoch(1)
    assert [loss.shape for loss in losses] == [(2,)] and losses[0].is_meta


def test_a_loss_that_is_not_finite_is_named_after_the_pass() -> None:
    assert fitting._mean(torch.tensor([1.0, 3.0]), 7) == 2.0
    with pytest.raises(TrainingError, match=r"^epoch 7, step 2: got loss nan; must be finite$"):
        fitting._mean(torch.tensor([1.0, float("nan"), float("inf")]), 7)


def test_half_precision_changes_a_loss_by_little_and_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a GPU, for which there are no fused kernels.
    monkeypatch.setattr(fused, "suits", lambda _: False)
    plain = training("cpu", monkeypatch).run_epoch(1)
    asked: list[str] = []

    def autocast(recipe: Recipe, device: str) -> torch.autocast:
        asked.append(device)
        return torch.autocast("cpu", torch.bfloat16)

    monkeypatch.setattr(fitting, "_autocast", autocast)
    half = training("cpu", monkeypatch)
    before = [parameter.clone() for parameter in half.model.parameters()]
    loss = half.run_epoch(1)
    # bfloat16 has 8 bits: a relative error of 2**-8 a layer, over some ten layers.
    assert loss != plain and loss == pytest.approx(plain, rel=0.05) and asked == ["cpu", "cpu"]
    assert all(p.dtype == torch.float32 for p in half.model.parameters())
    assert any(not torch.equal(p, b) for p, b in zip(half.model.parameters(), before, strict=True))


@pytest.mark.parametrize(
    ("amp", "device", "is_on"), [(True, "cuda", True), (True, "cpu", False), (False, "cuda", False)]
)
def test_half_precision_is_for_gpus(amp: bool, device: str, is_on: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.autocast", lambda *arguments: arguments)
        made = fitting._autocast(Recipe(amp=amp), device)
    assert (made == (device, torch.bfloat16)) is is_on


def test_what_a_gpu_began_goes_on_without_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    places: list[object] = []
    load = torch.load
    monkeypatch.setattr("torch.load", lambda *a, **named: places.append(named.get("map_location")) or load(*a, **named))
    for _ in range(2):
        model = models.build(catalog.find_point("biisnet", POINT))
        budget = Budget(epochs=1, batch=4, crop=32)
        list(fit(model, split(), budget, Recipe(), seed=0, checkpoint=str(tmp_path / "x.pt")))
    assert places == ["cpu"]
