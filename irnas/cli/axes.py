"""The table of `irnas report --axes`: what each axis of a run or a table does, beside what chance does."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from irnas.report.effects import AxisEffect, Effects

SUFFIX = ".parquet"
"""How the name of a table of trainings ends; what ends otherwise is a run."""


def print_axes(source: str, *, as_json: bool) -> None:
    """Print what the axes of the run or the table at ``source`` do.

    Raises:
        SettingsError: it has too few networks, or there is none.
        FormatError: it cannot be read.
    """
    from irnas.record.run import Run
    from irnas.report.effects import effects_of, sample_of_run, sample_of_table
    from irnas.simulation import table

    sample = sample_of_table(table.read(source)) if source.endswith(SUFFIX) else sample_of_run(Run.read(source))
    effects = effects_of(sample)
    if as_json:
        typer.echo(json.dumps(_document(effects)))
    else:
        _print(effects)


def _document(effects: Effects) -> dict[str, Any]:
    document = asdict(effects)
    for axis in document["axes"]:
        for level in axis["levels"]:
            # JSON has no number that is none.
            level["error"] = None if math.isnan(level["error"]) else level["error"]
    return document


def _print(effects: Effects) -> None:
    from rich.table import Table as Grid

    from irnas.cli.console import make_console
    from irnas.report import unit

    label = unit.label(effects.metric)
    grid = Grid(title=f"Axes of {effects.num} networks: share of the variance that each explains", title_justify="left")
    grid.add_column("axis", no_wrap=True)
    for column in (f"of {label}", "at equal cost", "of the cost"):
        grid.add_column(column, justify="right")
    grid.add_column(f"mean {label} ± standard error (networks)")
    for axis in effects.axes:
        grid.add_row(axis.axis, *_shares(axis, effects), "; ".join(_levels(axis, effects.metric)))
    console = make_console()
    console.print(grid)
    console.print(
        f"* above chance: where no axis matters, the luckiest of {len(effects.axes)} comes to "
        f"{_percent(effects.chance)} of {label} in 19 of 20 cases, and at equal cost to "
        f"{_percent(effects.chance_at_cost)}"
    )
    if effects.deviation is not None:
        figure = unit.figure(effects.metric, effects.deviation)
        explainable = (
            "" if effects.explainable is None else f"; {_percent(effects.explainable)} of the variance is not it"
        )
        console.print(f"noise: {label} deviates by {figure} between trainings of one network{explainable}")


def _shares(axis: AxisEffect, effects: Effects) -> tuple[str, str, str]:
    marks = (axis.share > effects.chance, axis.share_at_cost > effects.chance_at_cost)
    first, second = (
        f"{_percent(share)}{'*' if is_above else ' '}"
        for share, is_above in zip((axis.share, axis.share_at_cost), marks, strict=True)
    )
    return first, second, _percent(axis.share_of_cost)


def _levels(axis: AxisEffect, metric: str) -> list[str]:
    from irnas.report import unit

    return [
        f"{level.value}: {unit.figure(metric, level.mean)}"
        + ("" if math.isnan(level.error) else f" ± {unit.figure(metric, level.error)}")
        + f" ({level.num})"
        for level in axis.levels
    ]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
