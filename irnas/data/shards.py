"""Parquet shards: the versioned form of a data set. Images are decoded once and stored as raw bytes.

Few large files version well (a hash and a copy each); raw bytes under zstd are as small as PNG and need no decoder.
The dictionary and statistics are off for pixel columns, where they would cost time and hold nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from irnas.core.errors import DataError
from irnas.data import manifest
from irnas.data.manifest import Manifest, Shard
from irnas.data.sample import Bytes, Progress, Sample
from irnas.data.staging import building_folder
from irnas.storage import hashing

ROW_GROUP = 32
"""Images per row group: what a reader that wants one image has to fetch."""
SHARD_BYTES = 128 * 2**20
"""Pixels and masks per shard, before compression."""
_COLUMNS = ("name", "sequence", "frame", "height", "width", "targets", "image", "mask")


@dataclass(slots=True)
class _Tally:
    """What the manifest says about the samples that have gone by."""

    targets: dict[str, int] = field(default_factory=dict)
    sequences: set[str] = field(default_factory=set)
    heights: set[int] = field(default_factory=set)
    widths: set[int] = field(default_factory=set)
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, sample: Sample, targets: int) -> None:
        if sample.name in self.targets:
            raise DataError(f"image {sample.name!r}: got the name twice; must be unique")
        self.targets[sample.name] = targets
        self.sequences.update([sample.sequence] if sample.sequence else [])
        self.heights.add(sample.image.shape[0])
        self.widths.add(sample.image.shape[1])
        update_digest(self.digest, sample)

    def refuse_strangers(self, splits: Mapping[str, Sequence[str]]) -> None:
        if not self.targets:
            raise DataError("data set: got no images; must have at least one")
        for split, members in splits.items():
            for name in members:
                if name not in self.targets:
                    raise DataError(f"split {split!r}: got {name!r}; must name an image of the set")


def count_targets(mask: Bytes) -> int:
    """Number of 8-connected components of the targets of a mask [H, W]."""
    from scipy import ndimage

    return int(ndimage.label(mask == 1, structure=np.ones((3, 3), dtype=np.uint8))[1])


def update_digest(digest: Any, sample: Sample) -> None:
    """Add one sample to the sha256 that the revision is made of."""
    height, width = sample.image.shape
    head = f"{sample.name}\n{sample.sequence}\n{sample.frame}\n{height}x{width}\n"
    for part in (head.encode(), np.ascontiguousarray(sample.image), np.ascontiguousarray(sample.mask)):
        digest.update(part)


def write(
    target: Path,
    samples: Iterable[Sample],
    *,
    total: int,
    format: str,
    splits: Mapping[str, Sequence[str]],
    validation: Mapping[str, Any],
    warnings: list[str],
    parameters: Mapping[str, Any] | None = None,
    value_range: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Write a data folder: shards and manifest.json, or nothing at all.

    Equal samples give equal bytes; ``warnings`` is read after the last sample, so decoding may still append to it.

    Raises:
        DataError: the target is in use, the disk is full, a name occurs twice, a split is empty or names no image.
    """
    with building_folder(target) as folder:
        tally = _Tally()
        shards = tuple(_write_shards(folder, _report_progress(samples, total, progress), tally))
        tally.refuse_strangers(splits)
        folder_manifest = Manifest(
            format=format,
            images=len(tally.targets),
            targets=sum(tally.targets.values()),
            sequences=len(tally.sequences),
            height=(min(tally.heights), max(tally.heights)),
            width=(min(tally.widths), max(tally.widths)),
            splits={k: tuple(v) for k, v in splits.items()},
            counts={k: {"images": len(v), "targets": sum(tally.targets[n] for n in v)} for k, v in splits.items()},
            validation=validation,
            shards=shards,
            content=tally.digest.hexdigest(),
            warnings=tuple(warnings),
            parameters=parameters or {},
            value_range=value_range,
        )
        manifest.write(folder, folder_manifest)
    return folder_manifest


def read(folder: Path, folder_manifest: Manifest, *, verify: bool = True) -> Iterator[list[dict[str, Any]]]:
    """Rows of all shards, ``ROW_GROUP`` at a time: name, sequence, frame, height, width, targets, image, mask (bytes).

    Raises:
        DataError: a shard is missing, is no Parquet, or (with ``verify``) is not the one of the manifest.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    for shard in folder_manifest.shards:
        path = folder / shard.file
        if not path.is_file():
            raise DataError(f"data folder {folder}: got no {shard.file}; must have every shard of its manifest")
        if verify and (got := hashing.of_file(path)) != shard.sha256:
            raise DataError(f"shard {path}: got sha256 {got[:12]}; must be {shard.sha256[:12]}, as the manifest says")
        try:
            with pq.ParquetFile(path, memory_map=True) as file:
                if lacking := [name for name in _COLUMNS if name not in file.schema_arrow.names]:
                    raise DataError(f"shard {path}: got no column {lacking[0]!r}; must be there")
                for batch in file.iter_batches(batch_size=ROW_GROUP, columns=list(_COLUMNS)):
                    yield batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise DataError(f"shard {path}: got a file that is no Parquet ({error}); must be one") from None


def to_sample(row: Mapping[str, Any]) -> Sample:
    """The sample of a row of ``read``.

    Raises:
        DataError: the bytes do not fit the size, or the mask holds something other than 0, 1 and 2.
    """
    height, width = row["height"], row["width"]
    for what in ("image", "mask"):
        if len(row[what]) != height * width:
            got = f"{len(row[what])} bytes of {what}"
            raise DataError(f"image {row['name']!r}: got {got}; must be {height * width} for {width}x{height}")
    image, mask = (np.frombuffer(row[k], dtype=np.uint8).reshape(height, width) for k in ("image", "mask"))
    return Sample(name=row["name"], image=image, mask=mask, sequence=row["sequence"], frame=row["frame"])


def _report_progress(samples: Iterable[Sample], total: int, progress: Progress | None) -> Iterator[Sample]:
    for done, sample in enumerate(samples, start=1):
        yield sample
        if progress:
            progress("images", done, total)


def _write_shards(folder: Path, samples: Iterable[Sample], tally: _Tally) -> Iterator[Shard]:
    rows: list[dict[str, Any]] = []
    size = num_shards = 0
    for sample in samples:
        targets = count_targets(sample.mask)
        tally.add(sample, targets)
        rows.append(_to_row(sample, targets))
        size += 2 * sample.image.size
        if size >= SHARD_BYTES:
            yield _write_shard(folder, num_shards, rows)
            rows, size, num_shards = [], 0, num_shards + 1
    if rows:
        yield _write_shard(folder, num_shards, rows)


def _to_row(sample: Sample, targets: int) -> dict[str, Any]:
    height, width = sample.image.shape
    return {
        "name": sample.name,
        "sequence": sample.sequence,
        "frame": sample.frame,
        "height": height,
        "width": width,
        "targets": targets,
        "image": sample.image.tobytes(),
        "mask": sample.mask.tobytes(),
    }


def _write_shard(folder: Path, number: int, rows: list[dict[str, Any]]) -> Shard:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = [pa.string(), pa.string(), *[pa.int32()] * 4, pa.large_binary(), pa.large_binary()]
    table = pa.Table.from_pylist(rows, schema=pa.schema(list(zip(_COLUMNS, types, strict=True))))
    path = folder / f"shard-{number:04d}.parquet"
    described = ["name", "sequence", "frame", "height", "width", "targets"]
    pq.write_table(
        table, path, row_group_size=ROW_GROUP, compression="zstd", use_dictionary=described, write_statistics=described
    )
    return Shard(file=path.name, rows=len(rows), sha256=hashing.of_file(path))
