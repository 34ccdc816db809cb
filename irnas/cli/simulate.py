"""``irnas simulate``: what strategies would have paid for a front that somebody has paid for already."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.errors import SettingsError

if TYPE_CHECKING:
    from irnas.search.contest import Price, Standing
    from irnas.search.table import Table


def simulate(
    bench: Annotated[str, typer.Option(help="Table of full trainings: a Parquet file, or its URI.")],
    strategy: Annotated[
        str, typer.Option(help="Strategies, with commas: a sampler, a sampler with -uncached, moasha, freeze-thaw.")
    ] = "random,tpe,nsga2,moasha,freeze-thaw",
    seeds: Annotated[int, typer.Option(help="Searches with each strategy.")] = 20,
    workers: Annotated[int, typer.Option(help="Trials at the same time, simulated.")] = 1,
    objective: Annotated[str, typer.Option(help="What is optimised, with commas.")] = "miou,ops",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Replay search strategies on a table of full trainings, in seconds.

    Prints the median cost, in full trainings, to reach a share of the hypervolume of the table's own front. Each search
    sees the curves of one training seed and is scored on the mean of the others; a strategy's own time is not billed.
    """
    from irnas import objective as objectives
    from irnas.search import contest, table
    from irnas.search.strategy.named import NAMES

    names = list(dict.fromkeys(n.strip() for n in strategy.split(",") if n.strip()))
    for name in names:
        if name not in NAMES:
            raise SettingsError(f"--strategy: got {name!r}; one of {', '.join(NAMES)}")
    if not names:
        raise SettingsError(f"--strategy: got {strategy!r}; must name one or more of {', '.join(NAMES)}")
    for option, value in (("--seeds", seeds), ("--workers", workers)):
        if value < 1:
            raise SettingsError(f"{option}: got {value}; must be at least 1")
    wanted = objectives.parse(objective)
    found = table.read(bench)
    with _progress(seeds * len(names)) as advance:
        standings = contest.contest(found, names, wanted, seeds=seeds, workers=workers, progress=advance)
    if as_json:
        typer.echo(json.dumps(_document(found, standings, seeds, workers, [o.name for o in wanted])))
    else:
        _print(found, standings, seeds, workers)


@contextmanager
def _progress(total: int) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("Searching", total=total)
        yield lambda: bar.advance(task)


def _document(
    table: Table, standings: dict[str, Standing], seeds: int, workers: int, objectives: Sequence[str]
) -> dict[str, object]:
    return {
        "points": len(table.points), "epochs": table.epochs, "data_rev": table.data_rev, "code_rev": table.code_rev,
        "synthetic": table.synthetic, "objectives": list(objectives), "seeds": seeds, "workers": workers,
        "strategies": {
            name: {
                "cost_to": {str(percent): price.median for percent, price in found.prices.items()},
                "interval": {str(percent): [price.low, price.high] for percent, price in found.prices.items()},
                "reached": {str(percent): price.reached for percent, price in found.prices.items()},
                "seconds_to": {str(percent): seconds for percent, seconds in found.clock.items()},
                "decision_ms": found.decision_ms,
            }
            for name, found in standings.items()
        },
    }  # fmt: skip


def _print(table: Table, standings: dict[str, Standing], seeds: int, workers: int) -> None:
    from rich.console import Console
    from rich.table import Table as Grid

    made_up = ", MADE UP, no evidence of anything" if table.synthetic else ""
    title = (
        f"Full trainings to reach a share of the front's hypervolume: median of {seeds} searches, its 95 % interval "
        f"below; {len(table.points)} networks, workers: {workers}{made_up}"
    )
    grid = Grid(title=title, title_justify="left")
    grid.add_column("strategy", no_wrap=True)
    for percent in next(iter(standings.values())).prices:
        grid.add_column(f"{percent} %", justify="right")
    grid.add_column("ms a network", justify="right")
    for name, found in standings.items():
        grid.add_row(name, *(_cell(price) for price in found.prices.values()), f"{found.decision_ms:.1f}")
    Console().print(grid)


def _cell(price: Price) -> str:
    low, middle, high = ("never" if x is None else f"{x:.1f}" for x in (price.low, price.median, price.high))
    return middle if middle == low == high else f"{middle}\n{low}-{high}"
