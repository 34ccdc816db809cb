"""Published layouts: where the images, masks and lists of a data set lie.

Redistributions of one set differ in folder names, mask endings and lists, so the layout is found by looking, and the
format says what must be there: how images are called and how many the published set has.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from irnas.core.errors import DataError
from irnas.data import lists
from irnas.data.decode import EXTENSIONS

AUTO = "auto"
_IMAGE_FOLDERS = ("images", "IRSTD1k_Img", "img", "mixed")
_MASK_FOLDERS = ("masks", "IRSTD1k_Label", "mask", "annotations/masks")
_MASK_ENDINGS = ("", "_pixels0", "_mask")


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What is known of a published set."""

    names: str = ".+"
    """Regular expression that every image name matches."""
    images: int = 0
    """Published number; 0 where there is none."""
    splits: Mapping[str, int] = field(default_factory=dict)
    """Published number of images per split."""


FORMATS: Mapping[str, Format] = {
    "sirst": Format(names=r"Misc_\d+", images=427, splits={"train": 213, "test": 214}),
    "nudt-sirst": Format(names=r"\d{6}", images=1327, splits={"train": 663, "test": 664}),
    "irstd-1k": Format(names=r"XDU\d+", images=1001, splits={"train": 800, "trainval": 800, "test": 201}),
    "sirst-aug": Format(images=9070, splits={"train": 8525, "trainval": 8525, "test": 545}),
    "nudt-mirsdt": Format(names=r"Sequence\d+/\d+", images=10000, splits={"train": 8000, "test": 2000}),
    "generic": Format(),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of a source, not yet read."""

    name: str
    image: Path
    """An image file, or a .mat file with a stack ``Mix``."""
    mask: Path
    sequence: str = ""
    frame: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A data set as found on disk."""

    format: str
    entries: tuple[Entry, ...]
    splits: Mapping[str, tuple[str, ...]]
    warnings: tuple[str, ...]


def discover(root: Path, format: str = AUTO) -> Source:
    """What lies in a folder, without reading any image.

    Raises:
        DataError: no known layout, an image without a mask or a mask without an image, a list line without an image, or
            names that the format does not have.
    """
    if format not in (AUTO, *FORMATS):
        raise DataError(f"format: got {format!r}; one of {', '.join((AUTO, *FORMATS))}")
    if not root.is_dir():
        raise DataError(f"source {root}: got no folder; must be one")
    warnings: list[str] = []
    splits: dict[str, tuple[str, ...]] = {}
    if format == "nudt-mirsdt" or (format == AUTO and any(root.glob("Sequence*/masks"))):
        entries = _mirsdt_entries(root)
    elif folders := _pair_of_folders(root):
        entries = _entries(*folders)
    else:
        entries, splits = _entries_by_part(root)
    if not entries:
        raise DataError(f"source {root}: got no images; must have at least one")
    entries = sorted(entries, key=lambda e: (e.sequence, e.frame, e.name))
    if not splits:
        splits = lists.read(root, lists.Names.of({e.name: e.sequence for e in entries}), warnings)
    if not splits:
        warnings.append("there are no split lists: every image is in train, and there is no test split")
        splits = {"train": tuple(e.name for e in entries)}
    found = _guess(root, entries, splits) if format == AUTO else format
    warnings.extend(_compare(found, entries, splits))
    return Source(format=found, entries=tuple(entries), splits=splits, warnings=tuple(warnings))


def _pair_of_folders(root: Path) -> tuple[Path, Path] | None:
    images = next((root / n for n in _IMAGE_FOLDERS if (root / n).is_dir()), None)
    masks = next((root / n for n in _MASK_FOLDERS if (root / n).is_dir()), None)
    if images and not masks:
        raise DataError(f"source {root}: got {images.name} without masks; must have a folder {_MASK_FOLDERS[0]}")
    return (images, masks) if images and masks else None


def _entries_by_part(root: Path) -> tuple[list[Entry], dict[str, tuple[str, ...]]]:
    """Layouts that keep each split's images and masks in a folder of its own."""
    parts = {}
    for part in lists.PARTS:
        if (root / part).is_dir() and (folders := _pair_of_folders(root / part)):
            parts[part] = _entries(*folders)
    if not parts:
        raise DataError(
            f"source {root}: got {_content(root)}; must have images and masks, or train and test with these"
        )
    names = [e.name for entries in parts.values() for e in entries]
    # Numbers that start anew in each part name nothing on their own.
    prefixed = len(set(names)) < len(names)
    found: list[Entry] = []
    splits: dict[str, tuple[str, ...]] = {}
    for part, entries in parts.items():
        prefix = f"{part}/" if prefixed else ""
        renamed = [
            Entry(
                name=prefix + e.name,
                image=e.image,
                mask=e.mask,
                sequence=e.sequence and prefix + e.sequence,
                frame=e.frame,
            )
            for e in entries
        ]
        found.extend(renamed)
        splits[part] = tuple(e.name for e in renamed)
    return found, splits


def _entries(images: Path, masks: Path) -> list[Entry]:
    by_name = _files(images)
    mask_of: dict[str, Path] = {}
    strangers = []
    for key, path in _files(masks).items():
        name = next((n for e in _MASK_ENDINGS if key.endswith(e) and (n := key.removesuffix(e)) in by_name), None)
        if name is None:
            strangers.append(path.name)
        elif name in mask_of:
            raise DataError(f"image {name!r}: got masks {mask_of[name].name} and {path.name}; must have one")
        else:
            mask_of[name] = path
    bare = sorted(by_name.keys() - mask_of.keys())
    if bare:
        raise DataError(
            f"folder {images}: got {len(bare)} images without a mask, the first {bare[0]!r}; must have one each"
        )
    if strangers:
        got = f"{len(strangers)} masks without an image, the first {sorted(strangers)[0]!r}"
        raise DataError(f"folder {masks}: got {got}; must have one each")
    numbers = _frames(by_name)
    return [
        Entry(name=n, image=p, mask=mask_of[n], sequence=n.rpartition("/")[0], frame=numbers[n] if "/" in n else 0)
        for n, p in by_name.items()
    ]


def _mirsdt_entries(root: Path) -> list[Entry]:
    """Sequence<k>/Mix/<frame>.mat or Sequence<k>/images/<frame>.png, with Sequence<k>/masks/<frame>.png."""
    found: list[Entry] = []
    for folder in sorted(p for p in root.glob("Sequence*") if p.is_dir()):
        images = _files(folder / "images") or {p.stem: p for p in sorted((folder / "Mix").glob("*.mat"))}
        masks = _files(folder / "masks")
        for what, left in (
            ("images without a mask", images.keys() - masks),
            ("masks without an image", masks.keys() - images),
        ):
            if left:
                raise DataError(f"{folder}: got {len(left)} {what}, the first {min(left)!r}; must have one each")
        numbers = _frames(images)
        found.extend(
            Entry(name=f"{folder.name}/{k}", image=p, mask=masks[k], sequence=folder.name, frame=numbers[k])
            for k, p in images.items()
        )
    if not found:
        raise DataError(f"source {root}: got {_content(root)}; must have Sequence1/Mix and Sequence1/masks")
    return found


def _files(folder: Path) -> dict[str, Path]:
    """Image files below a folder by relative path without extension; bounding boxes and other files are passed over."""
    found: dict[str, Path] = {}
    paths = folder.rglob("*") if folder.is_dir() else ()
    for path in sorted(p for p in paths if p.suffix.lower() in EXTENSIONS and not p.name.startswith(".")):
        key = path.relative_to(folder).with_suffix("").as_posix()
        if key in found:
            raise DataError(f"image {key!r}: got {found[key].name} and {path.name}; must be one file")
        found[key] = path
    return found


def _frames(names: Mapping[str, object]) -> dict[str, int]:
    """Frame numbers: the last number in each name, or its place in its folder where there is none."""
    found: dict[str, int] = {}
    place: dict[str, int] = {}
    for name in names:
        folder, _, leaf = name.rpartition("/")
        place[folder] = place.get(folder, -1) + 1
        digits = re.findall(r"\d+", leaf)
        found[name] = int(digits[-1]) if digits else place[folder]
    return found


def _guess(root: Path, entries: list[Entry], splits: Mapping[str, tuple[str, ...]]) -> str:
    """The format that the names show; the layout has been found without it, so a wrong guess costs only a warning."""
    if any(e.image.suffix == ".mat" or e.name.startswith("Sequence") for e in entries[:1]):
        return "nudt-mirsdt"
    for name in ("sirst", "irstd-1k"):
        if all(re.fullmatch(FORMATS[name].names, e.name) for e in entries):
            return name
    counts = {k: len(v) for k, v in splits.items()}
    if len(entries) == FORMATS["nudt-sirst"].images or "nudt-sirst" in root.name.lower():
        if all(re.fullmatch(FORMATS["nudt-sirst"].names, e.name) for e in entries):
            return "nudt-sirst"
    if len(entries) == FORMATS["sirst-aug"].images and counts.get("test") == FORMATS["sirst-aug"].splits["test"]:
        return "sirst-aug"
    return "generic"


def _compare(format: str, entries: list[Entry], splits: Mapping[str, tuple[str, ...]]) -> list[str]:
    """Warnings about what differs from the published set.

    Raises:
        DataError: an image is not called as the format's images are.
    """
    known = FORMATS[format]
    wrong = [e.name for e in entries if not re.fullmatch(known.names, e.name)]
    if wrong:
        got = f"{len(wrong)} images not called {known.names}, the first {wrong[0]!r}"
        raise DataError(f"format {format}: got {got}; must be that set, or import it as generic")
    found = []
    if known.images and len(entries) != known.images:
        found.append(f"got {len(entries)} images where the published set has {known.images}")
    for split, count in known.splits.items():
        if split in splits and len(splits[split]) != count:
            found.append(f"got {len(splits[split])} images in {split} where the published split has {count}")
    listed = {n for members in splits.values() for n in members}
    if left := [e.name for e in entries if e.name not in listed]:
        found.append(f"{len(left)} images are in no split, the first {left[0]}")
    return found


def _content(root: Path) -> str:
    """What a folder holds, in words that help whoever gave the wrong one."""
    packed = sorted(p.name for p in root.glob("*.zip"))
    if packed:
        return f"{', '.join(packed)} still packed"
    inner = sorted(p.name for p in root.iterdir() if p.is_dir() and any((p / n).is_dir() for n in _IMAGE_FOLDERS))
    if inner:
        return f"the folder above {', '.join(inner[:3])}"
    names = sorted(p.name for p in root.iterdir())
    return f"{', '.join(names[:4])}{', ...' if len(names) > 4 else ''}" if names else "an empty folder"
