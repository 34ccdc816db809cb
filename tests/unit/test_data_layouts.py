"""Every published layout is found, named and split as published; every mismatch is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from support import layouts

from irnas.core.errors import DataError
from irnas.data.decode import Notes
from irnas.data.folders import FolderLayout
from irnas.data.importer import import_folder
from irnas.data.layout import Entry, ImageReader, Layout, Listing, Reader
from irnas.data.layouts import LAYOUTS, discover
from irnas.data.sample import Bytes

Build = Callable[[Path], list[str]]


@pytest.mark.parametrize(
    ("build", "format", "counts"),
    [
        (
            layouts.sirst_original,
            "sirst",
            {"train": 6, "test": 6, "idx_427/train": 7, "idx_427/val": 2, "idx_427/test": 3},
        ),
        (layouts.sirst_dnanet, "sirst", {"train": 5, "test": 5}),
        (layouts.irstd1k_archive, "irstd-1k", {"trainval": 8, "test": 2}),
        (layouts.sirst_aug, "generic", {"trainval": 8, "test": 3}),
        (layouts.sirst_aug_flat, "generic", {"train": 6, "test": 2}),
        (layouts.irdst, "generic", {"train": 9, "test": 3}),
        (layouts.rfr, "generic", {"train": 6, "test": 3}),
        (layouts.mirsdt, "nudt-mirsdt", {"train": 21, "test": 7}),
        (layouts.nudt, "generic", {"train": 5, "test": 5}),
    ],
)
def test_a_published_layout_is_read(build: Build, format: str, counts: dict[str, int], tmp_path: Path) -> None:
    names = build(tmp_path / "set")
    source = discover(tmp_path / "set")
    assert source.format == format
    assert sorted(e.name for e in source.entries) == sorted(names)
    assert {k: len(source.splits[k]) for k in counts} == counts


def test_nudt_is_recognised_by_its_name_where_images_are_missing(tmp_path: Path) -> None:
    layouts.nudt(tmp_path / "NUDT-SIRST")
    source = discover(tmp_path / "NUDT-SIRST")
    assert source.format == "nudt-sirst"
    assert "got 10 images where the published set has 1327" in source.warnings


def test_sirst_s_own_val_is_used_where_its_lists_lead(tmp_path: Path) -> None:
    names = layouts.sirst_original(tmp_path / "set", redistributed=False)
    manifest = import_folder(tmp_path / "set", tmp_path / "out")
    assert manifest.splits["fit"] == tuple(names[:7])
    assert manifest.splits["val"] == tuple(names[7:9])
    assert manifest.validation == {"kind": "official", "fit": "train", "val": "val"}


def test_a_leak_between_two_protocols_is_recorded(tmp_path: Path) -> None:
    layouts.sirst_original(tmp_path / "set")
    manifest = import_folder(tmp_path / "set", tmp_path / "out")
    assert any("6 of the 6 images of split test are in idx_427/train" in w for w in manifest.warnings)


def test_the_validation_cut_splits_no_sequence(tmp_path: Path) -> None:
    layouts.mirsdt(tmp_path / "set")
    manifest = import_folder(tmp_path / "set", tmp_path / "out", val_fraction=0.34)
    sequences = {split: {n.split("/")[0] for n in manifest.splits[split]} for split in ("fit", "val", "test")}
    assert [len(sequences[s]) for s in ("fit", "val", "test")] == [2, 1, 1]
    assert not sequences["fit"] & sequences["val"]
    assert manifest.sequences == 4
    assert [e.frame for e in discover(tmp_path / "set").entries[:7]] == [1, 2, 3, 4, 5, 6, 7]


def test_a_trailing_number_orders_frames_of_a_nested_set(tmp_path: Path) -> None:
    names = [f"s/{t}" for t in (10, 9, 1)]
    layouts.pairs(tmp_path / "images", tmp_path / "masks", names)
    assert [e.name for e in discover(tmp_path).entries] == ["s/1", "s/9", "s/10"]


def test_stacks_are_read_as_their_last_slice(tmp_path: Path) -> None:
    from irnas.data import open_dataset

    layouts.mirsdt(tmp_path / "set")
    import_folder(tmp_path / "set", tmp_path / "out")
    train = open_dataset(str(tmp_path / "out")).split("train")
    np.testing.assert_array_equal(train.image(0), layouts.picture(1001))
    np.testing.assert_array_equal(train.image(20), layouts.picture(3007))
    assert (train.sequence(20), train.frame(20)) == ("Sequence3", 7)


@pytest.mark.parametrize(("faithful", "expected"), [(True, 0), (False, 1)])
def test_windows_that_frames_cannot_rebuild_are_recorded(faithful: bool, expected: int, tmp_path: Path) -> None:
    layouts.mirsdt(tmp_path / "set", faithful=faithful)
    manifest = import_folder(tmp_path / "set", tmp_path / "out")
    # Four sequences of seven frames: the first four frames of each have no four before them.
    assert sum("12 of 12 stacks Mix do not hold the frames" in w for w in manifest.warnings) == expected


def test_list_lines_are_read_in_many_spellings(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c", "d", "v1.2"])
    lines = ["\ufeffa", "/b", "images/c.PNG", "images\\d", "v1.2", "", "a"]
    layouts.write_list(tmp_path / "train.txt", lines, end="\r\n")
    source = discover(tmp_path)
    assert source.splits == {"train": ("a", "b", "c", "d", "v1.2")}
    assert "list train.txt names 1 images twice: taken once" in source.warnings


def test_rival_lists_of_one_folder_keep_their_whole_names(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"])
    for name, lines in {"train": ["a", "b"], "test_day": ["c"], "test_night": ["b"]}.items():
        layouts.write_list(tmp_path / "splits" / f"{name}.txt", lines)
    layouts.write_list(tmp_path / "splits" / "readme.txt", ["hello"])
    source = discover(tmp_path)
    assert source.splits == {"train": ("a", "b"), "test_day": ("c",), "test_night": ("b",)}
    assert "1 text files of splits are no split lists (the first readme.txt)" in source.warnings


def test_without_lists_everything_is_train(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"])
    source = discover(tmp_path)
    assert source.splits == {"train": ("a", "b", "c")}
    assert "there are no split lists: every image is in train, and there is no test split" in source.warnings


def test_images_in_no_split_are_kept_and_counted(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["a", "b", "c"])
    layouts.write_list(tmp_path / "train.txt", ["a", "b"])
    source = discover(tmp_path)
    assert len(source.entries) == 3
    assert "1 images are in no split, the first c" in source.warnings


def _drop(*parts: str) -> Callable[[Path], None]:
    return lambda root: root.joinpath(*parts).unlink()


def _list(*lines: str) -> Callable[[Path], None]:
    return lambda root: layouts.write_list(root / "img_idx" / "train.txt", lines)


def _picture(*parts: str, shape: tuple[int, int] = layouts.SIZE) -> Callable[[Path], None]:
    return lambda root: layouts.save(root.joinpath(*parts), layouts.mask_of(1, shape))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_drop("masks", "b.png"), r"got 1 images without a mask, the first 'b'"),
        (_drop("images", "b.png"), r"got 1 masks without an image, the first 'b.png'"),
        (_list("a", "nowhere", "nothing"), r"img_idx/train.txt: got 2 lines without an image, the first 'nowhere'"),
        (_list("", " "), r"list img_idx/train.txt: got an empty split"),
        (_list("a", "b", "d"), r"splits 'train' and 'test': got 1 images in both, the first 'd'"),
        (lambda root: (root / "masks").rename(root / "elsewhere"), r"got images without masks"),
        (lambda root: (root / "images").rename(root / "elsewhere"), r"got elsewhere, img_idx, masks; must have images"),
        (_picture("images", "a.bmp"), r"image 'a': got a.bmp and a.png"),
        (_picture("masks", "a_mask.png"), r"image 'a': got masks a.png and a_"),
        (_picture("masks", "b.png", shape=(20, 20)), r"got 20x20 for an image of 24x20"),
        (lambda root: (root / "images" / "c.png").write_bytes(b"no image"), r"c.png: got a file that cannot be read"),
        (lambda root: (root / "masks" / "c.png").write_bytes(b""), r"masks/c.png: got a file that cannot be read"),
    ],
)
def test_a_mismatch_is_refused_and_nothing_is_written(
    spoil: Callable[[Path], object], message: str, tmp_path: Path
) -> None:
    root = tmp_path / "set"
    layouts.pairs(root / "images", root / "masks", ["a", "b", "c", "d"])
    layouts.write_list(root / "img_idx" / "train.txt", ["a", "b", "c"])
    layouts.write_list(root / "img_idx" / "test.txt", ["d"])
    spoil(root)
    with pytest.raises(DataError, match=message) as caught:
        import_folder(root, tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set"]


def test_a_file_cut_short_is_named(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "set" / "images", tmp_path / "set" / "masks", ["a", "b"])
    path = tmp_path / "set" / "images" / "b.png"
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(DataError, match=r"b\.png: got a file that cannot be read"):
        import_folder(tmp_path / "set", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({}, "got an empty folder"),
        ({"images.zip": b""}, "got images.zip still packed"),
        ({"inner/images/a.png": b""}, "got the folder above inner"),
    ],
)
def test_a_wrong_folder_gets_a_hint(content: dict[str, bytes], message: str, tmp_path: Path) -> None:
    for name, data in content.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=message):
        discover(tmp_path)


def test_a_format_refuses_the_images_of_another(tmp_path: Path) -> None:
    layouts.sirst_dnanet(tmp_path)
    with pytest.raises(DataError, match=r"format irstd-1k: got 10 images not called XDU"):
        discover(tmp_path, "irstd-1k")
    assert discover(tmp_path, "generic").format == "generic"
    with pytest.raises(DataError, match=r"format: got 'sirts'; one of auto, sirst"):
        discover(tmp_path, "sirts")


def test_a_stack_that_is_none_is_named(tmp_path: Path) -> None:
    from scipy.io import savemat

    layouts.mirsdt(tmp_path / "set")
    path = tmp_path / "set" / "Sequence2" / "Mix" / "00003.mat"
    for content, message in [
        ({"Other": np.zeros((5, 4, 4))}, "got no variable Mix"),
        ({"Mix": np.zeros((4, 20, 24))}, r"got Mix of float64 \[4, 20, 24\]"),
        ({"Mix": np.full((5, 20, 24), 300.0)}, r"got values 300.0..300.0; must be in 0..255"),
    ]:
        savemat(path, content)
        with pytest.raises(DataError, match=message):
            import_folder(tmp_path / "set", tmp_path / "out")
    path.write_bytes(b"not a stack at all")
    with pytest.raises(DataError, match=r"00003.mat: got a file that cannot be read"):
        import_folder(tmp_path / "set", tmp_path / "out")


def test_every_row_of_the_table_bears_its_own_name() -> None:
    assert all(name == layout.name for name, layout in LAYOUTS.items())
    assert list(LAYOUTS)[-1] == "generic"


class Thermal(FolderLayout):
    """A set of an importer's own, by the recipe for layouts: one class, and one row."""

    name = "thermal"
    image_names = r"thermal-\d+"
    num_images = 4


class GroundTruth(FolderLayout):
    """A set that is told by its folder of masks alone."""

    name = "ground-truth"
    mask_folders = ("made_up_gt",)


class InvertedReader(ImageReader):
    """Reads images whose targets are dark."""

    def read(self, entry: Entry) -> Bytes:
        return 255 - super().read(entry)

    def sentences(self) -> list[str]:
        return ["images are inverted"]


class Flat(Layout):
    """A layout in no folders at all, with splits and images of its own making."""

    name = "flat"

    def owns(self, root: Path) -> bool:
        return (root / "flat.txt").is_file()

    def list_files(self, root: Path) -> Listing:
        entries = tuple(
            Entry(name=path.stem, image=path, mask=path.with_suffix(".bmp")) for path in sorted(root.glob("*.png"))
        )
        return Listing(entries=entries, splits={"train": tuple(e.name for e in entries)})

    def recognises(self, root: Path, listing: Listing) -> bool:
        return self.owns(root)

    def reader(self, notes: Notes) -> Reader:
        return InvertedReader(notes)


@pytest.fixture
def rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table with three layouts more, before the generic one."""
    added = {**LAYOUTS, "thermal": Thermal(), "ground-truth": GroundTruth(), "flat": Flat()}
    added["generic"] = added.pop("generic")
    monkeypatch.setattr("irnas.data.layouts.LAYOUTS", added)


def test_a_class_and_a_row_make_a_layout(tmp_path: Path, rows: None) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", [f"thermal-{i}" for i in range(3)])
    source = discover(tmp_path)
    assert source.format == "thermal"
    assert "got 3 images where the published set has 4" in source.warnings
    with pytest.raises(DataError, match=r"got 'cold'; one of auto, sirst, .*, thermal, ground-truth, flat, generic"):
        discover(tmp_path, "cold")


def test_a_folder_of_masks_of_its_own_tells_a_layout(tmp_path: Path, rows: None) -> None:
    layouts.pairs(tmp_path / "one" / "img", tmp_path / "one" / "made_up_gt", ["a", "b"])
    for part in ("train", "test"):
        layouts.pairs(tmp_path / "two" / part / "img", tmp_path / "two" / part / "made_up_gt", [f"{part}-1"])
    one, two = discover(tmp_path / "one"), discover(tmp_path / "two")
    assert one.format == two.format == "ground-truth"
    assert [e.name for e in one.entries] == ["a", "b"]
    assert two.splits == {"train": ("train-1",), "test": ("test-1",)}
    layouts.pairs(tmp_path / "three" / "images", tmp_path / "three" / "masks", ["a"])
    assert discover(tmp_path / "three").format == "generic"
    with pytest.raises(DataError, match=r"got images without masks; must have a folder made_up_gt"):
        discover(tmp_path / "three", "ground-truth")


def test_a_layout_may_find_and_read_files_its_own_way(tmp_path: Path, rows: None) -> None:
    from irnas.data import open_dataset

    root = tmp_path / "set"
    for name in ("a", "b"):
        layouts.save(root / f"{name}.png", layouts.picture(ord(name)))
        layouts.save(root / f"{name}.bmp", layouts.mask_of(1) * 255)
    (root / "flat.txt").write_text("")
    manifest = import_folder(root, tmp_path / "out", val_fraction=0)
    assert manifest.format == "flat" and "images are inverted" in manifest.warnings
    image = open_dataset(str(tmp_path / "out")).split("train").image(0)
    np.testing.assert_array_equal(image, 255 - layouts.picture(ord("a")))
