"""A graph while it is being made: ops with constants in float64, rounded to float32 once, at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from irnas.core.errors import ExportError
from irnas.runtime.graph import Op

Vector = npt.NDArray[np.float64]
ROLES = ("a", "b", "lo", "hi", "g", "c")


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """The two-slope map of FORMAT.md, rule A1: w = a x + b, y = w (lo or hi by the sign of w) + g x + c.

    Each part is float64 [channels] or absent; a with b, lo with hi, g with c only.
    """

    a: Vector | None = None
    b: Vector | None = None
    lo: Vector | None = None
    hi: Vector | None = None
    g: Vector | None = None
    c: Vector | None = None

    @property
    def is_identity(self) -> bool:
        """Whether it returns what it gets."""
        return not self.parts("{}")

    def parts(self, pattern: str) -> dict[str, Vector]:
        """What is there, named by ``pattern``: "{}0" gives a0, b0 and so on."""
        return {pattern.format(role): part for role in ROLES if (part := getattr(self, role)) is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Channels of a tensor from ``start`` on, through a map."""

    tensor: int
    channels: int
    """How many it yields; the tensor's own count modulo the tensor's channels."""
    start: int = 0
    slope: Slope = field(default_factory=Slope)

    def halved(self) -> Term:
        """The term that yields half as much."""
        slope, one = self.slope, np.ones(self.channels)
        if slope.lo is None and slope.g is None and slope.c is None:
            a, b = (one, 0 * one) if slope.a is None or slope.b is None else (slope.a, slope.b)
            return replace(self, slope=Slope(a=a / 2, b=b / 2))
        lo, hi = (one if part is None else part for part in (slope.lo, slope.hi))
        g, c = (None if part is None else part / 2 for part in (slope.g, slope.c))
        return replace(self, slope=replace(slope, lo=lo / 2, hi=hi / 2, g=g, c=c))


class Draft:
    """Ops in order; op k writes tensor k + 1, and tensor 0 is the input."""

    def __init__(self, channels: int) -> None:
        self.ops: list[Op] = []
        self.channels = [channels]
        """Of each tensor."""
        self.blocks: list[nn.Module] = []
        """The convolution behind each binary_block, in order."""

    def add(
        self,
        kind: str,
        inputs: Sequence[int],
        channels: int,
        constants: Mapping[str, Any] | None = None,
        /,
        **attributes: Any,
    ) -> int:
        """Append an op; returns the tensor it writes."""
        arrays = {role: np.asarray(part) for role, part in (constants or {}).items()}
        for role, part in arrays.items():
            if not np.isfinite(part).all():
                raise ExportError(f"op {len(self.ops)} ({kind}): got a {role} that is not finite; must be finite")
        self.ops.append(Op(kind=kind, inputs=tuple(inputs), attributes=attributes, constants=arrays))
        self.channels.append(channels)
        return len(self.ops)

    def mix(self, *terms: Term) -> int:
        """The sum of one or two terms; the tensor itself where nothing would happen to it."""
        first, channels = terms[0], terms[0].channels
        if len(terms) == 1 and first.slope.is_identity and not first.start and channels == self.channels[first.tensor]:
            return first.tensor
        constants = {role: part for n, term in enumerate(terms) for role, part in term.slope.parts(f"{{}}{n}").items()}
        starts = [term.start for term in terms]
        return self.add("mix", [t.tensor for t in terms], channels, constants, channels=channels, starts=starts)

    def concat(self, *terms: Term) -> int:
        """Terms side by side."""
        first = terms[0]
        total = sum(term.channels for term in terms)
        is_one = all((t.tensor, t.start, t.channels) == (first.tensor, 0, self.channels[first.tensor]) for t in terms)
        roles = tuple(first.slope.parts("{}"))
        if is_one and all(tuple(t.slope.parts("{}")) == roles for t in terms):
            # One op that reads the tensor over and over: a channel counts modulo the tensor's channels.
            parts = {role: np.concatenate([t.slope.parts("{}")[role] for t in terms]) for role in roles}
            return self.mix(Term(tensor=first.tensor, channels=total, slope=Slope(**parts)))
        return self.add("concat", [self.mix(term) for term in terms], total)

    def side_by_side(self, *tensors: int) -> int:
        """Whole tensors side by side."""
        return self.concat(*(Term(tensor=tensor, channels=self.channels[tensor]) for tensor in tensors))

    def finish(self) -> tuple[Op, ...]:
        """The ops, with maps folded into the blocks before them, in float64."""
        return tuple(_fuse(self.ops))


def round_constants(ops: Sequence[Op]) -> tuple[Op, ...]:
    """The ops as a file holds them: float32.

    Raises:
        ExportError: a constant exceeds float32.
    """
    rounded_ops = []
    for k, op in enumerate(ops):
        constants = {}
        for role, part in op.constants.items():
            with np.errstate(over="ignore"):
                constants[role] = part if part.dtype == np.uint8 else part.astype(np.float32)
            if not np.isfinite(constants[role]).all():
                raise ExportError(f"op {k} ({op.kind}): got a {role} beyond float32; must be within +-3.4e38")
        rounded_ops.append(replace(op, constants=constants))
    return tuple(rounded_ops)


def _fuse(ops: Sequence[Op]) -> list[Op]:
    """Each binary block takes in the map that alone reads it: the same arithmetic in one op (FORMAT.md, A7)."""
    readers = [0] * (len(ops) + 1)
    for op in ops:
        for tensor in op.inputs:
            readers[tensor] += 1
    fused: list[Op] = []
    tensor_of = [0]
    for op in ops:
        source = op.inputs[0] - 1
        if op.kind == "mix" and len(op.inputs) == 1 and op.inputs[0] and readers[op.inputs[0]] == 1:
            target = tensor_of[op.inputs[0]] - 1
            if _takes(fused[target], op) and ops[source].kind == "binary_block":
                post = {f"post_{role[:-1]}": part for role, part in op.constants.items()}
                fused[target] = replace(fused[target], constants={**fused[target].constants, **post})
                tensor_of.append(target + 1)
                continue
        fused.append(replace(op, inputs=tuple(tensor_of[i] for i in op.inputs)))
        tensor_of.append(len(fused))
    return fused


def _takes(block: Op, mix: Op) -> bool:
    if block.kind != "binary_block" or any(role.startswith("post_") for role in block.constants):
        return False
    return bool(mix.attributes["starts"] == [0] and mix.attributes["channels"] == len(block.constants["scale"]))
