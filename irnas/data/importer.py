"""Import: a published layout in, a data folder out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import frames, shards, split
from irnas.data.decode import Notes
from irnas.data.layout import Entry, Reader
from irnas.data.layouts import AUTO, Folders, Source, discover
from irnas.data.manifest import Manifest
from irnas.data.mask import MaskNotes, read_mask
from irnas.data.sample import Progress, Sample
from irnas.data.staging import refuse_used
from irnas.data.value_range import SetRange, measure_entries
from irnas.runtime.value_range import RangeChoice

SKIP = "--skip-broken"


def import_folder(
    source: Path,
    target: Path,
    *,
    format: str = AUTO,
    protocol: str = "",
    folders: Folders | None = None,
    skip_broken: bool = False,
    allow_large_targets: bool = False,
    val_fraction: float = split.FRACTION,
    val_seed: int = split.SEED,
    range_choice: RangeChoice | None = None,
    progress: Progress | None = None,
) -> Manifest:
    """Read a data set in a published layout and write it as a data folder; equal input gives equal bytes.

    Official splits keep their names. ``fit`` and ``val`` are added for a search: the official validation split where
    the leading lists have one, else a cut from train (see ``split.with_validation``). Whatever had to be decided on
    the way is a warning in the manifest.

    Args:
        source: the folder of the set.
        target: the data folder to write.
        format: name of the layout, or ``AUTO``.
        protocol: which lists lead, where there are several.
        folders: where images and masks are, for a set in folders of one's own.
        skip_broken: leave out images that cannot be read, or whose masks cannot; the manifest names them.
        allow_large_targets: accept masks that small targets cannot have.
        val_fraction: of train, becomes val.
        val_seed: of that cut.
        range_choice: which counts become 0 and 255 in images of more than 8 bits; None for the default percentiles.
        progress: is called as images are read.

    Raises:
        DataError: the source fits no layout, images cannot be read (all are named), images and masks do not pair up or
            do not fit, masks are nearly all target, splits share images, or the target is in use or out of space.
            Nothing is written then.
    """
    refuse_used(target)
    listed = discover(source, format, protocol, folders)
    broken = _find_broken(listed, progress) if skip_broken else []
    listed = _without(listed, broken)
    split.check_disjoint(listed.splits)
    sequence_of = {entry.name: entry.sequence for entry in listed.entries}
    splits, validation = split.with_validation(listed.splits, sequence_of, fraction=val_fraction, seed=val_seed)
    numbers_of = {
        s: [e.frame for e in listed.entries if e.sequence == s] for s in dict.fromkeys(sequence_of.values()) if s
    }
    warnings = [
        *listed.warnings,
        *([f"{len(broken)} broken images were left out: {', '.join(broken)}"] if broken else []),
        *split.leaks(listed.splits),
        *split.shared_sequences(splits, sequence_of),
        *split.describe_search(splits),
        *frames.describe(numbers_of),
        *_describe_order(sequence_of),
    ]
    set_range = measure_entries(listed.layout, listed.entries, range_choice or RangeChoice())
    return shards.write(
        target,
        _Decoding(listed, splits, allow_large_targets, set_range).samples(warnings),
        total=len(listed.entries),
        format=listed.format,
        splits=splits,
        validation=validation,
        warnings=warnings,
        parameters={"skipped": broken} if broken else {},
        value_range=set_range.document() if set_range else None,
        progress=progress,
    )


def _describe_order(sequence_of: Mapping[str, str]) -> list[str]:
    """A sentence about sequences in which several numbers together say the order."""
    folders = frames.told_by_several(name for name, sequence in sequence_of.items() if sequence)
    if not folders:
        return []
    which = f"{len(folders)} {'sequence' if len(folders) == 1 else 'sequences'} (the first {folders[0]})"
    return [f"{which} with no number that tells all frames apart: ordered by all numbers of their names"]


@dataclass(slots=True)
class _Decoding:
    """What comes up while the images of a source are read."""

    source: Source
    splits: Mapping[str, Sequence[str]]
    allow_large_targets: bool
    set_range: SetRange | None = None
    masks: MaskNotes = field(default_factory=MaskNotes)
    broken: dict[str, DataError] = field(default_factory=dict)
    with_target: set[str] = field(default_factory=set)
    sizes_of: dict[str, list[str]] = field(default_factory=dict)
    """Sequence to the sizes of its frames."""

    def samples(self, warnings: list[str]) -> Iterator[Sample]:
        """The samples one by one; what was noted on the way joins the warnings after the last.

        Raises:
            DataError: after the last, where any could not be read, or masks are what they cannot be.
        """
        notes = Notes(value_range=self.set_range.value_range if self.set_range else None)
        reader = self.source.layout.reader(notes)
        for entry in self.source.entries:
            try:
                sample = _read(entry, reader, self.masks)
            except DataError as error:
                self.broken[entry.name] = error
                continue
            if (sample.mask == 1).any():
                self.with_target.add(entry.name)
            size = f"{sample.image.shape[1]}x{sample.image.shape[0]}"
            if entry.sequence and size not in self.sizes_of.setdefault(entry.sequence, []):
                self.sizes_of[entry.sequence].append(size)
            yield sample
        self._refuse()
        of_range = self.set_range.sentences() if self.set_range else []
        warnings.extend(
            [*notes.sentences(), *of_range, *self.masks.sentences(), *reader.sentences(), *self._sentences()]
        )

    def _refuse(self) -> None:
        if self.broken:
            first = next(iter(self.broken.values()))
            names = ", ".join(self.broken)
            others = f"; {len(self.broken)} images are broken: {names}" if len(self.broken) > 1 else ""
            raise DataError(f"{first}{others} ({SKIP} leaves {'them' if others else 'it'} out)")
        if not self.allow_large_targets:
            self.masks.refuse_large_share()

    def _sentences(self) -> list[str]:
        sentences = []
        if mixed := {sequence: sizes for sequence, sizes in self.sizes_of.items() if len(sizes) > 1}:
            first, sizes = next(iter(mixed.items()))
            what = f"{len(mixed)} {'sequence' if len(mixed) == 1 else 'sequences'} with frames of several sizes"
            where = f"the first {first}: {', '.join(sizes[:3])}"
            sentences.append(f"{what} ({where}): a window begins anew where the size changes")
        if "val" in self.splits and self.with_target.isdisjoint(self.splits["val"]):
            sentences.append("the split val has no target: a search cannot tell by it how accurate a network is")
        return sentences


def _read(entry: Entry, reader: Reader, notes: MaskNotes) -> Sample:
    image = reader.read(entry)
    mask = read_mask(entry.mask, (image.shape[0], image.shape[1]), notes, entry.mask_page)
    return Sample(name=entry.name, image=image, mask=mask, sequence=entry.sequence, frame=entry.frame)


def _find_broken(source: Source, progress: Progress | None) -> list[str]:
    """Names of the images that cannot be read, or whose masks cannot."""
    broken = []
    reader, notes = source.layout.reader(Notes()), MaskNotes()
    for done, entry in enumerate(source.entries, start=1):
        try:
            _read(entry, reader, notes)
        except DataError:
            broken.append(entry.name)
        if progress:
            progress("files", done, len(source.entries))
    return broken


def _without(source: Source, names: Sequence[str]) -> Source:
    """The source less some of its images."""
    if not names:
        return source
    left_out = set(names)
    entries = tuple(entry for entry in source.entries if entry.name not in left_out)
    if not entries:
        raise DataError(f"source: got {len(names)} images, all broken; must have one that is whole")
    splits = {name: tuple(n for n in members if n not in left_out) for name, members in source.splits.items()}
    return replace(source, entries=entries, splits={name: members for name, members in splits.items() if members})
