"""One trial: from a genotype and its settings to a Result. Knows neither ray nor mlflow; takes plain values."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from irnas import models
from irnas.core.errors import ServiceError, SettingsError, StorageError
from irnas.core.provenance import device_name
from irnas.core.result import Result, Status
from irnas.core.settings import Budget, Recipe
from irnas.core.space import Genotype
from irnas.data import open_dataset
from irnas.metrics import PRESETS
from irnas.training.checkpoint import checkpoint_uri
from irnas.training.fit import fit
from irnas.training.prediction import validate
from irnas.training.weights import write_weights

MAX_REPORTS = 20
"""About how often a trial is validated: often enough for a curve, seldom enough not to cost more than training."""

BLANK = "predicts background only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Everything a worker needs for one trial; plain values, so it travels to any process."""

    trial: int
    genotype: Genotype
    costs: Mapping[str, float]
    seed: int
    dataset: str
    """Folder or name of the data set; its revision must be ``data_rev``."""
    data_rev: str
    code_rev: str
    budget: Budget
    recipe: Recipe
    preset: str
    uri: str
    """The run, where checkpoints and weights go."""
    spent: float = 0.0
    """Seconds that it trained before it was paused."""
    replicate: int = 0
    """Above 0 for a network that was trained before, with another seed: its files have names of their own."""

    @property
    def checkpoint(self) -> str:
        """Where the state after each epoch is kept until the trial ends."""
        return checkpoint_uri(self.uri, self.genotype.key, self.replicate)

    def result(
        self,
        status: Status,
        values: Mapping[str, float],
        *,
        epochs: int,
        seconds: float,
        error: str = "",
        note: str = "",
        trained_on: str = "",
        fused: bool | None = None,
    ) -> Result:
        """This trial's result with that outcome; arguments as the fields of ``Result``."""
        return Result(
            trial=self.trial,
            genotype=self.genotype,
            status=status,
            values={**self.costs, **values},
            epochs=epochs,
            seed=self.seed,
            data_rev=self.data_rev,
            code_rev=self.code_rev,
            seconds=seconds,
            error=error,
            note=note,
            trained_on=trained_on,
            fused=fused,
        )


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


def evaluate(assignment: Assignment) -> Iterator[Report | Result]:
    """Train and validate: a Report after each epoch (of long trainings, some), then, last, the Result.

    Every failure of the trial itself ends in a Result with status failed. A trial whose checkpoint exists goes on from
    it; whoever records the Result removes the checkpoint. Not iterating any further stops or pauses the trial.

    Raises:
        SettingsError: the settings cannot be met by any trial, for example the data set has another revision.
        StorageError: the run cannot be written.
        ServiceError: the store of the run does not answer.
    """
    started = time.perf_counter() - assignment.spent
    device = "cuda" if torch.cuda.is_available() else "cpu"
    trained_on = device_name(torch.cuda.get_device_name() if device == "cuda" else device)
    last: Report | None = None
    try:
        for outcome in _train(assignment, started, device, trained_on):
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


def _train(assignment: Assignment, started: float, device: str, trained_on: str) -> Iterator[Report | Result]:
    budget, rules = assignment.budget, PRESETS[assignment.preset]
    dataset = open_dataset(assignment.dataset)
    if dataset.revision != assignment.data_rev:
        raise SettingsError(
            f"data set {assignment.dataset}: got revision {dataset.revision}; must be {assignment.data_rev}, "
            "with which this run began"
        )
    torch.manual_seed(assignment.seed)
    model = models.build(assignment.genotype)
    fit_split, validation_split = dataset.split("fit"), dataset.split("val")
    values: dict[str, float] = {}
    is_blank, fused, every = False, None, max(1, budget.epochs // MAX_REPORTS)
    for epoch in fit(
        model,
        fit_split,
        budget,
        assignment.recipe,
        seed=assignment.seed,
        device=device,
        checkpoint=assignment.checkpoint,
    ):
        model, fused = epoch.model, epoch.fused
        if epoch.epoch % every and epoch.epoch < budget.epochs:
            continue
        values, is_blank = validate(model, validation_split, rules)
        seconds = time.perf_counter() - started
        reported = {**values, "loss": epoch.loss}
        yield Report(epoch=epoch.epoch, values=reported, seconds=seconds, trained_on=trained_on, fused=fused)
    if not assignment.replicate:
        write_weights(assignment.uri, assignment.genotype.key, model)
    yield assignment.result(
        Status.OK,
        values,
        epochs=budget.epochs,
        seconds=time.perf_counter() - started,
        note=BLANK if is_blank else "",
        trained_on=trained_on,
        fused=fused,
    )


def _in_one_line(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({Path(frame.filename).name}:{frame.lineno})"
