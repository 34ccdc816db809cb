from __future__ import annotations

from typing import Any

import pytest
from support.datasets import tiny

from irnas.cli.plan import document, lines
from irnas.core import catalog
from irnas.core.recipe import Budget
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.workflows.plan import Plan, Timed, plan


def settings(**changes: Any) -> SearchSettings:
    fields: dict[str, Any] = {
        "space": "biisnet",
        "dataset": str(tiny().root),
        "trials": 8,
        "budget": Budget(epochs=3, batch=4, crop=32),
        "axes": {"base": (4, 6), "stages": (2,)},
        "cost_input": (1, 64, 64),
    }
    return SearchSettings(**{**fields, **changes})


def test_a_plan_counts_prices_and_times(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("irnas.workflows.plan.DRAWN", 6)
    made = plan(settings())
    least, middle, most = made.free["ops"]
    assert least <= middle <= most and made.refused == 0.0 and made.points > 100
    assert 1 <= len(made.timed) <= 3 and all(t.seconds > 0 for t in made.timed)
    assert [t.costs["ops"] for t in made.timed] == sorted(t.costs["ops"] for t in made.timed)

    half = plan(settings(limits={"ops": middle}))
    assert 0 < half.refused < 1 and all(t.costs["ops"] <= middle for t in half.timed)
    none = plan(settings(limits={"ops": 1.0}))
    assert none.refused == 1.0 and none.timed == ()
    assert "refuse every network" in lines(settings(limits={"ops": 1.0}), none, 2)[-1]


def test_the_sentences_add_up() -> None:
    space = catalog.load("biisnet")
    timed = tuple(
        Timed(genotype=space.default(), costs={"ops": o}, seconds=s) for o, s in ((1e6, 60), (2e6, 120), (3e6, 180))
    )
    made = Plan(points=1000, free={"ops": (1e6, 2e6, 3e6)}, refused=0.25, timed=timed)
    assert made.mean_seconds == 120
    text = "\n".join(lines(settings(trials=30, finalists=5, limits={"ops": 2.5e6}), made, 2))
    assert "refuse 25 % of the networks" in text and "1,000 networks" in text
    assert "about 30 full trainings and 10 of finalists: 1 h 20 min of one core, tpe" in text
    assert "40 min 0 s with 2 at the same time" in text
    facts = document(settings(trials=30, finalists=5), made, 2)
    assert (facts["trainings"], facts["trainings_of_finalists"]) == (30, 10)
    assert (facts["core_seconds"], facts["seconds"]) == (4800, 2400)
    assert document(settings(), Plan(points=9, free={}, refused=1.0, timed=()), 2)["seconds"] is None
    # A third of the epochs for each that has a parent: 1 + 29 / 3, and 30 / 3.
    for inherit, trainings in (("nearest", "11"), ("zoo", "10")):
        text = "\n".join(lines(settings(trials=30, inherit=inherit), made, 2))
        assert f"about {trainings} full trainings' worth of epochs" in text and "1 of 3 epochs" in text
    assert "1 of 3 epochs at a time" in "\n".join(lines(settings(strategy="lamarckian"), made, 2))
    assert "lines " not in "\n".join(lines(settings(), made, 2))
    text = "\n".join(lines(settings(trials=1000, strategy="freeze-thaw", budget_limit=TotalBudget(epochs=90)), made, 4))
    assert "about 30 full trainings' worth of epochs: 1 h 0 min of one core, freeze-thaw" in text
    assert "about 15 full trainings:" in "\n".join(
        lines(settings(trials=1000, budget_limit=TotalBudget(seconds=1800)), made, 1)
    )
