"""One trial: from a genotype and its settings to a Result. Knows neither ray nor mlflow; takes plain values."""

from __future__ import annotations

import io
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from irnas import models, storage
from irnas.core.errors import DataError, SettingsError, StorageError
from irnas.core.result import Result, Status
from irnas.core.settings import Budget, Recipe
from irnas.core.space import Genotype
from irnas.data import open_dataset
from irnas.metrics import PRESETS
from irnas.training.fit import fit, validate

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
    repeat: int = 0
    """Above 0 for a network that was trained before, with another seed: its files have names of their own."""

    @property
    def checkpoint(self) -> str:
        """Where the state after each epoch is kept until the trial ends."""
        return checkpoint(self.uri, self.genotype.key + (f"-{self.repeat}" if self.repeat else ""))

    def result(
        self,
        status: Status,
        values: Mapping[str, float],
        *,
        epochs: int,
        seconds: float,
        error: str = "",
        note: str = "",
    ) -> Result:
        """This trial's result with that outcome."""
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
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a trial has to say after an epoch that was validated."""

    epoch: int
    values: Mapping[str, float]
    """Metrics on the validation split, and the training loss."""
    seconds: float


def evaluate(assignment: Assignment) -> Iterator[Report | Result]:
    """Train and validate: a Report after each epoch (of long trainings, some), then, last, the Result.

    Every failure of the trial itself ends in a Result with status failed. A trial whose checkpoint exists goes on from
    it; whoever records the Result removes the checkpoint. Not iterating any further stops or pauses the trial.

    Raises:
        SettingsError: the settings cannot be met by any trial, for example the data set has another revision.
        StorageError: the run cannot be written.
    """
    started = time.perf_counter() - assignment.spent
    epochs = 0
    try:
        for found in _train(assignment, started):
            epochs = found.epoch if isinstance(found, Report) else epochs
            yield found
    except (SettingsError, StorageError):
        raise
    except Exception as error:
        seconds = time.perf_counter() - started
        yield assignment.result(Status.FAILED, {}, epochs=epochs, seconds=seconds, error=_in_one_line(error))


def checkpoint(uri: str, name: str) -> str:
    """Where a run keeps the state of a training until it ends; its name is the genotype's key."""
    return storage.join(uri, "checkpoints", f"{name}.pt")


def weights_uri(uri: str, key: str) -> str:
    """Where a run keeps the trained weights of a genotype."""
    return storage.join(uri, "weights", f"{key}.pt")


def restore(uri: str, result: Result) -> nn.Module:
    """The trained network of a finished trial of the run at ``uri``, on the CPU, ready to predict.

    Raises:
        DataError: the run holds no weights for it.
    """
    content = storage.read(weights_uri(uri, result.key))
    if content is None:
        raise DataError(f"run {uri}: got no weights of {result.key}; must be a trial that finished there")
    model = models.build(result.genotype)
    model.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    return model.eval()


def _train(assignment: Assignment, started: float) -> Iterator[Report | Result]:
    budget, rules = assignment.budget, PRESETS[assignment.preset]
    dataset = open_dataset(assignment.dataset)
    if dataset.revision != assignment.data_rev:
        raise SettingsError(
            f"data set {assignment.dataset}: got revision {dataset.revision}; must be {assignment.data_rev}, "
            "with which this run began"
        )
    device = "cuda" if torch.cuda.is_available() else "cpu"
    torch.manual_seed(assignment.seed)
    model = models.build(assignment.genotype)
    validation = dataset.split("val")
    values: dict[str, float] = {}
    is_blank, every = False, max(1, budget.epochs // MAX_REPORTS)
    for epoch in fit(
        model,
        dataset.split("fit"),
        budget,
        assignment.recipe,
        seed=assignment.seed,
        device=device,
        checkpoint=assignment.checkpoint,
    ):
        model = epoch.model
        if epoch.epoch % every and epoch.epoch < budget.epochs:
            continue
        values, is_blank = validate(epoch.model, validation, rules)
        yield Report(epoch=epoch.epoch, values={**values, "loss": epoch.loss}, seconds=time.perf_counter() - started)
    if not assignment.repeat:
        buffer = io.BytesIO()
        torch.save(model.state_dict(), buffer)
        storage.write(weights_uri(assignment.uri, assignment.genotype.key), buffer.getvalue())
    seconds = time.perf_counter() - started
    note = BLANK if is_blank else ""
    yield assignment.result(Status.OK, values, epochs=budget.epochs, seconds=seconds, note=note)


def _in_one_line(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__}: {' '.join(str(error).split())} ({Path(frame.filename).name}:{frame.lineno})"
