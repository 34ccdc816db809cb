"""The headline design of each family: what it costs by our count is what its exported graph computes and stores."""

from __future__ import annotations

import pytest
import torch
from support.onnx_graph import count_macs, count_stored_bytes

from irnas import cost, models
from irnas.core import catalog
from irnas.core.settings import HEADLINES
from irnas.core.space import Genotype
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin

SIDE = 256
ELEMENTWISE = ("DotBinaryConv2d", "Outer", "TemporalRecombination")
"""Layers whose products torch writes as element-wise ones, and sums."""


def headlines() -> list[tuple[str, Genotype]]:
    return [(name, catalog.find_designs(name, HEADLINES)[0][1]) for name in catalog.list_names()]


@pytest.mark.slow
@pytest.mark.parametrize(("family", "genotype"), headlines())
def test_a_headline_costs_what_its_exported_graph_computes(family: str, genotype: Genotype) -> None:
    torch.manual_seed(0)
    network = models.build(genotype).eval()
    channels = int(genotype.values.get("in_ch", 1))
    proto = onnx.convert(network, onnx.input_of(network, channels), Origin(name=family))
    # A file sees all frames of a window.
    surveyed = cost.survey(genotype, (channels, SIDE, SIDE), window=True)
    counted = surveyed.total
    elementwise = sum(layer.work.macs for layer in surveyed.layers if layer.type in ELEMENTWISE)
    assert count_macs(proto, SIDE) == counted.macs - elementwise
    if not counted.bits:
        stored, size = count_stored_bytes(proto), len(proto.SerializeToString())
        # Of a family that has a .xnor file, irnas.deploy.price tells the bytes of that.
        costs = cost.price(genotype, (channels, SIDE, SIDE))
        assert abs(costs["bytes"] - stored) <= size - stored
