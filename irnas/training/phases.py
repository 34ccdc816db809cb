"""The stretches of a training that differ in crops, batches and rates, and what each step of them is done with."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from irnas.core.recipe import Budget, Recipe
from irnas.data.loader import num_batches

_POWER = 0.9
"""Of the schedule poly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """A stretch of a training."""

    first: int
    """Its first epoch, from 1."""
    last: int
    """Its last epoch."""
    crop: int
    batch: int
    target_share: float
    peak: float
    """Learning rate at which its schedule begins."""
    pos_weight: tuple[float, float]
    """What a target pixel counts in its first step and in its last."""
    steps_of_epoch: int

    @property
    def epochs(self) -> int:
        """The number of its epochs."""
        return self.last - self.first + 1

    @property
    def steps(self) -> int:
        """The number of its steps."""
        return self.epochs * self.steps_of_epoch

    def positive_weight(self, step: int) -> float:
        """What a target pixel counts in a step, numbered from 0 within the phase."""
        begin, end = self.pos_weight
        return begin if begin == end else begin * (end / begin) ** (step / max(self.steps - 1, 1))


def plan_phases(budget: Budget, recipe: Recipe, *, peak: float, num_images: int) -> tuple[Phase, ...]:
    """The phases of a training of ``budget.epochs`` passes over so many images.

    A last stretch takes one epoch at least, so that a training of one epoch has no other.

    Args:
        budget: epochs, and batch and crop ahead of the last stretch.
        recipe: says whether there is a last stretch, and how it differs.
        peak: the learning rate ahead of the last stretch.
        num_images: of the split.
    """
    late = recipe.late
    last = budget.epochs if late is None else budget.epochs - max(round(late.share * budget.epochs), 1)
    weight = recipe.pos_weight
    main = Phase(
        first=1,
        last=last,
        crop=budget.crop,
        batch=budget.batch,
        target_share=recipe.target_share,
        peak=peak,
        pos_weight=(weight, weight if recipe.pos_weight_end is None else recipe.pos_weight_end),
        steps_of_epoch=num_batches(num_images, budget.batch),
    )
    if late is None:
        return (main,)
    end = Phase(
        first=last + 1,
        last=budget.epochs,
        crop=late.crop,
        batch=late.batch,
        target_share=late.target_share,
        peak=late.lr,
        pos_weight=(late.pos_weight, late.pos_weight),
        steps_of_epoch=num_batches(num_images, late.batch),
    )
    return (main, end) if last else (end,)


def learning_rate(phases: tuple[Phase, ...], recipe: Recipe, peak: float) -> Callable[[int], float]:
    """The learning rate of a step, numbered from 0, as a factor of ``peak``: each phase has a schedule of its own.

    Only the first phase begins with a linear rise; milestones are shares of each phase.
    """
    first_rise = int(recipe.warmup * sum(phase.steps for phase in phases))

    def rate_over_peak(step: int) -> float:
        rise = first_rise
        for phase in phases[:-1]:
            if step < phase.steps:
                return _rate_over_peak(phase, recipe, peak, step, rise)
            step, rise = step - phase.steps, 0
        return _rate_over_peak(phases[-1], recipe, peak, step, rise)

    return rate_over_peak


def _rate_over_peak(phase: Phase, recipe: Recipe, peak: float, step: int, rise: int) -> float:
    top = phase.peak / peak
    if step < rise:
        return top * (step + 1) / (rise + 1)
    share = min((step - rise) / max(phase.steps - rise, 1), 1.0)
    end = min(recipe.lr_end / peak, top)
    match recipe.schedule:
        case "cosine":
            return end + (top - end) * 0.5 * (1 + math.cos(math.pi * share))
        case "poly":
            return float(max(top * (1 - share) ** _POWER, end))
        case "steps":
            # A share of the phase with its rise, as papers count steps.
            passed = sum(step >= milestone * phase.steps for milestone in recipe.milestones)
            return float(top * recipe.step_factor**passed)
    return top
