"""The Arrow cache of a node: each data set once, as an uncompressed IPC file that every trial maps into memory.

A memory map is shared by all processes of a node and is read without a copy; what is not touched is not loaded. The
file is derived and may be deleted at any time. Only pixels that are those of the revision get into it, and its name
holds the hashes of the shards that they were read from: a manifest that lies fills no cache, and finds none but its
own.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError
from irnas.data import shards
from irnas.data.manifest import Manifest
from irnas.data.sample import Bytes, Progress
from irnas.data.staging import building_file, hold_build

VERSION = 2
"""Part of the file's name: a new form never reads an old file."""

Pixels = npt.NDArray[np.uint32]


def folder() -> Path:
    """Where caches lie: ``$IRNAS_CACHE``, else ``$XDG_CACHE_HOME/irnas``, else ``~/.cache/irnas``."""
    if own := os.environ.get("IRNAS_CACHE"):
        return Path(own)
    if shared := os.environ.get("XDG_CACHE_HOME"):
        return Path(shared) / "irnas"
    return Path.home() / ".cache" / "irnas"


class Store:
    """All images of one data revision, by row; arrays are read-only views on the map."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa

        try:
            with pa.memory_map(str(path)) as source:
                batches = [b for b in _batches(pa.ipc.open_file(source)) if b.num_rows]
        except (pa.ArrowException, OSError) as error:
            raise DataError(
                f"cache {path}: got a file that is no Arrow IPC ({error}); must be one, delete it"
            ) from None
        self.names: list[str] = [n for b in batches for n in b.column("name").to_pylist()]
        self.sequences: list[str] = [n for b in batches for n in b.column("sequence").to_pylist()]
        self.frames = _numbers(batches, "frame")
        self.heights = _numbers(batches, "height")
        self.widths = _numbers(batches, "width")
        self._images = [v for b in batches for v in _values(b.column("image"), np.uint8)]
        self._masks = [v for b in batches for v in _values(b.column("mask"), np.uint8)]
        self._pixels = [v for b in batches for v in _values(b.column("pixels").values, np.uint32, b.column("pixels"))]

    def image(self, row: int) -> Bytes:
        """uint8 [H, W]."""
        return self._images[row].reshape(self.heights[row], self.widths[row])

    def mask(self, row: int) -> Bytes:
        """uint8 [H, W] of 0, 1 and 2 (see ``Sample.mask``)."""
        return self._masks[row].reshape(self.heights[row], self.widths[row])

    def pixels(self, row: int) -> Pixels:
        """Flat indices y * W + x of the target pixels, ascending, uint32 [K]."""
        return self._pixels[row]


def open_store(root: Path, folder_manifest: Manifest, progress: Progress | None = None) -> Store:
    """The cache of a data folder, built first where this node has none, or a damaged one.

    Raises:
        DataError: a shard is missing or is not the one of the manifest, the images are not those of its revision, or
            the disk is full.
    """
    path = path_of(folder_manifest)
    store = _open_if_whole(path)
    if store is None:
        with hold_build(path):
            store = _open_if_whole(path)
            if store is None:
                _build(path, root, folder_manifest, progress)
    return store or Store(path)


def path_of(folder_manifest: Manifest) -> Path:
    """The file that holds a data set on this node: named by its revision and by the files that it was made from."""
    hashes = "".join(shard.sha256 for shard in folder_manifest.shards)
    files = hashlib.sha256(hashes.encode()).hexdigest()[:12]
    return folder() / "arrow" / f"{folder_manifest.revision}-{files}-v{VERSION}.arrow"


def _open_if_whole(path: Path) -> Store | None:
    """The cache in a file; None where there is none, or what is there cannot be read and may be made again."""
    try:
        return Store(path) if path.is_file() else None
    except DataError:
        return None


def _build(path: Path, root: Path, folder_manifest: Manifest, progress: Progress | None) -> None:
    import pyarrow as pa

    numbers = [(name, pa.int32()) for name in ("frame", "height", "width")]
    pixels = [("image", pa.large_binary()), ("mask", pa.large_binary()), ("pixels", pa.large_list(pa.uint32()))]
    schema = pa.schema([("name", pa.string()), ("sequence", pa.string()), *numbers, *pixels])
    done, digest = 0, hashlib.sha256()
    with (
        building_file(path) as temporary,
        pa.OSFile(str(temporary), "wb") as sink,
        pa.ipc.new_file(sink, schema) as file,
    ):
        for rows in shards.read(root, folder_manifest):
            for row in rows:
                sample = shards.to_sample(row)
                shards.update_digest(digest, sample)
                row["pixels"] = np.flatnonzero(sample.mask == 1).astype(np.uint32)
            file.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))
            done += len(rows)
            if progress:
                progress("cache", done, folder_manifest.images)
        if digest.hexdigest() != folder_manifest.content:
            raise DataError(
                f"data folder {root}: got images that are not those of revision {folder_manifest.revision}; must be as "
                "they were imported (whoever changed them changed the manifest too)"
            )


def _batches(file: Any) -> list[Any]:
    return [file.get_batch(i) for i in range(file.num_record_batches)]


def _numbers(batches: list[Any], name: str) -> list[int]:
    return [n for b in batches for n in b.column(name).to_pylist()]


def _values(data: Any, dtype: type, lists: Any = None) -> list[npt.NDArray[Any]]:
    """One view per row on the data of a large_binary column, or of the values of a large_list column."""
    column = data if lists is None else lists
    offsets = np.frombuffer(column.buffers()[1], dtype=np.int64)[: len(column) + 1]
    buffer = data.buffers()[2 if lists is None else 1]
    flat: npt.NDArray[Any] = (
        np.frombuffer(buffer, dtype=dtype) if buffer is not None and buffer.size else np.empty(0, dtype=dtype)
    )
    return [flat[start:stop] for start, stop in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)]
