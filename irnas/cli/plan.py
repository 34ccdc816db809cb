"""`irnas plan`: what a search would do and how long it would take; its options are those of `irnas search`."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.option_groups import with_options
from irnas.cli.options import SearchOptions
from irnas.cli.run_options import RunOptions
from irnas.core.errors import SettingsError
from irnas.core.heritage import NEAREST, OFF, ZOO
from irnas.core.settings import SearchSettings
from irnas.core.strategies import INHERITING
from irnas.core.text import format_duration, format_si

if TYPE_CHECKING:
    from irnas.workflows.plan import Plan


@with_options
def plan(
    options: SearchOptions,
    where: RunOptions,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Say what a search would do, without training: its networks, what the limits refuse, how long it takes.

    irnas plan --space biisnet --objective miou,ops --max-ops 20M --trials 50
    """
    if where.resume is not None:
        raise SettingsError("resume: got it with plan; must be without: a search that was begun keeps its settings")
    settings = options.settings()

    from irnas.cli.console import progress_bars
    from irnas.workflows import plan as plan_workflow

    with progress_bars() as progress:
        made = plan_workflow.plan(settings, progress)
    workers = where.workers or os.cpu_count() or 1
    typer.echo(json.dumps(document(settings, made, workers)) if as_json else "\n".join(lines(settings, made, workers)))


def lines(settings: SearchSettings, plan: Plan, workers: int) -> list[str]:
    """The plan in sentences."""
    text = [f"space     {settings.space}: {plan.points:,} networks"]
    for name, (least, middle, most) in plan.free.items():
        text.append(f"{name:<9} {format_si(least)} to {format_si(most)}, half of them below {format_si(middle)}")
    if settings.limits:
        limits = ", ".join(f"{name} {format_si(most)}" for name, most in settings.limits.items())
        text.append(f"limits    {limits}: refuse {100 * plan.refused:.0f} % of the networks, before any training")
    if settings.requirements:
        phrases = ", ".join(requirement.phrase for requirement in settings.requirements)
        text.append(f"required  {phrases}: who reaches it ranks before all who do not; known once trained")
    if not plan.timed:
        return [*text, "training  none: the limits refuse every network that was drawn"]
    for timed, which in zip(plan.timed, ("cheapest", "middle", "dearest"), strict=False):
        seconds = format_duration(timed.seconds)
        text.append(f"training  {seconds} for the {which} ({timed.genotype.key}), on one core")
    if phrase := _lines_of_weights(settings):
        text.append(f"lines     {phrase}")
    trainings, of_finalists = _count_trainings(settings, plan)
    unit = (
        "full trainings' worth of epochs" if settings.is_multi_fidelity or settings.inherit != OFF else "full trainings"
    )
    total = (trainings + of_finalists) * plan.mean_seconds
    also = f" and {of_finalists} of finalists" if of_finalists else ""
    text.append(
        f"search    about {trainings:.0f} {unit}{also}: {format_duration(total)} of one core, {settings.strategy}"
    )
    at_once = min(workers, trainings + of_finalists)
    text.append(f"          {format_duration(total / at_once)} with {workers} at the same time")
    return text


def document(settings: SearchSettings, plan: Plan, workers: int) -> dict[str, Any]:
    """The plan as plain data; times in seconds of one core, None where the limits refuse every network."""
    trainings, of_finalists = _count_trainings(settings, plan) if plan.timed else (0.0, 0)
    total = (trainings + of_finalists) * plan.mean_seconds if plan.timed else None
    return {
        "settings": settings.document(),
        "networks": plan.points,
        "free": {n: dict(zip(("least", "median", "most"), values, strict=True)) for n, values in plan.free.items()},
        "refused": plan.refused,
        "timed": [{"key": t.genotype.key, "costs": dict(t.costs), "seconds": t.seconds} for t in plan.timed],
        "trainings": trainings,
        "trainings_of_finalists": of_finalists,
        "core_seconds": total,
        "workers": workers,
        "seconds": None if total is None else total / min(workers, trainings + of_finalists),
    }


def _lines_of_weights(settings: SearchSettings) -> str:
    """Who trains for how long from whose weights; empty where all begin with random ones."""
    heirs = f"{settings.epochs_of_heirs} of {settings.budget.epochs} epochs"
    if settings.inherit == ZOO:
        return f"each network begins with the weights of the zoo's nearest, where there is one, and trains for {heirs}"
    if settings.inherit == NEAREST:
        return f"from the second on, each begins with the weights of the nearest that is trained, for {heirs}"
    if settings.strategy in INHERITING:
        return (
            f"after the first few, {heirs} at a time: for a child of a trained network, or for one of the front again"
        )
    return ""


def _count_trainings(settings: SearchSettings, plan: Plan) -> tuple[float, int]:
    """How many full trainings the search comes to, and how many more its finalists."""
    epochs, seconds = settings.total_budget
    worth = float(min(settings.trials, plan.points))
    if settings.inherit != OFF:
        # The first of a search has no parent; all others are short.
        num_in_full = min(worth, 1.0) if settings.inherit == NEAREST else 0.0
        worth = num_in_full + (worth - num_in_full) * settings.epochs_of_heirs / settings.budget.epochs
    trainings = min(epochs / settings.budget.epochs, worth, seconds / plan.mean_seconds)
    return trainings, settings.finalists * (settings.seeds - 1)
