"""The graph of a .xnor file: its closed list of ops, and what a graph of them must keep (FORMAT.md, sections 3, 4)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from irnas.runtime.container import Constant, is_integer, refuse

OPS_MOST = 4096
CHANNELS_MOST = 4096
LEVEL_MOST = 8
MULTIPLE_MOST = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """One step: it reads some tensors and writes the next one."""

    kind: str
    inputs: tuple[int, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)
    constants: Mapping[str, Constant] = field(default_factory=dict)
    """float32 or uint8 arrays by role."""

    def document(self) -> dict[str, Any]:
        """Return the JSON object that the file's graph holds; the constants are elsewhere in the file."""
        return {"op": self.kind, "in": list(self.inputs), **self.attributes}


@dataclass(frozen=True, slots=True)
class Extent:
    """A map's channels, and its level: its height is the input's over 2^level."""

    channels: int
    level: int


@dataclass(frozen=True, slots=True)
class _Shape:
    """What an op looks like in the file."""

    rule: str
    least: int
    most: int
    attributes: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    optional: tuple[tuple[str, ...], ...] = ()
    """Roles that come together or not at all."""


def _two_slope_roles(pattern: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(pattern.format(role) for role in group) for group in (("a", "b"), ("lo", "hi"), ("g",), ("c",)))


OPS: Mapping[str, _Shape] = {
    "conv": _Shape("R25", 1, 1, ("kernel", "stride", "groups", "pad"), ("weight",), (("bias",),)),
    "binary_block": _Shape(
        "R26",
        1,
        2,
        ("kernel", "stride", "groups", "pad", "residual", "channels"),
        ("bits", "scale", "bias"),
        (("shift",), ("sign_scale", "sign_shift"), ("lo", "hi"), ("g",), ("c",), *_two_slope_roles("post_{}")),
    ),
    "mix": _Shape("R27", 1, 2, ("channels", "starts"), (), (*_two_slope_roles("{}0"), *_two_slope_roles("{}1"))),
    "clamp": _Shape("R28", 1, 1),
    "center": _Shape("R29", 1, 1),
    "pool": _Shape("R30", 1, 1, ("kind",)),
    "upsample": _Shape("R31", 1, 1, ("kind",)),
    "concat": _Shape("R32", 2, 16),
    "sigmoid": _Shape("R33", 1, 1),
}

KINDS = {"pool": ("average", "maximum", "first"), "upsample": ("nearest", "bilinear")}


def parse(document: Any, tensors: Mapping[str, Constant]) -> tuple[Op, ...]:
    """Parse the ops of a graph as the file spells it; ``infer_extents`` checks next how they fit together."""
    if not isinstance(document, list) or not document:
        refuse("R16", "a graph that is no list of ops", "an array of at least one op")
    if len(document) > OPS_MOST:
        refuse("R6", f"{len(document)} ops", f"at most {OPS_MOST}")
    constants: list[dict[str, Constant]] = [{} for _ in document]
    for name, tensor in tensors.items():
        number, dot, role = name.partition(".")
        if not dot or not number.isascii() or not number.isdigit() or number != str(int(number[:6])):
            refuse("R21", f"tensor {name[:64]!r}", "named after its op and role")
        if int(number) >= len(document):
            refuse("R21", f"tensor {name[:64]!r} of an op that is not there", f"one of {len(document)} ops")
        constants[int(number)][role] = tensor
    return tuple(_parse_op(k, entry, constants[k]) for k, entry in enumerate(document))


def infer_extents(ops: Sequence[Op], channels: int) -> tuple[Extent, ...]:
    """Infer the channels and the level of every tensor, the input first.

    Raises:
        FormatError: the ops do not fit together; the message ends with the rule.
    """
    known = [Extent(channels, 0)]
    for k, op in enumerate(ops):
        known.append(_infer_output(k, op, [known[i] for i in op.inputs], is_last=k == len(ops) - 1))
    used = {i for op in ops for i in op.inputs}
    for tensor in range(len(ops)):
        if tensor not in used:
            refuse("R20", f"tensor {tensor} that no op reads", "used by some op")
    if ops[-1].kind != "sigmoid" or known[-1] != Extent(1, 0):
        refuse("R24", f"a last op {ops[-1].kind} of {known[-1]}", "sigmoid, with 1 channel, of the input's size")
    return tuple(known)


def _parse_op(k: int, entry: Any, constants: Mapping[str, Constant]) -> Op:
    if not isinstance(entry, dict) or not isinstance(entry.get("op"), str) or entry["op"] not in OPS:
        name = entry.get("op") if isinstance(entry, dict) else entry
        refuse("R19", f"op {k} of the name {str(name)[:64]!r}", f"one of {', '.join(OPS)}")
    shape = OPS[entry["op"]]
    if set(entry) != {"op", "in", *shape.attributes}:
        refuse("R19", f"op {k} ({entry['op']}) with {sorted(entry)}", f"op, in and {', '.join(shape.attributes)}")
    inputs = entry["in"]
    if not isinstance(inputs, list) or not shape.least <= len(inputs) <= shape.most:
        refuse("R20", f"op {k} ({entry['op']}) reading {str(inputs)[:64]}", f"{shape.least} to {shape.most} tensors")
    if not all(is_integer(i, 0, k) for i in inputs):
        refuse("R20", f"op {k} reading {str(inputs)[:64]}", f"tensors 0..{k}")
    _check_roles(k, entry["op"], constants)
    return Op(
        kind=entry["op"],
        inputs=tuple(inputs),
        attributes={name: entry[name] for name in shape.attributes},
        constants=dict(constants),
    )


def _check_roles(k: int, kind: str, constants: Mapping[str, Constant]) -> None:
    shape = OPS[kind]
    for role in shape.required:
        if role not in constants:
            refuse("R21", f"op {k} ({kind}) without {role}", f"with {', '.join(shape.required)}")
    for group in shape.optional:
        present = [role for role in group if role in constants]
        if present and len(present) != len(group):
            refuse("R21", f"op {k} ({kind}) with {present} alone", f"{' and '.join(group)} together")
    known = {*shape.required, *(role for group in shape.optional for role in group)}
    for role in constants:
        if role not in known:
            refuse("R21", f"op {k} ({kind}) with a constant {role[:64]!r}", f"one of {', '.join(sorted(known))}")


def _infer_output(k: int, op: Op, inputs: Sequence[Extent], *, is_last: bool) -> Extent:
    kind, level = op.kind, inputs[0].level
    rule = OPS[kind].rule
    if kind == "binary_block":
        out = _infer_block(k, op, inputs)
    else:
        if any(extent.level != level for extent in inputs):
            refuse("R22", f"op {k} ({kind}) on maps of levels {[e.level for e in inputs]}", "one level")
        match kind:
            case "conv":
                out = _infer_conv(k, op, inputs[0])
            case "mix":
                out = _infer_mix(k, op, inputs)
            case "pool" | "upsample":
                if op.attributes["kind"] not in KINDS[kind]:
                    refuse(rule, f"op {k} ({kind}) of kind {op.attributes['kind']!r}", f"one of {KINDS[kind]}")
                out = Extent(inputs[0].channels, level + (1 if kind == "pool" else -1))
            case "concat":
                out = Extent(sum(extent.channels for extent in inputs), level)
            case _:
                out = inputs[0]
    if kind == "sigmoid" and not is_last:
        refuse("R24", f"op {k} (sigmoid)", "the last op")
    if not 0 <= out.level <= LEVEL_MOST:
        refuse("R22", f"op {k} ({kind}) with a map of level {out.level}", f"0..{LEVEL_MOST}")
    if not 1 <= out.channels <= CHANNELS_MOST:
        refuse("R23", f"op {k} ({kind}) with {out.channels} channels", f"1..{CHANNELS_MOST}")
    return out


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
