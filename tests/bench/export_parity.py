"""Every published point and many random ones through the export's gate, on the images of a data set.

    python tests/bench/export_parity.py [--dataset data/nudt-sirst] [--part search] [--images 8] [--weights random]
    python tests/bench/export_parity.py --space sgem_unet --fix sgem=false binary=body --points 50 --signs-side 32

Each network is trained for a few steps first. Without that its filters in front of the first sign still sum to zero,
so that wherever an image is flat the sign is that of a rounding error, and no two programs agree on it. ``--weights
random`` leaves them so and draws the numbers per channel as well. A few steps bring no network to a mask that means
anything, so metrics then count at a threshold that has about one pixel in fifty predicted.

Printed: how many pass, rates of flipped signs and mask pixels, each that is refused and why. Where rounding alone moves
a network by more than the gate admits, it has no metrics that a file could keep to; such are counted apart. Exits with
1 if any other is refused.
"""

from __future__ import annotations

import argparse
import itertools
import os
import random
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

# Only now: threads are counted on import, and the networks' maker lies beside this folder.
import numpy as np  # noqa: E402
import torch  # noqa: E402
from support.xnor import network  # noqa: E402
from torch import nn  # noqa: E402

from irnas import models  # noqa: E402
from irnas.core import catalog  # noqa: E402
from irnas.core.errors import ExportError  # noqa: E402
from irnas.core.space import Genotype  # noqa: E402
from irnas.data import Dataset, open_dataset  # noqa: E402
from irnas.data.loader import batches  # noqa: E402
from irnas.deploy.export import parity, write  # noqa: E402
from irnas.metrics import PRESETS, Rules  # noqa: E402
from irnas.nn import loss as losses  # noqa: E402
from irnas.nn import parameter_groups, traits  # noqa: E402
from irnas.training.prediction import predict  # noqa: E402

RULES = PRESETS["basicirstd"]
BATCH, CROP = 4, 32
LOGIT_MOST = 4.0
"""Logits are scaled to a deviation of 1, or as far as their mean stays within this."""
SIGNS_SIDE = 128
"""Side of the piece of an image on which every sign is compared: the reference takes minutes for some whole ones."""
FIXED = {"biisnet": ("sign0=1",)}
"""What a network must have to have a form in .xnor at all; the unit tests see that the others are refused."""


class Gated(NamedTuple):
    """What became of one network."""

    name: str
    verdict: str
    """``pass``, ``refused``, ``unrest`` (refused, and rounding moves it as far in torch), or ``overflow``."""
    engine: str = ""
    signs: float | None = None
    """Share of the signs that flipped; None for a network that has none."""
    masks: float = 0.0
    moved: float = 0.0
    predicted: float = 0.0
    """Share of the pixels that the network predicts."""
    error: str = ""


def points(given: argparse.Namespace) -> list[tuple[str, Genotype]]:
    """The published points, then random ones, of the whole space or of a search's: those with the fixed values."""
    space, rng = catalog.load(given.space), random.Random(given.seed)
    source = space if given.part == "all" else space.focus()
    fixed = dict(catalog.parse_choice(space, text) for text in given.fix or FIXED.get(given.space, ()))
    drawn = (source.sample(rng) for _ in itertools.count())
    published = ((row.name, row.genotype) for row in catalog.load_published(given.space) if row.genotype)
    randoms = ((f"random {number}", genotype) for number, genotype in enumerate(filter(fits(fixed), drawn)))
    named = ((name, genotype) for name, genotype in published if fits(fixed)(genotype))
    return [*named, *itertools.islice(randoms, given.points)]


def fits(fixed: Mapping[str, Sequence[Any]]) -> Callable[[Genotype], bool]:
    """Whether a genotype has one of the values of each fixed axis."""
    return lambda genotype: all(genotype.values.get(axis) in values for axis, values in fixed.items())


def trained(genotype: Genotype, seed: int, dataset: Dataset, steps: int) -> nn.Module:
    """The network of a genotype after a few steps, its head scaled so that the logits spread; in eval mode.

    Values that overflow stay: whoever predicts with it sees them.
    """
    torch.manual_seed(seed)
    model = models.build(genotype).train()
    optimizer = torch.optim.AdamW(parameter_groups(model, traits.learning_rate(model), 1e-4))
    loss_of = losses.make_loss("softiou+bce")
    epochs = (batches(dataset.split("fit"), batch=BATCH, crop=CROP, seed=seed, epoch=e) for e in itertools.count(1))
    order = itertools.chain.from_iterable(epochs)
    for x_nchw, truth_n1hw in itertools.islice(order, steps):
        loss = loss_of(model(torch.from_numpy(x_nchw)), torch.from_numpy(truth_n1hw).float())
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call] # torch publishes no type for it
        optimizer.step()
    model.eval()
    with torch.no_grad():
        logits = torch.cat([model(torch.from_numpy(x)).flatten() for x, _ in itertools.islice(order, 4)])
        spread = float(logits.std())
        # A family without a last layer of that name keeps its logits as they are.
        if spread > 0 and "head.weight" in dict(model.named_parameters()):
            model.get_parameter("head.weight").mul_(min(1 / spread, LOGIT_MOST / abs(float(logits.mean()))))
    return model


def threshold(probabilities: Sequence[np.ndarray]) -> float:
    """Between half a percent and five percent of the pixels, the middle of the widest gap between two probabilities."""
    ordered = np.sort(np.concatenate([p.ravel() for p in probabilities]).astype(np.float64))
    top = ordered[int(0.95 * len(ordered)) : int(0.995 * len(ordered))]
    widest = int(np.argmax(np.diff(top)))
    return float(top[widest : widest + 2].mean()) if top[widest] < top[widest + 1] else RULES.threshold


def gate(name: str, genotype: Genotype, seed: int, given: argparse.Namespace) -> Gated:
    """One network through the gate."""
    dataset = open_dataset(given.dataset)
    split = dataset.split("val")
    is_random = given.weights == "random"
    model = network(genotype, seed) if is_random else trained(genotype, seed, dataset, given.steps)
    maps = [predict(model, split.image(i)) for i in range(min(given.images, len(split)))]
    if not all(np.isfinite(p).all() for p in maps):
        return Gated(name=name, verdict="overflow")
    rules = RULES if is_random else Rules(threshold=threshold(maps))
    try:
        converted, graph = write.convert(model, 1, write.Origin(name=genotype.key))
        run, engine = parity.make_runner(converted)
        piece = [split.image(0)[: given.signs_side, : given.signs_side]]
        signs = parity.sign_flip_rate(model, converted, graph.blocks, run, engine, piece)
        found = parity.compare(model, run, engine, split, rules, given.images)
    except ExportError as error:
        is_restless = parity.measure_unrest(model, split, rules, given.images) > parity.POINTS_MOST
        verdict = "unrest" if is_restless else "refused"
        return Gated(name=f"{name} {genotype.key}", verdict=verdict, error=str(error))
    return Gated(
        name=name,
        verdict="pass",
        engine=engine,
        signs=signs if graph.blocks else None,
        masks=found.mask_flip_rate,
        moved=found.moved_points,
        predicted=float(np.mean([p > rules.threshold for p in maps])),
    )


def report(rows: Sequence[Gated], given: argparse.Namespace) -> None:
    """Print the summary."""
    passed = [row for row in rows if row.verdict == "pass"]
    count = {what: sum(row.verdict == what for row in rows) for what in ("unrest", "refused", "overflow")}
    engine = passed[0].engine if passed else "none"
    print(f"{len(passed)} of {len(rows)} pass on {given.images} images of {given.dataset}; engine {engine}")
    print(f"  {count['refused']} refused")
    print(f"  {count['unrest']} refused whose metrics rounding alone moves as far in torch")
    print(f"  {count['overflow']} more overflow float32 in torch already")
    figures = {
        "signs flipped": [row.signs for row in passed if row.signs is not None],
        "mask pixels flipped": [row.masks for row in passed],
        "points moved": [row.moved for row in passed],
        "pixels predicted": [row.predicted for row in passed],
    }
    for what, found in figures.items():
        if not found:
            print(f"  {what:<20} no network has any")
            continue
        print(
            f"  {what:<20} min {np.min(found):.2e}  median {np.median(found):.2e}  mean {np.mean(found):.2e}  "
            f"max {np.max(found):.2e}  none at all {np.equal(found, 0).sum()} of {len(found)}"
        )


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--space", default="biisnet")
    parser.add_argument("--fix", nargs="*", metavar="AXIS=VALUE,...", help="what all networks have")
    parser.add_argument("--signs-side", type=int, default=SIGNS_SIDE, help="of the piece on which signs are compared")
    parser.add_argument("--dataset", default="synthetic")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--part", choices=("search", "all"), default="all", help="of the space to draw points from")
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--weights", choices=("trained", "random"), default="trained")
    parser.add_argument("--steps", type=int, default=100, help="of training, with --weights trained")
    parser.add_argument("--only", nargs="*", help="names of points, say LIT10 'random 7'")
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    todo = [(name, g, k, given) for k, (name, g) in enumerate(points(given))]
    todo = [row for row in todo if not given.only or row[0] in given.only]
    rows, started = [], time.perf_counter()
    with get_context("spawn").Pool(given.jobs) as pool:
        for row in pool.imap(_gate, todo):
            rows.append(row)
            passed = sum(row.verdict == "pass" for row in rows)
            print(f"\r{passed} passed of {len(rows)}, {len(todo)} to do", end="", file=sys.stderr, flush=True)
            if row.verdict in ("refused", "unrest"):
                print(f"{row.name} {row.verdict}: {row.error}", flush=True)
    report(rows, given)
    print(f"  {time.perf_counter() - started:.0f} s")
    return int(any(row.verdict == "refused" for row in rows))


def _gate(row: tuple[str, Genotype, int, argparse.Namespace]) -> Gated:
    torch.set_num_threads(1)
    return gate(*row)


if __name__ == "__main__":
    sys.exit(main())
