"""A small .xnor model that uses every op, and files that each break one rule of FORMAT.md.

``BROKEN`` serves every reader: the Python one, and the engine's loader.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from irnas.runtime import format, reference
from irnas.runtime.format import Input, Model, Reference
from irnas.runtime.graph import Op
from irnas.runtime.value_range import ValueRange

Array = np.ndarray[Any, np.dtype[Any]]
ONE = np.ones(1, np.float32)


def numbers(*shape: int, seed: int) -> Array:
    """float32 in -2..2, the same with every version of NumPy."""
    flat = reference.make_reference_input(1, 1, int(np.prod(shape)), seed).ravel()
    return ((flat - np.float32(0.5)) * np.float32(4)).reshape(shape)


def bits(filters: int, kernel: int, per_group: int, seed: int) -> Array:
    """Weights of a binary_block; bits beyond the last channel are 0."""
    signs = numbers(filters, kernel, kernel, per_group, seed=seed) < 0
    return np.packbits(signs, axis=-1, bitorder="little")


def _conv(x: int, kernel: int, stride: int, groups: int, pad: int, **constants: Array) -> Op:
    window = {"kernel": kernel, "stride": stride, "groups": groups, "pad": pad}
    return Op(kind="conv", inputs=(x,), attributes=window, constants=constants)


def _block(inputs: tuple[int, ...], channels: int, residual: str, constants: dict[str, Array], **window: int) -> Op:
    attributes = {"stride": 1, "groups": 1, "pad": 0, **window, "residual": residual, "channels": channels}
    return Op(kind="binary_block", inputs=inputs, attributes=attributes, constants=constants)


def _vectors(channels: int, seed: int, *roles: str) -> dict[str, Array]:
    return {role: numbers(channels, seed=seed + n) for n, role in enumerate(roles)}


def tiny() -> Model:
    """Every op, attribute value and role at least once."""
    first = {"bits": bits(6, 3, 5, 20), "bias": numbers(4, 4, 6, seed=21)}
    first |= _vectors(6, 30, "scale", "shift", "lo", "hi", "c") | _vectors(5, 36, "sign_scale", "sign_shift")
    second = {"bits": bits(6, 3, 2, 40)} | _vectors(6, 41, "scale", "bias", "g", "c")
    second |= _vectors(6, 50, "post_a", "post_b", "post_lo", "post_hi", "post_g", "post_c")
    third = {"bits": bits(12, 1, 6, 60)} | _vectors(12, 61, "scale", "bias", "lo", "hi")
    fourth = {"bits": bits(6, 3, 6, 70)} | _vectors(6, 71, "scale", "bias", "g", "lo", "hi", "c")
    mixed = _vectors(10, 80, "a0", "b0", "lo0", "hi0", "c0", "lo1", "hi1", "g1", "c1")
    ops = (
        _conv(0, 3, 1, 1, 0, weight=numbers(5, 3, 3, 2, seed=10), bias=numbers(5, seed=11)),
        _block((1,), 5, "none", first, kernel=3),
        Op(kind="pool", inputs=(2,), attributes={"kind": "average"}),
        _block((3, 3), 6, "after", second, kernel=3, groups=3, pad=-1),
        Op(kind="center", inputs=(4,)),
        _block((5,), 6, "none", third, kernel=1),
        Op(kind="clamp", inputs=(6,)),
        Op(kind="pool", inputs=(7,), attributes={"kind": "maximum"}),
        Op(kind="pool", inputs=(7,), attributes={"kind": "first"}),
        Op(kind="mix", inputs=(8, 9), attributes={"channels": 10, "starts": [0, 3]}, constants=mixed),
        Op(kind="upsample", inputs=(10,), attributes={"kind": "bilinear"}),
        _block((2, 4), 6, "before", fourth, kernel=3, stride=2, pad=1),
        Op(kind="concat", inputs=(11, 12)),
        Op(kind="upsample", inputs=(13,), attributes={"kind": "nearest"}),
        _conv(14, 3, 2, 4, -1, weight=numbers(4, 3, 3, 4, seed=90)),
        Op(kind="upsample", inputs=(15,), attributes={"kind": "nearest"}),
        _conv(16, 1, 1, 1, 0, weight=numbers(1, 1, 1, 4, seed=91) / np.float32(64)),
        Op(kind="sigmoid", inputs=(17,)),
    )
    run = Reference(height=12, width=20, seed=1, input_sha256="0" * 64, output_sha256="0" * 64)
    model = Model(input=Input(channels=2, multiple=4, pad=8), ops=ops, reference=run, name="tiny")
    x_hwc = reference.make_reference_input(12, 20, 2, 1)
    hashes = {"input_sha256": reference.digest(x_hwc), "output_sha256": reference.digest(reference.run(model, x_hwc))}
    return replace(model, reference=replace(run, **hashes))


def tiny_with_counts(low: float = 22000.0, high: float = 23155.5) -> Model:
    """The tiny model as one that was trained on images of more than 8 bits."""
    model = tiny()
    return replace(model, input=replace(model.input, counts=ValueRange(low, high)))


def tiny_with_threshold(threshold: float = 0.9241) -> Model:
    """The tiny model with a threshold of its own, trained on images of more than 8 bits."""
    return replace(tiny_with_counts(), threshold=threshold)


def tiny_with_vectors() -> Model:
    """Every op and role of version 1.3 that the tiny model lacks, and the ops that may read vectors."""
    dense = _conv(2, 1, 1, 1, 0, weight=numbers(3, 1, 1, 36, seed=110), bias=numbers(3, seed=111))
    slopes = Op(
        kind="mix", inputs=(3,), attributes={"channels": 6, "starts": [1]}, constants=_vectors(6, 112, "lo0", "hi0")
    )
    expand = {"expand": numbers(6, 3, 3, 4, seed=120), "expand_bias": numbers(6, seed=121)}
    project = {"weight": numbers(1, 3, 3, 6, seed=122) / np.float32(16), "bias": numbers(1, seed=123)}
    ops = (
        _conv(0, 3, 1, 1, 0, weight=numbers(4, 3, 3, 1, seed=100), bias=numbers(4, seed=101)),
        Op(kind="mean", inputs=(1,), attributes={"kernel": 3}),
        dense,
        slopes,
        Op(kind="sigmoid", inputs=(4,)),
        Op(kind="excite_project", inputs=(1, 5), constants={**expand, **project}),
        Op(kind="mean", inputs=(6,), attributes={"kernel": 1}),
        Op(kind="excite_project", inputs=(6, 7), constants={"weight": numbers(1, 3, 3, 1, seed=124), "bias": ONE}),
        Op(kind="contrast", inputs=(8,), attributes={"sides": [5]}),
        Op(kind="sigmoid", inputs=(9,)),
    )
    run = Reference(height=7, width=9, seed=2, input_sha256="0" * 64, output_sha256="0" * 64)
    model = Model(input=Input(channels=1, multiple=1, pad=1), ops=ops, reference=run, name="tiny with vectors")
    x_hwc = reference.make_reference_input(7, 9, 1, 2)
    hashes = {"input_sha256": reference.digest(x_hwc), "output_sha256": reference.digest(reference.run(model, x_hwc))}
    return replace(model, reference=replace(run, **hashes))


@dataclass
class File:
    """The parts of a file, to be put together with one thing wrong."""

    metadata: dict[str, Any]
    """With graph, input and reference as documents."""
    tensors: dict[str, Array]

    def content(self, *, header: Callable[[dict[str, Any]], None] | None = None, is_true: bool = True) -> bytes:
        """The bytes; ``header`` may still change the header, and the checksum is wrong unless ``is_true``."""
        order = sorted(self.tensors, key=lambda name: (self.tensors[name].dtype.kind != "f", name))
        entries: dict[str, Any] = {}
        blobs, start = [], 0
        for name in order:
            blob = self.tensors[name].tobytes()
            dtype = "F32" if self.tensors[name].dtype.kind == "f" else "U8"
            shape = list(self.tensors[name].shape)
            entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, start + len(blob)]}
            blobs.append(blob)
            start += len(blob)
        data = b"".join(blobs)
        texts = {key: part if isinstance(part, str) else json.dumps(part) for key, part in self.metadata.items()}
        texts["sha256"] = hashlib.sha256(data if is_true else data + b"?").hexdigest()
        document = {"__metadata__": texts, **entries}
        if header is not None:
            header(document)
        return container_bytes(json.dumps(document).encode(), data)


def container_bytes(header: bytes, data: bytes) -> bytes:
    """A container with that header, filled up, and that data."""
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data


def tiny_file(model: Model | None = None) -> File:
    """The parts of a model's file, by default the tiny one's."""
    model = model or tiny()
    content = format.write(model)
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length])["__metadata__"]
    for key in ("graph", "input", "reference", "parity"):
        metadata[key] = json.loads(metadata[key])
    tensors = {f"{k}.{role}": part.copy() for k, op in enumerate(model.ops) for role, part in op.constants.items()}
    return File(metadata, tensors)


def _with(change: Callable[[File], object]) -> bytes:
    file = copy.deepcopy(tiny_file())
    change(file)
    return file.content()


def _header(change: Callable[[dict[str, Any]], object]) -> bytes:
    return tiny_file().content(header=lambda document: (change(document), None)[1])


def _meta(key: str, value: object) -> bytes:
    return _with(lambda f: f.metadata.update({key: value}))


def _part(part: str, key: str, value: object) -> bytes:
    return _with(lambda f: f.metadata[part].update({key: value}))


def _counts(value: object) -> bytes:
    """A file of version 1.1 with these counts."""
    return _with(lambda f: f.metadata.update(version="1.1") or f.metadata["input"].update(counts=value))


def _threshold(text: str) -> bytes:
    """A file of version 1.2 with this threshold, as JSON."""
    return _with(lambda f: f.metadata.update(version="1.2", threshold=text))


def _vector_file(change: Callable[[File], object]) -> bytes:
    """The file of version 1.3 with one thing wrong."""
    file = tiny_file(tiny_with_vectors())
    change(file)
    return file.content()


def _vector_op(k: int, **changes: object) -> bytes:
    return _vector_file(lambda f: f.metadata["graph"][k].update(changes))


def _vector_tensor(name: str, value: Array | None) -> bytes:
    return _vector_file(lambda f: f.tensors.pop(name) if value is None else f.tensors.update({name: value}))


def _op(k: int, **changes: object) -> bytes:
    return _with(lambda f: f.metadata["graph"][k].update(changes))


def _tensor(name: str, value: Array | None) -> bytes:
    return _with(lambda f: f.tensors.pop(name) if value is None else f.tensors.update({name: value}))


def _raw(change: Callable[[bytes, bytes], bytes]) -> bytes:
    content = tiny_file().content()
    length = int.from_bytes(content[:8], "little")
    return change(content[8 : 8 + length], content[8 + length :])


def _swapped(document: dict[str, Any]) -> None:
    """A U8 tensor ahead of the F32 ones, otherwise without a gap."""
    names = [name for name in document if name != "__metadata__"]
    order = sorted(names, key=lambda name: document[name]["dtype"], reverse=True)
    start = 0
    for name in order:
        size = document[name]["data_offsets"][1] - document[name]["data_offsets"][0]
        document[name]["data_offsets"] = [start, start + size]
        start += size


def _nan() -> Array:
    values = numbers(5, seed=11)
    values[2] = np.nan
    return values


def _stray_bits() -> Array:
    packed = bits(6, 3, 5, 20)
    packed[0, 0, 0, 0] |= 0x80
    return packed


def _pooled(file: File) -> None:
    """A pool in place of the activation of a vector."""
    file.metadata["graph"][3] = {"op": "pool", "in": [3], "kind": "average"}
    for role in ("lo0", "hi0"):
        file.tensors.pop(f"3.{role}")


def _binary(file: File) -> None:
    """A binary block in place of a convolution of a vector."""
    window = {"kernel": 1, "stride": 1, "groups": 1, "pad": 0, "residual": "none", "channels": 36}
    file.metadata["graph"][2] = {"op": "binary_block", "in": [2], **window}
    file.tensors.pop("2.weight")
    file.tensors |= {"2.bits": bits(3, 1, 36, 1), "2.scale": numbers(3, seed=1)}


def _added(file: File) -> None:
    """The sum of a map and a vector."""
    file.metadata["graph"][3] = {"op": "mix", "in": [3, 1], "channels": 6, "starts": [0, 0]}


def _ended_early(file: File) -> None:
    """The end of a graph reads a vector."""
    file.metadata["graph"][7:9] = [{"op": "sigmoid", "in": [7]}, {"op": "sigmoid", "in": [8]}]
    for role in ("weight", "bias"):
        file.tensors.pop(f"7.{role}")


def _unexpanded(file: File) -> None:
    """Six factors for a map of four channels, and nothing that expands it."""
    for role in ("expand", "expand_bias"):
        file.tensors.pop(f"5.{role}")


_NO_THRESHOLDS = ("0", "1", "-0.5", "1.5", "0.0", "true", "null", "[0.3]", '"0.3"', "NaN", "0.3 0.4", "")

BROKEN: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
    ("R1", "empty", lambda: b""),
    ("R1", "no header", lambda: (1 << 19).to_bytes(8, "little")),
    ("R1", "huge header", lambda: (1 << 62).to_bytes(8, "little") + b"{}"),
    ("R1", "odd length", lambda: (9).to_bytes(8, "little") + b"{}       "),
    ("R2", "no JSON", lambda: _raw(lambda h, d: container_bytes(b"{" + h, d))),
    ("R2", "leading blank", lambda: _raw(lambda h, d: container_bytes(b" " + h.rstrip(), d))),
    ("R2", "not ASCII", lambda: _raw(lambda h, d: container_bytes(h.replace(b'"tiny"', b'"t\xc3\xafny"'), d))),
    (
        "R2",
        "key twice",
        lambda: _raw(lambda h, d: container_bytes(h.replace(b'"dtype"', b'"shape":[1],"dtype"', 1), d)),
    ),
    ("R2", "deep", lambda: _raw(lambda h, d: container_bytes(b'{"x":' + b"[" * 40 + b"]" * 40 + b"," + h[1:], d))),
    ("R2", "NaN", lambda: _raw(lambda h, d: container_bytes(b'{"x":NaN,' + h[1:], d))),
    (
        "R3",
        "long number",
        lambda: _raw(lambda h, d: container_bytes(h.replace(b'e": [', b'e": [' + b"1" * 19 + b",", 1), d)),
    ),
    ("R2", "tail", lambda: _raw(lambda h, d: container_bytes(h.rstrip() + b"\t", d))),
    ("R3", "dtype", lambda: _header(lambda h: h["0.bias"].update(dtype="F16"))),
    ("R3", "extra key", lambda: _header(lambda h: h["0.bias"].update(name="x"))),
    ("R3", "no shape", lambda: _header(lambda h: h["0.bias"].update(shape=[]))),
    ("R3", "five sizes", lambda: _header(lambda h: h["0.bias"].update(shape=[5, 1, 1, 1, 1]))),
    ("R3", "size 0", lambda: _header(lambda h: h["0.bias"].update(shape=[0]))),
    ("R3", "fraction", lambda: _header(lambda h: h["0.bias"].update(shape=[5.0]))),
    ("R3", "true for 1", lambda: _header(lambda h: h["0.bias"].update(shape=[5, True]))),
    ("R3", "beyond data", lambda: _header(lambda h: h["0.bias"].update(data_offsets=[0, 1 << 30]))),
    ("R4", "bytes", lambda: _header(lambda h: h["0.bias"].update(shape=[6]))),
    ("R4", "overflow", lambda: _header(lambda h: h["0.bias"].update(shape=[1 << 24, 1 << 24, 1 << 24, 5]))),
    ("R3", "backwards", lambda: _header(lambda h: h["0.bias"].update(data_offsets=[20, 0]))),
    ("R5", "overlap", lambda: _header(lambda h: h["1.c"].update(data_offsets=[0, 24]))),
    ("R5", "trailing bytes", lambda: _raw(lambda h, d: container_bytes(h, d + b"\0"))),
    ("R5", "U8 before F32", lambda: _header(_swapped)),
    ("R6", "ops", lambda: _with(lambda f: f.metadata.update(graph=[{"op": "clamp", "in": [0]}] * 4097))),
    ("R7", "NaN", lambda: _tensor("0.bias", _nan())),
    ("R9", "missing key", lambda: _with(lambda f: f.metadata.pop("trial"))),
    ("R9", "extra key", lambda: _meta("author", "x")),
    ("R9", "number", lambda: _header(lambda h: h["__metadata__"].update(trial=1))),
    ("R9", "no metadata", lambda: _header(lambda h: h.pop("__metadata__"))),
    ("R10", "format", lambda: _meta("format", "onnx")),
    ("R11", "newer minor", lambda: _meta("version", "1.5")),
    ("R11", "newer major", lambda: _meta("version", "2.0")),
    ("R12", "arithmetic", lambda: _meta("arithmetic", "fold-fma-2")),
    ("R13", "checksum", lambda: tiny_file().content(is_true=False)),
    ("R14", "channels", lambda: _part("input", "channels", 17)),
    ("R14", "multiple", lambda: _part("input", "multiple", 0)),
    ("R14", "pad", lambda: _part("input", "pad", 6)),
    ("R14", "range", lambda: _part("input", "range", [1, 0])),
    ("R14", "extra", lambda: _part("input", "mean", 0)),
    ("R15", "height", lambda: _part("reference", "height", 10)),
    ("R15", "seed", lambda: _part("reference", "seed", -1)),
    ("R15", "hash", lambda: _part("reference", "output_sha256", "F" * 64)),
    ("R15", "list", lambda: _meta("reference", [])),
    ("R16", "object", lambda: _meta("graph", {})),
    ("R16", "empty", lambda: _meta("graph", [])),
    ("R16", "no JSON", lambda: _meta("graph", "[")),
    ("R17", "parity", lambda: _meta("parity", [1])),
    ("R18", "long text", lambda: _meta("name", "x" * 786433)),
    ("R19", "unknown op", lambda: _op(6, op="relu")),
    ("R19", "missing attribute", lambda: _with(lambda f: f.metadata["graph"][2].pop("kind"))),
    ("R19", "extra attribute", lambda: _op(6, low=-1)),
    ("R20", "later tensor", lambda: _with(lambda f: f.metadata["graph"][6].update({"in": [7]}))),
    ("R20", "too many", lambda: _with(lambda f: f.metadata["graph"][6].update({"in": [6, 6]}))),
    (
        "R20",
        "unused tensor",
        lambda: _with(
            lambda f: f.metadata["graph"][7].update({"in": [6]}) or f.metadata["graph"][8].update({"in": [6]})
        ),
    ),
    ("R21", "missing", lambda: _tensor("1.scale", None)),
    ("R21", "half a pair", lambda: _tensor("1.lo", None)),
    ("R21", "unknown role", lambda: _tensor("0.gain", ONE)),
    ("R21", "no op", lambda: _tensor("99.bias", ONE)),
    ("R21", "leading zero", lambda: _tensor("00.bias", ONE)),
    ("R21", "no role", lambda: _tensor("bias", ONE)),
    ("R22", "two levels", lambda: _with(lambda f: f.metadata["graph"][12].update({"in": [11, 2, 12]}))),
    ("R22", "below 0", lambda: _with(lambda f: f.metadata["graph"][10].update({"in": [2]}))),
    ("R22", "multiple", lambda: _with(lambda f: f.metadata["input"].update(multiple=2))),
    (
        "R23",
        "channels",
        lambda: _with(
            lambda f: (
                f.metadata["graph"][6].update(op="mix", channels=4096, starts=[0])
                or f.metadata["graph"][12].update({"in": [11, 12, 7]})
            )
        ),
    ),
    ("R24", "last op", lambda: _op(17, op="clamp")),
    ("R24", "a vector at the end", lambda: _vector_file(_ended_early)),
    ("R38", "early sigmoid", lambda: _op(6, op="sigmoid")),
    ("R38", "vectors in 1.2", lambda: _vector_file(lambda f: f.metadata.update(version="1.2"))),
    ("R9", "no threshold in 1.3", lambda: _vector_file(lambda f: f.metadata.pop("threshold"))),
    ("R39", "a pool of a vector", lambda: _vector_file(_pooled)),
    ("R39", "a block of a vector", lambda: _vector_file(_binary)),
    ("R39", "stride 2", lambda: _vector_op(2, stride=2)),
    ("R39", "the mean of a vector", lambda: _vector_file(lambda f: f.metadata["graph"][6].update({"in": [5]}))),
    ("R22", "a map and a vector", lambda: _vector_file(_added)),
    ("R40", "kernel", lambda: _vector_op(1, kernel=5)),
    ("R40", "kernel of half", lambda: _vector_op(1, kernel=2)),
    ("R40", "kernel is no number", lambda: _vector_op(1, kernel=True)),
    ("R41", "two maps", lambda: _vector_file(lambda f: f.metadata["graph"][5].update({"in": [1, 1]}))),
    ("R41", "two vectors", lambda: _vector_file(lambda f: f.metadata["graph"][5].update({"in": [5, 5]}))),
    ("R41", "factors", lambda: _vector_file(_unexpanded)),
    ("R42", "channels", lambda: _vector_op(8, **{"in": [1]})),
    ("R42", "even", lambda: _vector_op(8, sides=[4])),
    ("R42", "falling", lambda: _vector_op(8, sides=[5, 3])),
    ("R42", "wide", lambda: _vector_op(8, sides=[129])),
    ("R42", "none", lambda: _vector_op(8, sides=[])),
    ("R42", "many", lambda: _vector_op(8, sides=[*range(3, 37, 2)])),
    ("R42", "no list", lambda: _vector_op(8, sides=5)),
    ("R42", "no number", lambda: _vector_op(8, sides=[True])),
    ("R21", "project", lambda: _vector_tensor("5.weight", numbers(1, 3, 3, 5, seed=1))),
    ("R21", "no bias", lambda: _vector_tensor("5.bias", None)),
    ("R21", "bias of two", lambda: _vector_tensor("5.bias", numbers(2, seed=1))),
    ("R21", "half of expand", lambda: _vector_tensor("5.expand_bias", None)),
    ("R21", "expand", lambda: _vector_tensor("5.expand", numbers(6, 3, 3, 3, seed=1))),
    ("R21", "expand_bias", lambda: _vector_tensor("5.expand_bias", numbers(5, seed=1))),
    ("R25", "kernel", lambda: _op(0, kernel=5)),
    ("R25", "kernel is no number", lambda: _op(0, kernel="3")),
    ("R25", "groups", lambda: _op(0, groups=0)),
    ("R25", "pad with kernel 1", lambda: _op(16, pad=1)),
    ("R21", "weight", lambda: _tensor("0.weight", numbers(5, 3, 3, 3, seed=1))),
    ("R21", "bias", lambda: _tensor("0.bias", numbers(4, seed=1))),
    ("R26", "residual", lambda: _op(1, residual="after")),
    ("R26", "residual word", lambda: _op(3, residual="behind")),
    ("R26", "channels", lambda: _op(1, channels=6)),
    ("R21", "bits", lambda: _tensor("1.bits", bits(6, 3, 9, 20))),
    ("R21", "scale", lambda: _tensor("1.scale", numbers(5, seed=1))),
    ("R21", "sign", lambda: _tensor("1.sign_scale", numbers(6, seed=1))),
    ("R21", "table with kernel 1", lambda: _tensor("5.bias", numbers(4, 4, 12, seed=1))),
    ("R26", "residual's channels", lambda: _with(lambda f: f.metadata["graph"][11].update({"in": [2, 7]}))),
    ("R34", "g alone", lambda: _tensor("3.c", None)),
    ("R34", "post_g alone", lambda: _tensor("3.post_c", None)),
    ("R27", "starts", lambda: _op(9, starts=[0])),
    ("R27", "start", lambda: _op(9, starts=[0, -1])),
    ("R27", "channels", lambda: _op(9, channels=0)),
    ("R21", "constants", lambda: _op(9, channels=9)),
    ("R34", "g alone", lambda: _tensor("9.c1", None)),
    ("R30", "pool", lambda: _op(2, kind="median")),
    ("R31", "upsample", lambda: _op(10, kind="cubic")),
    ("R34", "stray bits", lambda: _tensor("1.bits", _stray_bits())),
    ("R35", "no counts in 1.1", lambda: _meta("version", "1.1")),
    ("R35", "counts in 1.0", lambda: _part("input", "counts", [0, 4095])),
    ("R36", "descending", lambda: _counts([4095, 0])),
    ("R36", "equal", lambda: _counts([7, 7.0])),
    ("R36", "one number", lambda: _counts([7])),
    ("R36", "three numbers", lambda: _counts([7, 8, 9])),
    ("R36", "text", lambda: _counts([7, "8"])),
    ("R36", "true for 1", lambda: _counts([0, True])),
    ("R36", "no array", lambda: _counts(7)),
    ("R36", "nothing", lambda: _counts(None)),
    ("R36", "too large", lambda: _counts([0, 2**53 + 2])),
    ("R36", "too small", lambda: _counts([-1e300, 0])),
    ("R9", "no threshold in 1.2", lambda: _meta("version", "1.2")),
    ("R9", "a threshold in 1.0", lambda: _meta("threshold", "0.3")),
    *(("R37", f"threshold {text}", lambda text=text: _threshold(text)) for text in _NO_THRESHOLDS),
)
"""(rule, what is wrong, the file): every reader refuses it and names the rule."""
