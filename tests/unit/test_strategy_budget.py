"""What a budget can still finish, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from irnas.core.settings import ENDLESS, TotalBudget
from irnas.search.strategy.budget import BudgetTracker


def tracker(total_budget: TotalBudget = ENDLESS) -> BudgetTracker:
    """Full trainings of 9 epochs; trial 0 has trained 3 of them in 6 seconds, trial 1 has not reported."""
    budget = BudgetTracker(total_budget, epochs=9)
    budget.start(0, 6.0)
    budget.start(1, 6.0)
    budget.add_report(0, 3, 6.0)
    return budget


def test_a_training_goes_on_at_its_own_pace() -> None:
    epochs_m, seconds_m = tracker().remaining([0, 1, None], np.array([6.0, 6.0, 6.0]))
    assert epochs_m.tolist() == [6, 9, 9]
    # Nobody but trial 0 has told how long an epoch takes: 2 seconds.
    assert seconds_m == pytest.approx([12.0, 18.0, 18.0])


def test_a_training_at_its_last_epoch_still_lacks_its_result() -> None:
    budget = tracker()
    budget.add_report(0, 9, 18.0)
    assert budget.remaining([0], np.array([6.0]))[0].tolist() == [1]


@pytest.mark.parametrize(("epochs", "fits"), [(17, False), (18, True)])
def test_pending_trainings_are_paid_before_new_ones(epochs: int, fits: bool) -> None:
    # 3 epochs are paid, trial 0 takes 6 more, a new one 9.
    budget = tracker(TotalBudget(epochs=epochs))
    assert budget.can_finish(np.array([9.0]), np.array([1e9]), {0}).tolist() == [fits]


@pytest.mark.parametrize(("seconds", "fits"), [(35.9, False), (36.1, True)])
def test_a_budget_of_seconds_counts_predicted_seconds(seconds: float, fits: bool) -> None:
    # 6 seconds are paid, trial 0 takes 12 more, a new one 18.
    budget = tracker(TotalBudget(seconds=seconds))
    remaining = budget.remaining([None], np.array([6.0]))
    assert budget.can_finish(*remaining, {0}).tolist() == [fits]


def test_before_any_report_seconds_refuse_nothing() -> None:
    budget = BudgetTracker(TotalBudget(seconds=1.0), epochs=9)
    assert budget.can_finish(np.array([9.0]), np.array([1e9]), set()).tolist() == [True]


def test_epochs_are_scarce_only_where_nothing_else_is() -> None:
    figures = np.array([3.0]), np.array([50.0])
    scarce = {b: tracker(b).in_scarce_unit(*figures).tolist() for b in (ENDLESS, TotalBudget(9), TotalBudget(9, 99))}
    assert list(scarce.values()) == [[50.0], [3.0], [50.0]]
    assert tracker().is_endless and not tracker(TotalBudget(9)).is_endless
