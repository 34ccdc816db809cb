"""Every family leaves as an .onnx file that ONNX Runtime runs with the probabilities of the network.

The exporter takes seconds a network, so a short run looks at the cheapest of a few; test_families.py says more.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from support.kit import FULL, NUM_SAMPLES
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.space import Genotype
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.nn import Sign, traits

DRAWN = 12
LARGEST = 1e-4
"""Difference of a probability; single precision in another order."""
RARE = {"sd2net": "c=4,kernel=haar,orthogonal=true,sd3m=false,ip=false"}
"""Points that need something of the exporter which the cheapest of the searched ones do not."""
TRIES = 8
"""Images of which one must agree in every pixel, for a network with signs."""


def samples() -> Iterator[Any]:
    for name in catalog.list_names():
        space, rng = catalog.load(name), random.Random(f"onnx {name}")
        for kind, source in (("search", space.focus()), ("all", space)):
            genotypes = [space.genotype(source.sample(rng).values) for _ in range(max(DRAWN, NUM_SAMPLES))]
            chosen = genotypes if NUM_SAMPLES >= FULL else [min(genotypes, key=work)] if kind == "search" else []
            for index, genotype in enumerate(chosen):
                yield pytest.param(genotype, id=f"{name}-{kind}-{index}")
    for name, words in RARE.items():
        yield pytest.param(catalog.find_point(name, words), id=f"{name}-rare")


def work(genotype: Genotype) -> int:
    """What takes the exporter its time."""
    return sum(1 for _ in models.build(genotype).modules())


def lively(network: nn.Module) -> nn.Module:
    """Statistics of a few random images in the normalisations, and so logits that are not all alike."""
    torch.manual_seed(1)
    with torch.no_grad():
        for _ in range(3):
            network.train()(torch.rand(4, traits.frames(network), 64, 64))
    return network.eval()


@pytest.mark.parametrize("genotype", [*samples()])
def test_onnx_runtime_yields_the_probabilities_of_the_network(genotype: Genotype) -> None:
    torch.manual_seed(0)
    network = lively(models.build(genotype))
    channels = traits.frames(network)
    accepted = onnx.input_of(network, channels)
    proto = onnx.convert(network, accepted, Origin(name=str(genotype.key), trial=genotype.key))
    run, _ = onnx.make_runner(proto)
    # Millions of signs: in some images one is that of a number which is zero but for rounding, and that pixel's
    # surroundings differ, as they do between torch's own precisions. A wrong file differs in every image. The smaller
    # the image, the fewer the signs.
    tries, side = (TRIES, max(32, accepted.pad)) if has_signs(network) else (1, 64)
    for height, width in ((side, side), (side + accepted.pad, side)):
        shape = (height, width) if channels == 1 else (channels, height, width)
        off = []
        for seed in range(tries):
            image = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
            with torch.no_grad():
                x_nchw = torch.from_numpy(image.astype(np.float32) / 255).reshape(1, channels, height, width)
                wanted = network(x_nchw).sigmoid()[0, 0].numpy()
            if not np.isfinite(wanted).all():
                pytest.skip("the untrained network overflows, as some of the whole space do")
            off.append(np.abs(run(image) - wanted).max())
            if off[-1] <= LARGEST:
                break
        assert min(off) <= LARGEST, off


def has_signs(network: nn.Module) -> bool:
    return any(isinstance(part, Sign) for part in network.modules())
