"""The table of full trainings in docs/bench is what README.md says of it, and so is a strategy's row there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from irnas.objective import parse
from irnas.search import contest, table

ROOT = Path(__file__).parents[2]
TABLE = table.read(str(ROOT / "docs" / "bench" / "biisnet-nudt.parquet"))


def test_it_holds_what_the_page_says() -> None:
    assert (len(TABLE.points), TABLE.epochs, TABLE.synthetic) == (216, 27, False)
    assert {len(p.curves) for p in TABLE.points} == {2}
    assert len({p.key for p in TABLE.points}) == 216


def test_a_random_search_pays_what_the_page_says() -> None:
    row = re.search(r"^\| `random` \|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert row
    said = [float(cell.split()[0]) for cell in row[1].split("|")[:4]]
    runs = contest.searches(TABLE, ["random"], parse("miou,ops"), seeds=20)["random"]
    found = [price.trained for price in contest.standing(runs).prices.values()]
    assert found == pytest.approx(said, abs=1)
