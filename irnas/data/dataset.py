"""Data sets by name: a folder of shards with its manifest, opened cheaply and read without copies."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import cache, manifest
from irnas.data.cache import Pixels, Store
from irnas.data.frames import usual_step
from irnas.data.manifest import Manifest
from irnas.data.sample import Bytes, Progress

DEFAULT = "synthetic"
"""The data set that needs no download: generated on first use."""
EVERY = "*"
"""The split of all images, listed or not, in the order they are stored."""


class Split:
    """The images of one split, in the order of its list. Opening is cheap; pickling sends path and name only.

    Arrays are read-only views on a memory map that all processes of the node share: copy before writing.
    """

    __slots__ = ("_before", "_rows", "_store", "dataset", "label")

    def __init__(self, dataset: Dataset, label: str, store: Store) -> None:
        self.dataset = dataset
        self.label = label
        """The split's own name, for example ``fit``."""
        self._store = store
        row_of = {name: row for row, name in enumerate(store.names)}
        self._before: dict[int, int] | None = None
        self._rows = [row_of[name] for name in (row_of if label == EVERY else dataset.manifest.splits[label])]

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        return f"Split({self.dataset.name}/{self.label}, {len(self)} images)"

    def __reduce__(self) -> tuple[object, ...]:
        return _reopen, (self.dataset.root, self.dataset.name, self.dataset.revision, self.label)

    def name(self, i: int) -> str:
        """Name of image ``i``."""
        return self._store.names[self._rows[i]]

    def shape(self, i: int) -> tuple[int, int]:
        """Height and width of image ``i``, in pixels."""
        row = self._rows[i]
        return self._store.heights[row], self._store.widths[row]

    def image(self, i: int) -> Bytes:
        """Image ``i``: uint8 [H, W], a read-only view."""
        return self._store.image(self._rows[i])

    def mask(self, i: int) -> Bytes:
        """Mask ``i``: uint8 [H, W], 1 is target, 2 nobody cares about, 0 is background; a read-only view."""
        return self._store.mask(self._rows[i])

    def pixels(self, i: int) -> Pixels:
        """Target pixels of image ``i`` as flat indices y * W + x: uint32 [K], ascending, a read-only view."""
        return self._store.pixels(self._rows[i])

    def window(self, i: int, frames: int) -> list[Bytes]:
        """The ``frames`` images of a sequence that end with image ``i``, oldest first: read-only views [H, W].

        Before the start of a sequence its first frame stands in, and after a gap, or where the size of the frames
        changes, the first one after it. A single image is a sequence that never changed.
        """
        rows = [self._rows[i]]
        if frames > 1 and self._before is None:
            self._before = _find_predecessors(self._store)
        for _ in range(frames - 1):
            assert self._before is not None
            rows.append(self._before.get(rows[-1], rows[-1]))
        return [self._store.image(row) for row in reversed(rows)]

    def sequence(self, i: int) -> str:
        """The sequence that image ``i`` is a frame of; "" for a single image."""
        return self._store.sequences[self._rows[i]]

    def frame(self, i: int) -> int:
        """The number of image ``i`` in its sequence; 0 for a single image."""
        return self._store.frames[self._rows[i]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A data folder. Make one with ``open_dataset``."""

    name: str
    root: Path
    manifest: Manifest

    @property
    def revision(self) -> str:
        """16 hex digits that name exactly these pixels, masks and splits."""
        return self.manifest.revision

    @property
    def splits(self) -> tuple[str, ...]:
        """Names of the splits: official ones, and ``fit`` and ``val`` for a search."""
        return tuple(self.manifest.splits)

    def _lacks(self, name: str) -> str:
        """Why there is no split to train on, or to validate on."""
        if name == "fit":
            return f"no split to train on (only {', '.join(self.splits)})"
        return "no split 'val', as it was imported with --val-fraction 0, or has one sequence, or is to test on only"

    def split(self, name: str, progress: Progress | None = None) -> Split:
        """The split of that name, or ``EVERY`` image; builds this node's cache on first use.

        Raises:
            DataError: no such split, or shards that do not match the manifest.
        """
        if name in ("fit", "val") and name not in self.manifest.splits:
            raise DataError(f"data set {self.name}: got {self._lacks(name)}; {name!r} is needed here")
        if name != EVERY and name not in self.manifest.splits:
            raise DataError(f"split of {self.name}: got {name!r}; one of {', '.join(self.splits)}")
        return Split(self, name, cache.open_store(self.root, self.manifest, progress))


def open_dataset(name_or_path: str, progress: Progress | None = None) -> Dataset:
    """The data set ``synthetic``, the data folder at a path, or ``data/NAME`` below the working folder.

    ``synthetic`` is generated on first use and kept in the cache, and ``progress`` is called meanwhile.

    Raises:
        DataError: there is no such data set; the message names those there are.
    """
    if name_or_path == DEFAULT:
        from irnas.data import synthetic

        return _open_folder(synthetic.default_folder(progress), DEFAULT)
    path = Path(name_or_path)
    for folder in (path, Path("data") / path):
        if (folder / manifest.FILE).is_file():
            return _open_folder(folder.resolve(), folder.resolve().name)
    if path.is_dir():
        hint = f"irnas data import {name_or_path} -o data/NAME"
        raise DataError(f"dataset: got {name_or_path!r} without {manifest.FILE}; must be imported first ({hint})")
    known = sorted(p.parent.name for p in Path("data").glob(f"*/{manifest.FILE}"))
    names = ", ".join([DEFAULT, *known])
    raise DataError(f"dataset: got {name_or_path!r}; one of {names}, or a folder with a {manifest.FILE}")


def _find_predecessors(store: Store) -> dict[int, int]:
    """Row of each frame to the row of the frame before it, where the two follow each other and are of one size."""
    rows = sorted(range(len(store.names)), key=lambda row: (store.sequences[row], store.frames[row]))
    before_of: dict[int, int] = {}
    for sequence, group in itertools.groupby(rows, key=lambda row: store.sequences[row]):
        members = list(group)
        step = usual_step([store.frames[row] for row in members]) if sequence else 0
        for before, row in itertools.pairwise(members if sequence else ()):
            is_next = store.frames[row] - store.frames[before] <= step
            if is_next and (store.heights[row], store.widths[row]) == (store.heights[before], store.widths[before]):
                before_of[row] = before
    return before_of


def _open_folder(folder: Path, name: str) -> Dataset:
    return Dataset(name=name, root=folder, manifest=manifest.read(folder))


def _reopen(root: Path, name: str, revision: str, label: str) -> Split:
    dataset = _open_folder(root, name)
    if dataset.revision != revision:
        raise DataError(
            f"data folder {root}: got revision {dataset.revision}; must be {revision}, as when it was opened"
        )
    return dataset.split(label)
