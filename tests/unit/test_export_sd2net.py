"""SD2Net lowers, in full precision and with binary layers, and computes what torch computes."""

from __future__ import annotations

import random

import numpy as np
import pytest
from support import xnor
from support.xnor import evaluate, logits, network, relative

from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.core.space import Genotype
from irnas.deploy.device import speed
from irnas.deploy.export.lower import lower
from irnas.deploy.export.write import Origin, convert
from irnas.runtime import reference

EXACT = 1e-11
SPACE = catalog.load("sd2net")


def drawn(num: int, seed: int) -> list[Genotype]:
    """Points of what a search varies, and of the forms that it holds; small ones."""
    rng, space = random.Random(seed), SPACE.focus({"form": ("plain", "reduced", "stack"), "c": (2, 4)})
    return [space.sample(rng) for _ in range(num)]


DRAWN = drawn(10, seed=3)


@pytest.mark.parametrize("number", range(len(DRAWN)))
def test_points_of_the_space_fold_exactly(number: int) -> None:
    """In float64, where a fold is exact but for rounding."""
    model = network(DRAWN[number], number).double()
    x_hwc = np.random.default_rng(number).random((32, 32 if number % 2 else 64, 1))
    lowered = lower(model, 1)
    assert lowered.multiple == 32 and lowered.accept(1).pad == 32
    assert relative(evaluate(lowered.ops, x_hwc)[-2], logits(model, x_hwc)) < EXACT


def test_the_drawn_points_have_every_value_of_what_changes_a_graph() -> None:
    for axis in ("binary", "sd2m", "kernel", "form", "extra", "xin", "ip", "sd3m", "ratios"):
        wanted = set(SPACE[axis].search or SPACE[axis].values) if axis != "form" else set(SPACE[axis].values)
        assert {g.values[axis] for g in DRAWN if axis in g.values} == wanted, axis


@pytest.mark.parametrize("binary", ["off", "body"])
def test_the_reference_computes_torchs_logits(binary: str) -> None:
    model = network(SPACE.complete({"c": 2, "binary": binary, "extra": True}), 5)
    converted, graph = convert(model, 1, Origin(name="x"))
    assert converted.version == "1.4" and bool(graph.blocks) == (binary == "body")
    run = converted.reference
    x_hwc = reference.make_reference_input(run.height, run.width, 1, 8)
    computed, wanted = reference.compute_tensors(converted, x_hwc)[-2], logits(model, x_hwc)
    # A sign that is all but zero may fall the other way in float32: a few pixels around it then differ.
    close = np.abs(computed - wanted) < 1e-4 * np.abs(wanted).max()
    assert close.mean() > (0.9 if binary == "body" else 0.9999)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kernel": "fourier"}, "layer HighPass: got no lowering"),
        ({"orthogonal": True}, "orthogonal: got true; must be false"),
        ({"sd3m_origin": "wide"}, r"layer Conv2d\(.*kernel_size=\(6, 6\).*: got no lowering"),
        ({"head": "7x7"}, "head: got 7x7; must be 1x1"),
    ],
)
def test_what_has_no_form_says_so(values: dict[str, str | bool], message: str) -> None:
    with pytest.raises(ExportError, match=message + r".*; export to \.onnx"):
        lower(network(SPACE.complete({"c": 2, **values})), 1)


def test_no_basis_map_of_a_filter_is_ever_written() -> None:
    ops = lower(network(SPACE.complete({"c": 2})), 1).ops
    wide = [op for op in ops if op.kind == "recombine" and op.attributes["filters"]]
    assert [len(op.attributes["filters"]) for op in wide] == [16] * 4 and all(len(op.inputs) == 2 for op in wide)


def test_a_profile_made_of_biisnet_can_price_each_step() -> None:
    def kinds(genotype: Genotype) -> set[str]:
        return set(speed.count_steps(speed.lower_genotype(genotype, 1), (64, 64), "avx512"))

    biisnet = catalog.load("biisnet")
    known = set[str]().union(
        *(kinds(biisnet.complete({**g.values, "sign0": 1})) for g in xnor.drawn(14, 1) if "sign0" in g.values)
    )
    for space, point in (("sd2net", "c=4"), ("sd2net", "c=2,binary=body,extra=true"), ("sgem_unet", "c=4")):
        assert kinds(catalog.find_point(space, point)) <= known, (space, point)
