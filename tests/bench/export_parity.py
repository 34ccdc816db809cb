"""Every published point and many random ones through the export's gate, on the images of a data set.

    python tests/bench/export_parity.py [--dataset data/nudt-sirst] [--points 200] [--images 1]

The networks are untrained, their per-channel numbers random, which puts far more values near a threshold than training
leaves there: some have most of their logits within rounding of 0, and the gate is right to refuse them.
Printed: how many pass, flip rates of signs and mask pixels, each that fails. Exits with 1 if one does.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

# Only now: threads are counted on import, and the networks' maker lies beside this folder.
import numpy as np  # noqa: E402
from support.xnor import network  # noqa: E402

from irnas import catalog  # noqa: E402
from irnas.data import Split, open_dataset  # noqa: E402
from irnas.errors import ExportError  # noqa: E402
from irnas.export import parity, write  # noqa: E402
from irnas.metrics import PRESETS  # noqa: E402
from irnas.space import Genotype  # noqa: E402
from irnas.train import predict  # noqa: E402


def points(num: int, seed: int) -> list[tuple[str, Genotype]]:
    """The published points, then random ones of the full space that have a form in .xnor at all."""
    import random

    space, rng = catalog.load("biisnet"), random.Random(seed)
    found = [(row.name, row.genotype) for row in catalog.published("biisnet") if row.genotype]
    for number in range(num):
        genotype = space.sample(rng)
        # A sign with three values has none, by definition; the unit tests see that it is refused.
        found.append((f"random {number}", space.complete({**genotype.values, "sign0": 1})))
    return found


def gate(genotype: Genotype, seed: int, split: Split, images: int) -> tuple[str, parity.Parity, float] | None:
    """One export: the engine's name, what was measured, and the flip rate of signs; None where torch overflows."""
    model = network(genotype, seed)
    if not all(np.isfinite(predict(model, split.image(i))).all() for i in range(images)):
        return None
    converted, graph = write.convert(model, 1, write.Origin(name=genotype.key))
    run, engine = parity.runner(converted)
    found = parity.compare(model, run, engine, split, PRESETS["basicirstd"], images)
    first = [split.image(0)]
    return engine, found, parity.sign_flip_rate(model, converted, graph.blocks, run, engine, first)


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    split = open_dataset(given.dataset).split("val")
    signs, masks, moved, failed, started = [], [], [], [], time.perf_counter()
    todo = points(given.points, given.seed)
    engine, overflown = "", 0
    for number, (name, genotype) in enumerate(todo):
        print(f"\r{number} of {len(todo)}", end="", file=sys.stderr, flush=True)
        try:
            gated = gate(genotype, number, split, given.images)
        except ExportError as error:
            failed.append(f"{name} {genotype.key}: {error}")
            print(failed[-1], flush=True)
            continue
        if gated is None:
            overflown += 1
            continue
        engine, found, flips = gated
        signs.append(flips)
        masks.append(found.mask_flip_rate)
        moved.append(found.moved_points)
    done = len(todo) - overflown
    print(f"{done - len(failed)} of {done} pass on {given.images} images of {given.dataset}; engine {engine}")
    print(f"  {overflown} more overflow float32 in torch already")
    for what, rates in (("signs flipped", signs), ("mask pixels flipped", masks), ("points moved", moved)):
        print(
            f"  {what:<20} mean {np.mean(rates):.2e}  worst {np.max(rates):.2e}  none at all {np.equal(rates, 0).sum()}"
        )
    print(f"  {time.perf_counter() - started:.0f} s")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
