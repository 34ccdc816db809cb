"""Whether a data folder still is what its manifest says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import manifest, shards, split
from irnas.data.manifest import Manifest
from irnas.data.sample import Progress


def verify(folder: Path, progress: Progress | None = None) -> Manifest:
    """Read every byte of a data folder and compare it with its manifest, which is returned.

    Raises:
        DataError: the first fault: a manifest that does not hold together, splits that share images, a shard that is
            missing, changed or left over, an image whose pixels do not fit its size, or counts that differ.
    """
    found = manifest.read(folder)
    split.check_disjoint(found.splits)
    strays = sorted({p.name for p in folder.glob("*.parquet")} - {s.file for s in found.shards})
    if strays:
        raise DataError(
            f"data folder {folder}: got {strays[0]}, which its manifest lacks; must hold its own shards only"
        )
    targets: dict[str, int] = {}
    sequences, heights, widths = set(), set(), set()
    digest = hashlib.sha256()
    for rows in shards.read(folder, found):
        for row in rows:
            sample = shards.to_sample(row)
            shards.update_digest(digest, sample)
            targets[sample.name] = shards.count_targets(sample.mask)
            sequences.update([sample.sequence] if sample.sequence else [])
            heights.add(sample.image.shape[0])
            widths.add(sample.image.shape[1])
        if progress:
            progress("images", len(targets), found.images)
    _same(folder, "content", digest.hexdigest(), found.content)
    _same(folder, "images", len(targets), found.images)
    _same(folder, "targets", sum(targets.values()), found.targets)
    _same(folder, "sequences", len(sequences), found.sequences)
    _same(folder, "height", (min(heights), max(heights)), found.height)
    _same(folder, "width", (min(widths), max(widths)), found.width)
    for name, members in found.splits.items():
        missing = [n for n in members if n not in targets]
        if missing:
            raise DataError(f"split {name!r}: got {missing[0]!r}; must name an image of the set")
        counts = {"images": len(members), "targets": sum(targets[n] for n in members)}
        _same(folder, f"counts of {name}", counts, found.counts.get(name))
    return found


def _same(folder: Path, what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise DataError(f"data folder {folder}: got {what} {got}; must be {wanted}, as the manifest says")
