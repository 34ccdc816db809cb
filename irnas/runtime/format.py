"""Reads a checked model from the bytes of a .xnor file, and writes one (FORMAT.md)."""

from __future__ import annotations

import hashlib
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irnas.runtime import container, extent, graph
from irnas.runtime.container import is_integer, refuse
from irnas.runtime.extent import Extent
from irnas.runtime.graph import Op
from irnas.runtime.value_range import COUNT_MOST, ValueRange

HALF = 0.5
"""The threshold of a network that has none of its own."""

FORMAT = "xnor"
VERSION, VERSION_WITH_COUNTS, VERSION_WITH_THRESHOLD, VERSION_WITH_VECTORS = "1.0", "1.1", "1.2", "1.3"
VERSION_WITH_DECOMPOSITIONS = "1.4"
_HAVE_THRESHOLD = (VERSION_WITH_THRESHOLD, VERSION_WITH_VECTORS, VERSION_WITH_DECOMPOSITIONS)
VERSIONS = (VERSION, VERSION_WITH_COUNTS, *_HAVE_THRESHOLD)
ARITHMETIC = "fold-fma-1"
TEXT_MOST = 786432
REFERENCE_MOST = 1024
SEED_MOST = 1 << 53
_KEYS = {
    "format",
    "version",
    "arithmetic",
    "sha256",
    "input",
    "reference",
    "graph",
    "name",
    "trial",
    "data_rev",
    "exporter",
    "parity",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """The images that a model accepts."""

    channels: int
    multiple: int
    """Height and width are multiples of it."""
    pad: int
    """Images are extended to multiples of it (FORMAT.md, section 6)."""
    low: float = 0.0
    high: float = 1.0
    counts: ValueRange | None = None
    """How training mapped images of more than 8 bits (FORMAT.md, section 8); None where there were none."""

    def document(self) -> dict[str, Any]:
        """Return the JSON object that the file holds."""
        return {
            "channels": self.channels,
            "multiple": self.multiple,
            "pad": self.pad,
            "range": [self.low, self.high],
            **({} if self.counts is None else {"counts": [self.counts.low, self.counts.high]}),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A run that every engine repeats bit by bit (FORMAT.md, section 7)."""

    height: int
    width: int
    seed: int
    input_sha256: str
    output_sha256: str

    def document(self) -> dict[str, Any]:
        """Return the JSON object that the file holds."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A network that can be run, and where it came from."""

    input: Input
    ops: tuple[Op, ...]
    reference: Reference
    name: str = ""
    trial: str = ""
    data_rev: str = ""
    exporter: str = ""
    parity: Mapping[str, Any] = field(default_factory=dict)
    threshold: float = HALF
    """A target is where the output exceeds it; between 0 and 1 (FORMAT.md, section 6)."""

    @property
    def version(self) -> str:
        """The version of the format that a file of this model needs."""
        if extent.is_of_1_4(self.ops):
            return VERSION_WITH_DECOMPOSITIONS
        if extent.is_of_1_3(self.ops):
            return VERSION_WITH_VECTORS
        if self.threshold != HALF:
            return VERSION_WITH_THRESHOLD
        return VERSION if self.input.counts is None else VERSION_WITH_COUNTS

    @property
    def extents(self) -> tuple[Extent, ...]:
        """Channels and level of each tensor, the input first."""
        return extent.infer_extents(self.ops, self.input.channels)


def read(content: bytes) -> Model:
    """Read the model in the bytes of a file.

    Raises:
        FormatError: the content breaks a rule; the message ends with its number.
    """
    parts = container.decode(content)
    metadata = _check_metadata(parts.metadata)
    if metadata["sha256"] != hashlib.sha256(parts.data).hexdigest():
        refuse("R13", f"sha256 {metadata['sha256'][:64]!r}", f"{hashlib.sha256(parts.data).hexdigest()}, the data's")
    accepted = _parse_input(container.loads(metadata["input"], "R14"), metadata["version"])
    reference = _parse_reference(container.loads(metadata["reference"], "R15"), accepted)
    parity = container.loads(metadata["parity"], "R17")
    if not isinstance(parity, dict):
        refuse("R17", "parity that is no object", "a JSON object")
    ops = graph.parse(container.loads(metadata["graph"], "R16"), parts.tensors)
    _check_version(ops, metadata["version"])
    check(ops, accepted)
    return Model(
        input=accepted,
        ops=ops,
        reference=reference,
        name=metadata["name"],
        trial=metadata["trial"],
        data_rev=metadata["data_rev"],
        exporter=metadata["exporter"],
        parity=parity,
        threshold=_parse_threshold(metadata),
    )


def write(model: Model) -> bytes:
    """Write a model as the bytes of a file; equal models give equal bytes.

    Raises:
        FormatError: the model breaks a rule, so no file can hold it.
    """
    tensors = {f"{k}.{role}": tensor for k, op in enumerate(model.ops) for role, tensor in op.constants.items()}
    metadata = {
        "format": FORMAT,
        "version": model.version,
        "arithmetic": ARITHMETIC,
        "input": container.dumps(model.input.document()),
        "reference": container.dumps(model.reference.document()),
        "graph": container.dumps([op.document() for op in model.ops]),
        "name": model.name,
        "trial": model.trial,
        "data_rev": model.data_rev,
        "exporter": model.exporter,
        "parity": container.dumps(dict(model.parity)),
        "sha256": hashlib.sha256(container.data_of(tensors)).hexdigest(),
        **({"threshold": container.dumps(model.threshold)} if model.version in _HAVE_THRESHOLD else {}),
    }
    content = container.encode(metadata, tensors)
    read(content)
    return content


def check(ops: tuple[Op, ...], accepted: Input) -> tuple[Extent, ...]:
    """Infer the extents of a graph; raise FormatError where it does not fit its input."""
    extents = extent.infer_extents(ops, accepted.channels)
    deepest = max(each.level for each in extents if not each.is_vector)
    if accepted.multiple % 2**deepest:
        refuse("R22", f"multiple {accepted.multiple} with a map of level {deepest}", f"a multiple of {2**deepest}")
    return extents


def _check_version(ops: tuple[Op, ...], version: str) -> None:
    if extent.is_of_1_4(ops) and version != VERSION_WITH_DECOMPOSITIONS:
        refuse("R43", f"a graph of version 1.4 in version {version}", f"in version {VERSION_WITH_DECOMPOSITIONS}")
    if extent.is_of_1_3(ops) and version not in (VERSION_WITH_VECTORS, VERSION_WITH_DECOMPOSITIONS):
        refuse("R38", f"a graph with vectors in version {version}", f"in version {VERSION_WITH_VECTORS}")


def _check_metadata(metadata: Mapping[str, Any]) -> Mapping[str, str]:
    # A file of another version may have other keys: its version is the first thing to say.
    if "format" in metadata and metadata["format"] != FORMAT:
        refuse("R10", f"format {str(metadata['format'])[:64]!r}", repr(FORMAT))
    if "version" in metadata and metadata["version"] not in VERSIONS:
        must = f"{', '.join(VERSIONS[:-1])} or {VERSIONS[-1]}, which this reader knows"
        refuse("R11", f"version {str(metadata['version'])[:64]!r}", must)
    keys = {*_KEYS, "threshold"} if metadata.get("version") in _HAVE_THRESHOLD else _KEYS
    if set(metadata) != keys:
        refuse("R9", f"metadata {sorted(metadata)}"[:300], ", ".join(sorted(keys)))
    for key, value in metadata.items():
        if not isinstance(value, str):
            refuse("R9", f"metadata {key} that is no string", "a string")
        if len(value) > TEXT_MOST:
            refuse("R18", f"metadata {key} of {len(value)} characters", f"at most {TEXT_MOST}")
    if metadata["arithmetic"] != ARITHMETIC:
        refuse("R12", f"arithmetic {metadata['arithmetic'][:64]!r}", ARITHMETIC)
    return metadata


def _parse_input(document: Any, version: str) -> Input:
    if not isinstance(document, dict) or set(document) - {"counts"} != {"channels", "multiple", "pad", "range"}:
        refuse("R14", "another input specification", "an object of channels, multiple, pad, range")
    multiple, pad, bounds = document["multiple"], document["pad"], document["range"]
    if not is_integer(document["channels"], 1, 16):
        refuse("R14", f"input channels {document['channels']!r}", "1..16")
    if not is_integer(multiple, 1, graph.MULTIPLE_MOST):
        refuse("R14", f"multiple {multiple!r}", f"1..{graph.MULTIPLE_MOST}")
    if not is_integer(pad, 1, graph.MULTIPLE_MOST) or pad % multiple:
        refuse("R14", f"pad {pad!r}", f"a multiple of {multiple} up to {graph.MULTIPLE_MOST}")
    if not _are_two_numbers(bounds):
        refuse("R14", f"range {bounds!r}", "two numbers")
    if not bounds[0] < bounds[1]:
        refuse("R14", f"range {bounds!r}", "ascending")
    return Input(
        channels=document["channels"],
        multiple=multiple,
        pad=pad,
        low=float(bounds[0]),
        high=float(bounds[1]),
        counts=_parse_counts(document, version),
    )


def _parse_counts(document: Mapping[str, Any], version: str) -> ValueRange | None:
    if version not in _HAVE_THRESHOLD and ("counts" in document) != (version == VERSION_WITH_COUNTS):
        got = "counts" if "counts" in document else "no counts"
        must = f"counts in {VERSION_WITH_COUNTS}, and none in {VERSION}"
        refuse("R35", f"an input with {got} in version {version}", must)
    if "counts" not in document:
        return None
    ends = document["counts"]
    if not _are_two_numbers(ends) or not -COUNT_MOST <= ends[0] < ends[1] <= COUNT_MOST:
        refuse("R36", f"counts {str(ends)[:64]}", "two ascending numbers of a magnitude of at most 2^53")
    return ValueRange(float(ends[0]), float(ends[1]))


def _parse_threshold(metadata: Mapping[str, str]) -> float:
    if "threshold" not in metadata:
        return HALF
    threshold = container.loads(metadata["threshold"], "R37")
    if type(threshold) not in (int, float) or not 0 < threshold < 1:
        refuse("R37", f"threshold {metadata['threshold'][:64]!r}", "a number between 0 and 1")
    return float(threshold)


def _are_two_numbers(value: Any) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) in (int, float) for end in value)


def _parse_reference(document: Any, accepted: Input) -> Reference:
    if not isinstance(document, dict) or set(document) != set(Reference.__slots__):
        refuse("R15", "another reference run", f"an object of {', '.join(Reference.__slots__)}")
    for side in ("height", "width"):
        if not is_integer(document[side], 1, REFERENCE_MOST) or document[side] % accepted.multiple:
            refuse(
                "R15",
                f"reference {side} {document[side]!r}",
                f"a multiple of {accepted.multiple} up to {REFERENCE_MOST}",
            )
    if not is_integer(document["seed"], 0, SEED_MOST):
        refuse("R15", f"reference seed {document['seed']!r}", f"0..{SEED_MOST}")
    for key in ("input_sha256", "output_sha256"):
        if (
            not isinstance(document[key], str)
            or len(document[key]) != 64
            or set(document[key]) - set(string.hexdigits.lower())
        ):
            refuse("R15", f"reference {key} {str(document[key])[:70]!r}", "64 lower-case hex digits")
    return Reference(**document)
