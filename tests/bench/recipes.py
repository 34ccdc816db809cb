"""What each change of a training recipe is worth: one network, several seeds, one change at a time.

    python tests/bench/recipes.py data/sirst -o recipes/ --only base,paste --seeds 3
    python tests/bench/recipes.py data/sirst -o recipes/ --table

Trains on ``fit`` and judges by ``val``; the test split is not read. What is done already is not done again, and a
training that was killed goes on from its last epoch, so the same command may be started as often as one likes, also
beside itself: each takes what no other has begun. One training uses one thread; start as many as there are cores.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch

from irnas import models
from irnas.core import catalog
from irnas.core.provenance import code_revision, device_name
from irnas.core.recipe import Budget, Late, Recipe
from irnas.data import Split, open_dataset
from irnas.metrics import PRESETS
from irnas.training.fit import fit
from irnas.training.prediction import validate

POINT = "LIT10"
BUDGET = Budget(epochs=224, batch=8, crop=128)
LATE = Late(share=24 / 224, crop=256, batch=4, target_share=0.0, lr=3e-3, pos_weight=1.0)
BASE = Recipe(loss="softiou+bce", pos_weight=3.0, lr=1e-2, late=LATE)
NORM = {"bn": True}

VARIANTS: dict[str, tuple[dict[str, object], Budget, Recipe, str]] = {
    "default": ({}, replace(BUDGET, epochs=300), Recipe(), "what a search trains with: no batch normalisation"),
    "base": (NORM, BUDGET, BASE, "batch normalisation, weight 3 then 1, 200 epochs on crops and 24 on whole images"),
    "running": (NORM, BUDGET, replace(BASE, statistics_images=0), "base with running statistics"),
    "no late": (
        NORM,
        replace(BUDGET, epochs=272),
        replace(BASE, late=None),
        "base without whole images, as many steps",
    ),
    "weight 20": (NORM, BUDGET, replace(BASE, pos_weight=20.0), "base with a weight of 20 on crops"),
    "annealed": (NORM, BUDGET, replace(BASE, pos_weight=20.0, pos_weight_end=1.0), "base with a weight of 20 to 1"),
    "ema": (NORM, BUDGET, replace(BASE, ema=0.99), "base with averaged weights"),
    "paste": (NORM, BUDGET, replace(BASE, paste=0.5), "base with targets pasted into half of the crops"),
    "mirror": (NORM, BUDGET, replace(BASE, fill="mirror"), "base with mirror images beside images smaller than a crop"),
    "contrast": (
        {**NORM, "stem_k": 1, "contrast": 4},
        BUDGET,
        replace(BASE, fill="mirror"),
        "mirror, of the network whose stem sees local contrast at four scales",
    ),
    "softiou late": (
        NORM,
        BUDGET,
        replace(BASE, late=replace(LATE, pos_weight=0.0)),
        "base whose last stretch counts background alone in its cross-entropy",
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", help="a data folder that `irnas data import` made")
    parser.add_argument("-o", "--out", type=Path, default=Path("recipes"), help="where results are kept")
    parser.add_argument("--only", default=",".join(VARIANTS), help="variants, comma-separated")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--table", action="store_true", help="print what is done, and train nothing")
    options = parser.parse_args()
    names = options.only.split(",")
    if unknown := [name for name in names if name not in VARIANTS]:
        parser.error(f"--only: got {unknown[0]!r}; one of {', '.join(VARIANTS)}")
    if not options.table:
        torch.set_num_threads(1)
        for seed in range(options.first_seed, options.first_seed + options.seeds):
            for name in names:
                train(options.dataset, options.out, name, seed)
    print_table(options.out)


def train(dataset: str, out: Path, name: str, seed: int) -> None:
    """Train one variant with one seed, unless that is done or at work elsewhere."""
    axes, budget, recipe, about = VARIANTS[name]
    data = open_dataset(dataset)
    stem = out / f"{data.name}-{name.replace(' ', '_')}-{seed}"
    result = stem.with_suffix(".json")
    with only_here(stem.with_suffix(".lock")) as is_mine:
        if not is_mine or result.exists():
            return
        torch.manual_seed(seed)
        point = catalog.find_point("biisnet", POINT)
        model = models.build(catalog.load("biisnet").complete({**point.values, **axes}))
        facts = {"variant": name, "about": about, "seed": seed, "data": data.revision, "code": code_revision()}
        curve = stem.with_suffix(".curve")
        before = [json.loads(line) for line in curve.read_text().splitlines()] if curve.exists() else []
        spent, started = before[-1]["cpu_s"] if before else 0.0, time.process_time()
        for epoch, values in judged(model, data.split("fit"), data.split("val"), budget, recipe, seed, stem):
            row = {"epoch": epoch, "cpu_s": spent + time.process_time() - started, **values}
            with curve.open("a") as file:
                file.write(json.dumps(row) + "\n")
            before.append(row)
            miou = f"mIoU {100 * values['miou']:.2f} %"
            print(f"{stem.name} epoch {epoch}/{budget.epochs}: {miou}, {row['cpu_s']:.0f} s", flush=True)
        facts |= {"budget": asdict(budget), "recipe": asdict(recipe), "trained_on": device_name("cpu"), "curve": before}
        result.write_text(json.dumps(facts, indent=1))


def judged(
    model: torch.nn.Module, fit_split: Split, val: Split, budget: Budget, recipe: Recipe, seed: int, stem: Path
) -> Iterator[tuple[int, dict[str, float]]]:
    """Metrics on ``val`` ten times in a training, and at its end; the weights are kept there."""
    checkpoint = str(stem.with_suffix(".ckpt"))
    every = max(budget.epochs // 10, 1)
    for epoch in fit(model, fit_split, budget, recipe, seed=seed, checkpoint=checkpoint):
        if epoch.epoch % every and epoch.epoch < budget.epochs:
            continue
        epoch.settle()
        values, _ = validate(epoch.model, val, PRESETS["basicirstd"])
        if epoch.epoch == budget.epochs:
            torch.save(epoch.model.state_dict(), stem.with_suffix(".pt"))
        yield epoch.epoch, {**values, "loss": epoch.loss}


@contextlib.contextmanager
def only_here(path: Path) -> Iterator[bool]:
    """Whether no other process holds this file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def print_table(out: Path) -> None:
    """Mean and deviation over the seeds of each variant that has results."""
    results = [json.loads(path.read_text()) for path in sorted(out.glob("*.json"))]
    print("| variant | seeds | mIoU | nIoU | Pd | Fa (1e-6) | CPU min |\n|---|---|---|---|---|---|---|")
    for name in VARIANTS:
        rows = [r["curve"][-1] for r in results if r["variant"] == name]
        if rows:
            cells = [
                mean_and_deviation(rows, m, f) for m, f in (("miou", 100), ("niou", 100), ("pd", 100), ("fa", 1e6))
            ]
            minutes = sum(r["cpu_s"] for r in rows) / len(rows) / 60
            print(f"| {name} | {len(rows)} | {' | '.join(cells)} | {minutes:.0f} |")


def mean_and_deviation(rows: list[dict[str, float]], metric: str, factor: float) -> str:
    values = torch.tensor([factor * row[metric] for row in rows])
    return f"{values.mean():.1f}" + (f" ± {values.std():.1f}" if len(rows) > 1 else "")


if __name__ == "__main__":
    main()
