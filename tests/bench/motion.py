"""Does a window of frames find what one frame cannot? Both families on sequences with dim moving targets.

    python tests/bench/motion.py [--seeds 2] [--epochs 16] [--c 2] [--loss own]

Equal data, loss, steps, batch and crops; the networks have the same width. Data come from a fixed seed, and are not
written anywhere but to a temporary folder. Minutes on two cores.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from pathlib import Path

import torch

from irnas import models
from irnas.core import catalog
from irnas.core.recipe import Budget, Recipe
from irnas.cost.count import survey
from irnas.data import Split, open_dataset, synthetic
from irnas.data.target import TargetSettings
from irnas.metrics import Rules
from irnas.training.fit import fit
from irnas.training.prediction import validate


def main() -> None:
    """Train, judge, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--sequences", type=int, default=36, help="a third of them to judge by")
    parser.add_argument("--frames", type=int, default=10, help="of each sequence")
    parser.add_argument("--size", type=int, default=64, help="side of the frames, in pixels")
    parser.add_argument("--scr", type=float, nargs=2, default=(1.0, 2.5), help="of the targets, least and most")
    parser.add_argument("--drift", type=float, default=0.0, help="of the background, pixels a frame; 0 is registered")
    parser.add_argument("--c", type=int, default=4, help="width of both networks")
    parser.add_argument("--window", type=int, default=5, help="frames that STD2Net sees")
    parser.add_argument("--loss", default="own", help="of both networks; own is soft IoU")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        data = _dataset(Path(folder) / "dim", options)
        train, test = data
        print(f"{len(train)} frames to train, {len(test)} to judge, {options.epochs} epochs, SCR {options.scr}")
        print(f"{'network':<44} seed MMAC/frame   mIoU     Pd  Fa 1e-6   loss  CPU s")
        points = {
            "sd2net": f"c={options.c}",
            "std2net": f"c={options.c},features=8,frames={options.window}",
        }
        for seed in range(options.seeds):
            for space, point in points.items():
                _judge(space, point, seed, train, test, options)


def _dataset(folder: Path, options: argparse.Namespace) -> tuple[Split, Split]:
    low, high = options.scr
    # Small targets, always one at least, all dim: the mean of the logarithm lies between the ends.
    target = TargetSettings(
        counts=(0.0, 0.8, 0.2),
        log_area=(2.6, 0.4),
        log_scr=(math.log(low * high) / 2, 0.3),
        scr=(low, high),
        contrast=(2.0, 60.0),
    )
    settings = synthetic.SyntheticSettings(
        images=0,
        sequences=options.sequences,
        frames=options.frames,
        size=options.size,
        seed=7,
        test_share=1 / 3,
        target=target,
        drift=options.drift,
    )
    synthetic.write(folder, settings)
    dataset = open_dataset(str(folder))
    return dataset.split("train"), dataset.split("test")


def _judge(space: str, point: str, seed: int, train: Split, test: Split, options: argparse.Namespace) -> None:
    genotype = catalog.find_point(space, point)
    torch.manual_seed(seed)
    network = models.build(genotype)
    start = time.thread_time()
    recipe, loss = Recipe(loss=options.loss, lr=3e-3), math.nan
    for epoch in fit(network, train, Budget(epochs=options.epochs, batch=8, crop=64), recipe, seed=seed):
        loss = epoch.loss
    seconds = time.thread_time() - start
    metrics, _ = validate(network, test, Rules())
    macs = survey(genotype, (1, 256, 256)).total.macs / 1e6
    print(
        f"{space + ' ' + point:<44} {seed:>4} {macs:>10.0f} {metrics['miou']:>6.3f} {metrics['pd']:>6.3f} "
        f"{metrics['fa'] * 1e6:>8.1f} {loss:>6.3f} {seconds:>6.0f}",
        flush=True,
    )


if __name__ == "__main__":
    main()
