from __future__ import annotations

import io
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.assignments import on_tiny
from support.datasets import tiny

from irnas import models, storage
from irnas.core import catalog
from irnas.core.errors import DataError, SettingsError, StorageError
from irnas.core.provenance import device_name
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Result, Status
from irnas.data import cache
from irnas.nn import fused
from irnas.training.kept import FULL
from irnas.training.prediction import predict
from irnas.training.trial import BLANK, Assignment, Report, evaluate
from irnas.training.weights import restore, weights_uri


def assignment(folder: Path, **changes: object) -> Assignment:
    usual: dict[str, Any] = {
        "trial": 3,
        "genotype": catalog.find_point("biisnet", "base=4,stages=2,n_bot=0"),
        "budget": Budget(epochs=2, batch=4, crop=32),
    }
    return on_tiny(folder, **{**usual, **changes})


def last_of(wanted: Assignment) -> Result:
    """The result of a trial that runs to its end."""
    *_, result = evaluate(wanted)
    assert isinstance(result, Result)
    return result


def test_a_trial_reports_each_epoch_and_ends_in_a_result(tmp_path: Path) -> None:
    outcomes = list(evaluate(assignment(tmp_path)))
    assert [type(outcome) for outcome in outcomes] == [Report, Report, Result]
    reports, result = outcomes[:-1], outcomes[-1]
    assert [r.epoch for r in reports if isinstance(r, Report)] == [1, 2]
    assert isinstance(result, Result) and result.status is Status.OK and result.epochs == 2
    assert result.values["ops"] == assignment(tmp_path).costs["ops"] and 0 <= result.values["miou"] <= 1


def test_a_trial_is_validated_as_often_as_it_is_asked_to_be_and_at_its_end(tmp_path: Path) -> None:
    wanted = assignment(tmp_path, budget=Budget(epochs=5, batch=8, crop=16), max_reports=2)
    assert [o.epoch for o in evaluate(wanted) if isinstance(o, Report)] == [2, 4, 5]


def test_equal_assignments_give_equal_values(tmp_path: Path) -> None:
    first, second = (last_of(assignment(tmp_path / name)) for name in "ab")
    assert first.values == second.values


def test_the_weights_come_back_as_they_were(tmp_path: Path) -> None:
    result = last_of(assignment(tmp_path))
    image = tiny().split("val").image(0)
    first, second = (predict(restore(str(tmp_path), result), image) for _ in range(2))
    assert (first == second).all()
    Path(weights_uri(str(tmp_path), result.key)).unlink()
    with pytest.raises(DataError, match="got no weights"):
        restore(str(tmp_path), result)


def test_a_paused_trial_goes_on_to_the_same_end(tmp_path: Path) -> None:
    uninterrupted = last_of(assignment(tmp_path / "uninterrupted"))
    paused = evaluate(assignment(tmp_path / "paused"))
    assert isinstance(next(paused), Report)
    paused.close()
    rest = list(evaluate(assignment(tmp_path / "paused")))
    assert [outcome.epoch for outcome in rest if isinstance(outcome, Report)] == [2]
    assert isinstance(rest[-1], Result)
    assert rest[-1].values == uninterrupted.values


def test_a_failure_is_a_result_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> torch.nn.Module:
        raise RuntimeError("no such\nlayer")

    wanted = assignment(tmp_path)
    monkeypatch.setattr(models, "build", broken)
    (result,) = list(evaluate(wanted))
    assert isinstance(result, Result) and result.status is Status.FAILED
    assert result.error.startswith("RuntimeError: no such layer (test_trial.py:")
    assert result.values == wanted.costs


def test_nan_ends_the_trial_not_the_search(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    build = models.build

    def poisoned(genotype: object) -> torch.nn.Module:
        model = build(genotype)  # type: ignore[arg-type]
        with torch.no_grad():
            next(model.parameters()).fill_(float("nan"))
        return model

    wanted = assignment(tmp_path)
    monkeypatch.setattr(models, "build", poisoned)
    (result,) = list(evaluate(wanted))
    assert isinstance(result, Result) and "TrainingError: epoch 1, step 1: got loss nan" in result.error


def damaged_checkpoints() -> dict[str, Callable[[bytes], bytes]]:
    def flip(content: bytes) -> bytes:
        """Another bit in the largest tensor of the state: torch itself loads it without a word."""
        with zipfile.ZipFile(io.BytesIO(content)) as parts:
            entry = max(parts.infolist(), key=lambda part: part.file_size)
            at = content.index(parts.read(entry)) + entry.file_size // 2
        return content[:at] + bytes([content[at] ^ 0x40]) + content[at + 1 :]

    return {
        "a bit flipped": flip,
        "half of it": lambda content: content[: len(content) // 2],
        "empty": lambda _: b"",
        "garbage": lambda _: b"garbage" * 100,
        "zeros": lambda content: b"\0" * len(content),
        "another state": lambda _: saved({"epoch": 1, "loss": 0.5, "model": {}}),
        "no dictionary": lambda _: saved([1, 2]),
    }


def saved(state: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("damage", damaged_checkpoints())
def test_a_damaged_checkpoint_restarts_the_training(damage: str, tmp_path: Path) -> None:
    uninterrupted = last_of(assignment(tmp_path / "uninterrupted"))
    wanted = assignment(tmp_path / "damaged")
    interrupted = evaluate(wanted)
    next(interrupted)
    interrupted.close()
    path = Path(wanted.checkpoint)
    path.write_bytes(damaged_checkpoints()[damage](path.read_bytes()))
    *reports, result = evaluate(wanted)
    assert [report.epoch for report in reports if isinstance(report, Report)] == [1, 2]
    assert isinstance(result, Result) and result.status is Status.OK and result.values == uninterrupted.values
    assert "its checkpoint was damaged: trained from the start" in result.note


def test_the_best_weights_so_far_being_damaged_restarts_the_training_too(tmp_path: Path) -> None:
    uninterrupted = last_of(assignment(tmp_path / "uninterrupted", keep="best"))
    wanted = assignment(tmp_path / "damaged", keep="best")
    interrupted = evaluate(wanted)
    next(interrupted)
    interrupted.close()
    Path(weights_uri(wanted.uri, wanted.genotype.key)).write_bytes(b"garbage")
    result = last_of(wanted)
    assert result.status is Status.OK and result.values == uninterrupted.values and "damaged" in result.note


def test_a_damaged_data_set_is_nobody_s_failure(tmp_path: Path) -> None:
    shutil.copytree(tiny().root, tmp_path / "data")
    shard = next((tmp_path / "data").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes()[:-100])
    cache.path_of(tiny().manifest).unlink(missing_ok=True)
    with pytest.raises(DataError, match="got sha256"):
        list(evaluate(assignment(tmp_path / "run", dataset=str(tmp_path / "data"))))
    shard.unlink()
    with pytest.raises(DataError, match=r"must have every shard"):
        list(evaluate(assignment(tmp_path / "run", dataset=str(tmp_path / "data"))))


def test_another_data_revision_is_refused_not_recorded(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"got revision .*; must be other"):
        list(evaluate(assignment(tmp_path, data_rev="other")))


class Constant(torch.nn.Module):
    """Marks every pixel or none: its logits are one number, which hardly changes in training."""

    learning_rate = 1e-9

    def __init__(self, logit: float) -> None:
        super().__init__()
        self.logit = torch.nn.Parameter(torch.tensor(logit))

    def forward(self, x_n1hw: torch.Tensor) -> torch.Tensor:
        return 0 * x_n1hw + self.logit


@pytest.mark.parametrize(("logit", "note"), [(-5.0, BLANK), (5.0, FULL)])
def test_a_network_that_marks_nothing_or_everything_is_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logit: float, note: str
) -> None:
    wanted = assignment(tmp_path, recipe=Recipe(lr_end=0.0))
    monkeypatch.setattr(models, "build", lambda _: Constant(logit))
    result = last_of(wanted)
    assert result.status is Status.OK and result.note == note
    assert (result.values["recall"] == 1) == (note == FULL)


def trained_on() -> str:
    return torch.cuda.get_device_name() if torch.cuda.is_available() else device_name("cpu")


def test_a_result_names_its_device_and_its_kernels(tmp_path: Path) -> None:
    with_kernels = last_of(assignment(tmp_path / "fused"))
    assert with_kernels.trained_on == trained_on() != "cpu"
    assert with_kernels.fused == (fused.is_built() and not torch.cuda.is_available())
    with fused.off():
        assert last_of(assignment(tmp_path / "plain")).fused is False
    dense = catalog.find_point("rpcanet_plus", "stages=1,bc=2,tc=16")
    assert last_of(assignment(tmp_path / "dense", genotype=dense)).fused is False


def test_kernels_of_an_earlier_process_are_unknown(tmp_path: Path) -> None:
    wanted = assignment(tmp_path)
    *_, report, result = evaluate(wanted)
    again = last_of(wanted)
    assert isinstance(report, Report) and isinstance(result, Result)
    assert report.fused is not None and result.fused == report.fused and again.fused is None
    assert again.values == result.values


def test_a_failed_trial_names_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = assignment(tmp_path)
    monkeypatch.setattr(models, "build", lambda _: torch.nn.Identity())
    result = last_of(wanted)
    assert result.status is Status.FAILED and result.trained_on == trained_on() and result.fused is None


def test_device_and_kernels_travel_with_the_result(tmp_path: Path) -> None:
    result = assignment(tmp_path).result(Status.OK, {}, epochs=1, seconds=1.0, trained_on="NVIDIA X", fused=True)
    assert Result.from_document(result.document()) == result
    of_0_1 = {name: value for name, value in result.document().items() if name not in ("trained_on", "fused")}
    assert Result.from_document(of_0_1) == replace(result, trained_on="", fused=None)


def test_a_gpu_keeps_the_name_it_has() -> None:
    assert device_name("NVIDIA X") == "NVIDIA X"
    assert device_name("cpu") not in ("", "cpu")


def test_a_full_disk_ends_the_search_not_the_trial(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(uri: str, content: bytes) -> None:
        raise StorageError("run: got 'No space left on device'")

    monkeypatch.setattr(storage, "write", full)
    with pytest.raises(StorageError, match="No space left"):
        list(evaluate(assignment(tmp_path)))
