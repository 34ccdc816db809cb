"""Synthetic sets are deterministic, do not depend on their size, and look like what they imitate."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from irnas.core.errors import DataError
from irnas.data import open_dataset, synthetic
from irnas.data.statistics import describe
from irnas.data.synthetic import make_settings, samples, single, write
from irnas.data.synthetic_settings import DEFAULT, HARD, SyntheticSettings

SMALL = make_settings(images=12, size=64)
CLIPS = make_settings(images=0, sequences=3, frames=8, size=64)


def test_an_image_depends_on_seed_and_number_only() -> None:
    few, many = (list(samples(replace(SMALL, images=n))) for n in (3, 6))
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a.image, b.image)
        np.testing.assert_array_equal(a.mask, b.mask)
    assert not np.array_equal(few[0].image, few[1].image)
    assert not np.array_equal(single(replace(SMALL, seed=1), 0).image, few[0].image)


def test_a_sequence_does_not_depend_on_how_many_there_are() -> None:
    few, many = (list(samples(replace(CLIPS, sequences=n))) for n in (2, 3))
    for a, b in zip(few, many, strict=False):
        np.testing.assert_array_equal(a.image, b.image)
        assert (a.name, a.sequence, a.frame) == (b.name, b.sequence, b.frame)


@pytest.mark.parametrize("settings", [SMALL, CLIPS], ids=["images", "sequences"])
def test_another_process_makes_the_same_revision(settings: SyntheticSettings, tmp_path: Path) -> None:
    code = (
        "from pathlib import Path; from irnas.data.synthetic import *; "
        f"s = make_settings(images={settings.images}, sequences={settings.sequences}, frames={settings.frames}, "
        "size=64); "
        f"print(write(Path({str(tmp_path / 'other')!r}), s).revision)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert write(tmp_path / "own", settings).revision == done.stdout.strip()
    for name in ("manifest.json", "shard-0000.parquet"):
        assert (tmp_path / "own" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()


def test_the_manifest_tells_the_parameters(tmp_path: Path) -> None:
    manifest = write(tmp_path / "out", SMALL)
    assert manifest.format == "synthetic"
    assert manifest.parameters["size"] == 64
    assert manifest.parameters["target"]["contrast"] == [18.0, 120.0]
    assert manifest.parameters["version"] == synthetic.VERSION
    assert {k: v["images"] for k, v in manifest.counts.items()} == {"train": 10, "test": 2, "fit": 8, "val": 2}


def test_sequences_are_split_whole(tmp_path: Path) -> None:
    manifest = write(tmp_path / "out", replace(CLIPS, sequences=6))
    assert manifest.sequences == 6
    parts = {k: {n.split("/")[0] for n in manifest.splits[k]} for k in ("fit", "val", "test")}
    assert [len(parts[k]) for k in ("fit", "val", "test")] == [4, 1, 1]
    assert len(set.union(*parts.values())) == 6


def test_the_default_set_is_light_and_bright() -> None:
    dataset = open_dataset("synthetic")
    assert {k: v["images"] for k, v in dataset.manifest.counts.items()} == {
        "train": 320,
        "test": 80,
        "fit": 256,
        "val": 64,
    }
    split = dataset.split("fit")
    assert split.shape(0) == (128, 128)
    figures = describe((split.image(i), split.mask(i)) for i in range(len(split)))
    assert figures["contrast"]["5"] > 30  # type: ignore[index]
    assert figures["scr"]["50"] > 9  # type: ignore[index]
    assert figures["targets"] >= 250  # type: ignore[operator]
    # Some images have no target, as in real use.
    assert 1 <= figures["empty"] <= 30  # type: ignore[operator]
    assert dataset == open_dataset("synthetic")


# Quartiles of SIRST's 427 images, and of the generator that this one follows; ours should lie near that range.
SIRST = {"area": (14, 20, 39), "aspect": (1.15, 1.33, 1.56), "scr": (5.2, 10.5, 17.2), "image_std": (7.8, 21, 40)}
MODEL = {"area": (16, 23, 42), "aspect": (1.0, 1.25, 1.5), "scr": (3.9, 7.6, 13.1), "image_std": (8.8, 17, 27)}


@pytest.fixture(scope="module")
def scenes() -> dict[str, object]:
    return describe((s.image, s.mask) for s in samples(make_settings(images=300)))


@pytest.mark.parametrize("what", SIRST)
def test_quartiles_lie_between_sirst_and_the_model_or_near(what: str, scenes: dict[str, object]) -> None:
    figures = scenes[what]
    assert isinstance(figures, dict)
    for percentile, real, model in zip(("25", "50", "75"), SIRST[what], MODEL[what], strict=True):
        # 20 % beyond either: about three standard errors of a quartile of 300 such wide distributions.
        low, high = min(real, model) * 0.8, max(real, model) * 1.2
        assert low <= figures[percentile] <= high, (
            f"{what} {percentile} %: {figures[percentile]:.2f} not in {low}..{high}"
        )


def test_numbers_of_targets_follow_their_shares(scenes: dict[str, object]) -> None:
    counts = scenes["targets_per_image"]
    assert isinstance(counts, dict)
    for number, share in (("0", 0.04), ("1", 0.80), ("2", 0.11)):
        # Three standard deviations of 300 draws, and one in fifty second targets finds no room.
        assert abs(counts[number] / 300 - share) < 3 * np.sqrt(share * (1 - share) / 300) + 0.02


def test_hard_scenes_are_dimmer_and_busier(scenes: dict[str, object]) -> None:
    hard = describe((s.image, s.mask) for s in samples(replace(HARD, images=150)))
    for what in ("scr", "contrast"):
        assert hard[what]["50"] < 0.6 * scenes[what]["50"]  # type: ignore[index]
    assert 3 < hard["scr"]["50"] < 6  # type: ignore[index]


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"images": 0}, "got 0 images and 0 sequences; must be one of the two"),
        ({"images": 5, "sequences": 5}, "got 5 images and 5 sequences"),
        ({"images": 1}, "must leave at least one for train and one for test"),
        ({"size": 16}, "synthetic size: got 16; must be in 32..2048"),
        ({"images": 0, "sequences": 3, "frames": 2}, "synthetic frames: got 2"),
        ({"seed": -1}, "synthetic seed: got -1"),
    ],
)
def test_impossible_numbers_are_refused(numbers: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=message):
        make_settings(**numbers)  # type: ignore[arg-type]


def test_the_default_set_is_documented_as_brighter_than_sirst() -> None:
    assert DEFAULT.target.contrast[0] > SyntheticSettings().target.contrast[0]
    assert DEFAULT.target.log_scr[0] > SyntheticSettings().target.log_scr[0]
