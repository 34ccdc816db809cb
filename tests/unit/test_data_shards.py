"""A data folder round-trips, is written whole or not at all, and says when it is no longer what it was."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from support import layouts

from irnas.core.errors import DataError
from irnas.data import manifest, shards
from irnas.data.check import verify
from irnas.data.importer import import_folder
from irnas.data.sample import Sample


def _sample(key: int, name: str | None = None, shape: tuple[int, int] = (20, 24)) -> Sample:
    return Sample(name=name or f"n{key}", image=layouts.picture(key, shape), mask=layouts.mask_of(key, shape))


def _write(target: Path, samples: list[Sample], **changes: Any) -> manifest.Manifest:
    splits = {"train": [s.name for s in samples]}
    fields = {"format": "generic", "splits": splits, "validation": {}, "warnings": [], **changes}
    return shards.write(target, iter(samples), total=len(samples), **fields)


def test_samples_come_back_as_they_were(tmp_path: Path) -> None:
    samples = [_sample(k, shape=(20 + k % 3, 24)) for k in range(70)]
    written = _write(tmp_path / "out", samples)
    back = [shards.to_sample(r) for rows in shards.read(tmp_path / "out", written) for r in rows]
    assert [b.name for b in back] == [s.name for s in samples]
    for got, wanted in zip(back, samples, strict=True):
        np.testing.assert_array_equal(got.image, wanted.image)
        np.testing.assert_array_equal(got.mask, wanted.mask)
    assert (written.images, written.targets, written.height, written.width) == (70, 70, (20, 22), (24, 24))
    assert manifest.read(tmp_path / "out") == written


def test_large_sets_become_several_shards_of_small_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 40 * 2 * 20 * 24)
    written = _write(tmp_path / "out", [_sample(k) for k in range(100)])
    assert [s.rows for s in written.shards] == [40, 40, 20]
    file = pq.ParquetFile(tmp_path / "out" / written.shards[0].file)
    assert [file.metadata.row_group(i).num_rows for i in range(2)] == [32, 8]
    column = file.metadata.row_group(0).column(file.schema_arrow.get_field_index("image"))
    assert (column.compression, column.has_dictionary_page, column.statistics) == ("ZSTD", False, None)
    verify(tmp_path / "out")


def test_the_same_source_gives_the_same_bytes(tmp_path: Path) -> None:
    layouts.sirst_original(tmp_path / "set")
    for out in ("a", "b"):
        import_folder(tmp_path / "set", tmp_path / out)
    files = sorted(p.name for p in (tmp_path / "a").iterdir())
    assert files == ["manifest.json", "shard-0000.parquet"]
    for name in files:
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_the_revision_follows_pixels_and_splits_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = [_sample(k) for k in range(6)]
    base = _write(tmp_path / "a", samples).revision
    monkeypatch.setattr(shards, "SHARD_BYTES", 2 * 20 * 24)
    assert _write(tmp_path / "b", samples, format="sirst", warnings=["x"]).revision == base
    changed = samples[0].image.copy()
    changed[3, 4] ^= 1
    other = Sample(name="n0", image=changed, mask=samples[0].mask)
    assert _write(tmp_path / "c", [other, *samples[1:]]).revision != base
    moved = {"train": ["n0", "n1"], "test": ["n2", "n3", "n4", "n5"]}
    assert _write(tmp_path / "d", samples, splits=moved).revision != base


@pytest.mark.parametrize(
    ("samples", "changes", "message"),
    [
        ([], {"splits": {}}, "got no images; must have at least one"),
        ([_sample(1), _sample(1)], {}, "image 'n1': got the name twice"),
        ([_sample(1)], {"splits": {"train": ["n2"]}}, "split 'train': got 'n2'; must name an image"),
        ([_sample(1)], {"splits": {"train": ["n1"], "test": []}}, "split 'test': got no images"),
    ],
)
def test_a_set_that_makes_no_sense_is_not_written(
    samples: list[Sample], changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message):
        _write(tmp_path / "out", samples, **changes)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("image", "mask", "message"),
    [
        (np.zeros((4, 4), np.float32), np.zeros((4, 4), np.uint8), "got a image of float32"),
        (np.zeros((4, 4, 3), np.uint8), np.zeros((4, 4), np.uint8), r"got a image of uint8 \[4, 4, 3\]"),
        (np.zeros((4, 5), np.uint8), np.zeros((5, 4), np.uint8), "got an image of 5x4 with a mask of 4x5"),
        (np.zeros((4, 4), np.uint8), np.full((4, 4), 255, np.uint8), "got a mask value 255; must be 0, 1 or 2"),
    ],
)
def test_a_sample_refuses_wrong_shapes(image: Any, mask: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Sample(name="a", image=image, mask=mask)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_line_and_leaves_nothing(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_shard = shards._write_shard

    def fill(folder: Path, i: int, rows: list[dict[str, Any]]) -> manifest.Shard:
        write_shard(folder, i, rows)
        raise OSError(number, "No space left on device")

    monkeypatch.setattr(shards, "_write_shard", fill)
    with pytest.raises(DataError, match="got a full disk while writing"):
        _write(tmp_path / "out", [_sample(1)])
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_import_leaves_nothing(tmp_path: Path) -> None:
    def stop() -> Iterator[Sample]:
        yield _sample(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shards.write(tmp_path / "out", stop(), total=2, format="", splits={}, validation={}, warnings=[])
    assert list(tmp_path.iterdir()) == []


def test_a_folder_in_use_is_refused_and_an_empty_one_is_used(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    _write(tmp_path / "out", [_sample(1)])
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()}
    with pytest.raises(DataError, match="got a path that is in use; must be new or an empty folder"):
        _write(tmp_path / "out", [_sample(2)])
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir()} == before
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="output"):
        _write(tmp_path / "file" / "out", [_sample(2)])


def _edit(change: Callable[[dict[str, Any]], None]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        document = json.loads((folder / "manifest.json").read_text())
        change(document)
        (folder / "manifest.json").write_text(json.dumps(document))

    return apply


def _flip_byte(folder: Path) -> None:
    path = folder / "shard-0000.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(bytes(data))


def _swap_shard(folder: Path) -> None:
    """A whole, valid shard of other pixels, with its hash entered: only the content hash can tell."""
    other = folder.parent / "other"
    swapped = _write(other, [_sample(k + 50, name=f"n{k}") for k in range(6)])
    (other / "shard-0000.parquet").replace(folder / "shard-0000.parquet")
    _edit(lambda d: d["shards"][0].update(sha256=swapped.shards[0].sha256))(folder)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_flip_byte, r"shard-0000.parquet: got sha256 \w{12}; must be \w{12}"),
        (_swap_shard, r"got content \w+; must be \w+"),
        (lambda f: (f / "shard-0000.parquet").unlink(), "got no shard-0000.parquet"),
        (lambda f: (f / "shard-0009.parquet").touch(), "got shard-0009.parquet, which its manifest lacks"),
        (lambda f: (f / "manifest.json").unlink(), "got no manifest.json"),
        (lambda f: (f / "manifest.json").write_text("{"), "got a file that cannot be read"),
        (lambda f: (f / "manifest.json").write_text("[]"), "got no field 'schema'"),
        (_edit(lambda d: d.update(schema=2)), "got schema 2; must be 1"),
        (_edit(lambda d: d.update(revision="0" * 16)), "got revision 0000000000000000; must be"),
        (_edit(lambda d: d["splits"]["train"].pop()), "got revision"),
        (_edit(lambda d: d.pop("counts")), "missing or wrong field"),
        (_edit(lambda d: d.update(targets=7)), "got targets 6; must be 7"),
        (_edit(lambda d: d.update(height=[1, 20])), r"got height \(20, 20\); must be \(1, 20\)"),
        (_edit(lambda d: d["counts"]["train"].update(images=9)), "got counts of train"),
    ],
)
def test_check_names_the_first_fault(spoil: Callable[[Path], object], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    _write(folder, [_sample(k) for k in range(6)])
    verify(folder)
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        verify(folder)
    assert "\n" not in str(caught.value)


def test_check_finds_splits_that_share_images(tmp_path: Path) -> None:
    samples = [_sample(k) for k in range(4)]
    _write(tmp_path / "out", samples, splits={"fit": ["n0", "n1"], "val": ["n2"], "test": ["n1", "n3"]})
    with pytest.raises(DataError, match="splits 'fit' and 'test': got 1 images in both, the first 'n1'"):
        verify(tmp_path / "out")
