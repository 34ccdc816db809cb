"""Images a second of several trainings at once on one device, beside one alone: what `irnas search --gpus 0.1` buys.

    python tests/bench/pack.py DATA [--at-once 1,2,5,10,20] [--point LIT10] [--device cuda] [--epochs 3]

Each training is a process with a network of its own, as in a search; all begin together after an epoch that is not
counted. ``gain`` is over one training alone, which is the plain loop; on a CPU there is one thread to each.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch

from irnas import models
from irnas.core import catalog
from irnas.core.recipe import Budget, Recipe
from irnas.data import open_dataset
from irnas.training.fit import fit


def train(arguments: argparse.Namespace, ready: Barrier, spans: Any) -> None:
    """Train, and say when the epochs that count began and ended."""
    torch.set_num_threads(1)
    split = open_dataset(arguments.data).split("fit")
    model = models.build(catalog.find_point(arguments.space, arguments.point))
    budget = Budget(epochs=arguments.epochs + 1, batch=arguments.batch, crop=arguments.crop)
    trained = fit(model, split, budget, Recipe(), seed=0, device=arguments.device)
    next(trained)
    ready.wait(600)
    started = time.monotonic()
    for _ in trained:
        pass
    spans.put((started, time.monotonic(), arguments.epochs * len(split)))


def measure(arguments: argparse.Namespace, number: int) -> float:
    """Images a second of so many trainings together."""
    context = multiprocessing.get_context("spawn")
    ready, spans = context.Barrier(number), context.Queue()
    processes = [context.Process(target=train, args=(arguments, ready, spans), daemon=True) for _ in range(number)]
    for process in processes:
        process.start()
    measured = [spans.get(timeout=3600) for _ in processes]
    for process in processes:
        process.join()
    starts, ends, images = zip(*measured, strict=True)
    return float(sum(images) / (max(ends) - min(starts)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--at-once", default="1,2,5,10,20")
    parser.add_argument("--space", default="biisnet")
    parser.add_argument("--point", default="LIT10")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=int, default=32)
    arguments = parser.parse_args()
    print(f"{arguments.space} {arguments.point} on {arguments.device}: batch {arguments.batch}, crop {arguments.crop}")
    of_one = measure(arguments, 1)
    print(f"{'at once':>8} {'images/s':>10} {'gain':>6}\n{1:8d} {of_one:10.0f} {1:6.2f}", flush=True)
    for number in (int(text) for text in arguments.at_once.split(",") if text != "1"):
        images_per_second = measure(arguments, number)
        print(f"{number:8d} {images_per_second:10.0f} {images_per_second / of_one:6.2f}", flush=True)


if __name__ == "__main__":
    main()
