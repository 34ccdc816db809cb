"""What a training in full is to do: its networks and settings, and their form as a file, ``train.yaml``.

Every training writes one into its folder, with each network by its values, so that it says the same wherever it goes. A
user may write one by hand: then a network may also be named by its space and its published name.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irnas.core import catalog, recipes
from irnas.core.errors import SettingsError, SpaceError
from irnas.core.objective import RUNTIME
from irnas.core.recipe import Budget, Recipe
from irnas.core.recipes import FILE as RECIPES
from irnas.core.recipes import load_recipe, parse_recipe
from irnas.core.settings import SearchSettings
from irnas.core.strategies import LISTED
from irnas.data import DEFAULT
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.workflows import settings_file
from irnas.workflows.networks import Network, find_networks

SPLIT = "train"
"""What is trained on unless told otherwise: all images that the data set gives to train on."""
BUDGET = Budget(epochs=400, batch=8, crop=128)
"""Of a training in full, where no recipe says otherwise."""
BEST_KNOWN = "irnas"
"""The recipe of a family that is taken where none is named."""
SEEDS = 3

_WORDS: Mapping[str, Any] = {
    "space": str,
    "networks": list,
    "dataset": str,
    "split": str,
    "epochs": int,
    "batch": int,
    "crop": int,
    "seeds": int,
    "seed": int,
    "threads": int,
    "keep": str,
    "from": str,
    "preset": str,
    "input": list,
    "recipe": (dict, str),
}
"""What may stand in the file, and as what."""
_FROM_SETTINGS = {
    "dataset": "dataset",
    "split": "fit_on",
    "seeds": "seeds",
    "seed": "seed",
    "threads": "threads",
    "keep": "keep",
    "from": "starts_from",
    "preset": "preset",
}
_FROM_BUDGET = ("epochs", "batch", "crop")
OVERRIDABLE = (*_FROM_SETTINGS, "input")
"""The words of a plan that ``override`` takes beside those of recipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Networks, and how they are to be trained."""

    settings: SearchSettings
    networks: tuple[Network, ...]


def plan_for(source: str, names: Sequence[str], *, has_recipe: bool = False) -> TrainingPlan:
    """The plan for networks of a space or of a run, with the settings that nobody has changed yet.

    Networks of a run are judged as they were there: on its data set, by its preset, with costs at its input.

    Args:
        source: see ``find_networks``.
        names: the same.
        has_recipe: whether the user brings a recipe; else it is the best that is known of the family.

    Raises:
        SettingsError: see ``find_networks``; or networks of families whose recipes differ.
    """
    if not Ledger(source).exists():
        with contextlib.suppress(SpaceError):
            # Code of the user's own may be run, for its folder was named here; what is none is said below.
            catalog.admit_code(source)
    networks = tuple(find_networks(source, names))
    settings = SearchSettings(space=source, strategy=LISTED, seeds=SEEDS, fit_on=SPLIT)
    if Ledger(source).exists():
        settings = _as_in(Run.read(source), settings)
    families = families_of(settings.space, networks)
    budget, recipe = (BUDGET, Recipe()) if has_recipe else best_recipe(families)
    return TrainingPlan(settings=replace(settings, budget=budget, recipe=recipe), networks=networks)


def _as_in(run: Run, settings: SearchSettings) -> SearchSettings:
    """Settings under which networks of a run are judged as they were there."""
    before = run.settings
    return replace(
        settings,
        space=before.space,
        dataset=DEFAULT if before.dataset == DEFAULT else run.data.path,
        objectives=tuple(o for o in before.objectives if o.name not in RUNTIME) or settings.objectives,
        preset=before.preset,
        cost_input=before.cost_input,
    )


def families_of(space: str, networks: Sequence[Network]) -> str:
    """The spaces whose recipes may train some networks: of several joined by commas, those that the networks are of."""
    return ",".join(dict.fromkeys(network.genotype.space for network in networks)) if "," in space else space


def best_recipe(space: str) -> tuple[Budget, Recipe]:
    """The recipe ``irnas`` of a space, or of several joined by commas; plain defaults where one has no recipes.

    Raises:
        SettingsError: of several spaces, the recipes differ.
    """
    if not all((catalog.find_folder(name) / RECIPES).is_file() for name in space.split(",")):
        return BUDGET, Recipe()
    return load_recipe(space, BEST_KNOWN)


def override(
    plan: TrainingPlan, recipe: str | Mapping[str, Any] | None, of_recipe: Mapping[str, Any], words: Mapping[str, Any]
) -> TrainingPlan:
    """A plan with what its user says otherwise.

    Args:
        plan: as ``plan_for`` or ``read_plan`` made it.
        recipe: of which name, or in full; None for the plan's own.
        of_recipe: words of a recipe; None for one that stays.
        words: settings by the words of a ``train.yaml``, of which ``input`` is a tuple; None for one that stays.

    Raises:
        SettingsError: a value is out of its range, or there is no such recipe.
    """
    settings = plan.settings
    space = families_of(settings.space, plan.networks)
    budget, changed = recipes.override(settings.budget, settings.recipe, space, recipe, of_recipe)
    names = {**_FROM_SETTINGS, "input": "cost_input"}
    changes = {names[word]: value for word, value in words.items() if value is not None}
    return replace(plan, settings=replace(settings, budget=budget, recipe=changed, **changes))


def new_uri(plan: TrainingPlan) -> str:
    """Where the record of a training goes whose user does not say it."""
    return f"runs/{plan.networks[0].genotype.space}-train-{time.strftime('%Y%m%d-%H%M%S')}"


def to_text(plan: TrainingPlan) -> str:
    """The plan as the text of a ``train.yaml``."""
    settings = plan.settings
    document: dict[str, Any] = {
        "space": settings.space,
        "networks": [
            {"origin": n.origin, "space": n.genotype.space, "values": dict(n.genotype.values)} for n in plan.networks
        ],
        **{word: getattr(settings, name) for word, name in _FROM_SETTINGS.items()},
        **{word: getattr(settings.budget, word) for word in _FROM_BUDGET},
        "input": list(settings.cost_input),
        "recipe": settings.recipe.document(),
    }
    return settings_file.to_text(document, "To train the same again: irnas train --config train.yaml")


def read_plan(uri: str) -> TrainingPlan:
    """The plan in the file at ``uri``.

    Raises:
        SettingsError: there is no such file, or it holds something else.
        SpaceError: it names a space, an axis or a value that is none.
    """
    return parse_plan(settings_file.read(uri, "train.yaml"), uri)


def parse_plan(text: str, where: str) -> TrainingPlan:
    """The plan that ``to_text`` made a text of, or that a user wrote; ``where`` is for messages.

    Raises:
        SettingsError: the text is none.
        SpaceError: it names a space, an axis or a value that is none.
    """
    document = settings_file.parse(text, where, "train.yaml of a training")
    _check(document, where)
    entries = document["networks"]
    networks = [network for entry in entries for network in _networks(entry, document.get("space", ""), where)]
    spaces = dict.fromkeys(network.genotype.space for network in networks)
    space = document.get("space") or ",".join(spaces)
    budget, recipe = _recipe(document.get("recipe"), families_of(space, networks), where)
    budget = replace(budget, **{word: document[word] for word in _FROM_BUDGET if word in document})
    changes = {name: document[word] for word, name in _FROM_SETTINGS.items() if word in document}
    if "input" in document:
        changes["cost_input"] = tuple(document["input"])
    base = SearchSettings(space=space, strategy=LISTED, seeds=SEEDS, fit_on=SPLIT)
    settings = replace(base, budget=budget, recipe=recipe, **changes)
    return TrainingPlan(settings=settings, networks=tuple(networks))


def _check(document: Mapping[str, Any], where: str) -> None:
    """Refuse what is no plan, before anything of it is used."""
    for word, value in document.items():
        if word not in _WORDS:
            raise SettingsError(f"{where}: got {word!r}; one of {', '.join(_WORDS)}")
        if not isinstance(value, _WORDS[word]) or isinstance(value, bool):
            names = {str: "a text", int: "a whole number", list: "a list"}
            must_be = names.get(_WORDS[word], "a recipe or the name of one")
            raise SettingsError(f"{where}, {word}: got {value!r}; must be {must_be}")
    if not document.get("networks"):
        raise SettingsError(f"{where}: got no networks; must have some, such as networks: [LIT10] with space: biisnet")
    if len(side := document.get("input", [1, 1, 1])) != 3 or not all(isinstance(each, int) for each in side):
        raise SettingsError(f"{where}, input: got {side}; must be [channels, height, width]")


def _networks(entry: object, space: str, where: str) -> list[Network]:
    if isinstance(entry, str):
        if not space:
            raise SettingsError(f"{where}, networks: got {entry!r} without a space; must come with space: NAME")
        return find_networks(space, [entry])
    if not isinstance(entry, Mapping) or not isinstance(entry.get("values"), Mapping):
        got = f"{where}, networks: got {entry!r}"
        raise SettingsError(f"{got}; must be a published name, or a mapping with space and values")
    name = str(entry.get("space", space))
    # A user's own space is found by its path, and goes by its name.
    parsed = catalog.load(space or name)
    chosen = next((member for member in parsed.members or (parsed,) if member.name == name), None)
    genotype = (chosen or catalog.load(name)).complete(entry["values"])
    return [Network(genotype=genotype, origin=str(entry.get("origin", where)))]


def _recipe(document: Any, space: str, where: str) -> tuple[Budget, Recipe]:
    """The recipe of a plan: one by name, one in full, or the best that is known."""
    if document is None:
        return best_recipe(space)
    if isinstance(document, str):
        return load_recipe(space, document)
    _, recipe = parse_recipe(document, f"{where}, recipe")
    return replace(BUDGET, **{word: document[word] for word in _FROM_BUDGET if word in document}), recipe
