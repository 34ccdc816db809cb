"""Batches are one shuffled pass of honest crops: from where they should be, turned alike, and the same each time."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import layouts

from irnas.core.errors import DataError
from irnas.data import Split, loader, open_dataset
from irnas.data.importer import import_folder
from irnas.data.loader import batches

HEIGHT, WIDTH = 15, 17
"""255 pixels: each has a grey level of its own, so a crop tells where it came from."""


def _dataset(tmp_path: Path, masks: list[np.ndarray]) -> Split:
    for k, mask in enumerate(masks):
        image = np.arange(mask.size, dtype=np.uint8).reshape(mask.shape)
        layouts.save(tmp_path / "raw" / "images" / f"{k}.png", image)
        layouts.save(tmp_path / "raw" / "masks" / f"{k}.png", mask * np.uint8(255))
    import_folder(tmp_path / "raw", tmp_path / "out", val_fraction=0, allow_large_targets=True)
    return open_dataset(str(tmp_path / "out")).split("fit")


def _stripes() -> np.ndarray:
    return (np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH) % 3 == 0).astype(np.uint8)


def _dot(y: int, x: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), dtype=np.uint8)
    mask[y, x] = 1
    return mask


@pytest.fixture
def striped(tmp_path: Path) -> Split:
    return _dataset(tmp_path, [_stripes()] * 7)


def _read(split: Split, **options: Any) -> list[tuple[np.ndarray, np.ndarray]]:
    return list(batches(split, **{"batch": 3, "crop": 8, "seed": 1, "epoch": 0, **options}))


def _levels(x_hw: np.ndarray) -> np.ndarray:
    return np.rint(x_hw * 255).astype(int)


def test_shapes_types_and_ranges(striped: Split) -> None:
    for x_nchw, y_nchw in _read(striped):
        assert x_nchw.shape == y_nchw.shape == (3, 1, 8, 8)
        assert (x_nchw.dtype, y_nchw.dtype) == (np.float32, np.uint8)
        assert 0 <= x_nchw.min() <= x_nchw.max() <= 1
        assert set(np.unique(y_nchw)) <= {0, 1}
        assert x_nchw.flags.writeable


def test_a_plain_crop_is_a_window_of_image_and_mask(striped: Split) -> None:
    for x_nchw, y_nchw in _read(striped, flips=False, brightness=False):
        for x_hw, y_hw in zip(x_nchw[:, 0], y_nchw[:, 0], strict=True):
            levels = _levels(x_hw)
            top, left = divmod(int(levels[0, 0]), WIDTH)
            expected = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)[top : top + 8, left : left + 8]
            np.testing.assert_array_equal(levels, expected)
            np.testing.assert_array_equal(y_hw, _stripes()[top : top + 8, left : left + 8])


def test_image_and_mask_turn_alike_and_in_all_eight_ways(striped: Split, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loader, "GAIN", 0)
    monkeypatch.setattr(loader, "OFFSET", 0)
    ways = set()
    for epoch in range(12):
        for x_nchw, y_nchw in _read(striped, epoch=epoch):
            np.testing.assert_array_equal(y_nchw, _levels(x_nchw) % 3 == 0)
            for levels in _levels(x_nchw[:, 0]):
                down, right = (int(levels[1, 0]) - int(levels[0, 0])), (int(levels[0, 1]) - int(levels[0, 0]))
                ways.add((down, right))
    assert ways == {(a * s, b * t) for a, b in ((WIDTH, 1), (1, WIDTH)) for s in (1, -1) for t in (1, -1)}


def test_the_jitter_is_a_gain_and_an_offset_within_bounds(striped: Split) -> None:
    gains = []
    for epoch in range(5):
        for x_nchw, _ in _read(striped, epoch=epoch):
            for x_hw in x_nchw[:, 0]:
                inside = x_hw[(x_hw > 0) & (x_hw < 1)]
                # Neighbouring levels differ by gain/255, whichever way the crop is turned.
                gains.append(float(np.diff(np.sort(inside)).min()) * 255)
    assert len({round(f, 3) for f in gains}) > 20
    assert 1 - loader.GAIN - 1e-3 <= min(gains) <= max(gains) <= 1 + loader.GAIN + 1e-3


def test_batches_depend_on_seed_and_epoch_only(striped: Split) -> None:
    first = _read(striped, epoch=3)
    next(batches(striped, batch=3, crop=8, seed=1, epoch=2))
    for (x, y), (x2, y2) in zip(first, _read(striped, epoch=3), strict=True):
        np.testing.assert_array_equal(x, x2)
        np.testing.assert_array_equal(y, y2)
    for other in ({"epoch": 4}, {"seed": 2}):
        assert any(
            not np.array_equal(a[0], b[0]) for a, b in zip(first, _read(striped, **{"epoch": 3, **other}), strict=True)
        )


def test_batch_size_does_not_change_what_is_drawn(striped: Split) -> None:
    one_batch = np.concatenate([x for x, _ in _read(striped, batch=7)])
    parts = np.concatenate([x for x, _ in _read(striped, batch=2)])
    np.testing.assert_array_equal(one_batch[:6], parts)


def test_each_epoch_sees_each_image_once_in_another_order(tmp_path: Path) -> None:
    # The number of the image is in its mask: k pixels of the first row.
    masks = [np.pad(np.ones((1, k + 1), np.uint8), ((0, HEIGHT - 1), (0, WIDTH - k - 1))) for k in range(9)]
    split = _dataset(tmp_path, masks)
    orders = []
    for epoch in range(3):
        images = [int(y.sum()) for _, ys in _read(split, batch=4, crop=20, epoch=epoch) for y in ys]
        orders.append(tuple(images))
        # The ninth image would be a batch of its own and is left out.
        assert len(images) == len(set(images)) == 8
    assert len(set(orders)) == 3
    everything = [int(y.sum()) for _, ys in _read(split, batch=5, crop=20) for y in ys]
    assert sorted(everything) == list(range(1, 10))


@pytest.mark.parametrize(
    ("batch", "sizes"), [(1, [1] * 7), (2, [2, 2, 2]), (3, [3, 3]), (4, [4, 3]), (7, [7]), (9, [7])]
)
def test_a_last_batch_of_one_is_left_out_and_any_other_kept(batch: int, sizes: list[int], striped: Split) -> None:
    assert [len(x) for x, _ in _read(striped, batch=batch)] == sizes


def test_a_forced_crop_holds_the_target_at_any_place(tmp_path: Path) -> None:
    split = _dataset(tmp_path, [_dot(1, 9)] * 40)
    corners = set()
    for epoch in range(6):
        for x_nchw, y_nchw in _read(split, epoch=epoch, crop=6, target_share=1.0, flips=False, brightness=False):
            assert (y_nchw.sum((1, 2, 3)) == 1).all()
            corners.update(divmod(int(v), WIDTH) for v in _levels(x_nchw[:, 0, 0, 0]))
    assert corners == set(itertools.product(range(2), range(4, 10)))


def test_the_share_of_forced_crops(tmp_path: Path) -> None:
    split = _dataset(tmp_path, [_dot(0, 0)] * 100)
    shares = {}
    for share in (0.0, 0.5, 1.0):
        hits = [
            float(y.max())
            for e in range(4)
            for _, ys in _read(split, batch=10, crop=8, epoch=e, target_share=share)
            for y in ys
        ]
        shares[share] = np.mean(hits)
    # By chance alone, 1 of the 80 places of an 8x8 window holds the corner.
    assert shares[0.0] < 0.05
    # 400 draws at one half: three standard deviations are 0.075.
    assert abs(shares[0.5] - 0.5) < 0.08
    assert shares[1.0] == 1.0


def test_free_crops_reach_every_place(tmp_path: Path) -> None:
    split = _dataset(tmp_path, [np.zeros((HEIGHT, WIDTH), np.uint8)] * 60)
    corners = {
        int(v)
        for e in range(12)
        for x, y in _read(split, batch=60, crop=12, epoch=e, target_share=1.0, flips=False, brightness=False)
        for v in _levels(x[:, 0, 0, 0])
    }
    assert corners == {y * WIDTH + x for y in range(4) for x in range(6)}


@pytest.mark.parametrize("augment", [False, True])
def test_small_images_are_padded_with_zeros_at_bottom_and_right(augment: bool, tmp_path: Path) -> None:
    split = _dataset(tmp_path, [np.ones((5, 7), np.uint8)] * 30)
    shapes = set()
    for x_nchw, y_nchw in _read(split, crop=9, flips=augment, brightness=augment):
        for x_hw, y_hw in zip(x_nchw[:, 0], y_nchw[:, 0], strict=True):
            rows, columns = int(y_hw.any(1).sum()), int(y_hw.any(0).sum())
            shapes.add((rows, columns))
            assert y_hw[:rows, :columns].all()
            assert not x_hw[rows:].any()
            assert not x_hw[:, columns:].any()
    assert shapes == ({(5, 7), (7, 5)} if augment else {(5, 7)})


def test_mirror_images_fill_up_small_images_with_their_masks(striped: Split) -> None:
    side = 2 * max(HEIGHT, WIDTH) + 3
    x_nchw, y_nchw = _read(striped, crop=side, mirror=True, flips=False, brightness=False)[0]
    rows, columns = ([[*range(n), *reversed(range(n))][k % (2 * n)] for k in range(side)] for n in (HEIGHT, WIDTH))
    image_hw = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)
    np.testing.assert_array_equal(_levels(x_nchw[0, 0]), image_hw[rows][:, columns])
    np.testing.assert_array_equal(y_nchw[0, 0], _stripes()[rows][:, columns])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch": 0}, "loader batch: got 0; must be at least 1"),
        ({"crop": 0}, "loader crop: got 0; must be at least 1"),
        ({"target_share": 1.5}, "loader target_share: got 1.5; must be in 0..1"),
    ],
)
def test_impossible_options_are_refused_at_once(options: dict[str, Any], message: str, striped: Split) -> None:
    with pytest.raises(DataError, match=message):
        batches(striped, **{"batch": 3, "crop": 8, "seed": 1, "epoch": 0, **options})
