"""What a search is to do as a file, ``search.yaml``, and as the words of a call: the settings of both are made here.

Every search writes one into its folder. A user may write one by hand, with the words that matter; the others have the
defaults of ``irnas search``. Nothing heavy is imported: a wrong word is said at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.heritage import INHERIT, OFF
from irnas.core.objective import parse
from irnas.core.recipe import Budget, Recipe
from irnas.core.recipes import load_recipe, parse_recipe
from irnas.core.requirement import parse_requirements
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.core.space import Space
from irnas.core.strategies import LISTED
from irnas.core.text import did_you_mean, duration_option, parse_duration, parse_si
from irnas.workflows import settings_file

CONFIG = "search.yaml"
"""What a search is to do, in its folder."""
TRIALS_WITH_BUDGET = 10_000
"""Trials of a search that only its budget ends."""

_TEXT, _INTEGER, _LIST, _MAPPING = "a text", "a whole number", "a list", "a mapping"
_WORDS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "space": ((str,), _TEXT),
    "objectives": ((str, list, tuple), "names, such as [miou, ops]"),
    "dataset": ((str,), _TEXT),
    "trials": ((int,), _INTEGER),
    "strategy": ((str,), _TEXT),
    "budget": ((str,), "a time or epochs in all: 2h, 500epochs"),
    "worth": ((str,), "a time: 1h"),
    "grace_period": ((int,), _INTEGER),
    "axes": ((Mapping,), "a mapping of axes to their values, such as base: [8, 16]"),
    "limits": ((Mapping,), "a mapping of costs to their largest values, such as ops: 20M"),
    "require": ((str, list, tuple), "metrics and fractions, such as fa<=1e-5,pd>=0.9"),
    "warm_start": ((str, list, tuple), "names of published designs"),
    "from": ((str,), "the folder or URI of a run"),
    # YAML reads off as no.
    "inherit": ((str, bool), f"one of {', '.join(INHERIT)}"),
    "inherited_epochs": ((int,), _INTEGER),
    "seed": ((int,), _INTEGER),
    "train_seed": ((int,), _INTEGER),
    "threads": ((int,), _INTEGER),
    "finalists": ((int,), _INTEGER),
    "seeds": ((int,), _INTEGER),
    "preset": ((str,), _TEXT),
    "input": ((list, tuple), "[channels, height, width]"),
    "device": ((str,), _TEXT),
    "epochs": ((int,), _INTEGER),
    "batch": ((int,), _INTEGER),
    "crop": ((int,), _INTEGER),
    "recipe": ((Mapping, str), "a recipe or the name of one"),
}
"""What may stand in the file, as which types, and how these are called."""
_AS_THEY_ARE = (
    *("dataset", "trials", "strategy", "grace_period", "seed", "train_seed", "threads", "finalists", "seeds"),
    *("preset", "device", "inherited_epochs"),
)
_OF_BUDGET = ("epochs", "batch", "crop")


def to_text(settings: SearchSettings) -> str:
    """The settings of a search as the text of a ``search.yaml``."""
    words: dict[str, Any] = {name: getattr(settings, name) for name in _AS_THEY_ARE}
    words |= {
        "space": settings.space,
        "objectives": [objective.name for objective in settings.objectives],
        "budget": None if settings.budget_limit is None else str(settings.budget_limit),
        "worth": None if settings.worth is None else duration_option(settings.worth),
        "axes": {axis: list(choices) for axis, choices in settings.axes.items()},
        "limits": dict(settings.limits),
        "require": ",".join(map(str, settings.requirements)),
        "warm_start": settings.warm_start,
        "from": settings.known_from,
        "inherit": None if settings.inherit == OFF else settings.inherit,
        "input": list(settings.cost_input),
        **{name: getattr(settings.budget, name) for name in _OF_BUDGET},
        "recipe": settings.recipe.document(),
    }
    document = {word: words[word] for word in _WORDS if words[word] not in (None, {}, "")}
    return settings_file.to_text(document, f"To search the same again: irnas search --config {CONFIG}")


def read_settings(uri: str) -> SearchSettings:
    """The settings in the file at ``uri``.

    Raises:
        SettingsError: there is no such file, or it holds something else.
        SpaceError: it names a space, an axis or a value that is none.
    """
    document = settings_file.parse(settings_file.read(uri, CONFIG), uri, f"{CONFIG} of a search")
    return make_settings(document, f"{uri}, ")


def make_settings(words: Mapping[str, Any], where: str = "") -> SearchSettings:
    """The settings that some words make, each as it stands in a ``search.yaml``.

    Args:
        words: by name; ``None`` for the default.
        where: stands before the name of a word in a message.

    Raises:
        SettingsError: a word or a value is none, or some do not go together.
        SpaceError: no such space, axis or value.
    """
    words = {word: value for word, value in words.items() if value is not None}
    _check(words, where)
    if words.get("strategy") == LISTED:
        raise SettingsError(f"{where}strategy: got {LISTED!r}; must be one that searches (irnas train takes networks)")
    space = catalog.load(words["space"])
    budget, recipe = _recipe(words, where)
    values: dict[str, Any] = {name: words[name] for name in _AS_THEY_ARE if name in words}
    if "budget" in words:
        values["budget_limit"] = TotalBudget.parse("budget", words["budget"])
        values.setdefault("trials", TRIALS_WITH_BUDGET)
    made: Mapping[str, Callable[[Any], tuple[str, Any]]] = {
        "objectives": lambda names: ("objectives", parse(names)),
        "worth": lambda text: ("worth", parse_duration("worth", text)),
        "axes": lambda axes: ("axes", {axis: _choices(space, axis, each) for axis, each in axes.items()}),
        "limits": lambda limits: ("limits", {name: _limit(name, most) for name, most in limits.items()}),
        "require": lambda text: ("requirements", parse_requirements(_joined(text))),
        "from": lambda uri: ("known_from", uri),
        "inherit": lambda where: ("inherit", OFF if where is False else str(where)),
        "warm_start": lambda names: ("warm_start", _warm_start(words["space"], names)),
        "input": lambda sides: ("cost_input", _input(sides, where)),
    }
    values.update(make(words[word]) for word, make in made.items() if word in words)
    if "preset" in words:
        from irnas import metrics

        metrics.preset(words["preset"])
    return SearchSettings(space=words["space"], budget=budget, recipe=recipe, **values)


def new_uri(settings: SearchSettings) -> str:
    """Where the record of a search goes whose user does not say it: a folder of ``runs`` named after space and time."""
    return f"runs/{catalog.load(settings.space).name}-{time.strftime('%Y%m%d-%H%M%S')}"


def _check(words: Mapping[str, Any], where: str) -> None:
    """Refuse what is no setting, before anything of it is used."""
    for word, value in words.items():
        if word not in _WORDS:
            raise SettingsError(f"{where}got {word!r}; one of {', '.join(_WORDS)}{did_you_mean(str(word), _WORDS)}")
        kinds, must_be = _WORDS[word]
        # True is an int in Python, and no number of anything.
        if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            raise SettingsError(f"{where}{word}: got {value!r}; must be {must_be}")
    if "space" not in words:
        raise SettingsError(f"{where}space: got none; must be a space's name or folder (irnas spaces)")


def _recipe(words: Mapping[str, Any], where: str) -> tuple[Budget, Recipe]:
    """How networks are trained: by a recipe that is named, or one in full, and what else is said."""
    budget, recipe = Budget(), Recipe()
    chosen = words.get("recipe")
    if isinstance(chosen, str):
        budget, recipe = load_recipe(words["space"], chosen)
    elif chosen is not None:
        budget, recipe = parse_recipe(chosen, f"{where}recipe")
    return replace(budget, **{word: words[word] for word in _OF_BUDGET if word in words}), recipe


def _choices(space: Space, axis: str, values: Any) -> tuple[Any, ...]:
    """Values of an axis, of which each may also be written as a text."""
    known = space[axis].values
    if values == "all":
        return known
    listed = values if isinstance(values, list | tuple) else [values]
    return tuple(catalog.parse_value(space, axis, str(value)) for value in listed)


def _limit(name: str, most: Any) -> float:
    if isinstance(most, bool) or not isinstance(most, int | float | str):
        raise SettingsError(f"limit {name}: got {most!r}; must be a number such as 400000, or 20M")
    return parse_si(f"limit {name}", most) if isinstance(most, str) else float(most)


def _joined(words: Any) -> str:
    return words if isinstance(words, str) else ",".join(map(str, words))


def _warm_start(space: str, names: Any) -> str:
    text = _joined(names)
    catalog.find_designs(space, text)
    return text


def _input(sides: Any, where: str) -> tuple[int, int, int]:
    if len(sides) != 3 or not all(isinstance(side, int) for side in sides):
        raise SettingsError(f"{where}input: got {list(sides)}; must be [channels, height, width]")
    channels, height, width = sides
    return channels, height, width
