"""One trial: from a genotype and its settings to a Result. Knows neither ray nor mlflow; takes plain values."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch

from irnas.core.errors import ServiceError, SettingsError, StorageError
from irnas.core.redaction import redact_credentials
from irnas.core.result import Result, Status
from irnas.core.settings import BEST
from irnas.data import Dataset, Split, open_dataset
from irnas.metrics import PRESETS
from irnas.training.assignment import Assignment
from irnas.training.checkpoint import DamagedCheckpoint, delete_checkpoint
from irnas.training.collapse_check import is_due, require_alive
from irnas.training.first_state import make_first_state
from irnas.training.fit import fit
from irnas.training.gpus import choose_device
from irnas.training.kept import BLANK, KeptWeights
from irnas.training.prediction import validate

__all__ = ["BLANK", "Assignment", "Report", "evaluate"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a trial reached after an epoch that was validated."""

    epoch: int
    values: Mapping[str, float]
    """Metrics on the validation split, and the training loss."""
    seconds: float
    trained_on: str = ""
    """See ``Result.trained_on``."""
    fused: bool | None = None
    """See ``Result.fused``."""


class _Data(NamedTuple):
    """What a trial is trained and validated on."""

    dataset: Dataset
    fit_split: Split
    validation_split: Split


def evaluate(assignment: Assignment, *, on_gpu: bool = False) -> Iterator[Report | Result]:
    """Train and validate: a Report after each epoch (of long trainings, some), then, last, the Result.

    It trains on the CPU, or ``on_gpu``, on the GPU that this process was given.

    Every failure of the trial itself ends in a Result with status failed. A trial whose checkpoint exists goes on from
    it, or begins anew where that is damaged; whoever records the Result removes the checkpoint. Not iterating any
    further stops or pauses the trial.

    Raises:
        SettingsError: the settings cannot be met by any trial, for example the data set has another revision.
        DataError: the data set is not there, or is damaged: no trial is to blame.
        StorageError: the run cannot be written.
        ServiceError: the store of the run does not answer.
    """
    started, threads_before = time.perf_counter() - assignment.spent, torch.get_num_threads()
    device, trained_on = choose_device(on_gpu=on_gpu)
    last: Report | None = None
    data = _open(assignment)
    try:
        torch.set_num_threads(assignment.threads)
        for outcome in _train_on(assignment, data, started, device, trained_on):
            last = outcome if isinstance(outcome, Report) else last
            yield outcome
    except (SettingsError, StorageError, ServiceError):
        raise
    except Exception as error:
        yield assignment.result(
            Status.FAILED,
            {},
            epochs=last.epoch if last else 0,
            seconds=time.perf_counter() - started,
            error=_in_one_line(error),
            trained_on=trained_on,
            fused=last.fused if last else None,
        )
    finally:
        torch.set_num_threads(threads_before)


def _train_on(
    assignment: Assignment, data: _Data, started: float, device: str, trained_on: str
) -> Iterator[Report | Result]:
    """Train from the checkpoint, or from the start where there is none, or a damaged one."""
    try:
        yield from _train(assignment, data, started, device, trained_on)
    except DamagedCheckpoint:
        delete_checkpoint(assignment.checkpoint)
        for outcome in _train(assignment, data, started, device, trained_on):
            if isinstance(outcome, Result):
                notes = (outcome.note, "its checkpoint was damaged: trained from the start")
                outcome = replace(outcome, note="; ".join(filter(None, notes)))
            yield outcome


def _train(
    assignment: Assignment, data: _Data, started: float, device: str, trained_on: str
) -> Iterator[Report | Result]:
    model, assignment, heritage, note = make_first_state(assignment)
    budget, rules, before = assignment.budget, PRESETS[assignment.preset], assignment.epochs_before
    kept = KeptWeights(assignment, data.dataset)
    fused, every = None, max(1, budget.epochs // assignment.max_reports)
    for epoch in fit(
        model,
        data.fit_split,
        budget,
        assignment.recipe,
        seed=assignment.seed,
        device=device,
        checkpoint=assignment.checkpoint,
        # It may have been lost before it was validated, and may be the best.
        repeats_last=assignment.keep == BEST,
    ):
        model, fused = epoch.model, epoch.fused
        if epoch.epoch % every and epoch.epoch < budget.epochs:
            continue
        epoch.settle()
        values, is_blank = validate(model, data.validation_split, rules)
        kept.offer(epoch.epoch, model, values, is_blank=is_blank)
        seconds = time.perf_counter() - started
        reported = {**values, "loss": epoch.loss}
        yield Report(epoch=before + epoch.epoch, values=reported, seconds=seconds, trained_on=trained_on, fused=fused)
        if assignment.ends_collapsed and is_due(epoch.epoch, budget.epochs):
            require_alive(model, data.validation_split, values, is_blank=is_blank, loss=assignment.recipe.loss)
    yield assignment.result(
        Status.OK,
        kept.values,
        epochs=before + budget.epochs,
        seconds=time.perf_counter() - started,
        note="; ".join(filter(None, (note, kept.note))),
        heritage=heritage,
        trained_on=trained_on,
        fused=fused,
    )


def _open(assignment: Assignment) -> _Data:
    """The data set and its splits, once it is the one with which the run began."""
    dataset = open_dataset(assignment.dataset)
    if dataset.revision != assignment.data_rev:
        raise SettingsError(
            f"data set {assignment.dataset}: got revision {dataset.revision}; must be {assignment.data_rev}, "
            "with which this run began"
        )
    return _Data(dataset, dataset.split(assignment.fit_on), dataset.split(assignment.validate_on))


def _in_one_line(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    text = redact_credentials(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text} ({Path(frame.filename).name}:{frame.lineno})"
