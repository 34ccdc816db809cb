"""The options of a search as settings: what `irnas search`, `plan` and whoever else takes them make of the texts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from irnas.cli.cost import parse_size
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.settings import Budget, Recipe, SearchSettings, TotalBudget
from irnas.core.text import parse_duration

DEFAULTS = SearchSettings(space="")
MANY = 10_000
"""Trials of a search that only its budget ends."""


def settings_of(given: Mapping[str, Any]) -> SearchSettings:
    """The settings in a command's options.

    Raises:
        SettingsError: options that do not hold together.
    """
    trials = given["trials"]
    return SearchSettings(
        space=given["space"],
        dataset=given["dataset"],
        objectives=parse(given["objective"]),
        trials=(MANY if given["budget"] else DEFAULTS.trials) if trials is None else trials,
        seed=given["seed"],
        strategy=given["strategy"],
        grace_period=given["grace_period"],
        budget_limit=TotalBudget.parse("budget", given["budget"]) if given["budget"] else None,
        worth=parse_duration("worth", given["worth"]) if given["worth"] else None,
        finalists=given["finalists"],
        seeds=given["seeds"],
        limits=_limits({name: given[f"max_{name}"] for name in ("ops", "params", "macs", "bytes", "latency_ms")}),
        axes=_axes(given["space"], given["axis"] or []),
        warm_start=_is_warm(given["warm_start"]),
        preset=_known_preset(given["preset"]),
        cost_input=parse_size(given["input_size"]),
        device=given["device"],
        budget=Budget(epochs=given["epochs"], batch=given["batch"], crop=given["crop"]),
        recipe=recipe_of(given["loss"], given["lr"], ema=given["ema"], amp=given["amp"]),
    )


def recipe_of(loss: str, lr: float | None, **others: Any) -> Recipe:
    """A recipe whose rate never ends above its peak."""
    return Recipe(loss=loss, lr=lr, lr_end=min(DEFAULTS.recipe.lr_end, lr or 1.0), **others)


def _limits(texts: Mapping[str, str | None]) -> dict[str, float]:
    # The options are spelt with a dash, the objectives with an underscore.
    found = {name: (f"--max-{name.replace('_', '-')}", text) for name, text in texts.items()}
    return {name: parse_amount(option, text) for name, (option, text) in found.items() if text is not None}


def _axes(space: str, texts: list[str]) -> dict[str, tuple[Any, ...]]:
    from irnas.core import catalog

    parsed = catalog.load(space)
    return dict(catalog.choice(parsed, text) for text in texts)


def _is_warm(text: str) -> bool:
    if text not in ("none", "published"):
        raise SettingsError(f"warm-start: got {text!r}; must be none or published")
    return text == "published"


def _known_preset(name: str) -> str:
    from irnas import metrics

    if name not in metrics.PRESETS:
        raise SettingsError(f"preset: got {name!r}; one of {', '.join(metrics.PRESETS)}")
    return name


def parse_amount(where: str, text: str) -> float:
    """A number with an optional K, M or G: '0.4G' is 4e8.

    Raises:
        SettingsError: anything else.
    """
    factor = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:].upper(), 1.0)
    try:
        return float(text if factor == 1.0 else text[:-1]) * factor
    except ValueError:
        raise SettingsError(f"{where}: got {text!r}; must be a number such as 400000, 20K, 3.5M or 0.4G") from None
