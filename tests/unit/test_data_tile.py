from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.datasets import tiny

from irnas.core.errors import DataError
from irnas.data import open_dataset, tile


def test_tiles_are_windows_of_the_training_part_with_a_target(tmp_path: Path) -> None:
    source = tiny()
    manifest = tile.write(tmp_path / "t", source, size=32, fit=5, val=2)
    assert set(manifest.splits) == {"fit", "val"} and manifest.height == manifest.width == (32, 32)
    assert manifest.validation["of"] == source.revision and manifest.parameters["size"] == 32
    made = open_dataset(str(tmp_path / "t"))
    for label, number in (("fit", 5), ("val", 2)):
        split, origin = made.split(label), source.split(label)
        rows = {origin.name(i): i for i in range(len(origin))}
        assert len(split) == number
        for i in range(number):
            image, mask = (
                np.asarray(picture) for picture in (origin.image(rows[split.name(i)]), origin.mask(rows[split.name(i)]))
            )
            places = [
                (y, x)
                for y in range(image.shape[0] - 31)
                for x in range(image.shape[1] - 31)
                if np.array_equal(image[y : y + 32, x : x + 32], split.image(i))
                and np.array_equal(mask[y : y + 32, x : x + 32], split.mask(i))
            ]
            assert places and (split.mask(i).any() or not mask.any())


def test_more_tiles_keep_those_of_fewer_and_a_seed_changes_them(tmp_path: Path) -> None:
    few = tile.write(tmp_path / "few", tiny(), size=32, fit=3, val=1)
    many = tile.write(tmp_path / "many", tiny(), size=32, fit=6, val=1)
    other = tile.write(tmp_path / "other", tiny(), size=32, fit=3, val=1, seed=1)
    again = tile.write(tmp_path / "again", tiny(), size=32, fit=3, val=1)
    assert set(few.splits["fit"]) < set(many.splits["fit"])
    assert few.revision == again.revision != other.revision


def test_what_cannot_be_cut_is_said_and_nothing_is_left(tmp_path: Path) -> None:
    for changes, message in (
        ({"size": 64}, r"^image \w+: got 48x48; must be at least 64x64"),
        ({"size": 16}, r"^tile size: got 16; must be at least 32"),
        ({"fit": 900}, r"^tiles of fit: got 900; must be in 1\.\."),
    ):
        with pytest.raises(DataError, match=message):
            tile.write(tmp_path / "t", tiny(), **{"size": 32, "fit": 3, "val": 1, **changes})
        assert not list(tmp_path.iterdir())


def test_a_target_larger_than_a_tile_has_its_middle_inside() -> None:
    mask = np.zeros((100, 100), dtype=np.uint8)
    mask[10:90, 20:60] = 1
    for seed in range(20):
        y, x = tile._place(np.random.default_rng(seed), mask, 32)
        assert y <= 50 <= y + 32 and x <= 40 <= x + 32 and 0 <= y <= 68 and 0 <= x <= 68
