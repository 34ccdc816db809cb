"""A network of many frames sees the right ones: in order, of one sequence, cut and turned alike."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from support.datasets import tiny
from torch import Tensor, nn

from irnas.core.recipe import Budget, Recipe
from irnas.data import Split, open_dataset, synthetic
from irnas.data.dataset import EVERY
from irnas.data.loader import batches
from irnas.metrics import Rules
from irnas.training.fit import fit
from irnas.training.prediction import predictions, validate, windows


@pytest.fixture(scope="module")
def moving() -> Split:
    """Four sequences of six frames, in the order in which they are stored."""
    folder = Path(tempfile.mkdtemp(prefix="irnas-test-")) / "moving"
    synthetic.write(folder, synthetic.SyntheticSettings(images=0, sequences=4, frames=6, size=32, test_share=0.25))
    return open_dataset(str(folder)).split(EVERY)


class Newest(nn.Module):
    """The first and the last frame it sees, as logits; and what it saw."""

    frames = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([0.0, 1.0]))
        self.seen: list[Tensor] = []

    def forward(self, x_ntchw: Tensor) -> Tensor:
        self.seen.append(x_ntchw.detach())
        return self.weight[0] * x_ntchw[:, :1] + self.weight[1] * x_ntchw[:, -1:]


def index_of(split: Split, image: np.ndarray) -> int:
    """The number of an image in its split."""
    (index,) = (i for i in range(len(split)) if np.array_equal(split.image(i), image))
    return index


def test_a_window_ends_with_its_image_and_begins_with_the_oldest(moving: Split) -> None:
    for i in range(len(moving)):
        frames = [index_of(moving, image) for image in moving.window(i, 4)]
        assert frames[-1] == i
        numbers = [moving.frame(k) for k in frames]
        # Before the first frame that frame stands in.
        assert numbers == [max(moving.frame(i) - back, 0) for back in (3, 2, 1, 0)]
        assert {moving.sequence(k) for k in frames} == {moving.sequence(i)}


def test_a_window_does_not_depend_on_the_split_it_is_asked_of(moving: Split) -> None:
    """Frames of a sequence may be listed in any order, and not all of them."""
    part = moving.dataset.split("fit")
    for i in range(len(part)):
        j = [moving.name(k) for k in range(len(moving))].index(part.name(i))
        assert all(np.array_equal(a, b) for a, b in zip(part.window(i, 5), moving.window(j, 5), strict=True))


def test_a_single_image_is_a_sequence_that_never_changed() -> None:
    split = tiny().split("fit")
    window = split.window(0, 3)
    assert len(window) == 3 and all(np.array_equal(image, split.image(0)) for image in window)


@pytest.mark.parametrize("augment", [False, True])
def test_all_frames_of_a_crop_are_cut_and_turned_alike(moving: Split, augment: bool) -> None:
    """Each frame of the window, cut and turned as the newest is, is found by the same loader on that frame alone."""
    options = {"batch": 3, "crop": 16, "seed": 5, "epoch": 2, "flips": augment, "brightness": augment}
    several = list(batches(moving, frames=4, **options))
    single = list(batches(moving, frames=1, **options))
    order = np.random.default_rng([5, 2]).permutation(len(moving)).tolist()
    for step, ((x_ntchw, y_n1hw), (newest_n1hw, mask_n1hw)) in enumerate(zip(several, single, strict=True)):
        np.testing.assert_array_equal(x_ntchw[:, -1:], newest_n1hw)
        # The mask is the newest frame's.
        np.testing.assert_array_equal(y_n1hw, mask_n1hw)
        for k, window in enumerate(x_ntchw):
            i = order[3 * step + k]
            repeated = [frame for frame in range(3) if moving.frame(i) + frame < 3]
            for frame in repeated:
                # Stand-ins for frames before the first one: equal after all that was done to them.
                np.testing.assert_array_equal(window[frame], window[frame + 1])
            assert moving.frame(i) == 0 or not np.array_equal(window[-1], window[-2])
    assert {x.shape[1] for x, _ in several} == {4}


def test_one_jitter_for_a_whole_window(moving: Split) -> None:
    """Without noise between them, equal pixels of two frames stay equal under gain and offset."""
    plain = [x for x, _ in batches(moving, batch=4, crop=32, seed=1, epoch=0, flips=False, brightness=False, frames=3)]
    turned = [x for x, _ in batches(moving, batch=4, crop=32, seed=1, epoch=0, frames=3)]
    for before, after in zip(plain, turned, strict=True):
        for window, moved in zip(before, after, strict=True):
            # Grey levels map to grey levels by one line; clipped ends aside.
            levels = [
                dict(zip(np.sort(a.ravel()), np.sort(b.ravel()), strict=True))
                for a, b in zip(window, moved, strict=True)
            ]
            shared = set(levels[0]) & set(levels[2])
            assert shared and all(abs(levels[0][v] - levels[2][v]) < 1e-6 for v in shared)


def test_a_training_gives_a_network_its_windows(moving: Split) -> None:
    network = Newest()
    budget = Budget(epochs=1, batch=4, crop=32)
    list(fit(network, moving, budget, Recipe(augment="none", loss="bce"), seed=0))
    assert {x.shape for x in network.seen} == {(4, 3, 32, 32)}


def test_a_validation_gives_a_network_its_windows(moving: Split) -> None:
    network = Newest()
    # A target is where the newest frame is brighter than the oldest.
    network.weight.data = torch.tensor([-1.0, 1.0])
    metrics, _ = validate(network, moving, Rules())
    seen = torch.cat(network.seen)
    hits, masks = [], []
    for i, window in enumerate(windows(network, moving, range(len(moving)))):
        np.testing.assert_array_equal((seen[i].numpy() * 255).round().astype(np.uint8), window)
        np.testing.assert_array_equal(window[-1], moving.image(i))
        hits.append(moving.window(i, 3)[-1] > moving.window(i, 3)[0])
        masks.append(moving.mask(i) > 0)
    expected_miou = np.logical_and(hits, masks).sum() / np.logical_or(hits, masks).sum()
    assert 0 < expected_miou < 1
    assert metrics["miou"] == pytest.approx(expected_miou, abs=1e-12)


def test_a_single_image_is_repeated_for_a_network_of_windows(moving: Split) -> None:
    network = Newest()
    # All frames count, so that a window filled up with anything else gives other logits.
    network.weight.data = torch.tensor([1.0, 2.0])
    image = moving.image(7)
    (of_image,) = predictions(network, [image])
    (of_window,) = predictions(network, [np.stack([image] * 3)])
    np.testing.assert_array_equal(of_image, of_window)
