"""Tables of made-up trainings, so marked: curves that rise with the cost of the network, cross, and carry noise."""

from __future__ import annotations

import math
import random
from dataclasses import replace

from irnas.core.recipe import Budget, Recipe
from irnas.core.space import Genotype, Space
from irnas.simulation.table import Point, Step, Table

SPACE = Space.from_document(
    {
        "name": "made",
        "family": "made",
        "params": [
            {"name": "width", "values": [4, 6, 8, 12, 16, 24], "search": [4, 6, 8, 12, 16, 24]},
            {"name": "depth", "values": [1, 2, 3, 4], "search": [1, 2, 3, 4]},
            {"name": "kind", "values": ["add", "cat", "gate"], "search": ["add", "cat", "gate"]},
            {"name": "attention", "values": [False, True], "search": [False, True]},
            {"name": "ratio", "values": [2, 4], "search": [2, 4], "when": {"attention": [True]}},
        ],
    }
)
"""216 networks."""


def made_table(
    num_points: int | None = None, *, num_seeds: int = 2, epochs: int = 27, seed: int = 0, noise: float = 0.01
) -> Table:
    """A table of ``num_points`` of ``SPACE``; None takes all."""
    rng = random.Random(seed)
    genotypes = list(SPACE.points())
    chosen = genotypes if num_points is None else rng.sample(genotypes, num_points)
    points = tuple(_point(g, rng, num_seeds, epochs, noise) for g in chosen)
    conditions = {
        "budget": {"epochs": epochs, "batch": 8, "crop": 64},
        "recipe": _recipe(),
        "preset": "basicirstd",
        "cost_input": [1, 256, 256],
    }
    assert Budget(**conditions["budget"])  # type: ignore[arg-type]
    return Table(space=SPACE, points=points, conditions=conditions, data_rev="made up", code_rev="none", synthetic=True)


def _recipe() -> dict[str, object]:
    recipe = Recipe()
    return {"loss": recipe.loss, "lr": recipe.lr}


def _point(genotype: Genotype, rng: random.Random, num_seeds: int, epochs: int, noise: float) -> Point:
    width, depth = int(genotype.values["width"]), int(genotype.values["depth"])
    has_attention = bool(genotype.values["attention"])
    ops = 1e4 * width**2 * depth * (1.2 if has_attention else 1.0)
    params = 9.0 * width**2 * depth + 40 * width
    kind = {"add": 0.0, "cat": 0.05, "gate": -0.04}[str(genotype.values["kind"])]
    final = 0.1 + 0.19 * math.log10(ops / 1e5) + kind + (0.03 if has_attention else 0.0) + rng.gauss(0, 0.03)
    # A larger network learns more slowly at first, and each has a pace of its own: curves cross.
    pace = max(1.5, 6 - 0.8 * math.log10(ops / 1e5) + rng.gauss(0, 0.8))
    seconds = 0.2 + math.sqrt(ops / 1e6)
    curves = {}
    for seed in range(num_seeds):
        luck = rng.gauss(0, noise)
        steps = []
        for epoch in range(1, epochs + 1):
            grown = (1 - math.exp(-pace * epoch / epochs)) / (1 - math.exp(-pace))
            miou = min(max((final + luck) * grown + rng.gauss(0, noise / 2), 0.001), 0.99)
            steps.append(Step(epoch=epoch, values={"miou": miou, "fa": 1e-4 * (1 - miou)}, seconds=seconds * epoch))
        curves[seed] = tuple(steps)
    return Point(genotype=genotype, free={"ops": ops, "params": params}, curves=curves)


def flat(*pairs: tuple[float, float]) -> Table:
    """A table of one-epoch trainings with this (miou, ops)."""
    made = made_table(len(pairs), num_seeds=1, epochs=1)
    points = tuple(
        replace(p, free={"ops": ops}, curves={0: (Step(epoch=1, values={"miou": miou}, seconds=1.0),)})
        for p, (miou, ops) in zip(made.points, pairs, strict=True)
    )
    return replace(made, points=points)
