"""Import: a published layout in, a data folder out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from irnas.data import shards, split
from irnas.data.decode import Notes, read_mask
from irnas.data.layouts import AUTO, Source, discover
from irnas.data.manifest import Manifest
from irnas.data.sample import Progress, Sample
from irnas.data.staging import refuse_used


def import_folder(
    source: Path,
    target: Path,
    *,
    format: str = AUTO,
    val_fraction: float = split.FRACTION,
    val_seed: int = split.SEED,
    progress: Progress | None = None,
) -> Manifest:
    """Read a data set in a published layout and write it as a data folder; equal input gives equal bytes.

    Official splits keep their names. ``fit`` and ``val`` are added for a search: the official validation split where
    the leading lists have one, else a cut from train (see ``split.with_validation``). Whatever had to be decided on
    the way is a warning in the manifest.

    Raises:
        DataError: the source fits no layout, an image cannot be read, images and masks do not pair up or do not fit,
            splits share images, or the target is in use or out of space. Nothing is written then.
    """
    refuse_used(target)
    listed = discover(source, format)
    split.check_disjoint(listed.splits)
    warnings = [*listed.warnings, *split.leaks(listed.splits)]
    sequence_of = {entry.name: entry.sequence for entry in listed.entries}
    splits, validation = split.with_validation(listed.splits, sequence_of, fraction=val_fraction, seed=val_seed)
    return shards.write(
        target,
        _decode(listed, warnings),
        total=len(listed.entries),
        format=listed.format,
        splits=splits,
        validation=validation,
        warnings=warnings,
        progress=progress,
    )


def _decode(source: Source, warnings: list[str]) -> Iterator[Sample]:
    """The samples one by one; what was noted on the way joins the warnings after the last."""
    notes = Notes()
    reader = source.layout.reader(notes)
    for entry in source.entries:
        image = reader.read(entry)
        mask = read_mask(entry.mask, (image.shape[0], image.shape[1]), notes)
        yield Sample(name=entry.name, image=image, mask=mask, sequence=entry.sequence, frame=entry.frame)
    warnings.extend([*notes.sentences(), *reader.sentences()])
