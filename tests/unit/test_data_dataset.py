"""Data sets open by name, cheaply, without copies, from many processes at once."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support import layouts

from irnas.core.errors import DataError
from irnas.data import cache, manifest, open_dataset, shards, synthetic
from irnas.data.dataset import EVERY, Dataset
from irnas.data.importer import import_folder
from irnas.storage import hashing


@pytest.fixture
def sirst(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dataset:
    monkeypatch.chdir(tmp_path)
    layouts.sirst_original(tmp_path / "raw")
    import_folder(tmp_path / "raw", tmp_path / "data" / "sirst")
    return open_dataset("sirst")


def test_a_name_or_a_path_opens_the_same_folder(sirst: Dataset) -> None:
    assert (sirst.name, sirst.root.name) == ("sirst", "sirst")
    for spelling in ("data/sirst", str(sirst.root), "data/../data/sirst"):
        assert open_dataset(spelling) == sirst
    assert len(sirst.revision) == 16
    assert sirst.splits[:2] == ("train", "test")


def test_what_does_not_exist_is_refused_with_what_does(sirst: Dataset) -> None:
    with pytest.raises(
        DataError, match=r"dataset: got 'sirts'; one of synthetic, sirst, or a folder with a manifest\.json"
    ):
        open_dataset("sirts")
    with pytest.raises(DataError, match=r"must be imported first \(irnas data import raw -o data/NAME\)"):
        open_dataset("raw")
    with pytest.raises(DataError, match="split of sirst: got 'fitt'; one of train, test"):
        sirst.split("fitt")


def test_a_split_gives_the_pictures_of_its_list(sirst: Dataset) -> None:
    split = sirst.split("train")
    assert (len(split), split.label, repr(split)) == (6, "train", "Split(sirst/train, 6 images)")
    for i in range(len(split)):
        key = int(split.name(i).removeprefix("Misc_")) - 1
        np.testing.assert_array_equal(split.image(i), layouts.picture(key))
        np.testing.assert_array_equal(split.mask(i), layouts.mask_of(key))
        np.testing.assert_array_equal(split.pixels(i), np.flatnonzero(layouts.mask_of(key)))
        assert split.shape(i) == layouts.SIZE
        assert (split.sequence(i), split.frame(i)) == ("", 0)
    assert [split.name(i) for i in range(len(split))] == list(sirst.manifest.splits["train"])
    assert len(sirst.split(EVERY)) == 12


def test_arrays_are_views_on_one_map_and_cannot_be_written(sirst: Dataset) -> None:
    split = sirst.split("fit")
    for array in (split.image(0), split.mask(0), split.pixels(0)):
        assert not array.flags.owndata
        assert not array.flags.writeable
    assert np.shares_memory(split.image(0), split.image(0))


def test_images_of_many_sizes_and_empty_masks_survive_the_cache(tmp_path: Path) -> None:
    shapes = {f"{k}": (17 + k % 5, 30 - k % 7) for k in range(80)}
    for key, (name, shape) in enumerate(shapes.items()):
        layouts.save(tmp_path / "raw" / "images" / f"{name}.png", layouts.picture(key, shape))
        layouts.save(tmp_path / "raw" / "masks" / f"{name}.png", layouts.mask_of(key, shape) * (key % 3 > 0))
    import_folder(tmp_path / "raw", tmp_path / "out")
    split = open_dataset(str(tmp_path / "out")).split(EVERY)
    for i in range(len(split)):
        key = int(split.name(i))
        np.testing.assert_array_equal(split.image(i), layouts.picture(key, shapes[str(key)]))
        assert len(split.pixels(i)) == split.mask(i).sum() == (6 if key % 3 else 0)


def test_a_set_without_any_target_opens(tmp_path: Path) -> None:
    for key in range(4):
        layouts.save(tmp_path / "raw" / "images" / f"{key}.png", layouts.picture(key))
        layouts.save(tmp_path / "raw" / "masks" / f"{key}.png", np.zeros(layouts.SIZE, dtype=np.uint8))
    assert import_folder(tmp_path / "raw", tmp_path / "out").targets == 0
    split = open_dataset(str(tmp_path / "out")).split("fit")
    assert [len(split.pixels(i)) for i in range(len(split))] == [0] * len(split)


def test_a_pickled_split_is_small_and_reopens(sirst: Dataset) -> None:
    split = sirst.split("val")
    data = pickle.dumps(split)
    assert len(data) < 500
    again = pickle.loads(data)
    np.testing.assert_array_equal(again.image(0), split.image(0))
    assert (again.label, again.dataset) == (split.label, split.dataset)


def test_a_pickled_split_refuses_data_that_changed_meanwhile(sirst: Dataset, tmp_path: Path) -> None:
    data = pickle.dumps(sirst.split("val"))
    for path in sirst.root.iterdir():
        path.unlink()
    layouts.nudt(tmp_path / "other")
    import_folder(tmp_path / "other", sirst.root)
    with pytest.raises(DataError, match=r"got revision \w+; must be \w+, as when it was opened"):
        pickle.loads(data)


def test_the_cache_is_built_once_and_again_when_it_was_deleted(sirst: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    build = cache._build
    monkeypatch.setattr(cache, "_build", lambda *a: (calls.append(1), build(*a)))
    for path in (cache.folder() / "arrow").glob("*.arrow"):
        path.unlink()
    for split in ("fit", "val", "test"):
        sirst.split(split)
    assert len(calls) == 1


def test_a_damaged_shard_never_enters_the_cache(sirst: Dataset) -> None:
    for path in (cache.folder() / "arrow").glob("*.arrow"):
        path.unlink()
    shard = sirst.root / sirst.manifest.shards[0].file
    shard.write_bytes(shard.read_bytes() + b"!")
    with pytest.raises(DataError, match="got sha256"):
        sirst.split("fit")
    assert not list((cache.folder() / "arrow").glob(f"*{sirst.revision}*.arrow"))


@pytest.mark.parametrize("content", [b"", b"x" * 100, None], ids=["empty", "garbage", "half"])
def test_a_damaged_cache_is_built_anew(content: bytes | None, sirst: Dataset) -> None:
    before = np.array(sirst.split("fit").image(0))
    path = cache.path_of(sirst.manifest)
    whole = path.read_bytes()
    # As another process would have it, the old file stays under the map that is open.
    path.unlink()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    np.testing.assert_array_equal(sirst.split("fit").image(0), before)
    assert path.read_bytes() == whole


def rewritten(genuine: Dataset, folder: Path, *, darker: int = 0, **changes: object) -> Dataset:
    """The same set in another folder, its shards written anew, perhaps with other pixels, and a manifest to fit."""
    shutil.copytree(genuine.root, folder)
    path = folder / genuine.manifest.shards[0].file
    table = pq.read_table(path)
    images = [bytes(max(pixel - darker, 0) for pixel in image.as_py()) for image in table["image"]]
    place = table.schema.get_field_index("image")
    table = table.set_column(place, table.schema.field(place), pa.array(images, pa.large_binary()))
    pq.write_table(table.rename_columns([changes.get(name, name) for name in table.column_names]), path)
    shard = replace(genuine.manifest.shards[0], sha256=hashing.of_file(path))
    manifest.write(folder, replace(genuine.manifest, shards=(shard, *genuine.manifest.shards[1:])))
    return open_dataset(str(folder))


@pytest.mark.parametrize("first", ["the forged set", "the genuine set"])
def test_pixels_changed_together_with_their_hash_fill_no_cache(first: str, sirst: Dataset, tmp_path: Path) -> None:
    forged = rewritten(sirst, tmp_path / "forged", darker=9)
    assert forged.revision == sirst.revision, "nothing but the pixels tells them apart"
    cache.path_of(sirst.manifest).unlink(missing_ok=True)
    if first == "the genuine set":
        sirst.split("train")
    for _ in range(2):
        with pytest.raises(DataError, match=rf"got images that are not those of revision {sirst.revision}; must be"):
            forged.split("train")
    split = sirst.split("train")
    picture = layouts.picture(int(split.name(0).removeprefix("Misc_")) - 1)
    np.testing.assert_array_equal(split.image(0), picture)
    assert not cache.path_of(forged.manifest).exists()


def test_other_files_of_one_revision_have_a_cache_of_their_own(sirst: Dataset, tmp_path: Path) -> None:
    again = rewritten(sirst, tmp_path / "again")
    np.testing.assert_array_equal(again.split("fit").image(0), sirst.split("fit").image(0))
    assert again.revision == sirst.revision and cache.path_of(again.manifest) != cache.path_of(sirst.manifest)


def test_counts_that_are_none_are_refused(sirst: Dataset) -> None:
    """The revision does not cover them."""
    of_a_split = [-1, {"images": 1}, {"images": "1", "targets": 1}, {"images": 1, "targets": -1}]
    for counts in (None, [], {}, *(dict.fromkeys(sirst.manifest.counts, each) for each in of_a_split)):
        with pytest.raises(DataError, match=r"^manifest: got (counts|a manifest with a missing or wrong field)"):
            manifest.Manifest.from_document({**sirst.manifest.document(), "counts": counts}, "manifest")


def test_a_shard_without_a_column_is_refused(sirst: Dataset, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="got no column 'mask'; must be there"):
        rewritten(sirst, tmp_path / "lacking", mask="masks").split("fit")


@pytest.mark.parametrize(
    ("variables", "wanted"),
    [
        ({"IRNAS_CACHE": "/a"}, Path("/a")),
        ({"XDG_CACHE_HOME": "/b"}, Path("/b/irnas")),
        ({}, Path("/home/x/.cache/irnas")),
    ],
)
def test_where_the_cache_lies(variables: dict[str, str], wanted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("IRNAS_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/x")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache.folder() == wanted


@pytest.fixture
def small_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(synthetic, "DEFAULT", replace(synthetic.DEFAULT, images=10, size=32))


def test_two_at_once_generate_the_default_set_once(small_default: None, monkeypatch: pytest.MonkeyPatch) -> None:
    calls, datasets = [], []
    write = synthetic.write
    monkeypatch.setattr(synthetic, "write", lambda *a, **k: (calls.append(1), write(*a, **k)))
    workers = [threading.Thread(target=lambda: datasets.append(open_dataset("synthetic"))) for _ in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert (len(calls), len(datasets), len({d.revision for d in datasets})) == (1, 4, 1)


def test_what_a_killed_builder_left_is_swept(small_default: None) -> None:
    folder = cache.folder() / "data"
    name = synthetic.default_folder().name
    for path in folder.iterdir():
        if path.name == name:
            path.rename(folder / f".{name}.dead.part")
    open_dataset("synthetic")
    assert sorted(p.name for p in folder.iterdir() if not p.name.endswith(".lock")) == [name]


def test_progress_hears_of_generating_and_caching(small_default: None) -> None:
    heard: list[tuple[str, int, int]] = []
    dataset = open_dataset("synthetic", lambda *a: heard.append(a))
    dataset.split("fit", lambda *a: heard.append(a))
    assert heard[0] == ("images", 1, 10)
    assert ("images", 10, 10) in heard
    assert heard[-1] == ("cache", 10, 10)


def test_the_package_imports_in_no_time() -> None:
    code = "import sys, irnas.data; print(sorted({'torch', 'ray', 'pyarrow', 'PIL', 'scipy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_interrupted_cache_leaves_nothing(sirst: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> object:
        raise KeyboardInterrupt

    for path in (cache.folder() / "arrow").glob(f"{sirst.revision}*"):
        path.unlink()
    monkeypatch.setattr(shards, "to_sample", stop)
    with pytest.raises(KeyboardInterrupt):
        sirst.split("fit")
    assert not [p for p in (cache.folder() / "arrow").glob(f"*{sirst.revision}*") if not p.name.endswith(".lock")]
