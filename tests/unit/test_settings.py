"""Settings of a search: what they refuse, and that records of any version give them back."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from irnas.core.errors import SettingsError
from irnas.core.objective import LIMITABLE, OBJECTIVES, Objective, parse
from irnas.core.recipe import Budget, Recipe
from irnas.core.settings import ENDLESS, SearchSettings, TotalBudget
from irnas.core.text import duration_option, format_duration, format_si, parse_duration, parse_si

EVERYTHING = SearchSettings(
    space="biisnet",
    objectives=parse("niou,fa,params"),
    strategy="freeze-thaw",
    grace_period=2,
    budget_limit=TotalBudget(seconds=5400),
    worth=3600.0,
    limits={"ops": 4e8},
    axes={"base": (8, 16)},
    cost_input=(5, 64, 48),
    budget=Budget(epochs=9),
    recipe=Recipe(loss="bce", lr=0.01),
)


@pytest.mark.parametrize("settings", [SearchSettings(space="tiny"), EVERYTHING], ids=["defaults", "everything"])
def test_a_record_gives_the_settings_back(settings: SearchSettings) -> None:
    assert SearchSettings.from_document(json.loads(json.dumps(settings.document()))) == settings


@pytest.mark.parametrize(
    ("changes", "number"),
    [
        ({}, 5),
        ({"strategy": "nsga2"}, 5),
        ({"keep": "best"}, 20),
        ({"strategy": "freeze-thaw"}, 20),
        ({"strategy": "lamarckian"}, 20),
        ({"strategy": "listed"}, 20),
    ],
)
def test_a_training_whose_course_nobody_acts_on_is_validated_seldom(changes: dict[str, Any], number: int) -> None:
    assert SearchSettings(space="tiny", **changes).max_reports == number


def test_a_record_of_version_0_1_opens() -> None:
    document = EVERYTHING.document()
    for new, old in {"strategy": "sampler", "grace_period": "grace", "budget_limit": "spend"}.items():
        document[old] = document.pop(new)
    document |= {"spend": "1.5h", "worth": "60m"}
    assert SearchSettings.from_document(document) == EVERYTHING


@pytest.mark.parametrize(("before", "now"), [(False, ""), (True, "published")])
def test_what_was_called_own_is_now_the_default(before: bool, now: str) -> None:
    document = SearchSettings(space="tiny").document()
    assert (document["recipe"]["loss"], document["warm_start"]) == ("default", "")
    document |= {"warm_start": before, "recipe": {**document["recipe"], "loss": "own"}}
    assert SearchSettings.from_document(document) == SearchSettings(space="tiny", warm_start=now)
    document |= {"warm_start": "D10"}
    settings = SearchSettings.from_document(document)
    assert (settings.recipe.loss, settings.warm_start) == ("own", "D10")


def test_the_document_names_and_writes_as_typed() -> None:
    document = EVERYTHING.document()
    assert document["objectives"] == ["niou", "fa", "params"]
    assert (document["budget_limit"], document["worth"]) == ("90m", "1h")


@pytest.mark.parametrize("text", ["2h", "45m", "90s", "500epochs", "0.5s", "1.5epochs", "100000000epochs"])
def test_a_budget_is_written_as_it_was_typed(text: str) -> None:
    assert str(TotalBudget.parse("budget", text)) == text


@pytest.mark.parametrize("text", ["", "0h", "-1h", "2d", "h", "epochs", "1e3epochs", "2hours"])
def test_a_budget_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^budget: got '.*'; must be a time or epochs in all"):
        TotalBudget.parse("budget", text)
    with pytest.raises(SettingsError, match=r"^worth: got '.*'; must be a time: "):
        parse_duration("worth", text)


def test_what_is_scarcest_limits_the_search() -> None:
    halved = SearchSettings(space="s", strategy="asha", trials=10, budget_limit=TotalBudget(epochs=30))
    assert halved.total_budget == TotalBudget(epochs=30)
    assert SearchSettings(space="s", trials=10).total_budget == ENDLESS
    timed = SearchSettings(space="s", strategy="asha", trials=10, budget_limit=TotalBudget(seconds=60))
    assert timed.total_budget == (100, 60)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"objectives": ()}, "objective: got ''"),
        ({"objectives": parse("miou") * 2}, "objective: got 'miou,miou'"),
        ({"worth": 0.0}, "worth: got 0.0 seconds"),
        ({"limits": {"miou": 1.0}}, "limit: got 'miou'; one of ops, "),
        ({"limits": {"ops": 0.0}}, "limit ops: got 0.0"),
        ({"grace_period": 3}, "grace_period: got 3 with strategy tpe"),
        ({"strategy": "best"}, "strategy: got 'best'; one of tpe"),
        ({"trials": 0}, "trials: got 0"),
        ({"cost_input": (1, 0, 4)}, "input: got"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_search_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        SearchSettings(space="tiny", **changes)
    assert str(refusal.value).startswith(message)


def test_an_objective_of_ones_own_has_bounds_of_its_own() -> None:
    """The worst value of a minimised metric is its own, and not that of the false alarms."""
    row: dict[str, Any] = {"name": "miss", "goal": "min", "kind": "metric", "label": "Miss", "about": "missed targets"}
    assert (Objective(**row, worst=1.0).best, Objective(**row, worst=1.0).worst) == (0.0, 1.0)
    for wrong in ({}, {"worst": math.inf}, {"worst": 1.0, "limit_help": "Most."}, {"kind": "cost", "worst": 1.0}):
        with pytest.raises(SettingsError, match=r"^objective miss: got"):
            Objective(**{**row, **wrong})


def test_what_may_be_limited_has_an_option_by_its_name() -> None:
    options = {name: OBJECTIVES[name].limit_option for name in LIMITABLE}
    assert options["ops"] == "--max-ops" and options["latency_ms"] == "--max-latency-ms"
    assert OBJECTIVES["miou"].limit_option is None and OBJECTIVES["fps"].limit_option is None


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("miou", 0.71234, "71.23 %"),
        ("fa", 12.345e-6, "12.3·10⁻⁶"),
        ("ops", 343_900_000, "343.9 M"),
        ("bytes", 10_320, "10.32 K B"),
        ("fps", 12345.6, "12346"),
        ("fps", 512.34, "512.3"),
        ("latency_ms", 4.5678, "4.568 ms"),
        ("miou", None, "-"),
    ],
)
def test_an_objective_writes_its_values(name: str, value: float | None, text: str) -> None:
    assert OBJECTIVES[name].quantity(value) == text


def test_amounts_and_times_are_read_as_written() -> None:
    assert [format_si(v) for v in (999.4, 10320, 4e8, 1.5e12)] == ["999.4", "10.32 K", "400 M", "1.5 T"]
    assert parse_si("--max-ops", "10.32K") == 10320
    assert [format_duration(s) for s in (42.4, 185, 7800)] == ["42 s", "3 min 5 s", "2 h 10 min"]
    assert [duration_option(parse_duration("worth", t)) for t in ("90s", "60m", "2.5h")] == ["90s", "1h", "150m"]
