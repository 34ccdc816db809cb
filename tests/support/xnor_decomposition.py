"""A small .xnor model with what version 1.4 adds, and files that each break one of its rules."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from support.xnor_file import File, numbers, tiny_file

from irnas.runtime import reference
from irnas.runtime.format import Input, Model, Reference
from irnas.runtime.graph import Op

Filters = list[list[list[int]]]

FILTERS: Filters = [
    [[1, 0, 0], [-1, -1, -1]],
    [[1, 0, 0], [-1, 3, 0]],
    [[1, 0, 0], [1, 0, 1], [-1, 1, 0], [-1, 1, 1]],
    [[1, 0, 0], [1, 0, -8]],
]
"""Differences and a sum, some of whose taps are at one place."""


def recombine(*inputs: int, filters: Filters | None = None) -> Op:
    return Op(kind="recombine", inputs=inputs, attributes={"filters": filters or []})


def pool(x: int, kind: str) -> Op:
    return Op(kind="pool", inputs=(x,), attributes={"kind": kind})


def tokens(x: int, channels: int, side: int) -> Op:
    constants = {"weight": numbers(channels, seed=210 + x), "bias": numbers(1, seed=211 + x)}
    return Op(kind="tokens", inputs=(x,), attributes={"side": side}, constants=constants)


def attend(x: int, query: int, key: int, channels: int, form: str) -> Op:
    constants = {"scale": numbers(channels, seed=220 + x)}
    return Op(kind="attend", inputs=(x, query, key), attributes={"form": form}, constants=constants)


def _conv(x: int, channels: int, filters: int, kernel: int, seed: int) -> Op:
    window = {"kernel": kernel, "stride": 1, "groups": 1, "pad": 0}
    weight = numbers(filters, kernel, kernel, channels, seed=seed)
    return Op(kind="conv", inputs=(x,), attributes=window, constants={"weight": weight})


def tiny_with_decompositions() -> Model:
    """Every op of version 1.4, and every kind of pool that no version has before."""
    ops = (
        _conv(0, 1, 3, 3, 200),
        _conv(1, 3, 3, 1, 202),
        Op(kind="maximum", inputs=(1,)),
        recombine(2, 1, 3, filters=FILTERS),
        *(pool(4, kind) for kind in ("minimum", "rows", "columns", "diagonal")),
        recombine(5, 6, 7, 8),
        Op(kind="upsample", inputs=(9,), attributes={"kind": "nearest"}),
        Op(kind="multiply", inputs=(10, 3)),
        tokens(11, 3, 2),
        tokens(4, 3, 2),
        attend(11, 12, 13, 3, "matrix"),
        attend(14, 13, 12, 3, "gate"),
        _conv(15, 3, 1, 1, 203),
        Op(kind="sigmoid", inputs=(16,)),
    )
    run = Reference(height=14, width=38, seed=4, input_sha256="0" * 64, output_sha256="0" * 64)
    model = Model(input=Input(channels=1, multiple=2, pad=2), ops=ops, reference=run, name="tiny with decompositions")
    x_hwc = reference.make_reference_input(14, 38, 1, 4)
    hashes = {"input_sha256": reference.digest(x_hwc), "output_sha256": reference.digest(reference.run(model, x_hwc))}
    return replace(model, reference=replace(run, **hashes))


def _file(change: Callable[[File], object]) -> bytes:
    file = tiny_file(tiny_with_decompositions())
    change(file)
    return file.content()


def _op(k: int, **changes: Any) -> bytes:
    return _file(lambda f: f.metadata["graph"][k].update(changes))


def _pool_of_tiny(kind: str) -> bytes:
    file = tiny_file()
    file.metadata["graph"][2]["kind"] = kind
    return file.content()


def _filters(*filters: Any) -> bytes:
    return _op(3, filters=list(filters))


_NO_FILTERS: dict[str, Any] = {
    "no taps": [],
    "one tap": [[1, 0, 0]],
    "three taps": [[1, 0, 0]] * 3,
    "no array": 7,
    "a tap of two numbers": [[1, 0], [1, 0, 1]],
    "a tap that is no array": [1, [1, 0, 1]],
    "a first sign": [[-1, 0, 0], [1, 0, 1]],
    "no sign": [[1, 0, 0], [0, 0, 1]],
    "a sign of 2": [[1, 0, 0], [2, 0, 1]],
    "true for 1": [[True, 0, 0], [1, 0, 1]],
    "a fraction": [[1, 0, 0], [1, 0.0, 1]],
    "a far row": [[1, 0, 0], [1, 9, 0]],
    "a far column": [[1, 0, 0], [1, 0, -9]],
}

BROKEN: tuple[tuple[str, str, Callable[[], bytes]], ...] = (
    ("R43", "decompositions in 1.3", lambda: _file(lambda f: f.metadata.update(version="1.3"))),
    ("R43", "a pool of rows in 1.0", lambda: _pool_of_tiny("rows")),
    ("R9", "no threshold in 1.4", lambda: _file(lambda f: f.metadata.pop("threshold"))),
    ("R44", "channels", lambda: _op(10, **{"in": [10, 0]})),
    ("R22", "levels of a product", lambda: _op(10, **{"in": [9, 3]})),
    ("R20", "one factor", lambda: _op(10, **{"in": [10]})),
    ("R39", "a product of vectors", lambda: _file(_multiplied_vectors)),
    ("R20", "two maps of one maximum", lambda: _op(2, **{"in": [1, 1]})),
    ("R19", "a kernel of a maximum", lambda: _op(2, kernel=3)),
    ("R39", "a maximum of a vector", lambda: _file(_maximum_of_a_vector)),
    ("R46", "channels", lambda: _op(3, **{"in": [2, 0, 3]})),
    ("R22", "levels", lambda: _op(8, **{"in": [5, 4, 7, 8]})),
    ("R20", "nothing to decompose over", lambda: _op(8, **{"in": [5]})),
    ("R46", "no list", lambda: _op(3, filters=7)),
    ("R46", "many", lambda: _filters(*[FILTERS[0]] * 33)),
    ("R47", "no tokens", lambda: _op(11, side=0)),
    ("R47", "many tokens", lambda: _op(11, side=65)),
    ("R47", "true tokens", lambda: _op(11, side=True)),
    ("R39", "tokens of a vector", lambda: _op(12, **{"in": [12]})),
    ("R21", "tokens without a bias", lambda: _file(lambda f: f.tensors.pop("11.bias"))),
    ("R21", "a weight of tokens", lambda: _file(lambda f: f.tensors.update({"11.weight": numbers(2, seed=1)}))),
    ("R48", "a vector attends", lambda: _op(13, **{"in": [12, 12, 13]})),
    ("R48", "three maps", lambda: _op(13, **{"in": [11, 4, 13]})),
    ("R48", "two lengths", lambda: _op(12, side=3)),
    ("R48", "a form", lambda: _op(13, form="rows")),
    ("R20", "two inputs", lambda: _op(13, **{"in": [11, 12]})),
    ("R21", "a scale", lambda: _file(lambda f: f.tensors.update({"13.scale": numbers(2, seed=1)}))),
    ("R21", "no scale", lambda: _file(lambda f: f.tensors.pop("13.scale"))),
    *(("R46", what, lambda filter=filter: _filters(FILTERS[0], filter)) for what, filter in _NO_FILTERS.items()),
)
"""(rule, what is wrong, the file), as in ``xnor_file``."""


def _multiplied_vectors(file: File) -> None:
    file.metadata["graph"][2:4] = [{"op": "mean", "in": [1], "kernel": 1}, {"op": "multiply", "in": [3, 3]}]


def _maximum_of_a_vector(file: File) -> None:
    file.metadata["graph"][2:4] = [{"op": "mean", "in": [1], "kernel": 1}, {"op": "maximum", "in": [3]}]
