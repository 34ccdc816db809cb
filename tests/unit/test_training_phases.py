"""The stretches of a training: where they lie, and the learning rate and weight of each step."""

from __future__ import annotations

import itertools
import math

import pytest
from support.datasets import tiny

from irnas.core.recipe import Budget, Late, Recipe
from irnas.data.loader import batches, num_batches
from irnas.training.phases import Phase, learning_rate, plan_phases

IMAGES = 40
LATE = Late(share=0.25, crop=96, batch=4, target_share=0.0, lr=3e-3, pos_weight=1.0)


def plan(recipe: Recipe, epochs: int = 8, batch: int = 8, peak: float = 1e-2) -> tuple[Phase, ...]:
    return plan_phases(Budget(epochs=epochs, batch=batch, crop=64), recipe, peak=peak, num_images=IMAGES)


def rates(recipe: Recipe, peak: float = 1e-2) -> list[float]:
    phases = plan(recipe, peak=peak)
    factor = learning_rate(phases, recipe, peak)
    return [peak * factor(step) for step in range(sum(phase.steps for phase in phases))]


def test_a_training_has_one_phase_unless_told_otherwise() -> None:
    (phase,) = plan(Recipe())
    assert (phase.first, phase.last, phase.crop, phase.batch, phase.steps) == (1, 8, 64, 8, 40)
    assert phase.target_share == 0.5 and phase.positive_weight(0) == phase.positive_weight(39) == 20


def test_a_last_stretch_takes_its_share_of_the_epochs() -> None:
    main, late = plan(Recipe(late=LATE))
    assert (main.first, main.last, main.steps) == (1, 6, 30)
    assert (late.first, late.last, late.crop, late.batch, late.steps) == (7, 8, 96, 4, 20)
    assert (late.target_share, late.positive_weight(0)) == (0.0, 1.0)


@pytest.mark.parametrize(("epochs", "firsts"), [(1, [1]), (2, [1, 2]), (3, [1, 3])])
def test_a_last_stretch_of_a_short_training_is_an_epoch(epochs: int, firsts: list[int]) -> None:
    phases = plan(Recipe(late=LATE), epochs)
    assert [phase.first for phase in phases] == firsts and phases[-1].last == epochs and phases[-1].crop == 96


def test_the_weight_of_targets_changes_by_even_ratios() -> None:
    main, late = plan(Recipe(pos_weight=16.0, pos_weight_end=1.0, late=LATE))
    weights = [main.positive_weight(step) for step in range(main.steps)]
    assert weights[0] == 16 and weights[-1] == pytest.approx(1)
    ratios = [after / before for before, after in itertools.pairwise(weights)]
    assert ratios == pytest.approx([16 ** (-1 / 29)] * 29)
    assert late.positive_weight(0) == late.positive_weight(19) == 1


def test_a_cosine_rises_then_falls_to_its_end() -> None:
    found = rates(Recipe(warmup=0.1, lr_end=1e-4))
    assert found[:5] == pytest.approx([2e-3, 4e-3, 6e-3, 8e-3, 1e-2])
    assert found[22] == pytest.approx((1e-2 + 1e-4) / 2)
    assert found[-1] == pytest.approx(1e-4 + (1e-2 - 1e-4) * (1 + math.cos(math.pi * 35 / 36)) / 2)


def test_a_last_stretch_has_a_schedule_of_its_own() -> None:
    found = rates(Recipe(warmup=0.1, late=LATE))
    assert found[:5] == pytest.approx([1e-2 * (k + 1) / 6 for k in range(5)]) and found[29] < 1e-4
    assert found[30] == pytest.approx(3e-3) and found[40] == pytest.approx((3e-3 + 1e-5) / 2)
    assert found[30:] == sorted(found[30:], reverse=True)


def test_a_training_of_one_epoch_begins_late_with_a_rise() -> None:
    recipe = Recipe(warmup=0.5, late=LATE)
    factor = learning_rate(plan(recipe, 1), recipe, 1e-2)
    assert 1e-2 * factor(0) == pytest.approx(3e-3 / 6) and 1e-2 * factor(5) == pytest.approx(3e-3)


def test_poly_falls_by_the_power_of_what_is_left() -> None:
    """lr (1 - t / T)^0.9 at each step t of T, as the authors of RPCANet+ write it."""
    found = rates(Recipe(schedule="poly", warmup=0.0, lr_end=0.0), peak=1e-4)
    assert found == pytest.approx([1e-4 * (1 - step / 40) ** 0.9 for step in range(40)])


def test_milestones_are_shares_of_all_steps() -> None:
    """Also of those in which the rate rises: 4 of 40 steps, then a tenth from step 24 and a hundredth from step 32."""
    found = rates(Recipe(schedule="steps", milestones=(0.6, 0.8), warmup=0.1, lr_end=0.0))
    assert found[4:24] == pytest.approx([1e-2] * 20)
    assert found[24:] == pytest.approx([1e-3] * 8 + [1e-4] * 8)
    halved = rates(Recipe(schedule="steps", milestones=(0.5,), step_factor=0.5, warmup=0.0))
    assert halved == pytest.approx([1e-2] * 20 + [5e-3] * 20)


def test_a_constant_rate_stays() -> None:
    assert rates(Recipe(schedule="constant", warmup=0.0)) == pytest.approx([1e-2] * 40)


@pytest.mark.parametrize("batch", [1, 2, 3, 4, 6, 7, 8, 9])
def test_batches_are_counted_as_they_are_made(batch: int) -> None:
    split = tiny().split("fit")
    made = sum(1 for _ in batches(split, batch=batch, crop=16, seed=0, epoch=1))
    assert num_batches(len(split), batch) == made
    assert num_batches(1, batch) == 1 and num_batches(0, batch) == 0
