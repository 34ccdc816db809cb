"""Recipes as data: ``search_spaces/<family>/recipe.yaml``, and files that users write.

The file of a family holds two recipes: ``paper``, as the paper and its authors' code have it, and ``irnas``, the best
that was measured here. A user's file holds one. Words are the fields of ``Budget`` and ``Recipe``; a word that a file
lacks has their default.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, replace
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.recipe import RECIPE_NAMES, Budget, Late, Recipe
from irnas.core.text import did_you_mean
from irnas.core.yaml_text import parse_yaml

_T = TypeVar("_T", Budget, Late, Recipe)

FILE = "recipe.yaml"

_REFUSED = {
    "normalise": "networks see grey levels over 255, in training and on a device alike",
    "keep": "which epoch counts is a setting of a training (irnas train --keep), and never chosen by test images",
}
"""Words of papers that are no part of a recipe here, and why."""


def load_recipe(space: str, which: str) -> tuple[Budget, Recipe]:
    """How a family is trained.

    Args:
        space: name or path of a space; of names joined by commas, all must be trained alike.
        which: one of ``RECIPE_NAMES``, for that recipe of the space; or the path of a file.

    Raises:
        SettingsError: no such recipe, or a file that holds anything else; the message names the file.
        SpaceError: there is no such space.
    """
    if which not in RECIPE_NAMES:
        path = Path(which)
        if not path.is_file():
            must = f"must be {', '.join(RECIPE_NAMES)}, or a file that holds one{did_you_mean(which, RECIPE_NAMES)}"
            raise SettingsError(f"recipe: got {which!r}; {must}")
        return parse_recipe(_read(path), str(path))
    first, *others = (_load_of_family(name.strip(), which) for name in space.split(","))
    if any(other != first for other in others):
        raise SettingsError(f"recipe: got {which} with {space}, whose recipes differ; must be a file, or one space")
    return first


def override(
    budget: Budget, recipe: Recipe, space: str, which: str | Mapping[str, Any] | None, words: Mapping[str, Any]
) -> tuple[Budget, Recipe]:
    """How networks are trained by a recipe, and by what is to be otherwise.

    Args:
        budget: without ``which``, what no word says.
        recipe: the same.
        space: names the families whose recipe it may be.
        which: as ``load_recipe`` takes it, or a recipe in full; None for none.
        words: fields of ``Budget`` and ``Recipe``; None for one that stays.

    Raises:
        SettingsError: there is no such recipe, or a value is out of its range.
        SpaceError: there is no such space.
    """
    if isinstance(which, str):
        budget, recipe = load_recipe(space, which)
    elif which is not None:
        budget, recipe = parse_recipe(which, "recipe")
    changes = {word: value for word, value in words.items() if value is not None}
    of_budget = {field.name: changes.pop(field.name) for field in fields(Budget) if field.name in changes}
    if "lr" in changes:
        # The rate never ends above its peak.
        changes["lr_end"] = min(recipe.lr_end, changes["lr"])
    return replace(budget, **of_budget), replace(recipe, **changes)


def parse_recipe(document: object, where: str) -> tuple[Budget, Recipe]:
    """The budget and the recipe that a mapping of their fields describes; ``where`` names the file in messages.

    Raises:
        SettingsError: it is no mapping, or a word or a value is none.
    """
    if not isinstance(document, Mapping):
        raise SettingsError(f"{where}: got {type(document).__name__}; must be a mapping, such as epochs: 400")
    budget_words = {field.name for field in fields(Budget)}
    known = (*budget_words, *(field.name for field in fields(Recipe)))
    for word in document:
        if word in _REFUSED:
            raise SettingsError(f"{where}: got {word}; must be left out: {_REFUSED[word]}")
        if word not in known:
            hint = did_you_mean(word, known)
            raise SettingsError(f"{where}: got {word!r}; must be one of {', '.join(sorted(known))}{hint}")
    of_recipe = {word: value for word, value in document.items() if word not in budget_words}
    if of_recipe.get("late") is not None:
        of_recipe["late"] = _make(Late, of_recipe["late"], f"{where}, late")
    of_budget = {word: value for word, value in document.items() if word in budget_words}
    return _make(Budget, of_budget, where), _make(Recipe, of_recipe, where)


def _load_of_family(space: str, which: str) -> tuple[Budget, Recipe]:
    path = catalog.find_folder(space) / FILE
    if not path.is_file():
        raise SettingsError(f"recipe: got {which!r} with {space}, which has no {FILE}; must be a file that holds one")
    document = _read(path)
    if not isinstance(document, Mapping) or set(document) != set(RECIPE_NAMES):
        raise SettingsError(
            f"{path}: got something else than recipes; must hold {' and '.join(RECIPE_NAMES)}, and no more"
        )
    return parse_recipe(document[which], f"{path}, {which}")


def _read(path: Path) -> Any:
    return parse_yaml(path.read_bytes(), str(path), SettingsError)


def _make(kind: type[_T], document: object, where: str) -> _T:
    """The value of a class of plain fields that a mapping describes."""
    if not isinstance(document, Mapping):
        raise SettingsError(f"{where}: got {document!r}; must be a mapping")
    by_name: dict[str, Field[Any]] = {field.name: field for field in fields(kind)}
    for word in document:
        if word not in by_name:
            hint = did_you_mean(word, by_name)
            raise SettingsError(f"{where}: got {word!r}; must be one of {', '.join(by_name)}{hint}")
    if missing := [name for name, field in by_name.items() if field.default is MISSING and name not in document]:
        raise SettingsError(f"{where}: got no {missing[0]}; must be there")
    hints = get_type_hints(kind)
    values = {word: _plain_value(hints[word], value, f"{where}, {word}") for word, value in document.items()}
    try:
        return kind(**values)
    except SettingsError as error:
        raise SettingsError(f"{where}: {error}") from None


def _plain_value(kind: Any, value: Any, where: str) -> Any:
    """A value as a field of that type holds it."""
    if kind == tuple[float, ...]:
        if not isinstance(value, list):
            raise SettingsError(f"{where}: got {value!r}; must be a list of numbers")
        return tuple(_number(each, where) for each in value)
    if kind == float | None and value is None:
        return None
    if kind in (float, float | None):
        return _number(value, where)
    # True is an int in Python, and no number.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        must_be = {int: "a whole number", bool: "true or false", str: "a word"}.get(kind, "a mapping, or null")
        raise SettingsError(f"{where}: got {value!r}; must be {must_be}")
    return value


def _number(value: Any, where: str) -> float:
    try:
        # YAML 1.1 takes 1e-3 for a text.
        number = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise SettingsError(f"{where}: got {value!r}; must be a number")
    return number
