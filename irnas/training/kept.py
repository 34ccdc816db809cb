"""The weights of a training that count: those of its last epoch, or of the best one so far, and their file."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from irnas import storage
from irnas.core.errors import FormatError
from irnas.core.settings import BEST
from irnas.data import Dataset
from irnas.data.value_range import range_of_document
from irnas.metrics import HALF
from irnas.record.events import DataSource
from irnas.training.assignment import Assignment
from irnas.training.checkpoint import DamagedCheckpoint
from irnas.training.collapse_check import MANY
from irnas.training.prediction import choose_threshold
from irnas.training.weights import WeightsInfo, read_weights, weights_uri, write_weights

BEST_BY = "miou"
"""The metric by which an epoch is the best; of equal ones the first is."""
BLANK, FULL = "predicts background only", "predicts targets nearly everywhere"


class KeptWeights:
    """Takes every validated epoch of a training, and writes the weights that count.

    Where the best epoch counts, its weights are written whenever it is a new one: the file is also what tells an
    interrupted training how good the best has been.
    """

    def __init__(self, assignment: Assignment, dataset: Dataset) -> None:
        self._assignment, self._dataset = assignment, dataset
        self._uri = weights_uri(assignment.uri, assignment.genotype.key, assignment.replicate)
        self._epoch, self._is_blank = 0, False
        self.values: Mapping[str, float] = {}
        """Metrics on the validation split of the weights that count."""
        # Without a checkpoint the training begins anew, whatever an earlier one has left.
        is_interrupted = storage.read(assignment.checkpoint) is not None
        if assignment.keep == BEST and is_interrupted and storage.read(self._uri) is not None:
            info = _read_best(self._uri)
            self._epoch, self.values, self._is_blank = info.epochs, info.values, not info.values[BEST_BY]

    @property
    def note(self) -> str:
        """What a reader of the result should know."""
        notes = [BLANK] if self._is_blank else [FULL] if self.values.get("fa", 0.0) > MANY else []
        if self._assignment.keep == BEST:
            notes.append(f"weights of epoch {self._epoch}, the best on {self._assignment.validate_on}")
        return "; ".join(notes)

    def offer(self, epoch: int, model: nn.Module, values: Mapping[str, float], *, is_blank: bool) -> None:
        """Take an epoch as it was validated; write its weights where they count from now on.

        Args:
            epoch: its number, from 1.
            model: as it was validated.
            values: its metrics.
            is_blank: whether it marks no pixel.
        """
        keeps_best = self._assignment.keep == BEST
        if keeps_best and self._epoch and values[BEST_BY] <= self.values[BEST_BY]:
            return
        self._epoch, self.values, self._is_blank = epoch, dict(values), is_blank
        if keeps_best or epoch >= self._assignment.budget.epochs:
            write_weights(self._uri, model, self._info(model))

    def _info(self, model: nn.Module) -> WeightsInfo:
        assignment, dataset = self._assignment, self._dataset
        # Images that were trained on would choose too well.
        split = None if assignment.is_validation_seen else dataset.split(assignment.validate_on)
        choice = choose_threshold(model, split) if split else None
        return WeightsInfo(
            genotype=assignment.genotype,
            origin="trained",
            data=DataSource(name=dataset.name, revision=dataset.revision, path=str(dataset.root)),
            split=assignment.fit_on,
            budget=assignment.budget,
            recipe=assignment.recipe,
            epochs=assignment.epochs_before + self._epoch,
            seed=assignment.seed,
            replicate=assignment.replicate,
            preset=assignment.preset,
            threshold=choice.threshold if choice else HALF,
            miou_at_threshold=choice.miou if choice else None,
            miou_at_half=choice.miou_at_half if choice else None,
            value_range=range_of_document(dataset.manifest.value_range),
            values=self.values,
            code_rev=assignment.code_rev,
        )


def _read_best(uri: str) -> WeightsInfo:
    """What the file of the best weights so far says of them.

    Raises:
        DamagedCheckpoint: it is damaged, and nobody knows how good they were.
    """
    try:
        return read_weights(uri)[1]
    except FormatError as error:
        raise DamagedCheckpoint(str(error)) from error
