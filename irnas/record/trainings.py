"""The trainings of a run whose networks are given: one row for each network and seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irnas.core.result import Status
from irnas.core.settings import trial_seed
from irnas.record.run import Run
from irnas.record.trial import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """One network trained with one seed, as far as it has come."""

    trial: Trial
    replicate: int
    """0 for the trial's own, from 1 for the further ones."""
    seed: int
    epoch: int
    """The newest one that was validated; 0 before any."""
    values: Mapping[str, float]
    """Metrics on the validation split: of the weights that count where it has ended, else as last reported."""
    seconds: float
    status: Status | None
    """None while it has not ended."""
    error: str = ""
    note: str = ""

    @property
    def state(self) -> str:
        """How far it is, in a word: waiting, running, ok or failed."""
        if self.status is not None:
            return str(self.status)
        return "running" if self.epoch else "waiting"


def trainings_of(run: Run) -> list[Training]:
    """Every training that a run is to come to, network by network."""
    return [
        _training(run, trial, replicate) for trial in run.trials.values() for replicate in range(run.settings.seeds)
    ]


def _training(run: Run, trial: Trial, replicate: int) -> Training:
    reports = trial.reports_of(replicate)
    newest = reports[-1] if reports else None
    seed = trial_seed(run.settings.seed_of_trainings + replicate, trial.key)
    values: Mapping[str, float] = newest.values if newest else {}
    epoch, seconds, status, error, note = newest.epoch if newest else 0, newest.seconds if newest else 0.0, None, "", ""
    if replicate:
        repeated = next((r for r in trial.replicates if r.replicate == replicate), None)
        if repeated:
            values, seconds, status, epoch = repeated.values, repeated.seconds, Status.OK, run.settings.budget.epochs
    elif trial.finished:
        result = trial.finished.result
        values, seconds, status, error, note = result.values, result.seconds, result.status, result.error, result.note
        epoch = result.epochs
    return Training(
        trial=trial,
        replicate=replicate,
        seed=seed,
        epoch=epoch,
        values=values,
        seconds=seconds,
        status=status,
        error=error,
        note=note,
    )
