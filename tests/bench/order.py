"""Whether networks of fewer operations are faster: 50 random networks of the default search, timed in turn.

    python tests/bench/order.py [--space biisnet] [--points 50] [--side 256] [--rounds 12]

Prints OPs, the least time of each on one thread of the engine, and the rank correlation of the two. Weights are random.
"""

from __future__ import annotations

import argparse
import random
import time

import numpy as np
import torch

from irnas import cost, models, runtime
from irnas.core import catalog
from irnas.core.space import Genotype
from irnas.deploy.bench.source import moved_from_start
from irnas.deploy.export.write import Origin, convert
from irnas.runtime import format


def load(genotype: Genotype) -> runtime.Model:
    """A network on the engine, as if it were trained."""
    torch.manual_seed(0)
    network = moved_from_start(models.build(genotype).eval())
    return runtime.Model(format.write(convert(network, 1, Origin(name=genotype.key))[0]))


def rank_correlation(first: list[float], second: list[float]) -> float:
    """Spearman's, of values without ties."""
    ranks = [np.argsort(np.argsort(values)) for values in (first, second)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    """Print a line for each network, cheapest first, and the correlation."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--space", default="biisnet")
    parser.add_argument("--points", type=int, default=50)
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    torch.set_num_threads(1)
    space, rng = catalog.load(given.space).focus(), random.Random(0)
    genotypes = [space.sample(rng) for _ in range(given.points)]
    ops = [cost.price(each, (1, given.side, given.side))["ops"] for each in genotypes]
    networks = [load(each) for each in genotypes]
    images = np.random.default_rng(0).integers(0, 256, (1, given.side, given.side), dtype=np.uint8)
    least = [float("inf")] * len(networks)
    for _ in range(given.rounds):
        for n, network in enumerate(networks):
            started = time.thread_time()
            network.run(images)
            least[n] = min(least[n], time.thread_time() - started)
    for n in sorted(range(len(ops)), key=lambda n: ops[n]):
        print(f"{genotypes[n].key[:10]} {ops[n] / 1e6:7.2f} M OPs {least[n] * 1e3:7.3f} ms")
    print(f"rank correlation of OPs and time, {networks[0].facts.kernels}: {rank_correlation(ops, least):.3f}")


if __name__ == "__main__":
    main()
