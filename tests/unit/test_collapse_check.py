"""A training whose network says the same of every pixel ends early, and says why."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.datasets import tiny
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import TrainingError
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Result, Status
from irnas.training.collapse_check import is_due, require_alive
from irnas.training.kept import BLANK
from irnas.training.trial import Assignment, Report, evaluate


class Constant(nn.Module):
    """Gives every pixel one logit, and leaves no way to change it."""

    def __init__(self, logit: float, contrast: float = 0.0) -> None:
        super().__init__()
        self.logit, self.contrast = nn.Parameter(torch.tensor(logit)), contrast

    def forward(self, x_n1hw: torch.Tensor) -> torch.Tensor:
        return self.logit.detach() + self.contrast * x_n1hw + 0 * self.logit


def refuse(model: nn.Module, *, is_blank: bool, **values: float) -> None:
    require_alive(model, tiny().split("val"), values, is_blank=is_blank, loss="softiou")


def assignment(folder: Path, *, epochs: int, ends_collapsed: bool = False) -> Assignment:
    return Assignment(
        trial=0,
        genotype=catalog.find_point("biisnet", "base=4"),
        costs={},
        seed=1,
        dataset=str(tiny().root),
        data_rev=tiny().revision,
        code_rev="c",
        budget=Budget(epochs=epochs, batch=8, crop=32),
        recipe=Recipe(loss="softiou"),
        preset="basicirstd",
        uri=str(folder),
        ends_collapsed=ends_collapsed,
    )


def test_one_probability_everywhere_is_a_collapse() -> None:
    with pytest.raises(TrainingError, match=r"collapsed: got one probability, 0\.269, for every pixel; .*likely cause"):
        refuse(Constant(-1.0), is_blank=True)
    refuse(Constant(-1.0, contrast=1.0), is_blank=True)
    refuse(Constant(-1.0), is_blank=False)


def test_no_gradient_reaches_a_probability_of_nothing() -> None:
    with pytest.raises(TrainingError, match=r"collapsed: got a probability of at most .* everywhere"):
        refuse(Constant(-30.0, contrast=5.0), is_blank=True)
    refuse(Constant(-9.0, contrast=5.0), is_blank=True)


def test_a_network_that_marks_everything_has_collapsed() -> None:
    with pytest.raises(TrainingError, match=r"collapsed: got 90 % of all pixels as false alarms; .*loss softiou"):
        refuse(Constant(3.0), is_blank=False, fa=0.9)
    refuse(Constant(3.0), is_blank=False, fa=0.4)


@pytest.mark.parametrize(
    ("epoch", "epochs", "due"), [(1, 400, False), (39, 400, False), (40, 400, True), (2, 20, True), (10, 10, False)]
)
def test_a_tenth_of_a_long_training_is_waited_for(epoch: int, epochs: int, due: bool) -> None:
    assert is_due(epoch, epochs) is due


@pytest.mark.parametrize("ends_collapsed", [True, False])
def test_a_collapsed_training_ends_after_a_tenth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends_collapsed: bool
) -> None:
    monkeypatch.setattr(models, "build", lambda _: Constant(-1.0))
    *reports, result = evaluate(assignment(tmp_path, epochs=20, ends_collapsed=ends_collapsed))
    assert isinstance(result, Result) and all(isinstance(r, Report) for r in reports)
    if ends_collapsed:
        assert result.status is Status.FAILED and result.error.startswith(
            "TrainingError: collapsed: got one probability"
        )
        assert (len(reports), result.epochs) == (2, 2)
    else:
        # A search judges such a network by its figures.
        assert result.status is Status.OK and len(reports) == 20
        assert result.note == BLANK
