"""RPCANet+ lowers as a whole family, in full precision and with binary layers, and computes what torch computes."""

from __future__ import annotations

import random
from collections import Counter

import numpy as np
import pytest
from support.xnor import evaluate, logits, network, relative

from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.core.space import Genotype
from irnas.deploy.export.lower import FAMILIES, lower
from irnas.deploy.export.write import Origin, convert
from irnas.deploy.price import price
from irnas.runtime import format, reference

EXACT = 1e-12
SPACE = catalog.load("rpcanet_plus")


def drawn(num: int, seed: int) -> list[Genotype]:
    """Points of the full space, small ones."""
    rng = random.Random(seed)
    points = []
    for _ in range(num):
        values = dict(SPACE.sample(rng).values)
        depths = {name: min(int(values[name]), 1) for name in ("depth_b", "depth_t", "depth_n", "depth_m")}
        small = {"stages": min(int(values["stages"]), 3), "bc": min(int(values["bc"]), 4), "tc": 16}
        points.append(SPACE.complete({**values, **depths, **small}))
    return points


DRAWN = drawn(16, seed=2)


@pytest.mark.parametrize("number", range(len(DRAWN)))
def test_points_of_the_space_fold_exactly(number: int) -> None:
    """In float64, where a fold is exact but for rounding."""
    model = network(DRAWN[number], number).double()
    x_hwc = np.random.default_rng(number).random((7, 5 + number, 1))
    lowered = lower(model, 1)
    assert lowered.multiple == 1
    assert relative(evaluate(lowered.ops, x_hwc)[-2], logits(model, x_hwc)) < EXACT


def test_the_drawn_points_have_every_value_of_what_changes_a_graph() -> None:
    for axis in ("binary", "carry_n"):
        assert {g.values[axis] for g in DRAWN} == set(SPACE[axis].values), axis
    assert {g.values["merge_bc"] > 0 for g in DRAWN} == {True, False}
    assert {g.values["stages"] for g in DRAWN} >= {1, 2, 3}


@pytest.mark.parametrize("binary", ["off", "body"])
def test_the_reference_computes_torchs_logits(binary: str) -> None:
    model = network(SPACE.complete({"stages": 2, "tc": 16, "depth_t": 2, "depth_n": 1, "binary": binary}), 5)
    converted, graph = convert(model, 1, Origin(name="x"))
    assert converted.version == "1.3" and bool(graph.blocks) == (binary == "body")
    x_hwc = np.random.default_rng(0).random((24, 20, 1), np.float32)
    wanted = 1 / (1 + np.exp(-logits(model, x_hwc).astype(np.float64)))
    np.testing.assert_allclose(reference.run(converted, x_hwc), wanted[:, :, 0], atol=2e-5)
    assert reference.verify(format.read(format.write(converted)))


def test_what_only_the_loss_asks_for_is_left_out_and_wide_maps_never_exist() -> None:
    ops = lower(network(SPACE.complete({"stages": 2})), 1).ops
    kinds = Counter(op.kind for op in ops)
    # B, T, N and D of the first stage, B and T of the second.
    assert kinds["excite_project"] == kinds["mean"] == 6 and kinds["sigmoid"] == 7
    # The wide maps of a bottleneck are no tensors; D is made without one.
    assert sum(op.kind == "conv" and op.constants["weight"].shape[:2] == (32, 3) for op in ops) == 4


def test_a_network_costs_the_bytes_of_its_file() -> None:
    genotype = SPACE.complete({"stages": 2, "tc": 16, "binary": "body"})
    content = format.write(convert(network(genotype), 1, Origin(name="a name", trial=genotype.key))[0])
    assert 0 <= len(content) - price(genotype, (1, 64, 64))["bytes"] < 200


def test_families_without_a_lowering_say_so() -> None:
    assert "rpcanet_plus" in FAMILIES and "adsnet" not in FAMILIES
    with pytest.raises(ExportError, match=r"network AdsNet: got no lowering to \.xnor; export to \.onnx"):
        lower(network(catalog.load("adsnet").default()), 1)
