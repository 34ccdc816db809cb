"""Spaces by name: where the declarative files live, and the published designs that come with them."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from irnas.core import own_code
from irnas.core.errors import SettingsError, SpaceError
from irnas.core.settings import ALL_PUBLISHED, HEADLINES
from irnas.core.space import Genotype, Space
from irnas.core.text import did_you_mean
from irnas.core.union import unite
from irnas.core.yaml_text import parse_yaml

FILE = "space.yaml"
"""The file that declares a space, in the folder of the space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """A row of a paper: a design with the counts or accuracies that were printed of it."""

    name: str
    source: str
    genotype: Genotype | None
    """The design as a point of this space, where it is one."""
    about: str = ""
    is_headline: bool = False
    """Whether it is what the family's paper stands for, and no step of an ablation or another paper's network."""
    counts: tuple[Mapping[str, Any], ...] = ()
    """What was printed about its size: {input: [C, H, W], params: ..., ops: ...}."""
    results: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Data set to metric to value, as fractions: {"NUDT-SIRST": {"miou": 0.8288}}."""
    splits: Mapping[str, str] = field(default_factory=dict)
    """Data set of ``results`` to what was trained and tested on: {"NUDT-SIRST": "663/664"}; none where nobody knows."""
    speeds: tuple[Mapping[str, Any], ...] = ()
    """What was printed about its speed: {input: [C, H, W], fps: ... or seconds: ... an image, device: its name}."""


def _roots() -> tuple[Path, ...]:
    package = Path(__file__).parent.parent
    # In a wheel the spaces lie inside the package; in a checkout, beside it.
    return package / "search_spaces", package.parent / "search_spaces"


def list_names() -> tuple[str, ...]:
    """The names of the spaces that come with irnas, in alphabetical order."""
    return tuple(sorted({p.parent.name for root in _roots() for p in root.glob(f"*/{FILE}")}))


def find_folder(space: str) -> Path:
    """The folder of a space, from its name, or from the path of the folder or of its space.yaml.

    Raises:
        SpaceError: there is no such space.
    """
    path = Path(space)
    if path.name == FILE and path.is_file():
        return path.parent
    candidates = [root / space for root in _roots()] if "/" not in space else []
    for candidate in (*candidates, path):
        if (candidate / FILE).is_file():
            return candidate
    hint = did_you_mean(space, list_names())
    raise SpaceError(f"space: got {space!r}; one of {', '.join(list_names())}, or a folder with a space.yaml{hint}")


def is_shipped(space: str) -> bool:
    """Whether a space comes with irnas; of any other, its user decides what stands in it.

    Raises:
        SpaceError: there is no such space.
    """
    return find_folder(space).absolute().parent in {root.absolute() for root in _roots()}


def load(space: str) -> Space:
    """Load the space of that name or path; names joined by commas make the union of their spaces.

    Raises:
        SpaceError: there is no such space, or its file is wrong.
    """
    if "," in space:
        return unite([load(name.strip()) for name in space.split(",")])
    folder = find_folder(space)
    parsed, source = Space.from_document(_read(folder / FILE)), own_code.read(folder)
    return parsed if source is None else replace(parsed, family=own_code.family_of(parsed.family, source))


def admit_code(space: str) -> Space:
    """Load a space that a user has named, whose own code, if it has any, may be run from now on.

    Where the name comes from a record or a file instead, only ``load`` may be called.

    Raises:
        SpaceError: there is no such space, or its file is wrong.
    """
    parsed = load(space)
    for name, member in zip(space.split(","), parsed.members or (parsed,), strict=True):
        if (source := own_code.read(find_folder(name.strip()))) is not None:
            own_code.admit(member.family, source)
    return parsed


def load_published(space: str) -> tuple[Published, ...]:
    """The published designs that come with a space, in the order of its file; none where it has no such file."""
    if "," in space:
        return tuple(row for name in space.split(",") for row in load_published(name.strip()))
    path = find_folder(space) / "published.yaml"
    if not path.is_file():
        return ()
    document, parsed = _read(path), load(space)
    if not isinstance(document, dict) or not isinstance(document.get("rows"), list):
        raise SpaceError(f"{path.name} of {parsed.name}: got no list 'rows'; must have one")
    return tuple(_parse_published(row, document, parsed) for row in document["rows"])


def find_point(space: str, text: str) -> Genotype:
    """The point called ``text``: ``default``, a published name, or ``axis=value,axis=value`` over the defaults.

    Raises:
        SpaceError: no such name, axis or value.
    """
    parsed = load(space)
    if "=" not in text:
        members = {row.name: row.genotype for row in load_published(space) if row.genotype is not None}
        if text in ("", "default"):
            return parsed.default()
        if text not in members:
            one_of = f"one of default, {', '.join(members)}, or axis=value,...{did_you_mean(text, members)}"
            raise SpaceError(f"point of {parsed.name}: got {text!r}; {one_of}")
        return members[text]
    pairs = dict(_parse_pair(part) for part in text.split(","))
    return parsed.complete({axis: parse_value(parsed, axis, value) for axis, value in pairs.items()})


def find_designs(space: str, text: str) -> list[tuple[str, Genotype]]:
    """The published designs that a text names, with their names, in the order of the text.

    Args:
        space: name or path of a space, or names joined by commas.
        text: names joined by commas; ``published`` stands for the headlines, ``published/all`` for every row that is a
            point of the space. Empty: none.

    Raises:
        SettingsError: no such name.
        SpaceError: no such space.
    """
    if not text:
        return []
    rows = [row for row in load_published(space) if row.genotype is not None]
    designs: list[tuple[str, Genotype]] = []
    for word in (part.strip() for part in text.split(",")):
        wanted = [row for row in rows if word in (row.name, ALL_PUBLISHED) or (word == HEADLINES and row.is_headline)]
        if not wanted:
            hint = did_you_mean(word, [row.name for row in rows])
            raise SettingsError(
                f"warm-start: got {word!r}; must be none, {HEADLINES}, {ALL_PUBLISHED}, or names of published designs "
                f"(irnas spaces {space}){hint}"
            )
        designs += [(row.name, row.genotype) for row in wanted if row.genotype is not None]
    return designs


def parse_value(space: Space, axis: str, text: str) -> Any:
    """The value of an axis that prints as ``text``."""
    for value in space[axis].values:
        if str(value).lower() == text.strip().lower():
            return value
    raise SpaceError(f"{space.name}.{axis}: got {text!r}; one of {', '.join(map(str, space[axis].values))}")


def parse_choice(space: Space, text: str) -> tuple[str, tuple[Any, ...]]:
    """Read an axis and some of its values from ``base=8,16``; ``w_bin=all`` means every value it has."""
    axis, values = _parse_pair(text)
    if values.strip() == "all":
        return axis, space[axis].values
    return axis, tuple(parse_value(space, axis, value) for value in values.split(","))


def _parse_pair(part: str) -> tuple[str, str]:
    axis, equals, value = part.partition("=")
    if not equals:
        raise SpaceError(f"point: got {part!r}; must be axis=value")
    return axis.strip(), value


def _read(path: Path) -> Any:
    """The document in a file, which is parsed again when it has changed: in a notebook a space is edited."""
    status = path.stat()
    return _parse(path.absolute(), status.st_mtime_ns, status.st_size)


@functools.cache
def _parse(path: Path, modified_ns: int, size: int) -> Any:
    return parse_yaml(path.read_bytes(), str(path), SpaceError)


def _parse_published(row: Mapping[str, Any], document: Mapping[str, Any], space: Space) -> Published:
    values, results = row.get("values"), row.get("results", {})
    splits = {**document.get("splits", {}), **row.get("splits", {})}
    return Published(
        name=str(row["name"]),
        source=str(row.get("source", document.get("source", ""))),
        genotype=None if values is None else space.complete(values),
        about=str(row.get("about", "")),
        # "LIT-O/2 DySoftSign" is a step of an ablation: it documents a count, and is no design to compete with.
        is_headline=values is not None and bool(row.get("headline", "/" not in str(row["name"]))),
        counts=tuple(row.get("counts", ())),
        results=results,
        splits={name: str(split) for name, split in splits.items() if name in results},
        speeds=tuple(row.get("speeds", ())),
    )
