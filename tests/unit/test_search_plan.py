"""search.yaml: the settings of a search as a file, by hand or as a search leaves it, and options that override it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.own_space import own_space

from irnas.cli.options import parse_search
from irnas.cli.submit import check_command
from irnas.core import own_code
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.objective import parse
from irnas.core.recipe import Budget, Late, Recipe
from irnas.core.recipes import load_recipe
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.workflows.search_plan import make_settings, new_uri, read_settings, to_text

FULL = SearchSettings(
    space="biisnet",
    dataset="data/x",
    objectives=parse("niou,ops,latency_ms"),
    trials=7,
    seed=3,
    train_seed=5,
    threads=2,
    strategy="freeze-thaw",
    grace_period=2,
    budget_limit=TotalBudget(seconds=5400),
    worth=90.0,
    finalists=2,
    seeds=4,
    limits={"ops": 2e7, "latency_ms": 12.5},
    axes={"base": (4, 6), "stages": (2,)},
    warm_start="LIT10,DeepLIT",
    preset="rpcanet",
    cost_input=(3, 64, 32),
    device="devices/pi4.json",
    budget=Budget(epochs=5, batch=2, crop=32),
    recipe=Recipe(loss="softiou+bce", lr=1e-3, schedule="steps", milestones=(0.5, 0.8), late=Late(share=0.1)),
)


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "search.yaml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("settings", [FULL, SearchSettings(space="biisnet")], ids=["full", "default"])
def test_settings_come_back_from_their_text(tmp_path: Path, settings: SearchSettings) -> None:
    assert settings.warm_start == "" or settings != SearchSettings(space="biisnet")
    settings = replace(settings, warm_start="LIT10" if settings.warm_start else "")
    assert read_settings(written(tmp_path, to_text(settings))) == settings


def test_a_file_by_hand_says_only_what_matters(tmp_path: Path) -> None:
    text = "space: biisnet\nobjectives: miou,ops\nlimits: {ops: 20M}\naxes: {base: 8, w_bin: all}\nbudget: 2h\n"
    settings = read_settings(written(tmp_path, text + "epochs: 3\nrecipe: irnas\n"))
    budget, recipe = load_recipe("biisnet", "irnas")
    assert (settings.budget, settings.recipe) == (replace(budget, epochs=3), recipe)
    assert settings.limits == {"ops": 2e7} and settings.axes["base"] == (8,) and len(settings.axes["w_bin"]) > 1
    assert settings.budget_limit == TotalBudget(seconds=7200) and settings.trials == 10_000, "as with --budget"
    words = "--max-ops 20M --axis base=8 --axis w_bin=all --budget 2h --recipe irnas --epochs 3".split()
    assert settings == parse_search(words)[0].settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]", "got list; must be a mapping, as search.yaml of a search is"),
        ("a: [", "got text that is no YAML"),
        ("trials: 3", "space: got none; must be a space's name or folder"),
        ("space: biisnet\ntrails: 3", "got 'trails'; one of space, .*; did you mean trials$"),
        ("space: biisnet\ntrials: many", "trials: got 'many'; must be a whole number"),
        ("space: biisnet\nseed: true", "seed: got True; must be a whole number"),
        ("space: biisnet\ninput: [1, 2]", r"input: got \[1, 2\]; must be \[channels, height, width\]"),
        ("space: biisnet\nstrategy: listed", "strategy: got 'listed'; must be one that searches"),
        ("space: biisnet\nrecipe: {lerning: 1}", "recipe: got 'lerning'; must be one of"),
        ("space: biisnet\nlimits: {ops: [1]}", r"limit ops: got \[1\]; must be a number"),
        # The lines of the command line, word for word.
        ("space: bisnet", "^space: got 'bisnet'; one of .*; did you mean biisnet$"),
        ("space: biisnet\nobjectives: [mious]", "^objective: got 'mious'; one of .*; did you mean miou$"),
        ("space: biisnet\naxes: {bas: [4]}", "^space biisnet: got parameter 'bas'; one of .*; did you mean base$"),
        ("space: biisnet\naxes: {base: [5]}", "^biisnet.base: got '5'; one of 4"),
        ("space: biisnet\ntrials: 0", "^trials: got 0; must be at least 1$"),
        ("space: biisnet\nstrategy: moasa", "^strategy: got 'moasa'; one of .*; did you mean moasha$"),
        ("space: biisnet\nbudget: soon", "^budget: got 'soon'; must be a time or epochs in all"),
        ("space: biisnet\nrecipe: papr", "^recipe: got 'papr'; must be .*; did you mean paper$"),
        ("space: biisnet\nwarm_start: [LIT11]", "^warm-start: got 'LIT11'; must be none.*; did you mean LIT10$"),
    ],
)
def test_a_wrong_word_is_said_in_a_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(IrnasError, match=message):
        read_settings(written(tmp_path, text))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^config .*nowhere\.yaml: got no such file; must be a search\.yaml"):
        read_settings(str(tmp_path / "nowhere.yaml"))


def test_typed_options_override_the_file_and_nothing_else(tmp_path: Path) -> None:
    before = replace(FULL, warm_start="LIT10")
    config = written(tmp_path, to_text(before))

    def with_typed(words: str) -> SearchSettings:
        return parse_search(["--config", config, *words.split()])[0].settings()

    assert with_typed("") == before
    typed = "--seed 9 --epochs 8 --lr 1e-6 --max-params 5K --objective miou,latency_ms --axis base=8 --input 1x64x64"
    assert with_typed(typed) == replace(
        before,
        seed=9,
        budget=replace(before.budget, epochs=8),
        recipe=replace(before.recipe, lr=1e-6, lr_end=1e-6),
        limits={**before.limits, "params": 5000.0},
        objectives=parse("miou,latency_ms"),
        axes={"base": (8,)},
        cost_input=(1, 64, 64),
    )
    assert with_typed("--budget 500epochs").budget_limit == TotalBudget(epochs=500)
    # A value that happens to be the default was typed all the same.
    assert with_typed("--strategy tpe --seeds 3 --warm-start none --dataset synthetic --grace 1 --strategy asha") == (
        replace(before, strategy="asha", seeds=3, warm_start="", dataset="synthetic", grace_period=1)
    )


def test_a_file_does_not_name_code_that_may_be_run(tmp_path: Path) -> None:
    """It may be of a run that was fetched: the user's own code is run where its folder was typed."""
    folder = own_space(tmp_path)
    config = written(tmp_path, f"space: {folder}\n")
    own_code._sources.clear()
    family = parse_search(["--config", config])[0].settings()
    assert family.space == str(folder) and not own_code._sources
    parse_search(["--config", config, "--space", str(folder)])[0].settings()
    assert len(own_code._sources) == 1
    own_code._sources.clear()


def test_a_space_of_one_s_own_gives_its_name_to_the_run(tmp_path: Path) -> None:
    assert new_uri(make_settings({"space": str(own_space(tmp_path))})).startswith("runs/mine-2")


def test_a_job_takes_a_file_that_all_nodes_share(tmp_path: Path) -> None:
    config = written(tmp_path, "space: biisnet\ndataset: data/x\n")
    start = ["search", "--run", "s3://bucket/x", "--config"]
    with pytest.raises(SettingsError, match=r"^config: got 'search\.yaml'; must be the absolute path"):
        check_command([*start, "search.yaml"])
    with pytest.raises(SettingsError, match=r"^dataset: got 'data/x'; must be the absolute path"):
        check_command([*start, config])
    assert check_command([*start, "/only/there.yaml"])[-1] == "auto"
