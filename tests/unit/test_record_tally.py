"""The count of training: epochs once, seconds of every start."""

from __future__ import annotations

import pytest

from irnas.record.tally import TrainingTally


def tally_of(*reports: tuple[int, int, float]) -> TrainingTally:
    tally = TrainingTally()
    for trial, epoch, seconds in reports:
        tally.add(trial, epoch, seconds)
    return tally


def test_a_new_tally_is_empty() -> None:
    tally = TrainingTally()
    assert (tally.epochs, tally.seconds, tally.epochs_of(3), tally.seconds_of(3)) == (0, 0.0, 0, 0.0)
    assert tally.seconds_per_epoch(3) is None


def test_reports_say_totals_not_differences() -> None:
    tally = tally_of((0, 1, 2.0), (0, 2, 4.5), (0, 4, 9.0))
    assert (tally.epochs, tally.seconds) == (4, 9.0)


def test_the_totals_are_the_sums_of_the_trials() -> None:
    tally = tally_of((0, 1, 2.0), (7, 3, 30.0), (0, 2, 5.0))
    assert (tally.epochs_of(0), tally.seconds_of(0)) == (2, 5.0)
    assert (tally.epochs_of(7), tally.seconds_of(7)) == (3, 30.0)
    assert (tally.epochs, tally.seconds) == (5, 35.0)


def test_epochs_trained_again_after_a_restart_count_once() -> None:
    tally = tally_of((0, 1, 2.0), (0, 2, 4.0), (0, 3, 6.0), (0, 1, 1.0))
    assert tally.epochs == tally.epochs_of(0) == 3
    tally.add(0, 3, 3.0)
    tally.add(0, 4, 5.0)
    assert tally.epochs == tally.epochs_of(0) == 4


def test_seconds_of_every_start_count() -> None:
    tally = tally_of((0, 1, 2.0), (0, 2, 4.0), (0, 2, 1.0), (0, 3, 3.5))
    assert tally.seconds == tally.seconds_of(0) == 4.0 + 3.5


def test_a_trial_that_takes_up_its_seconds_counts_on() -> None:
    tally = tally_of((0, 3, 6.0), (1, 1, 1.0), (0, 4, 8.0))
    assert (tally.seconds_of(0), tally.seconds) == (8.0, 9.0)


def test_the_pace_is_that_of_all_starts() -> None:
    assert tally_of((0, 2, 4.0), (0, 4, 2.0)).seconds_per_epoch(0) == pytest.approx(6.0 / 4)
    assert tally_of((0, 2, 0.0)).seconds_per_epoch(0) is None
