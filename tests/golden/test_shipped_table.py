"""The tables of full trainings in docs/bench are what docs/strategies.md says of them; so is a strategy's row there."""

from __future__ import annotations

import re
import statistics
from pathlib import Path

import pytest

from irnas.core.objective import parse
from irnas.simulation import comparison, table

ROOT = Path(__file__).parents[2]
SHAPES, BITS = (
    table.read(str(ROOT / "docs" / "bench" / f"{name}.parquet")) for name in ("biisnet-nudt", "biisnet-nudt-bits")
)


@pytest.mark.parametrize(("trainings", "epochs", "correlation"), [(SHAPES, 27, 0.26), (BITS, 18, 0.80)])
def test_it_holds_what_the_page_says(trainings: table.Table, epochs: int, correlation: float) -> None:
    assert (len(trainings.points), trainings.epochs, trainings.synthetic) == (216, epochs, False)
    assert {tuple(sorted(p.curves)) for p in trainings.points} == {(0, 1)}
    assert len({p.key for p in trainings.points}) == 216
    ends = [[p.curves[seed][-1].values["miou"] for p in trainings.points] for seed in (0, 1)]
    assert statistics.correlation(*ends) == pytest.approx(correlation, abs=0.005)


def test_its_loss_is_called_what_it_is_called_now() -> None:
    """They were trained when ``own`` was the name of what is ``default`` now."""
    assert {t.conditions["recipe"]["loss"] for t in (SHAPES, BITS)} == {"default"}


def test_the_axes_are_those_that_the_page_names() -> None:
    assert {a.name for a in BITS.space.params if len(a.search) > 1} == {"base", "stages", "trans", "bn", "a_bin"}


def test_a_random_search_pays_what_the_page_says() -> None:
    row = re.search(r"^\| `random` \|(.*)\|$", (ROOT / "docs" / "strategies.md").read_text(), re.MULTILINE)
    assert row
    printed = [float(cell.split()[0]) for cell in row[1].split("|")[:4]]
    runs = comparison.run_searches(BITS, ["random"], parse("miou,ops"), seeds=20)["random"]
    trained = [cost.trained for cost in comparison.summarise(runs).costs.values()]
    assert trained == pytest.approx(printed, abs=1)
