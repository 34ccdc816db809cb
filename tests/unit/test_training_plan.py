"""What is to be trained, from names, from a run, and from a file that says it all again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.trained import genotypes, write_run

from irnas.core import catalog
from irnas.core.errors import IrnasError, SettingsError
from irnas.core.recipe import Recipe
from irnas.core.recipes import load_recipe
from irnas.core.strategies import LISTED
from irnas.workflows.networks import find_networks
from irnas.workflows.training_plan import BUDGET, SEEDS, parse_plan, plan_for, read_plan, to_text


def test_names_of_a_space_are_networks_with_their_origin() -> None:
    networks = find_networks("biisnet", ["LIT10", "base=6,stages=2", "default"])
    assert [n.origin for n in networks] == ["published LIT10", "point base=6,stages=2"]
    assert networks[0].genotype == catalog.find_point("biisnet", "LIT10")


def test_published_names_all_headlines() -> None:
    networks = find_networks("biisnet", ["published"])
    assert [n.origin for n in networks] == ["published LIT10", "published LIT-O"]


def test_a_run_names_its_networks(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "run")
    first, second = genotypes()
    assert [n.genotype for n in find_networks(uri, ["front"])] == [first, second]
    (best,) = find_networks(uri, ["best"])
    assert best.genotype == second and best.origin == f"{uri} {second.key}"
    assert [n.genotype for n in find_networks(uri, [first.key[:8], "0"])] == [first]


@pytest.mark.parametrize(
    ("source", "names", "text"),
    [
        ("bisnet", ["LIT10"], r"source: got 'bisnet'; must be a run's folder or a space \(adsnet, biisnet"),
        ("biisnet", [], "network of biisnet: got none; must be a published name, default"),
        ("biisnet", ["LIT99"], "point of biisnet: got 'LIT99'; one of default, LIT10"),
    ],
)
def test_what_is_no_network_is_refused(source: str, names: list[str], text: str) -> None:
    with pytest.raises(IrnasError, match=text):
        find_networks(source, names)


def test_networks_of_a_run_are_judged_as_there(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "run")
    settings = plan_for(uri, ["best"]).settings
    assert settings.strategy == LISTED and settings.space == "biisnet" and settings.fit_on == "train"
    assert settings.dataset.endswith("tiny") and settings.seeds == SEEDS
    assert (settings.budget, settings.recipe) == load_recipe("biisnet", "irnas")


def test_a_space_without_recipes_has_plain_defaults(tmp_path: Path) -> None:
    text = (catalog.find_folder("biisnet") / "space.yaml").read_text()
    (tmp_path / "space.yaml").write_text(text.replace("name: biisnet", "name: mine", 1))
    own = plan_for(str(tmp_path), ["base=4"])
    assert (own.settings.budget, own.settings.recipe) == (BUDGET, Recipe())
    assert parse_plan(to_text(own), "f") == own
    assert plan_for("biisnet", ["LIT10"], has_recipe=True).settings.recipe == Recipe()


def test_a_plan_comes_back_from_its_text(tmp_path: Path) -> None:
    plan = plan_for("biisnet", ["LIT10", "base=4"])
    recipe = Recipe(loss="softiou+bce", lr=1e-3, schedule="steps", milestones=(0.5, 0.8), pos_weight_end=2.0)
    settings = replace(
        plan.settings,
        dataset="data/x",
        fit_on="fit",
        keep="best",
        seeds=2,
        seed=4,
        starts_from="w.safetensors",
        preset="rpcanet",
        cost_input=(3, 64, 32),
        budget=replace(plan.settings.budget, epochs=7, batch=2, crop=32),
        recipe=recipe,
    )
    plan = replace(plan, settings=settings)
    (tmp_path / "train.yaml").write_text(to_text(plan))
    assert read_plan(str(tmp_path / "train.yaml")) == plan


def test_a_plan_by_hand_may_name_published_designs() -> None:
    plan, named = parse_plan("space: biisnet\nnetworks: [LIT10]\nepochs: 3\n", "f"), plan_for("biisnet", ["LIT10"])
    budget = replace(named.settings.budget, epochs=3)
    assert plan == replace(named, settings=replace(named.settings, budget=budget))


def test_a_plan_by_hand_may_name_a_recipe() -> None:
    text = "space: biisnet\nnetworks: [LIT10]\nrecipe: "
    budget, recipe = load_recipe("biisnet", "paper")
    settings = parse_plan(text + "paper\nbatch: 3", "f").settings
    assert (settings.budget, settings.recipe) == (replace(budget, batch=3), recipe)
    settings = parse_plan(text + "{loss: bce, epochs: 5}", "f").settings
    assert (settings.budget, settings.recipe) == (replace(BUDGET, epochs=5), Recipe(loss="bce"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[1]", "f: got list; must be a mapping"),
        ("a: [", "f: got text that is no YAML"),
        ("networks: [LIT10]\nspace: biisnet\nepoch: 3", "f: got 'epoch'; one of space, networks"),
        ("networks: [LIT10]\nspace: biisnet\nepochs: many", "f, epochs: got 'many'; must be a whole number"),
        ("networks: [LIT10]\nspace: biisnet\nseeds: true", "f, seeds: got True; must be a whole number"),
        ("networks: []", "f: got no networks"),
        ("networks: [LIT10]", "f, networks: got 'LIT10' without a space"),
        ("networks: [3]\nspace: biisnet", "f, networks: got 3; must be a published name"),
        ("networks: [LIT10]\nspace: biisnet\ninput: [1, 2]", r"f, input: got \[1, 2\]"),
        ("networks: [LIT10]\nspace: biisnet\nrecipe: {rate: 1}", "f, recipe: got 'rate'; must be one of"),
        ("networks: [LIT10]\nspace: biisnet\nrecipe: 7", "f, recipe: got 7; must be a recipe or the name of one"),
        ("networks: [LIT10]\nspace: biisnet\nrecipe: best", "recipe: got 'best'; must be paper, irnas, or a file"),
        ("networks: [LIT10]\nspace: biisnet\nkeep: first", "keep: got 'first'; must be last or best"),
        ("networks: [LIT10]\nspace: biisnet\nsplit: test", "fit_on: got 'test'; must be no test split"),
    ],
)
def test_a_wrong_plan_is_one_line(text: str, error: str) -> None:
    with pytest.raises(SettingsError, match=error) as caught:
        parse_plan(text, "f")
    assert "\n" not in str(caught.value)


def test_a_plan_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"got no such file; must be a train\.yaml"):
        read_plan(str(tmp_path / "train.yaml"))
