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
from irnas.core.settings import Budget, Recipe
from irnas.data import open_dataset
from irnas.training.fit import fit


def train(given: argparse.Namespace, ready: Barrier, spans: Any) -> None:
    """Train, and say when the epochs that count began and ended."""
    torch.set_num_threads(1)
    split = open_dataset(given.data).split("fit")
    model = models.build(catalog.point(given.space, given.point))
    budget = Budget(epochs=given.epochs + 1, batch=given.batch, crop=given.crop)
    trained = fit(model, split, budget, Recipe(), seed=0, device=given.device)
    next(trained)
    ready.wait(600)
    started = time.monotonic()
    for _ in trained:
        pass
    spans.put((started, time.monotonic(), given.epochs * len(split)))


def pack(given: argparse.Namespace, number: int) -> float:
    """Images a second of so many trainings together."""
    context = multiprocessing.get_context("spawn")
    ready, spans = context.Barrier(number), context.Queue()
    at_work = [context.Process(target=train, args=(given, ready, spans), daemon=True) for _ in range(number)]
    for process in at_work:
        process.start()
    found = [spans.get(timeout=3600) for _ in at_work]
    for process in at_work:
        process.join()
    starts, ends, images = zip(*found, strict=True)
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
    given = parser.parse_args()
    print(f"{given.space} {given.point} on {given.device}: batch {given.batch}, crop {given.crop}")
    alone = pack(given, 1)
    print(f"{'at once':>8} {'images/s':>10} {'gain':>6}\n{1:8d} {alone:10.0f} {1:6.2f}", flush=True)
    for number in (int(text) for text in given.at_once.split(",") if text != "1"):
        found = pack(given, number)
        print(f"{number:8d} {found:10.0f} {found / alone:6.2f}", flush=True)


if __name__ == "__main__":
    main()
