"""What `irnas plan` prints; its options are those of `irnas search`, whose module makes the settings."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from irnas.cli.live import amount
from irnas.core.settings import SearchSettings

if TYPE_CHECKING:
    from irnas.workflows.plan import Plan


def show(settings: SearchSettings, workers: int | None) -> None:
    """Print the plan of a search with these settings on this machine."""
    from irnas.cli.data import bars
    from irnas.workflows.plan import plan

    with bars() as progress:
        found = plan(settings, progress)
    workers = workers or os.cpu_count() or 1
    typer.echo("\n".join(lines(settings, found, workers)))


def lines(settings: SearchSettings, found: Plan, workers: int) -> list[str]:
    """The plan in sentences."""
    said = [f"space     {settings.space}: {found.points:,} networks"]
    for name, (least, middle, most) in found.free.items():
        said.append(f"{name:<9} {amount(least)} to {amount(most)}, half of them below {amount(middle)}")
    if settings.limits:
        given = ", ".join(f"{name} {amount(most)}" for name, most in settings.limits.items())
        said.append(f"limits    {given}: refuse {100 * found.refused:.0f} % of the networks, before any training")
    if not found.timed:
        return [*said, "training  none: the limits refuse every network that was drawn"]
    for each, what in zip(found.timed, ("cheapest", "middle", "dearest"), strict=False):
        said.append(f"training  {_time(each.seconds)} for the {what} ({each.genotype.key}), on one core")
    epochs, seconds = settings.total_budget
    trainings = min(epochs / settings.budget.epochs, settings.trials, seconds / found.mean_seconds, found.points)
    extra = settings.finalists * (settings.seeds - 1)
    unit = "full trainings' worth of epochs" if settings.is_multi_fidelity else "full trainings"
    total = (trainings + extra) * found.mean_seconds
    also = f" and {extra} of finalists" if extra else ""
    said.append(f"search    about {trainings:.0f} {unit}{also}: {_time(total)} of one core, {settings.strategy}")
    at_once = min(workers, trainings + extra)
    said.append(f"          {_time(total / at_once)} with {workers} at the same time")
    return said


def _time(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
