from __future__ import annotations

from pathlib import Path

import pytest
import torch
from support.datasets import tiny

from irnas import cost, models, storage
from irnas.core import catalog
from irnas.core.errors import DataError, SettingsError, StorageError
from irnas.core.result import Result, Status
from irnas.core.settings import Budget, Recipe
from irnas.training.fit import predict
from irnas.training.trial import BLANK, Assignment, Report, evaluate, restore, weights_uri


def assignment(folder: Path, **changes: object) -> Assignment:
    genotype = catalog.point("biisnet", "base=4,stages=2,n_bot=0")
    fields: dict[str, object] = {
        "trial": 3,
        "genotype": genotype,
        "costs": cost.price(genotype, (1, 64, 64)),
        "seed": 11,
        "dataset": str(tiny().root),
        "data_rev": tiny().revision,
        "code_rev": "c",
        "budget": Budget(epochs=2, batch=4, crop=32),
        "recipe": Recipe(),
        "preset": "basicirstd",
        "uri": str(folder),
    }
    return Assignment(**{**fields, **changes})  # type: ignore[arg-type]


def test_a_trial_reports_each_epoch_and_ends_in_a_result(tmp_path: Path) -> None:
    found = list(evaluate(assignment(tmp_path)))
    assert [type(f) for f in found] == [Report, Report, Result]
    reports, result = found[:-1], found[-1]
    assert [r.epoch for r in reports if isinstance(r, Report)] == [1, 2]
    assert isinstance(result, Result) and result.status is Status.OK and result.epochs == 2
    assert result.values["ops"] == assignment(tmp_path).costs["ops"] and 0 <= result.values["miou"] <= 1


def test_equal_assignments_give_equal_values(tmp_path: Path) -> None:
    first, second = (list(evaluate(assignment(tmp_path / name)))[-1] for name in "ab")
    assert isinstance(first, Result) and isinstance(second, Result)
    assert first.values == second.values


def test_the_weights_come_back_as_they_were(tmp_path: Path) -> None:
    result = list(evaluate(assignment(tmp_path)))[-1]
    assert isinstance(result, Result)
    image = tiny().split("val").image(0)
    first, second = (predict(restore(str(tmp_path), result), image) for _ in range(2))
    assert (first == second).all()
    Path(weights_uri(str(tmp_path), result.key)).unlink()
    with pytest.raises(DataError, match="got no weights"):
        restore(str(tmp_path), result)


def test_a_paused_trial_goes_on_to_the_same_end(tmp_path: Path) -> None:
    whole = list(evaluate(assignment(tmp_path / "whole")))[-1]
    paused = evaluate(assignment(tmp_path / "paused"))
    assert isinstance(next(paused), Report)
    paused.close()
    rest = list(evaluate(assignment(tmp_path / "paused")))
    assert [f.epoch for f in rest if isinstance(f, Report)] == [2]
    assert isinstance(whole, Result) and isinstance(rest[-1], Result)
    assert rest[-1].values == whole.values


def test_a_failure_is_a_result_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> torch.nn.Module:
        raise RuntimeError("no such\nlayer")

    given = assignment(tmp_path)
    monkeypatch.setattr(models, "build", broken)
    (result,) = list(evaluate(given))
    assert isinstance(result, Result) and result.status is Status.FAILED
    assert result.error.startswith("RuntimeError: no such layer (test_trial.py:")
    assert result.values == given.costs


def test_nan_ends_the_trial_not_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = models.build

    def poisoned(genotype: object) -> torch.nn.Module:
        model = build(genotype)  # type: ignore[arg-type]
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))
        return model

    given = assignment(tmp_path)
    monkeypatch.setattr(models, "build", poisoned)
    (result,) = list(evaluate(given))
    assert isinstance(result, Result) and "TrainingError: epoch 1, step 1: got loss nan" in result.error


def test_another_data_revision_is_refused_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"got revision .*; must be other"):
        list(evaluate(assignment(tmp_path, data_rev="other")))


def test_predicting_background_only_is_said(tmp_path: Path) -> None:
    """A rate so small that the network stays as it was drawn, and a loss that first pulls everything down."""
    recipe = Recipe(lr=1e-9, lr_end=0.0)
    found = list(evaluate(assignment(tmp_path, recipe=recipe, budget=Budget(epochs=1, batch=4, crop=32))))
    result = found[-1]
    assert isinstance(result, Result)
    model = restore(str(tmp_path), result)
    split = tiny().split("val")
    blank = not any((predict(model, split.image(i)) > 0.5).any() for i in range(len(split)))
    assert (result.note == BLANK) == blank


def test_a_full_disk_ends_the_search_not_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(uri: str, content: bytes) -> None:
        raise StorageError("run: got 'No space left on device'")

    monkeypatch.setattr(storage, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        list(evaluate(assignment(tmp_path)))
