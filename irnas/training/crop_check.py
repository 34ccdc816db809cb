"""Whether the crops of a search fit the networks of its space, before a trial is spent on finding out."""

from __future__ import annotations

import random

import torch

from irnas import models
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.recipe import Budget, Recipe
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype, Space
from irnas.data import Dataset
from irnas.nn import traits

MAX_ENLARGEMENT, _USUAL_CROP = 4, 512
"""How many times the largest image a crop may be."""
NUM_TRIED = 64
"""Random networks that are asked before a crop is refused; one that takes it is enough."""


def require_fitting_crop(space: Space, settings: SearchSettings) -> None:
    """Refuse crops, of any stretch of the trainings, that no network of a space takes.

    Raises:
        SettingsError: the space's default and ``NUM_TRIED`` random networks all refuse such an input.
    """
    for crop in crops_of(settings.budget, settings.recipe):
        _require_fitting(space, settings.seed, crop)


def require_images_for_crops(dataset: Dataset, settings: SearchSettings) -> None:
    """Refuse crops that would be almost nothing but border, and take memory that no image asks for.

    Raises:
        SettingsError: a crop is larger than ``MAX_ENLARGEMENT`` times the largest image, and than any usual one.
    """
    largest = max(dataset.manifest.height[1], dataset.manifest.width[1])
    most = max(MAX_ENLARGEMENT * largest, _USUAL_CROP)
    for crop in crops_of(settings.budget, settings.recipe):
        if crop > most:
            raise SettingsError(f"crop: got {crop} for images of at most {largest} pixels; must be at most {most}")


def crops_of(budget: Budget, recipe: Recipe) -> list[int]:
    """The sides of the crops of a training."""
    return sorted({budget.crop, recipe.late.crop} if recipe.late else {budget.crop})


def _require_fitting(space: Space, seed: int, crop: int) -> None:
    drawn, reasons = random.Random(seed), []
    for number in range(NUM_TRIED + 1):
        reason = _refusal(space.sample(drawn) if number else space.default(), crop)
        if reason is None:
            return
        reasons.append(reason)
    raise SettingsError(
        f"crop: got {crop}, which none of {len(reasons)} networks of {space.name} takes (the first: {reasons[0]}); "
        "must be a multiple of what their down-sampling asks for, such as 64"
    )


def require_crop(genotype: Genotype, crop: int) -> None:
    """Refuse crops that a network does not take.

    Raises:
        SettingsError: it refuses such an input.
    """
    reason = _refusal(genotype, crop)
    if reason is not None:
        raise SettingsError(
            f"crop: got {crop}, which {genotype.key} of {genotype.space} does not take ({reason}); must be a "
            "multiple of what its down-sampling asks for, such as 64"
        )


def _refusal(genotype: Genotype, crop: int) -> str | None:
    """Why a network does not take crops of that side; None where it does."""
    with torch.device("meta"), torch.no_grad():
        # As it is trained: in evaluation some networks look at values, and meta tensors have none. Two images, as
        # normalisation over a batch of single numbers needs more than one.
        network = models.build(genotype).train()
        try:
            network(torch.empty(2, traits.frames(network), crop, crop))
        except (IrnasError, RuntimeError, ValueError) as error:
            return " ".join(str(error).split())[:160]
    return None
