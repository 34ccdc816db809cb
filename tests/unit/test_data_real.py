"""The importers against the real sets, where ``IRNAS_REAL_DATA`` names a folder with SIRST/ and NUDT-SIRST/.

The figures are those that the field publishes: counts, splits, and the normalisation constants of BasicIRSTD.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from irnas.data import Dataset, open_dataset, statistics
from irnas.data.check import verify
from irnas.data.dataset import EVERY
from irnas.data.importer import import_folder

pytestmark = pytest.mark.realdata


def _imported(name: str, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = os.environ.get("IRNAS_REAL_DATA", "")
    if not root or not (Path(root) / name).is_dir():
        pytest.skip(f"IRNAS_REAL_DATA names no folder with {name}")
    target = tmp_path_factory.mktemp("real") / name
    import_folder(Path(root) / name, target)
    return open_dataset(str(target))


@pytest.fixture(scope="module")
def sirst(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _imported("SIRST", tmp_path_factory)


@pytest.fixture(scope="module")
def nudt(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return _imported("NUDT-SIRST", tmp_path_factory)


def _counts(dataset: Dataset) -> dict[str, tuple[int, int]]:
    return {k: (v["images"], v["targets"]) for k, v in dataset.manifest.counts.items()}


def _figures(dataset: Dataset) -> dict[str, object]:
    split = dataset.split(EVERY)
    return statistics.describe((split.image(i), split.mask(i)) for i in range(len(split)))


def test_sirst_has_its_counts_and_splits(sirst: Dataset) -> None:
    manifest = sirst.manifest
    assert (manifest.format, manifest.images, manifest.targets) == ("sirst", 427, 533)
    assert (manifest.width, manifest.height) == ((135, 456), (96, 388))
    counts = _counts(sirst)
    assert (counts["train"], counts["test"]) == ((213, 270), (214, 263))
    assert [counts[f"idx_427/{k}"] for k in ("train", "val", "test")] == [(256, 327), (85, 97), (86, 109)]
    assert counts["fit"][0] + counts["val"][0] == 213
    verify(sirst.root)


def test_sirst_tells_its_anomalies(sirst: Dataset) -> None:
    text = "\n".join(sirst.manifest.warnings)
    assert "122 of the 214 images of split test are in idx_427/train" in text
    assert "37 images are palette files" in text
    assert "159 images are not exactly grey" in text
    assert text.count("resized to nearest neighbours") == 1
    assert "mask Misc_111_pixels0.png: got 592x400 for an image of 325x220" in text
    assert "grey mask values" not in text


def test_sirsts_one_wrong_mask_keeps_its_target(sirst: Dataset) -> None:
    split = sirst.split("test")
    index = [split.name(i) for i in range(len(split))].index("Misc_111")
    assert split.shape(index) == (220, 325)
    assert split.mask(index).sum() == 35
    assert len(statistics.measure(split.image(index), split.mask(index))) == 1


def test_sirst_has_its_published_statistics(sirst: Dataset) -> None:
    figures = _figures(sirst)
    assert figures["sizes"] == 381
    assert (round(figures["mean"], 3), round(figures["std"], 3)) == (111.978, 27.627)  # type: ignore[call-overload]
    assert figures["area"] == {"5": 7, "25": 14, "50": 20, "75": 39, "95": 107}
    assert [figures["targets_per_image"][k] for k in "1234"] == [358, 48, 13, 4]  # type: ignore[index]


def test_nudt_has_its_counts_splits_and_statistics(nudt: Dataset) -> None:
    manifest = nudt.manifest
    assert (manifest.format, manifest.images, manifest.targets) == ("nudt-sirst", 1327, 1863)
    assert (manifest.width, manifest.height) == ((256, 256), (256, 256))
    counts = _counts(nudt)
    assert (counts["train"], counts["test"]) == ((663, 918), (664, 945))
    figures = _figures(nudt)
    assert (round(figures["mean"], 5), round(figures["std"], 5)) == (107.80905, 33.02275)  # type: ignore[call-overload]
    assert manifest.warnings == ()
    verify(nudt.root)
