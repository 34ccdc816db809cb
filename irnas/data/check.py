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
    recorded = manifest.read(folder)
    split.check_disjoint(recorded.splits)
    strays = sorted({p.name for p in folder.glob("*.parquet")} - {s.file for s in recorded.shards})
    if strays:
        raise DataError(
            f"data folder {folder}: got {strays[0]}, which its manifest lacks; must hold its own shards only"
        )
    targets: dict[str, int] = {}
    sequences, heights, widths = set(), set(), set()
    digest = hashlib.sha256()
    for rows in shards.read(folder, recorded):
        for row in rows:
            sample = shards.to_sample(row)
            shards.update_digest(digest, sample)
            targets[sample.name] = shards.count_targets(sample.mask)
            sequences.update([sample.sequence] if sample.sequence else [])
            heights.add(sample.image.shape[0])
            widths.add(sample.image.shape[1])
        if progress:
            progress("images", len(targets), recorded.images)
    _compare(folder, "content", digest.hexdigest(), recorded.content)
    _compare(folder, "images", len(targets), recorded.images)
    _compare(folder, "targets", sum(targets.values()), recorded.targets)
    _compare(folder, "sequences", len(sequences), recorded.sequences)
    _compare(folder, "height", (min(heights), max(heights)), recorded.height)
    _compare(folder, "width", (min(widths), max(widths)), recorded.width)
    for name, members in recorded.splits.items():
        missing = [n for n in members if n not in targets]
        if missing:
            raise DataError(f"split {name!r}: got {missing[0]!r}; must name an image of the set")
        counts = {"images": len(members), "targets": sum(targets[n] for n in members)}
        _compare(folder, f"counts of {name}", counts, recorded.counts.get(name))
    return recorded


def _compare(folder: Path, what: str, got: object, wanted: object) -> None:
    if got != wanted:
        raise DataError(f"data folder {folder}: got {what} {got}; must be {wanted}, as the manifest says")
