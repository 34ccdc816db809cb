"""The graph of a .xnor file: its closed list of ops, and how a file spells them (FORMAT.md, sections 3, 4).

``irnas.runtime.extent`` checks how the ops of a graph fit together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from irnas.runtime.container import Constant, is_integer, refuse

OPS_MOST = 4096
CHANNELS_MOST = 4096
LEVEL_MOST = 8
MULTIPLE_MOST = 256
SIDES_MOST = 16
SIDE_MOST = 127
FILTERS_MOST = 32
REACH_MOST = 8
TOKENS_MOST = 64
LENGTH_MOST = 256
FORMS = ("matrix", "gate")


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
    "mean": _Shape("R40", 1, 1, ("kernel",)),
    "excite_project": _Shape("R41", 2, 2, (), ("weight", "bias"), (("expand", "expand_bias"),)),
    "contrast": _Shape("R42", 1, 1, ("sides",)),
    "multiply": _Shape("R44", 2, 2),
    "maximum": _Shape("R45", 1, 1),
    "recombine": _Shape("R46", 2, 16, ("filters",)),
    "tokens": _Shape("R47", 1, 1, ("side",), ("weight", "bias")),
    "attend": _Shape("R48", 3, 3, ("form",), ("scale",)),
}

NEW_IN_1_3 = ("mean", "excite_project", "contrast")
"""Ops that no file before version 1.3 has; there, too, ``sigmoid`` is the last op alone."""

NEW_IN_1_4 = ("multiply", "maximum", "recombine", "tokens", "attend")
"""Ops that no file before version 1.4 has."""

POOLS_OF_1_4 = ("minimum", "rows", "columns", "diagonal")
"""Kinds of ``pool`` that no file before version 1.4 has."""

KINDS = {"pool": ("average", "maximum", "first", *POOLS_OF_1_4), "upsample": ("nearest", "bilinear")}


def parse(document: Any, tensors: Mapping[str, Constant]) -> tuple[Op, ...]:
    """Parse the ops of a graph as the file spells it; ``extent.infer_extents`` checks next how they fit together."""
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
