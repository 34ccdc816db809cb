"""manifest.json: what a data folder holds, and the revision that names exactly this data.

The revision is taken from decoded pixels, split lists and the range of counts, not from file bytes: another Parquet
writer, another PNG encoder or another folder leaves it as it is, one changed pixel or one moved name does not.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from irnas.core.errors import DataError

FILE = "manifest.json"
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One Parquet file of a data folder."""

    file: str
    rows: int
    sha256: str
    """Of the file's bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The description of a data set, written beside its shards."""

    format: str
    """The layout it was read from, or ``synthetic``."""
    images: int
    targets: int
    """8-connected components of all masks."""
    sequences: int
    """Number of sequences; 0 for single images."""
    height: tuple[int, int]
    """Smallest and largest, in pixels."""
    width: tuple[int, int]
    splits: Mapping[str, tuple[str, ...]]
    """Split to image names, in the order of the official list. ``fit`` and ``val`` are what a search uses."""
    counts: Mapping[str, Mapping[str, int]]
    """Split to {"images": ..., "targets": ...}."""
    validation: Mapping[str, Any]
    """Where ``fit`` and ``val`` come from."""
    shards: tuple[Shard, ...]
    content: str
    """sha256 over names, sizes, pixels and masks of all images in order."""
    warnings: tuple[str, ...] = ()
    """What the importer had to decide, one sentence each."""
    parameters: Mapping[str, Any] = field(default_factory=dict)
    """The generator's parameters; of imported data, the images ``skipped`` as broken, where there are any."""
    value_range: Mapping[str, Any] | None = None
    """Which counts became 0 and 255 (``low``, ``high``), by what, and how many levels are left; None for 8 bits."""
    revision: str = field(init=False)
    """16 hex digits that name the data."""

    def __post_init__(self) -> None:
        for name, members in self.splits.items():
            if not members:
                raise DataError(f"split {name!r}: got no images; must have at least one")
        document: dict[str, Any] = {
            "content": self.content,
            "splits": {k: list(v) for k, v in self.splits.items()},
        }
        if self.value_range is not None:
            # Equal pixels of other counts are other data: a network trained on them reads a device's counts otherwise.
            document["value_range"] = [self.value_range["low"], self.value_range["high"]]
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        object.__setattr__(self, "revision", hashlib.sha256(text.encode()).hexdigest()[:16])

    def document(self) -> dict[str, Any]:
        """The manifest as plain data."""
        fields = {"schema": SCHEMA, "revision": self.revision, **asdict(self)}
        if self.value_range is None:
            del fields["value_range"]
        # The long lists go last, where they do not hide the rest from a reader.
        return {**{k: v for k, v in fields.items() if k != "splits"}, "splits": fields["splits"]}

    @classmethod
    def from_document(cls, document: Any, where: str) -> Manifest:
        """The inverse of ``document``; ``where`` names the file in messages.

        Raises:
            DataError: a newer schema, a missing field, or a revision that does not belong to the rest.
        """
        if not isinstance(document, dict) or "schema" not in document:
            raise DataError(f"{where}: got no field 'schema'; must be the manifest of a data folder")
        if document["schema"] != SCHEMA:
            raise DataError(f"{where}: got schema {document['schema']}; must be {SCHEMA}")
        try:
            manifest = cls(
                **{k: document[k] for k in ("format", "images", "targets", "sequences", "validation")},
                counts=dict(document["counts"].items()),
                **{k: document[k] for k in ("content", "parameters")},
                height=tuple(document["height"]),
                width=tuple(document["width"]),
                splits={k: tuple(v) for k, v in document["splits"].items()},
                shards=tuple(Shard(**s) for s in document["shards"]),
                warnings=tuple(document["warnings"]),
                value_range=document.get("value_range"),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{where}: got a manifest with a missing or wrong field ({error}); must be complete"
            ) from None
        for split in manifest.splits:
            # Revision and shards do not cover them.
            if not _are_counts(counts := manifest.counts.get(split)):
                raise DataError(f"{where}: got counts {str(counts)[:40]} of {split}; must be its images and targets")
        if document.get("revision") != manifest.revision:
            raise DataError(f"{where}: got revision {document.get('revision')}; must be {manifest.revision}")
        return manifest


def _are_counts(counts: Any) -> bool:
    numbers = [counts.get(name) for name in ("images", "targets")] if isinstance(counts, dict) else [None]
    return all(type(number) is int and number >= 0 for number in numbers)


def read(folder: Path) -> Manifest:
    """The manifest of a data folder.

    Raises:
        DataError: there is none, or it is not one.
    """
    path = folder / FILE
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            f"data folder {folder}: got no {FILE}; must be written by 'irnas data import' or 'synth'"
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: got a file that cannot be read ({error}); must be JSON") from None
    return Manifest.from_document(document, str(path))


def write(folder: Path, manifest: Manifest) -> None:
    """Write manifest.json into a folder that is still being built."""
    text = json.dumps(manifest.document(), indent=1, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8", newline="\n")
