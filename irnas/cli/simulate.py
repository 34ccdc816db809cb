"""``irnas simulate``: what strategies would have paid for a front that somebody has paid for already."""

from __future__ import annotations

import itertools
import json
import math
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.core.errors import SettingsError
from irnas.core.strategies import INHERITING, STRATEGIES

if TYPE_CHECKING:
    from irnas.simulation.comparison import ShareCost, Standing
    from irnas.simulation.simulator import Arena, Trajectory
    from irnas.simulation.table import Table

    Runs = Mapping[str, Sequence[Trajectory]]


PEER = "nsga2-uncached"
"""Drawn beside the cheapest strategy, where it took part: what a platform without a cache does by default."""


def simulate(
    bench: Annotated[str, typer.Option(help="Table of full trainings: a Parquet file, or its URI.")],
    strategy: Annotated[
        str,
        typer.Option(
            help=f"With commas, of {', '.join(STRATEGIES)}. With -uncached after the name of one that trains in full, "
            "it pays for repeats."
        ),
    ] = "random,tpe,nsga2,moasha,freeze-thaw",
    seeds: Annotated[int, typer.Option(help="Searches with each strategy.")] = 20,
    workers: Annotated[int, typer.Option(help="Trials at the same time, simulated.")] = 1,
    objective: Annotated[str, typer.Option(help="What is optimised, with commas.")] = "miou,ops",
    jobs: Annotated[int, typer.Option(help="Processes that compute searches at the same time.")] = 1,
    plot: Annotated[Path | None, typer.Option(help="Draw how fast each strategy got there, as .png or .html.")] = None,
    at: Annotated[float, typer.Option(help="Full trainings after which attained fronts are drawn.")] = 25.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay search strategies on a table of full trainings, in seconds.

    Prints the median cost, in full trainings, to reach a share of the hypervolume of the table's own front. Each search
    sees the curves of one training seed and is scored on the mean of the others. A strategy's own time is billed: a
    second of its CPU time costs as much as one of training. What is left without it is the same on every machine;
    --json prints both, and curves over cost.
    """
    from irnas import storage
    from irnas.core import objective as objectives
    from irnas.search.strategy.catalogue import NAMES
    from irnas.simulation import comparison, table
    from irnas.simulation.simulator import Arena

    names = list(dict.fromkeys(n.strip() for n in strategy.split(",") if n.strip()))
    for name in names:
        if name not in NAMES:
            raise SettingsError(f"--strategy: got {name!r}; one of {', '.join(NAMES)}")
    if not names:
        raise SettingsError(f"--strategy: got {strategy!r}; must name one or more of {', '.join(NAMES)}")
    for option, value in (("--seeds", seeds), ("--workers", workers), ("--jobs", jobs)):
        if value < 1:
            raise SettingsError(f"{option}: got {value}; must be at least 1")
    if not 0 < at < math.inf:
        raise SettingsError(f"--at: got {at:g}; must be a number of full trainings above 0")
    if plot and plot.suffix not in (".png", ".html"):
        raise SettingsError(f"--plot: got {plot}; must end in .png or .html")
    wanted = objectives.parse(objective)
    trainings = table.read(bench)
    with _progress(seeds * len(names)) as advance:
        runs = comparison.run_searches(
            trainings, names, wanted, seeds=seeds, workers=workers, jobs=jobs, progress=advance
        )
    arenas = [Arena(table=trainings, objectives=wanted, replica=seed) for seed in range(seeds)]
    standings = {name: comparison.summarise(searches) for name, searches in runs.items()}
    if plot:
        storage.write(str(plot), _draw(plot.suffix, arenas, runs, standings, at))
    if as_json:
        document = _document(trainings, standings, seeds, workers, [o.name for o in wanted])
        typer.echo(json.dumps({**document, "curves": _curves(arenas, runs)}))
    else:
        _print(trainings, standings, seeds, workers)


def _draw(suffix: str, arenas: Sequence[Arena], runs: Runs, standings: Mapping[str, Standing], cost: float) -> bytes:
    from irnas.report import race

    def cost_of_98(name: str) -> float:
        median = standings[name].costs[98].median
        return math.inf if median is None else median

    ordered = sorted(runs, key=cost_of_98)
    rivals = dict.fromkeys((ordered[0], PEER if PEER in runs else ordered[-1]))
    table = arenas[0].table
    made_up = "; MADE UP, no evidence of anything" if table.synthetic else ""
    title = f"{len(table.points)} networks of {table.space.name}, {len(arenas)} searches with each strategy{made_up}"
    chart = race.make_race(runs, arenas, rivals=list(rivals), cost=cost, title=title)
    return race.render_png(chart) if suffix == ".png" else race.render_html(chart).encode()


def _curves(arenas: Sequence[Arena], runs: Runs) -> dict[str, object]:
    from irnas.simulation import anytime

    if not any(run.moments for searches in runs.values() for run in searches):
        return {"cost": []}
    costs = anytime.grid([run for searches in runs.values() for run in searches])
    return {
        "cost": costs,
        "regret": {name: asdict(anytime.regret(searches, costs)) for name, searches in runs.items()},
        "igd_plus": {name: asdict(anytime.shortfall(searches, arenas, costs)) for name, searches in runs.items()},
    }


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    """Count searches: a bar on a terminal, 20 lines on standard error elsewhere."""
    from irnas.cli.console import progress_bars

    counted = itertools.count(1)
    with progress_bars() as progress:

        def advance() -> None:
            done = next(counted)
            progress("searching", done, total)
            if not sys.stderr.isatty() and done % max(1, total // 20) == 0:
                print(f"{done} of {total} searches", file=sys.stderr, flush=True)

        yield advance


def _document(
    table: Table, standings: dict[str, Standing], seeds: int, workers: int, objectives: Sequence[str]
) -> dict[str, object]:
    return {
        "points": len(table.points),
        "epochs": table.epochs,
        "data_rev": table.data_rev,
        "code_rev": table.code_rev,
        "synthetic": table.synthetic,
        "objectives": list(objectives),
        "seeds": seeds,
        "workers": workers,
        "strategies": {
            name: {
                "cost_to": {str(percent): cost.median for percent, cost in standing.costs.items()},
                "training_to": {str(percent): cost.trained for percent, cost in standing.costs.items()},
                "interval": {str(percent): [cost.low, cost.high] for percent, cost in standing.costs.items()},
                "reached": {str(percent): cost.reached for percent, cost in standing.costs.items()},
                "seconds_to": {str(percent): seconds for percent, seconds in standing.clock.items()},
                "decision_ms": standing.decision_ms,
            }
            for name, standing in standings.items()
        },
    }


def _print(table: Table, standings: dict[str, Standing], seeds: int, workers: int) -> None:
    from rich.table import Table as Grid

    from irnas.cli.console import make_console
    from irnas.simulation.heir import DECLARED

    made_up = ", MADE UP, no evidence of anything" if table.synthetic else ""
    made_up += f"; {DECLARED} (lamarckian)" if any(name in INHERITING for name in standings) else ""
    title = (
        f"Full trainings to reach a share of the front's hypervolume: median of {seeds} searches, its 95 % interval "
        f"below, decisions billed; {len(table.points)} networks, workers: {workers}{made_up}"
    )
    grid = Grid(title=title, title_justify="left")
    grid.add_column("strategy", no_wrap=True)
    for percent in next(iter(standings.values())).costs:
        grid.add_column(f"{percent} %", justify="right")
    grid.add_column("ms a network", justify="right")
    for name, standing in standings.items():
        grid.add_row(name, *(_cell(cost) for cost in standing.costs.values()), f"{standing.decision_ms:.1f}")
    make_console().print(grid)


def _cell(cost: ShareCost) -> str:
    low, middle, high = ("never" if x is None else f"{x:.1f}" for x in (cost.low, cost.median, cost.high))
    return middle if middle == low == high else f"{middle}\n{low}-{high}"
