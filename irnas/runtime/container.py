"""The container of a .xnor file: safetensors, read and written strictly (FORMAT.md, section 1)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from irnas.core.errors import FormatError

Constant = npt.NDArray[Any]

HEADER_MOST = 1 << 20
DATA_MOST = 1 << 28
TENSORS_MOST = 16384
SIDE_MOST = 1 << 24
_DEPTH_MOST = 16
_DTYPES: Mapping[str, np.dtype[Any]] = {"F32": np.dtype("<f4"), "U8": np.dtype("u1")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """What a container holds."""

    metadata: Mapping[str, Any]
    tensors: Mapping[str, Constant]
    """float32 or uint8 arrays by name."""
    data: bytes
    """The data section, which the checksum is about."""


def refuse(rule: str, got: object, must: str) -> NoReturn:
    """Raise the FormatError of a broken rule."""
    raise FormatError(f".xnor file: got {got}; must be {must} (rule {rule})")


def decode(content: bytes) -> Content:
    """Decode the metadata and the tensors of a container.

    Raises:
        FormatError: a rule R1 to R8 is broken; the message ends with its number.
    """
    if len(content) < 8:
        refuse("R1", f"{len(content)} bytes", "at least 8")
    length = int.from_bytes(content[:8], "little")
    if not 2 <= length <= HEADER_MOST or length % 8 or 8 + length > len(content):
        refuse("R1", f"a header of {length} bytes in a file of {len(content)}", f"a multiple of 8, up to {HEADER_MOST}")
    header = _parse_header(content[8 : 8 + length])
    data = content[8 + length :]
    if len(data) > DATA_MOST:
        refuse("R6", f"{len(data)} bytes of data", f"at most {DATA_MOST}")
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict):
        refuse("R9", "metadata that is no object", "an object")
    return Content(metadata=metadata, tensors=_parse_tensors(header, data), data=data)


def encode(metadata: Mapping[str, str], tensors: Mapping[str, Constant]) -> bytes:
    """Encode a container: the same arguments give the same bytes."""
    data = data_of(tensors)
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    start = 0
    for name in _order(tensors):
        dtype = "F32" if tensors[name].dtype.kind == "f" else "U8"
        stop = start + tensors[name].size * _DTYPES[dtype].itemsize
        header[name] = {"dtype": dtype, "shape": list(tensors[name].shape), "data_offsets": [start, stop]}
        start = stop
    text = dumps(header).encode("ascii")
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data


def data_of(tensors: Mapping[str, Constant]) -> bytes:
    """Return the data section of a container with these tensors."""
    parts = (tensors[name] for name in _order(tensors))
    return b"".join(np.ascontiguousarray(t, _DTYPES["F32" if t.dtype.kind == "f" else "U8"]).tobytes() for t in parts)


def _order(tensors: Mapping[str, Constant]) -> list[str]:
    # float32 first, which keeps it aligned.
    return sorted(tensors, key=lambda name: (tensors[name].dtype.kind != "f", name))


def dumps(value: object) -> str:
    """Write a JSON value in the one spelling that a .xnor file uses."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def loads(text: str, rule: str) -> Any:
    """Read a JSON value; refuse it where a key comes twice, a number is not finite or the nesting is deep."""
    if _measure_depth(text) > _DEPTH_MOST:
        refuse(rule, f"JSON nested {_measure_depth(text)} deep", f"at most {_DEPTH_MOST}")
    try:
        value = json.loads(
            text,
            object_pairs_hook=_object_without_repeats,
            parse_constant=_refuse_constant,
            parse_float=_parse_finite,
            parse_int=_parse_integer,
        )
    except ValueError as error:
        refuse(rule, f"text that is no JSON ({' '.join(str(error).split())})", "strict JSON")
    return value


def is_integer(value: object, least: int, most: int) -> bool:
    """Return whether a JSON value is an integer from ``least`` to ``most``, both included."""
    return type(value) is int and least <= value <= most


def _parse_header(raw: bytes) -> dict[str, Any]:
    if raw[:1] != b"{" or not raw.isascii():
        refuse("R2", f"a header that begins with {raw[:8]!r}", "a JSON object in ASCII")
    text = raw.decode("ascii").rstrip(" ")
    header = loads(text, "R2")
    # rstrip took the filling; any other white space at the end would be a second spelling of the same file.
    if not isinstance(header, dict) or not text.endswith("}"):
        refuse("R2", "a header with something around its object", "one object and spaces")
    return header


def _parse_tensors(entries: Mapping[str, Any], data: bytes) -> dict[str, Constant]:
    if len(entries) > TENSORS_MOST:
        refuse("R6", f"{len(entries)} tensors", f"at most {TENSORS_MOST}")
    spans = sorted((_parse_span(name, entry, len(data)) for name, entry in entries.items()), key=lambda s: (s[0], s[1]))
    end, seen_bytes = 0, False
    tensors = {}
    for start, stop, name in spans:
        entry = entries[name]
        if start != end:
            refuse("R5", f"tensor {name} from {start}", f"from {end}, the end of its predecessor")
        if seen_bytes and entry["dtype"] == "F32":
            refuse("R5", f"F32 tensor {name} behind a U8 one", "before all of them")
        end, seen_bytes = stop, seen_bytes or entry["dtype"] == "U8"
        array = np.frombuffer(data, _DTYPES[entry["dtype"]], math.prod(entry["shape"]), start)
        if entry["dtype"] == "F32" and not np.isfinite(array).all():
            refuse("R7", f"tensor {name} with a value that is not finite", "finite")
        tensors[name] = array.reshape(entry["shape"])
    if end != len(data):
        refuse("R5", f"{len(data)} bytes of data", f"{end}, the end of the last tensor")
    return tensors


def _parse_span(name: str, entry: Any, size: int) -> tuple[int, int, str]:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        refuse("R3", f"tensor {name[:64]!r} described otherwise", "an object of dtype, shape, data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        refuse("R3", f"tensor {name[:64]!r} of dtype {dtype!r}", "F32 or U8")
    if not isinstance(shape, list) or not 1 <= len(shape) <= 4 or not all(is_integer(s, 1, SIDE_MOST) for s in shape):
        refuse("R3", f"tensor {name[:64]!r} of shape {shape}", f"1 to 4 whole sizes of 1..{SIDE_MOST}")
    if not isinstance(offsets, list) or len(offsets) != 2 or not all(is_integer(o, 0, size) for o in offsets):
        refuse("R3", f"tensor {name[:64]!r} at {offsets}", f"two whole numbers, 0..{size}")
    start, stop = offsets
    if stop < start:
        refuse("R3", f"tensor {name[:64]!r} at {offsets}", "from and to in order")
    if stop - start != math.prod(shape) * _DTYPES[dtype].itemsize:
        refuse("R4", f"tensor {name[:64]!r} of {stop - start} bytes", "the product of its shape and its item size")
    return start, stop, name


def _measure_depth(text: str) -> int:
    depth = deepest = 0
    inside = escaped = False
    for char in text:
        if inside:
            inside = escaped or char != '"'
            escaped = char == "\\" and not escaped
        elif char == '"':
            inside = True
        elif char in "{[":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "}]":
            depth -= 1
    return deepest


def _object_without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    object_ = dict(pairs)
    if len(object_) != len(pairs):
        raise ValueError("a key occurs twice")
    return object_


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _parse_integer(text: str) -> int | float:
    # A float where it is too long for a whole number: then the rule of its place refuses it.
    return int(text) if len(text) <= 18 else _parse_finite(text)


def _parse_finite(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text} is too large")
    return value
