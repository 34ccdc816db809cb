"""Folders as users have them: parts, lists and names in any spelling, broken files, folders of one's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from support import layouts

from irnas.core.errors import DataError
from irnas.data import open_dataset
from irnas.data.importer import import_folder
from irnas.data.layouts import Folders, discover
from irnas.data.part import part_of, split_part


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("Training", "train"),
        ("train_set", "train"),
        ("TRAINVAL", "trainval"),
        ("train+val", "trainval"),
        ("Train-Val", "trainval"),
        ("valid", "val"),
        ("VALIDATION", "val"),
        ("Testing", "test"),
        ("tests", "test"),
        ("detect", "test"),
        ("test1", "test1"),
        ("latest", None),
        ("trains", None),
        ("devices", None),
        ("values", None),
    ],
)
def test_a_part_is_known_in_any_spelling(name: str, part: str | None) -> None:
    assert part_of(name) == part


def test_a_name_may_begin_or_end_with_its_part() -> None:
    assert split_part("train_val_v1") == ("trainval", "v1")
    assert split_part("NUAA-SIRST_test") == ("test", "NUAA-SIRST")
    assert split_part("readme") is None


def _sizes(root: Path) -> dict[str, int]:
    return {name: len(members) for name, members in discover(root).splits.items()}


@pytest.mark.parametrize(
    "form",
    [
        "{part}/images {part}/masks",
        "images/{part} masks/{part}",
        "{part}_images {part}_masks",
        "Images_{part} Labels_{part}",
        "{part}/IMG {part}/Mask",
        "{part}/image {part}/gt",
    ],
)
@pytest.mark.parametrize(
    "parts", [("train", "val", "test"), ("TRAIN", "Valid", "TEST"), ("Training", "validation", "testing")]
)
def test_parts_are_found_wherever_folders_name_them(form: str, parts: tuple[str, ...], tmp_path: Path) -> None:
    for number, part in enumerate(parts):
        images, masks = (tmp_path / word.format(part=part) for word in form.split())
        layouts.pairs(images, masks, layouts.numbered("{:03d}", 2 + number))
    source = discover(tmp_path)
    assert {name: len(members) for name, members in source.splits.items()} == {"train": 2, "val": 3, "test": 4}
    # Names that start anew in each part are told apart; nothing is a sequence.
    assert len({e.name for e in source.entries}) == 9
    assert {e.sequence for e in source.entries} == {""}


def test_sequences_in_parts_stay_sequences(tmp_path: Path) -> None:
    for part, sequence in (("train", "a"), ("train", "b"), ("detect", "c")):
        names = [f"{part}/{sequence}/{t}" for t in range(3)]
        layouts.pairs(tmp_path / "images", tmp_path / "masks", names)
    source = discover(tmp_path)
    assert {e.sequence for e in source.entries} == {"a", "b", "c"}
    assert source.splits == {"train": tuple(f"{s}/{t}" for s in "ab" for t in range(3)), "test": ("c/0", "c/1", "c/2")}


def test_folders_that_are_no_parts_stay_sequences(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["test_flight/1", "clouds/1"])
    assert {e.sequence for e in discover(tmp_path).entries} == {"test_flight", "clouds"}


def test_sequences_right_in_the_source_are_read(tmp_path: Path) -> None:
    for sequence in ("night", "day"):
        layouts.pairs(tmp_path / sequence / "img", tmp_path / sequence / "mask", ["1", "2", "10"])
    source = discover(tmp_path)
    assert [e.name for e in source.entries] == [f"{s}/{t}" for s in ("day", "night") for t in (1, 2, 10)]


def test_a_folder_that_is_passed_over_is_named(tmp_path: Path) -> None:
    for part in ("train", "test", "spare"):
        layouts.pairs(tmp_path / part / "images", tmp_path / part / "masks", ["1", "2"])
    layouts.save(tmp_path / "preview" / "x.png", layouts.picture(1))
    warnings = discover(tmp_path).warnings
    for folder, number in (("preview", 1), ("spare/images", 2), ("spare/masks", 2)):
        assert f"folder {folder} was passed over, with {number} images" in warnings


@pytest.mark.parametrize(
    "litter",
    [
        ".DS_Store",
        ".git/images/b.png",
        "._a.png",
        "Thumbs.db",
        "__MACOSX/images/a.png",
        "desktop.ini",
        "images/.ipynb_checkpoints/a-checkpoint.png",
        "images/@eaDir/a.png/x.png",
        "images/__MACOSX/._a.png",
        "lists/._train.txt",
        "masks/._a.png",
        "masks/Thumbs.db",
        "~$a.png",
    ],
)
def test_what_systems_leave_behind_is_skipped(litter: str, tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", ["a", "b"])
    layouts.write_list(tmp_path / "lists" / "train.txt", ["a", "b"])
    path = tmp_path / litter
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\xff\xfe litter")
    source = discover(tmp_path)
    assert (len(source.entries), source.warnings) == (2, ())


@pytest.mark.parametrize("name", [b"nu\xe9e", "nuée".encode(), b"nue\xcc\x81e", b"\xd0\xd1 \xb1"])
@pytest.mark.parametrize("coding", ["utf-8", "latin-1", "utf-16"])
def test_names_in_any_encoding_are_read(name: bytes, coding: str, tmp_path: Path) -> None:
    for folder, array in ((b"images", layouts.picture(1)), (b"masks", layouts.mask_of(1) * 255)):
        layouts.save(tmp_path / "plain.png", array)
        path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/set/" + folder + b"/" + name + b".png"))
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.write_bytes((tmp_path / "plain.png").read_bytes())
        except OSError:
            pytest.skip("this file system takes UTF-8 only")
    text = name.decode() if name[:3] != b"\xd0\xd1 " and b"\xe9" not in name else name.decode("latin-1")
    if coding == "latin-1" and "\u0301" in text:
        text = "nuée"
    (tmp_path / "set" / "train.txt").write_bytes(text.encode(coding))
    manifest = import_folder(tmp_path / "set", tmp_path / "out", val_fraction=0)
    assert open_dataset(str(tmp_path / "out")).split("train").name(0) == manifest.splits["fit"][0]


def test_lists_are_found_whatever_their_case(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", list("abcdef"))
    layouts.write_list(tmp_path / "Training.TXT", "abc")
    layouts.write_list(tmp_path / "Test_Set.Txt", "de")
    layouts.write_list(tmp_path / "other.txt", "f")
    assert _sizes(tmp_path) == {"train": 3, "test": 2}
    assert "1 text files at the top are no split lists (the first other.txt)" in discover(tmp_path).warnings


def test_a_protocol_is_chosen_by_folder_or_by_ending(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "images", tmp_path / "masks", list("abcdef"))
    for name, lines in {"train_x": "abc", "test_x": "d", "train_y": "ab", "test_y": "ef"}.items():
        layouts.write_list(tmp_path / "splits" / f"{name}.txt", lines)
    with pytest.raises(DataError, match=r"got train_x.txt and train_y.txt; .*--protocol"):
        discover(tmp_path)
    splits = discover(tmp_path, protocol="y").splits
    assert (splits["train"], splits["test"], splits["splits/train_x"]) == (("a", "b"), ("e", "f"), ("a", "b", "c"))
    with pytest.raises(DataError, match="protocol: got 'z'; one of"):
        discover(tmp_path, protocol="z")


def test_all_broken_files_are_named_at_once_or_left_out(tmp_path: Path) -> None:
    root = tmp_path / "set"
    layouts.pairs(root / "images", root / "masks", list("abcdefgh"))
    layouts.write_list(root / "train.txt", "abcdef")
    layouts.write_list(root / "test.txt", "gh")
    for path in (root / "images" / "b.png", root / "masks" / "e.png"):
        path.write_bytes(path.read_bytes()[:60])
    (root / "images" / "h.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"3 images are broken: b, e, h \(--skip-broken leaves them out\)"):
        import_folder(root, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    manifest = import_folder(root, tmp_path / "out", skip_broken=True)
    assert (manifest.images, manifest.parameters) == (5, {"skipped": ["b", "e", "h"]})
    assert (manifest.splits["train"], manifest.splits["test"]) == (("a", "c", "d", "f"), ("g",))
    assert "3 broken images were left out: b, e, h" in manifest.warnings
    assert open_dataset(str(tmp_path / "out")).manifest.parameters == {"skipped": ["b", "e", "h"]}


def test_folders_and_endings_of_ones_own(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "ir", tmp_path / "truth" / "deep", list("abc"), suffix="_target")
    folders = Folders(images=Path("ir"), masks=Path("truth/deep"), suffix="_target")
    assert [e.name for e in discover(tmp_path, folders=folders).entries] == ["a", "b", "c"]
    with pytest.raises(DataError, match="3 images without a mask"):
        discover(tmp_path, folders=Folders(images=Path("ir"), masks=Path("truth/deep"), suffix="_gt"))
    with pytest.raises(DataError, match=r"--masks: got .*nowhere, which is no folder"):
        discover(tmp_path, folders=Folders(images=Path("ir"), masks=Path("nowhere")))


def test_a_set_to_test_on_only_is_imported(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "set" / "test" / "images", tmp_path / "set" / "test" / "masks", list("abc"))
    manifest = import_folder(tmp_path / "set", tmp_path / "out")
    assert list(manifest.splits) == ["test"]
    assert "there is no split to train on: the set can be tested on only" in manifest.warnings
    dataset = open_dataset(str(tmp_path / "out"))
    assert len(dataset.split("test")) == 3
    with pytest.raises(DataError, match="got no split to train on"):
        dataset.split("fit")


def test_a_set_without_val_says_so_where_it_is_needed(tmp_path: Path) -> None:
    layouts.pairs(tmp_path / "set" / "images", tmp_path / "set" / "masks", list("abc"))
    import_folder(tmp_path / "set", tmp_path / "out", val_fraction=0)
    with pytest.raises(DataError, match="got no split 'val', as it was imported with --val-fraction 0"):
        open_dataset(str(tmp_path / "out")).split("val")


def test_sirst_v2_takes_all_images_and_one_protocol(tmp_path: Path) -> None:
    names = ["Misc_1", "Misc_2", "Misc_3", "S1_1"]
    layouts.pairs(tmp_path / "mixed", tmp_path / "annotations" / "masks", names, suffix="_pixels0")
    (tmp_path / "annotations" / "masks" / "S1_1_pixels0.png").unlink()
    layouts.save(tmp_path / "images" / "backgrounds" / "S1_1.png", layouts.picture(3))
    for name, lines in {"train_full": ["Misc_1", "S1_1"], "test_full": ["Misc_2"], "train_v1": ["Misc_1"]}.items():
        layouts.write_list(tmp_path / "splits" / f"{name}.txt", lines)
    source = discover(tmp_path)
    assert (source.format, len(source.entries), source.splits["train"]) == ("sirst-v2", 4, ("Misc_1", "S1_1"))
    assert discover(tmp_path, protocol="v1").splits["train"] == ("Misc_1",)
    # A background without a mask file is an image without a target.
    assert import_folder(tmp_path, tmp_path / "out").targets == 3


def test_sat_video_is_read_by_part_and_sequence(tmp_path: Path) -> None:
    for part, sequence in (("train", "000001"), ("train", "000002"), ("val", "000003")):
        frames = layouts.numbered("{:06d}", 3)
        layouts.pairs(tmp_path / part / sequence / "img", tmp_path / part / sequence / "mask", frames)
    source = discover(tmp_path)
    assert source.format == "satvideoirstd"
    frames = [(e.sequence, e.frame) for e in source.entries[:4]]
    assert frames == [("000001", 1), ("000001", 2), ("000001", 3), ("000002", 1)]
    assert {k: len(v) for k, v in source.splits.items()} == {"train": 6, "val": 3}


def test_mdvsfa_pairs_by_number(tmp_path: Path) -> None:
    for key in range(4):
        layouts.save(tmp_path / "training" / f"{key:06d}_1.png", layouts.picture(key))
        layouts.save(tmp_path / "training" / f"{key:06d}_2.png", layouts.mask_of(key) * 255)
    layouts.pairs(tmp_path / "test_org", tmp_path / "test_gt", ["00000", "00001"])
    source = discover(tmp_path)
    assert (source.format, {k: len(v) for k, v in source.splits.items()}) == ("mdvsfa", {"train": 4, "test": 2})
    (tmp_path / "training" / "000002_2.png").unlink()
    with pytest.raises(DataError, match="got 1 numbers with an image or a mask only, the first '000002'"):
        discover(tmp_path)
