"""Recipes as data: those of the families, files that users write, and records of any version."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path

import pytest

from irnas import models
from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.recipe import RECIPE_NAMES, Budget, Late, Recipe
from irnas.core.recipes import load_recipe, parse_recipe
from irnas.core.settings import SearchSettings
from irnas.training.criterion import make_criterion
from irnas.training.crop_check import crops_of, require_crop

DOCS = Path(__file__).parents[2] / "docs" / "recipes.md"


@pytest.mark.parametrize("which", RECIPE_NAMES)
@pytest.mark.parametrize("family", catalog.list_names())
def test_each_family_has_recipes_that_its_network_takes(family: str, which: str) -> None:
    budget, recipe = load_recipe(family, which)
    genotype = catalog.load(family).default()
    for crop in crops_of(budget, recipe):
        require_crop(genotype, crop)
    make_criterion(models.build(genotype), recipe)


def test_the_papers_recipes_are_the_papers() -> None:
    """Figures of the papers' experiments; 200 and 300 of 400 epochs, 4,000 and 30,000 and 40,000 of 50,000 steps."""
    budget, recipe = load_recipe("sd2net", "paper")
    assert (budget.epochs, budget.batch, recipe.lr, recipe.optimizer) == (400, 4, 5e-4, "adam")
    assert [share * 400 for share in recipe.milestones] == [200, 300]
    _, recipe = load_recipe("adsnet", "paper")
    assert [share * 50_000 for share in (recipe.warmup, *recipe.milestones)] == [4_000, 30_000, 40_000]
    budget, recipe = load_recipe("rpcanet_plus", "paper")
    assert (budget.crop, recipe.whole_images, recipe.schedule, recipe.augment) == (256, True, "poly", "none")
    assert {load_recipe(family, "paper")[1].loss for family in catalog.list_names()} == {"own"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("epochs: 3\nlerning: 1", "got 'lerning'; must be one of amp,"),
        ("late: {share: 0.1, crops: 64}", "late: got 'crops'; must be one of share,"),
        ("late: {crop: 64}", "late: got no share; must be there"),
        ("late: 3", "late: got 3; must be a mapping"),
        ("late: {share: 1}", "late: recipe.late.share: got 1.0; must lie between 0 and 1"),
        ("epochs: 3.5", "epochs: got 3.5; must be a whole number"),
        ("epochs: true", "epochs: got True; must be a whole number"),
        ("lr: high", "lr: got 'high'; must be a number"),
        ("ema: .nan", "ema: got nan; must be a number"),
        ("amp: 1", "amp: got 1; must be true or false"),
        ("loss: 3", "loss: got 3; must be a word"),
        ("milestones: 0.5", "milestones: got 0.5; must be a list of numbers"),
        ("augment: turns", "recipe.augment: got 'turns'; must be one of flips, brightness,"),
        ("beta2: 1", "recipe.beta2: got 1.0; must be at least 0 and below 1"),
        ("crop: 100", "budget.crop: got 100; must be a multiple of 16"),
        ("normalise: set", "got normalise; must be left out: networks see grey levels over 255"),
        ("[1, 2]", "got list; must be a mapping"),
        ("a: [", "got text that is no YAML"),
    ],
)
def test_a_wrong_file_is_refused_by_its_name(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as refusal:
        load_recipe("biisnet", str(path))
    assert str(refusal.value).startswith(str(path)) and message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_file_may_write_numbers_as_people_do() -> None:
    """YAML 1.1 takes 1e-3 for a text."""
    budget, recipe = parse_recipe({"lr": "1e-3", "ema": 0, "milestones": [0.5], "schedule": "steps", "late": None}, "f")
    assert budget == Budget() and recipe == Recipe(lr=1e-3, milestones=(0.5,), schedule="steps")


def test_spaces_together_need_one_recipe(tmp_path: Path) -> None:
    assert load_recipe("sd2net,sgem_unet", "irnas") == load_recipe("sd2net", "irnas")
    with pytest.raises(SettingsError, match=r"^recipe: got paper with sd2net,sgem_unet, whose recipes differ"):
        load_recipe("sd2net,sgem_unet", "paper")
    (tmp_path / "space.yaml").write_text("")
    with pytest.raises(SettingsError, match=r"^recipe: got 'paper' with .*, which has no recipe.yaml; must be a file"):
        load_recipe(str(tmp_path), "paper")


def test_a_record_gives_a_recipe_back_whole() -> None:
    recipe = Recipe(
        schedule="steps",
        milestones=(0.25, 0.5),
        augment="flips",
        pos_weight_end=1.0,
        late=Late(share=0.25, target_share=0.125),
        whole_images=True,
    )
    settings = SearchSettings(space="tiny", recipe=recipe)
    document = json.loads(json.dumps(settings.document()))
    assert document == settings.document() and SearchSettings.from_document(document) == settings


@pytest.mark.parametrize(("before", "now"), [(True, "flips+brightness"), (False, "none")])
def test_an_old_record_means_what_it_meant(before: bool, now: str) -> None:
    """Nothing was estimated then, and augmentation was yes or no."""
    new = ("statistics_images", "late", "milestones", "whole_images", "momentum", "beta2", "step_factor")
    document = {name: value for name, value in asdict(Recipe()).items() if name not in new}
    assert Recipe.from_document({**document, "augment": before}) == Recipe(statistics_images=0, augment=now)


def test_the_file_in_the_docs_is_a_recipe(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", DOCS.read_text(encoding="utf-8"), re.S)
    (tmp_path / "mine.yaml").write_text(text)
    budget, recipe = load_recipe("biisnet", str(tmp_path / "mine.yaml"))
    assert budget.epochs == 224 and recipe.late is not None and recipe.augment == "flips"
