"""The comparison of strategies in docs/strategies.md, made again: its table and docs/search.png.

    python tests/bench/strategies.py [--bench docs/bench/biisnet-nudt-bits.parquet] [--seeds 20] [--jobs 2]

Replays every strategy on a table of full trainings (``irnas simulate``), draws the picture, and writes the medians
between the two marks there. It also says where a strategy is behind random search. About twenty minutes of one
core.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAMES = "random,tpe,tpe-uncached,nsga2,nsga2-uncached,nsga2-20,nsga2-20-uncached,asha,moasha,freeze-thaw"
MARKS = "<!-- strategies -->", "<!-- end of strategies -->"


def table(document: dict[str, Any]) -> str:
    """The medians as Markdown, with their bootstrap intervals."""
    shares = list(next(iter(document["strategies"].values()))["cost_to"])
    rows = [["strategy", *(f"{s} %" for s in shares), "ms a network"], ["---"] * (len(shares) + 2)]
    for name, entry in document["strategies"].items():
        cells = [_cell(entry["cost_to"][s], *entry["interval"][s]) for s in shares]
        rows.append([f"`{name}`", *cells, f"{entry['decision_ms']:.1f}"])
    return "\n".join("| " + " | ".join(row) + " |" for row in rows)


def _cell(median: float | None, low: float | None, high: float | None) -> str:
    def text(value: float | None) -> str:
        return "never" if value is None else f"{value:.0f}"

    return f"{text(median)} ({text(low)}-{text(high)})"


def behind(document: dict[str, Any], name: str) -> list[float]:
    """Full trainings at which the median hypervolume of a strategy is below that of random search.

    Only those before it has 99 %, where a search ends.
    """
    curves = document["curves"]
    mine, chance = (curves["regret"][which]["median"] for which in (name, "random"))
    return [cost for cost, a, b in zip(curves["cost"], mine, chance, strict=True) if a > max(b, 0.01)]


def replaced(page: str, inside: str) -> str:
    """A page with ``inside`` between its two marks."""
    before, _, rest = page.partition(MARKS[0])
    _, _, after = rest.partition(MARKS[1])
    if not after:
        raise SystemExit(f"docs/strategies.md: got no {MARKS[0]} and {MARKS[1]}; must have both")
    return f"{before}{MARKS[0]}\n{inside}\n{MARKS[1]}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default="docs/bench/biisnet-nudt-bits.parquet")
    parser.add_argument("--strategies", default=NAMES)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--keep", type=Path, help="also write the JSON here")
    arguments = parser.parse_args()
    command = [
        sys.executable,
        "-m",
        "irnas",
        "simulate",
        f"--bench={arguments.bench}",
        f"--strategy={arguments.strategies}",
        f"--seeds={arguments.seeds}",
        f"--jobs={arguments.jobs}",
        "--json",
        "--plot=docs/search.png",
    ]
    output = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout
    if arguments.keep:
        arguments.keep.write_text(output)
    document = json.loads(output)
    inside = table(document)
    page = ROOT / "docs" / "strategies.md"
    page.write_text(replaced(page.read_text(), inside))
    print(inside)
    if "random" in document["strategies"]:
        for name in document["strategies"]:
            costs = behind(document, name)
            where = f"at {len(costs)} budgets, {costs[0]:.1f} to {costs[-1]:.1f} full trainings" if costs else "nowhere"
            print(f"{name}: behind random search {where}")


if __name__ == "__main__":
    main()
