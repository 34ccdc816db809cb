"""`irnas train`: words to a plan, and what is wrong with them before anything is opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import typer
from support.command import printed

from irnas.cli.app import app
from irnas.cli.option_groups import with_options
from irnas.cli.train import TrainOptions, TrainRunOptions
from irnas.core.errors import SettingsError
from irnas.core.recipes import load_recipe
from irnas.workflows import train as workflow
from irnas.workflows import training_plan
from irnas.workflows.execution import Listener
from irnas.workflows.executor import Executor


class Stopped(Exception):
    """In the place of a training."""


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """What the workflow is called with; it does nothing."""
    called: list[tuple[Any, ...]] = []

    def train(plan: training_plan.TrainingPlan, uri: str, executor: Executor, listener: Listener) -> None:
        called.append((plan, uri, executor.kind))
        raise Stopped

    def resume(uri: str, executor: Executor, listener: Listener, dataset_at: str | None = None) -> None:
        called.append((uri, executor.kind, dataset_at))
        raise Stopped

    monkeypatch.setattr(workflow, "train", train)
    monkeypatch.setattr(workflow, "resume", resume)
    return called


def test_options_become_a_plan(calls: list[tuple[Any, ...]]) -> None:
    words = "--dataset data/x --split fit --epochs 7 --seeds 2 --seed 5 --batch 4 --crop 64 --keep best --from w"
    with pytest.raises(Stopped):
        printed(app, "train", "biisnet", "LIT10", *words.split(), "--run", "runs/mine", "--executor", "loop")
    ((plan, uri, kind),) = calls
    settings = plan.settings
    assert (uri, kind) == ("runs/mine", "loop") and [n.origin for n in plan.networks] == ["published LIT10"]
    assert (settings.dataset, settings.fit_on, settings.seeds, settings.seed) == ("data/x", "fit", 2, 5)
    assert (settings.budget.epochs, settings.budget.batch, settings.budget.crop) == (7, 4, 64)
    assert (settings.keep, settings.starts_from) == ("best", "w")


def test_without_options_a_training_is_a_full_one(calls: list[tuple[Any, ...]]) -> None:
    with pytest.raises(Stopped):
        printed(app, "train", "biisnet", "LIT10", "base=4")
    ((plan, uri, kind),) = calls
    settings = plan.settings
    assert len(plan.networks) == 2 and uri.startswith("runs/biisnet-train-") and kind == "ray"
    assert (settings.fit_on, settings.seeds, settings.keep) == ("train", 3, "last")
    assert (settings.budget, settings.recipe) == load_recipe("biisnet", "irnas")


def test_a_recipe_is_what_options_override(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        printed(app, "train", "biisnet", "LIT10", "--recipe", "paper", "--epochs", "5", "--loss", "bce", "--ema", "0.9")
    settings = calls[0][0].settings
    budget, recipe = load_recipe("biisnet", "paper")
    assert settings.budget == replace(budget, epochs=5)
    assert settings.recipe == replace(recipe, loss="bce", ema=0.9)
    config = tmp_path / "train.yaml"
    config.write_text("space: biisnet\nnetworks: [LIT10]\nepochs: 9\nrecipe: {loss: dice}\n")
    with pytest.raises(Stopped):
        printed(app, "train", "--config", config, "--recipe", "paper")
    settings = calls[1][0].settings
    assert (settings.budget, settings.recipe) == (budget, recipe)


def test_families_of_other_recipes_need_one_in_a_file(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    words = ["train", "biisnet,rpcanet_plus", "published"]
    with pytest.raises(SettingsError, match="recipe: got irnas with biisnet,rpcanet_plus, whose recipes differ"):
        printed(app, *words)
    (tmp_path / "mine.yaml").write_text("epochs: 3\nloss: bce\n")
    with pytest.raises(Stopped):
        printed(app, *words, "--recipe", tmp_path / "mine.yaml")
    assert calls[0][0].settings.budget.epochs == 3


def test_options_override_a_config(calls: list[tuple[Any, ...]], tmp_path: Path) -> None:
    config = tmp_path / "train.yaml"
    config.write_text("space: biisnet\nnetworks: [LIT10]\nepochs: 9\nbatch: 2\nkeep: best\nsplit: fit\n")
    with pytest.raises(Stopped):
        printed(app, "train", "--config", config, "--epochs", "11", "--input", "1x64x64")
    plan = calls[0][0]
    budget = plan.settings.budget
    assert (budget.epochs, budget.batch, plan.settings.keep) == (11, 2, "best")
    assert plan.settings.cost_input == (1, 64, 64)


def test_a_training_is_resumed_with_its_settings(calls: list[tuple[Any, ...]]) -> None:
    with pytest.raises(Stopped):
        printed(app, "train", "--resume", "runs/a", "--dataset", "data/moved", "--executor", "loop")
    assert calls == [("runs/a", "loop", "data/moved")]
    with pytest.raises(SettingsError, match="resume: got --epochs too; must keep the settings of the run"):
        printed(app, "train", "--resume", "runs/a", "--epochs", "3")


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], "train: got nothing to train; must be SPACE POINT, RUN KEY, or --config FILE"),
        (["biisnet", "LIT10", "--config", "f"], "train: got --config with biisnet"),
        (["biisnet"], "network of biisnet: got none"),
        (["biisnet", "LIT10", "--split", "test"], "fit_on: got 'test'; must be no test split"),
        (["biisnet", "LIT10", "--keep", "first"], "keep: got 'first'; must be last or best"),
        (["biisnet", "LIT10", "--epochs", "0"], r"budget\.epochs: got 0; must be at least 1"),
        (["biisnet", "LIT10", "--input", "64"], "--input: got '64'"),
        (["biisnet", "LIT10", "--executor", "threads"], "executor: got 'threads'"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], error: str, calls: list[tuple[Any, ...]]) -> None:
    with pytest.raises(SettingsError, match=error) as caught:
        printed(app, "train", *words)
    assert "\n" not in str(caught.value) and not calls


def test_the_help_says_the_defaults_that_there_are() -> None:
    shown: dict[str | None, object] = {}

    def command(options: TrainOptions, where: TrainRunOptions) -> None:
        """Nothing."""

    single = typer.Typer(add_completion=False)
    single.command()(with_options(command))
    for parameter in typer.main.get_command(single).params:
        shown[parameter.name] = getattr(parameter, "show_default", None)
    assert (shown["recipe"], shown["seeds"], shown["split"]) == (
        training_plan.BEST_KNOWN,
        str(training_plan.SEEDS),
        training_plan.SPLIT,
    )
    assert {shown[n] for n in ("epochs", "batch", "crop", "loss", "lr", "ema")} == {"the recipe's"}
