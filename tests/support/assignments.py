"""What a worker is given: assignments that name nothing real, and such that can be trained."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from support.datasets import tiny
from support.results import tiny_space

from irnas import cost
from irnas.core.recipe import Budget, Recipe
from irnas.training.assignment import Assignment


def unreal(trial: int) -> Assignment:
    """One that nobody trains."""
    return Assignment(
        trial=trial,
        genotype=tiny_space().default(),
        costs={},
        seed=3,
        dataset="d",
        data_rev="r",
        code_rev="c",
        budget=Budget(),
        recipe=Recipe(),
        preset="basicirstd",
        uri="run",
    )


def on_tiny(folder: Path, **changes: Any) -> Assignment:
    """One on the tiny data set; ``changes`` hold trial, genotype and budget at least, and what else is not as usual."""
    fields: dict[str, Any] = {
        "costs": cost.price(changes["genotype"], (1, 64, 64)),
        "seed": 11,
        "dataset": str(tiny().root),
        "data_rev": tiny().revision,
        "code_rev": "c",
        "recipe": Recipe(),
        "preset": "basicirstd",
        "uri": str(folder),
    }
    return Assignment(**{**fields, **changes})
