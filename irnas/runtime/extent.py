"""How the ops of a graph fit together: channels and level of every tensor (FORMAT.md, sections 3, 4)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from irnas.runtime.container import is_integer, refuse
from irnas.runtime.graph import (
    CHANNELS_MOST,
    FILTERS_MOST,
    FORMS,
    KINDS,
    LENGTH_MOST,
    LEVEL_MOST,
    NEW_IN_1_3,
    NEW_IN_1_4,
    OPS,
    POOLS_OF_1_4,
    REACH_MOST,
    SIDE_MOST,
    SIDES_MOST,
    TOKENS_MOST,
    Op,
)

VECTOR = 99
"""The level of a vector: one pixel, whatever the size of the image (rule R39)."""


@dataclass(frozen=True, slots=True)
class Extent:
    """A tensor's channels, and its level: a map's height is the input's over 2^level; a vector's is ``VECTOR``."""

    channels: int
    level: int

    @property
    def is_vector(self) -> bool:
        """Whether it is one pixel."""
        return self.level == VECTOR


def infer_extents(ops: Sequence[Op], channels: int) -> tuple[Extent, ...]:
    """Infer the channels and the level of every tensor, the input first.

    Raises:
        FormatError: the ops do not fit together; the message ends with the rule.
    """
    known = [Extent(channels, 0)]
    for k, op in enumerate(ops):
        known.append(_infer_output(k, op, [known[i] for i in op.inputs]))
    used = {i for op in ops for i in op.inputs}
    for tensor in range(len(ops)):
        if tensor not in used:
            refuse("R20", f"tensor {tensor} that no op reads", "used by some op")
    if ops[-1].kind != "sigmoid" or known[-1] != Extent(1, 0):
        refuse("R24", f"a last op {ops[-1].kind} of {known[-1]}", "sigmoid, with 1 channel, of the input's size")
    return tuple(known)


def is_of_1_3(ops: Sequence[Op]) -> bool:
    """Whether a graph has what no file before version 1.3 has (rule R38)."""
    return any(op.kind in NEW_IN_1_3 for op in ops) or any(op.kind == "sigmoid" for op in ops[:-1])


def is_of_1_4(ops: Sequence[Op]) -> bool:
    """Whether a graph has what no file before version 1.4 has (rule R43)."""
    return any(op.kind in NEW_IN_1_4 or op.attributes.get("kind") in POOLS_OF_1_4 for op in ops)


def _infer_output(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    kind = op.kind
    if kind == "binary_block":
        out = _infer_block(k, op, inputs)
    elif kind == "excite_project":
        out = _infer_excite(k, op, inputs)
    elif kind == "attend":
        out = _infer_attend(k, op, inputs)
    else:
        level = inputs[0].level
        if any(extent.level != level for extent in inputs):
            refuse("R22", f"op {k} ({kind}) on maps of levels {[e.level for e in inputs]}", "one level")
        out = _infer_plain(k, op, inputs)
        _check_vector(k, op, inputs[0], out)
    if not out.is_vector and not 0 <= out.level <= LEVEL_MOST:
        refuse("R22", f"op {k} ({kind}) with a map of level {out.level}", f"0..{LEVEL_MOST}")
    if not 1 <= out.channels <= CHANNELS_MOST:
        refuse("R23", f"op {k} ({kind}) with {out.channels} channels", f"1..{CHANNELS_MOST}")
    return out


def _infer_plain(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    """Infer the output of an op whose inputs have one level."""
    x, rule = inputs[0], OPS[op.kind].rule
    match op.kind:
        case "conv":
            return _infer_conv(k, op, x)
        case "mix":
            return _infer_mix(k, op, inputs)
        case "pool" | "upsample":
            if op.attributes["kind"] not in KINDS[op.kind]:
                refuse(rule, f"op {k} ({op.kind}) of kind {op.attributes['kind']!r}", f"one of {KINDS[op.kind]}")
            return Extent(x.channels, x.level + (1 if op.kind == "pool" else -1))
        case "concat":
            return Extent(sum(extent.channels for extent in inputs), x.level)
        case "mean":
            kernel = op.attributes["kernel"]
            if type(kernel) is not int or kernel not in (1, 3):
                refuse(rule, f"op {k} (mean) with kernel {kernel!r}", "1 or 3")
            return Extent(kernel * kernel * x.channels, VECTOR)
        case "contrast":
            return _infer_contrast(k, op, x)
        case "tokens":
            return _infer_tokens(k, op, x)
        case "multiply" | "recombine":
            if any(extent.channels != x.channels for extent in inputs):
                refuse(rule, f"op {k} ({op.kind}) of {[e.channels for e in inputs]} channels", "as many of each input")
            if op.kind == "recombine":
                _check_filters(k, op.attributes["filters"])
    return x


def _check_filters(k: int, filters: object) -> None:
    must = f"0..{FILTERS_MOST} filters of 2 or 4 taps: a sign, first 1, a row and a column within +-{REACH_MOST}"
    if not isinstance(filters, list) or len(filters) > FILTERS_MOST:
        refuse("R46", f"op {k} (recombine) with filters {str(filters)[:64]}", must)
    for taps in filters:
        is_filter = isinstance(taps, list) and len(taps) in (2, 4) and all(_is_tap(tap) for tap in taps)
        if not is_filter or taps[0][0] != 1:
            refuse("R46", f"op {k} (recombine) with a filter {str(taps)[:64]}", must)


def _is_tap(tap: object) -> bool:
    if not isinstance(tap, list) or len(tap) != 3:
        return False
    sign, row, column = tap
    is_place = is_integer(row, -REACH_MOST, REACH_MOST) and is_integer(column, -REACH_MOST, REACH_MOST)
    return is_place and is_integer(sign, -1, 1) and sign != 0


def _infer_contrast(k: int, op: Op, x: Extent) -> Extent:
    sides = op.attributes["sides"]
    if x.channels != 1:
        refuse("R42", f"op {k} (contrast) of {x.channels} channels", "1")
    if not isinstance(sides, list) or not 1 <= len(sides) <= SIDES_MOST:
        refuse("R42", f"op {k} (contrast) with sides {str(sides)[:64]}", f"1 to {SIDES_MOST} numbers")
    before = 1
    for side in sides:
        if not is_integer(side, before + 1, SIDE_MOST) or side % 2 == 0:
            refuse("R42", f"op {k} (contrast) with sides {str(sides)[:64]}", f"odd numbers of 3..{SIDE_MOST} that rise")
        before = side
    return Extent(len(sides), x.level)


def _check_vector(k: int, op: Op, x: Extent, out: Extent) -> None:
    """Check that an op that reads a vector is one that may, and writes a vector (rule R39)."""
    if x.is_vector and (op.kind not in ("conv", "mix", "sigmoid") or not out.is_vector):
        refuse("R39", f"op {k} ({op.kind}) of a vector", "conv with kernel 1 and stride 1, mix or sigmoid")
    if x.is_vector and op.kind == "conv" and op.attributes["kernel"] != 1:
        refuse("R39", f"op {k} (conv) of a vector with kernel {op.attributes['kernel']}", "kernel 1")


def _infer_tokens(k: int, op: Op, x: Extent) -> Extent:
    side = op.attributes["side"]
    if not is_integer(side, 1, TOKENS_MOST):
        refuse("R47", f"op {k} (tokens) with side {side!r}", f"1..{TOKENS_MOST}")
    if x.is_vector:
        refuse("R39", f"op {k} (tokens) of a vector", "of a map")
    _check_vectors(k, op, x.channels, ("weight",))
    _check_vectors(k, op, 1, ("bias",))
    return Extent(side * side, VECTOR)


def _infer_attend(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    x, query, key = inputs
    if x.is_vector or not query.is_vector or query != key or query.channels > LENGTH_MOST:
        must = f"a map and two vectors of as many channels, at most {LENGTH_MOST}"
        refuse("R48", f"op {k} (attend) of {x}, {query} and {key}", must)
    if op.attributes["form"] not in FORMS:
        refuse("R48", f"op {k} (attend) of form {op.attributes['form']!r}", f"one of {FORMS}")
    _check_vectors(k, op, x.channels, ("scale",))
    return x


def _infer_excite(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    x, factors = inputs
    if x.is_vector or not factors.is_vector:
        refuse("R41", f"op {k} (excite_project) of {x} and {factors}", "a map and a vector")
    weight, expand = op.constants["weight"], op.constants.get("expand")
    if weight.shape != (1, 3, 3, factors.channels) or weight.dtype.kind != "f":
        got = f"op {k} (excite_project): weight {weight.dtype} {weight.shape}"
        refuse("R21", got, f"float32 {(1, 3, 3, factors.channels)}")
    _check_vectors(k, op, 1, ("bias",))
    if expand is None:
        if factors.channels != x.channels:
            refuse(
                "R41", f"op {k} (excite_project) with {factors.channels} factors", f"{x.channels}, its map's channels"
            )
        return Extent(1, x.level)
    wanted = (factors.channels, 3, 3, x.channels)
    if expand.shape != wanted or expand.dtype.kind != "f":
        refuse("R21", f"op {k} (excite_project): expand {expand.dtype} {expand.shape}", f"float32 {wanted}")
    _check_vectors(k, op, factors.channels, ("expand_bias",))
    return Extent(1, x.level)


def _check_window(k: int, op: Op, channels: int, filters: int) -> None:
    """Check the attributes that both convolutions share."""
    rule, attributes = OPS[op.kind].rule, op.attributes
    wanted = {"kernel": (1, 3), "stride": (1, 2), "pad": (0, 1, -1)}
    for name, values in wanted.items():
        if type(attributes[name]) is not int or attributes[name] not in values:
            refuse(rule, f"op {k} ({op.kind}) with {name} {attributes[name]!r}", f"one of {values}")
    if (
        not is_integer(attributes["groups"], 1, CHANNELS_MOST)
        or channels % attributes["groups"]
        or filters % attributes["groups"]
    ):
        refuse(
            rule, f"op {k} ({op.kind}) with groups {attributes['groups']!r}", f"a divisor of {channels} and {filters}"
        )
    if attributes["kernel"] == 1 and attributes["pad"]:
        refuse(rule, f"op {k} ({op.kind}) with pad {attributes['pad']}", "0 with kernel 1")


def _check_vectors(k: int, op: Op, size: int, roles: Iterator[str] | Sequence[str]) -> None:
    for role in roles:
        tensor = op.constants.get(role)
        if tensor is not None and (tensor.shape != (size,) or tensor.dtype.kind != "f"):
            refuse("R21", f"op {k} ({op.kind}): {role} {tensor.dtype} {tensor.shape}", f"float32 ({size},)")


def _infer_conv(k: int, op: Op, x: Extent) -> Extent:
    weight = op.constants["weight"]
    filters = weight.shape[0]
    _check_window(k, op, x.channels, filters)
    kernel = op.attributes["kernel"]
    wanted = (filters, kernel, kernel, x.channels // op.attributes["groups"])
    if weight.shape != wanted or weight.dtype.kind != "f":
        refuse("R21", f"op {k} (conv): weight {weight.dtype} {weight.shape}", f"float32 {wanted}")
    _check_vectors(k, op, filters, ("bias",))
    return Extent(filters, x.level + op.attributes["stride"] - 1)


def _infer_block(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    x, bits, attributes = inputs[0], op.constants["bits"], op.attributes
    filters = bits.shape[0]
    if any(extent.is_vector for extent in inputs):
        refuse("R39", f"op {k} (binary_block) of a vector", "of a map")
    _check_window(k, op, x.channels, filters)
    kernel, per_group = attributes["kernel"], x.channels // attributes["groups"]
    wanted = (filters, kernel, kernel, -(-per_group // 8))
    if bits.shape != wanted or bits.dtype.kind != "u":
        refuse("R21", f"op {k} (binary_block): bits {bits.dtype} {bits.shape}", f"uint8 {wanted}")
    if per_group % 8 and (bits[..., -1] >> (per_group % 8)).any():
        refuse("R34", f"op {k} (binary_block) with bits beyond channel {per_group}", "0 there")
    if type(attributes["channels"]) is not int or attributes["channels"] != x.channels:
        refuse("R26", f"op {k} (binary_block) with channels {attributes['channels']!r}", f"{x.channels}, its input's")
    if attributes["residual"] not in (("none",) if len(inputs) == 1 else ("after", "before")):
        refuse("R26", f"op {k} (binary_block) with residual {attributes['residual']!r}", "as the number of inputs says")
    _check_block_constants(k, op, x.channels, filters)
    out = Extent(filters, x.level + attributes["stride"] - 1)
    if len(inputs) == 2 and inputs[1] != out:
        refuse("R26", f"op {k} (binary_block) with a residual of {inputs[1]}", f"{out}, as its output")
    return out


def _check_block_constants(k: int, op: Op, channels: int, filters: int) -> None:
    roles = op.constants.keys()
    shape = op.constants["bias"].shape
    classes = shape == (4, 4, filters) and op.attributes["kernel"] == 3 and op.constants["bias"].dtype.kind == "f"
    _check_vectors(k, op, channels, ("sign_scale", "sign_shift"))
    _check_vectors(k, op, filters, [r for r in roles if not r.startswith("sign_") and r not in ("bits", "bias")])
    if not classes:
        _check_vectors(k, op, filters, ("bias",))
    residual = op.attributes["residual"]
    if "g" in roles and (residual == "none" or (residual == "after" and "c" not in roles)):
        refuse("R34", f"op {k} (binary_block) with g", "with a residual, and with c where it comes after")
    if "post_g" in roles and "post_c" not in roles:
        refuse("R34", f"op {k} (binary_block) with post_g alone", "with post_c")


def _infer_mix(k: int, op: Op, inputs: Sequence[Extent]) -> Extent:
    channels, starts = op.attributes["channels"], op.attributes["starts"]
    if not is_integer(channels, 1, CHANNELS_MOST):
        refuse("R27", f"op {k} (mix) with channels {channels!r}", f"1..{CHANNELS_MOST}")
    if not isinstance(starts, list) or len(starts) != len(inputs):
        refuse("R27", f"op {k} (mix) with starts {starts!r}", "one for each input")
    if not all(is_integer(start, 0, CHANNELS_MOST - 1) for start in starts):
        refuse("R27", f"op {k} (mix) with starts {starts!r}", f"whole numbers 0..{CHANNELS_MOST - 1}")
    for role in op.constants:
        if int(role[-1]) >= len(inputs):
            refuse("R27", f"op {k} (mix) with {role}", f"constants of its {len(inputs)} inputs only")
    for n in ("0", "1"):
        if "g" + n in op.constants and "c" + n not in op.constants:
            refuse("R34", f"op {k} (mix) with g{n} alone", f"with c{n}")
    _check_vectors(k, op, channels, tuple(op.constants))
    return Extent(channels, inputs[0].level)
