"""What the engine does for an image, counted in the steps that its kernels take: so many vectors, windows, rows.

A step of one kind takes about the same time wherever it occurs; how long, a profile says for one machine. The kinds
follow irnas/runtime/native/src (rows_window.inl, rows_map.inl): a vector holds ``lanes`` channels of one pixel, and a
vector that is only partly used costs as much as a full one. A new kind of op must be counted here, or it is an error.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from irnas.core.errors import ExportError
from irnas.runtime.extent import Extent
from irnas.runtime.graph import POOLS_OF_1_4, Op

LANES: Mapping[str, int] = {"avx512": 16, "avx2": 8, "neon": 4, "reference": 1}
"""Floats in a vector of each kernel set."""

Tally = defaultdict[str, float]

Steps = Mapping[str, float]
"""Kind of step to how many, in millions."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """An op where it stands."""

    op: Op
    inputs: tuple[Extent, ...]
    out: Extent
    pixels_in: float
    pixels: float
    """Of the output."""
    lanes: int

    @property
    def vectors(self) -> float:
        """Of the output, one pixel after the other."""
        return self.pixels * _over(self.out.channels, self.lanes)


def count_steps(
    ops: Sequence[Op], extents: Sequence[Extent], size: tuple[int, int], kernels: str, multiple: int = 1
) -> Steps:
    """The steps of a graph on one image.

    Args:
        ops: of the graph.
        extents: of its tensors, the input first.
        size: height and width of the image.
        kernels: the kernel set that runs it.
        multiple: the engine extends height and width to multiples of it.

    Raises:
        ExportError: an op that nobody counts, or an unknown kernel set.
    """
    if kernels not in LANES:
        raise ExportError(f"kernel set: got {kernels!r}; one of {', '.join(LANES)}")
    height, width = (_over(side, multiple) * multiple for side in size)
    counts = Tally(float, {"image": 1.0, "input pixel": height * width, "row": height})
    merged = _merged(ops, extents)
    for k, op in enumerate(ops):
        inputs, out = tuple(extents[i] for i in op.inputs), extents[k + 1]
        place = _Place(
            op=op,
            inputs=inputs,
            out=out,
            pixels_in=height * width / 4 ** inputs[0].level,
            pixels=height * width / 4**out.level,
            lanes=LANES[kernels],
        )
        if merged.get(k) in ("upsample", "slopes"):
            continue
        counts["row"] += height / 2**out.level
        if merged.get(k) == "mix":
            counts["upsample-mix vector"] += place.vectors
            continue
        if op.kind not in _COUNTS:
            raise ExportError(f"op {op.kind}: got no count of its steps; one of {', '.join(_COUNTS)}")
        _COUNTS[op.kind](place, counts)
    return {name: number / 1e6 for name, number in counts.items()}


_FEW_OUTPUTS = 8
"""The most outputs of a convolution whose lanes are pixels (native/src/stages.cc)."""


def _over(size: int, unit: int) -> int:
    return -(-size // unit)


def _merged(ops: Sequence[Op], extents: Sequence[Extent]) -> dict[int, str]:
    """The ops that the engine runs as one stage with another (native/src/stages.cc), by number.

    "upsample" and "mix" are one, and "slopes" is a mix that the convolution ahead of it takes in.
    """
    readers: dict[int, list[int]] = {}
    for k, op in enumerate(ops):
        for tensor in set(op.inputs):
            readers.setdefault(tensor, []).append(k)
    stages: dict[int, str] = {}
    for k, up in enumerate(ops):
        if up.kind == "conv" and len(readers[k + 1]) == 1 and _is_slopes(ops[readers[k + 1][0]], extents[k + 1]):
            stages[readers[k + 1][0]] = "slopes"
        if up.kind != "upsample" or up.attributes["kind"] != "bilinear" or len(readers[k + 1]) != 1:
            continue
        reader = readers[k + 1][0]
        mix, channels = ops[reader], extents[reader + 1].channels
        is_halves = mix.inputs == (k + 1, k + 1) and mix.attributes.get("starts") == [0, channels]
        if mix.kind == "mix" and is_halves and channels % 16 == 0 and extents[k + 1].channels == 2 * channels:
            stages |= {k: "upsample", reader: "mix"}
    return stages


def _is_slopes(op: Op, x: Extent) -> bool:
    """Whether an op is an activation of two slopes and nothing else."""
    is_mix = op.kind == "mix" and len(op.inputs) == 1 and op.attributes["starts"] == [0]
    return is_mix and op.attributes["channels"] == x.channels and set(op.constants) == {"lo0", "hi0"}


def _block(place: _Place, counts: Tally) -> None:
    op, channels = place.op, place.inputs[0].channels
    groups, kernel = op.attributes["groups"], op.attributes["kernel"]
    filters, seen = place.out.channels // groups, channels // groups
    size = _over(seen, 8)
    vectors = place.pixels * groups * _over(filters, place.lanes)
    # Vectors that are filled in part are stored in part, and run through kernels of less haste.
    part = " in part" if filters % place.lanes else ""
    counts["block vector" + part] += vectors
    counts["block word" + part] += vectors * _over(kernel * kernel * size, 4)
    if kernel == 3:
        counts["window"] += place.pixels_in * groups
        if size not in (1, 2, 4, 8):
            counts["window byte"] += place.pixels_in * groups * 3 * size
    if "shift" in op.constants:
        counts["sign sum"] += place.pixels * groups
        if groups > 1 or size not in (2, 4, 8):
            counts["sign sum of odd bytes"] += place.pixels_in * groups * kernel
    if any(role.startswith("post_") for role in op.constants):
        counts["post vector"] += vectors
    if op.attributes["residual"] != "none":
        counts["residual value"] += place.pixels * place.out.channels
    if "sign_scale" in op.constants or seen % 8:
        counts["sign vector"] += place.pixels_in * groups * _over(seen, 16)
    else:
        counts["sign run"] += place.pixels_in * channels / 16


def _conv(place: _Place, counts: Tally) -> None:
    op, channels = place.op, place.inputs[0].channels
    groups, kernel = op.attributes["groups"], op.attributes["kernel"]
    taps = kernel * kernel * channels // groups
    is_narrow = (
        place.out.channels <= _FEW_OUTPUTS and groups == op.attributes["stride"] == 1 and not op.attributes["pad"]
    )
    if is_narrow and kernel == 3 and channels > 1:
        counts["plane tap"] += place.pixels * taps * place.out.channels / place.lanes
        counts["plane value"] += place.pixels_in * channels
        return
    if place.out.channels == 1 and taps % place.lanes == 0 and kernel == op.attributes["stride"] == 1:
        counts["dot product vector"] += place.pixels * taps / place.lanes
        return
    vectors = place.pixels * groups * _over(place.out.channels // groups, place.lanes)
    counts["conv tap"] += vectors * taps
    counts["conv vector"] += vectors
    if kernel == 3:
        counts["padded value"] += 3 * place.pixels_in * channels


def _mean(place: _Place, counts: Tally) -> None:
    counts["mean value"] += place.pixels_in * place.inputs[0].channels


def _excite(place: _Place, counts: Tally) -> None:
    channels, side = place.inputs[0].channels, 5 if "expand" in place.op.constants else 3
    counts["plane tap"] += place.pixels * side * side * channels / place.lanes
    counts["plane value"] += place.pixels_in * channels


def _contrast(place: _Place, counts: Tally) -> None:
    sides = place.op.attributes["sides"]
    # One addition for each row of the largest square, and for each column of every one.
    counts["plane tap"] += place.pixels * (max(sides) + sum(sides)) / place.lanes


def _recombine(place: _Place, counts: Tally) -> None:
    filters = place.op.attributes["filters"]
    others = len(place.inputs) - (2 if filters else 1)
    places = {(row, column) for taps in filters for _, row, column in taps}
    # Of each basis map its values, their products with the origin and with themselves; and the result.
    taps = sum(len(taps) + 1 for taps in filters) + 2 * others + len(places) + others
    counts["plane tap"] += place.pixels * place.out.channels * taps / place.lanes
    counts["plane value"] += place.pixels * sum(x.channels for x in place.inputs)


def _tokens(place: _Place, counts: Tally) -> None:
    counts["maximum pool vector"] += place.pixels_in * _over(place.inputs[0].channels, place.lanes) / 4


def _attend(place: _Place, counts: Tally) -> None:
    channels, length = place.out.channels, place.inputs[1].channels
    # A map is about as high as it is wide: each row of a matrix has a number for each row of the map.
    side = place.pixels**0.5
    counts["sigmoid value"] += length * length * channels
    counts["plane tap"] += channels * length * side * 3
    if place.op.attributes["form"] == "matrix":
        counts["plane tap"] += place.pixels * channels * side / place.lanes
    counts["plane value"] += place.pixels * channels


def _mix(place: _Place, counts: Tally) -> None:
    op, out, lanes = place.op, place.out.channels, place.lanes
    names = "one" if len(op.inputs) == 1 else "two"
    if all(_is_whole(s, out, x.channels, lanes) for s, x in zip(op.attributes["starts"], place.inputs, strict=True)):
        counts[f"mix-of-{names} vector"] += place.vectors
    else:
        counts["gathered value"] += place.pixels * out * len(op.inputs)
    if any(role[0] in "agc" for role in op.constants):
        counts["mix-with-rest vector"] += place.vectors * len(op.inputs)


def _is_whole(start: int, outputs: int, channels: int, lanes: int) -> bool:
    """Whether each vector of outputs finds its channels side by side."""
    return all((start + o) % channels + min(lanes, outputs - o) <= channels for o in range(0, outputs, lanes))


def _concat(place: _Place, counts: Tally) -> None:
    counts["concat part"] += place.pixels * len(place.inputs)
    counts["concat value"] += place.pixels * place.out.channels


def _vectors(place: _Place, counts: Tally) -> None:
    attributes = place.op.attributes
    kind = attributes["kind"] if "kind" in attributes else ""
    counts[f"{kind} {place.op.kind} vector".strip()] += place.vectors


def _pool(place: _Place, counts: Tally) -> None:
    # What version 1.4 adds takes as many operations as a maximum does, which every profile knows.
    kind = place.op.attributes["kind"]
    counts[f"{'maximum' if kind in POOLS_OF_1_4 else kind} pool vector"] += place.vectors


def _pairs(place: _Place, counts: Tally) -> None:
    """What is as much work as sums of two maps are: a product is one, the maximum of a window two."""
    counts["mix-of-two vector"] += place.vectors * (2 if place.op.kind == "maximum" else 1)


def _values(place: _Place, counts: Tally) -> None:
    counts[f"{place.op.kind} value"] += place.pixels * place.out.channels


_COUNTS: Mapping[str, Callable[[_Place, Tally], None]] = {
    "binary_block": _block,
    "conv": _conv,
    "mean": _mean,
    "excite_project": _excite,
    "contrast": _contrast,
    "mix": _mix,
    "concat": _concat,
    "pool": _pool,
    "upsample": _vectors,
    "clamp": _values,
    "center": _values,
    "sigmoid": _values,
    "multiply": _pairs,
    "maximum": _pairs,
    "recombine": _recombine,
    "tokens": _tokens,
    "attend": _attend,
}
