"""What one trial is to do: plain values, so that they travel to any process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from irnas.core.heritage import Heritage, Parent
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Result, Status
from irnas.core.settings import LAST, MANY_REPORTS
from irnas.core.space import Genotype
from irnas.training.checkpoint import checkpoint_uri


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
    """Above 0 for a further training of a network, with another seed: its files have names of their own."""
    fit_on: str = "fit"
    """The split that is trained on."""
    validate_on: str = "val"
    """The split that is validated on."""
    is_validation_seen: bool = False
    """Whether that holds images which are trained on: then nothing may be chosen by it."""
    keep: str = LAST
    """Which epoch's weights count; see ``SearchSettings.keep``."""
    starts_from: str = ""
    """URI of the weights that it starts from; empty for random ones."""
    parent: Parent | None = None
    """The network from whose weights it starts; with its own key, it is trained on."""
    epochs_of_heirs: int = 0
    """Epochs that it trains instead of the budget's where it has its weights from a parent; above 0 with a parent."""
    epochs_before: int = 0
    """That it has been trained before, and has a result of: what it reports counts on from there."""
    max_reports: int = MANY_REPORTS
    """See ``SearchSettings.max_reports``."""
    threads: int = 1
    """See ``SearchSettings.threads``."""
    ends_collapsed: bool = False
    """Whether it fails where its network still says the same of every pixel after a tenth of the training."""

    @property
    def checkpoint(self) -> str:
        """Where the state after each epoch is kept until the trial ends."""
        key = self.genotype.key
        # Of a network that is trained on: what an earlier training may have left is none of this one.
        return checkpoint_uri(self.uri, f"{key}+{self.epochs_before}" if self.epochs_before else key, self.replicate)

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
        heritage: Heritage | None = None,
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
            heritage=heritage,
        )
