"""What a live view says of a search in lines of text."""

from __future__ import annotations

from collections.abc import Mapping

from irnas.cli.search_view import SearchView
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.text import format_duration, format_si
from irnas.record.run import Run


def headline(uri: str, run: Run) -> str:
    """What is searched, on what, and where it is written."""
    settings, data = run.settings, run.opened.data
    names = ", ".join(o.name for o in settings.objectives)
    return (
        f"{settings.space} for {names} on {data.name} ({data.revision[:12]}): "
        f"{_plan(settings)}, {settings.strategy}{trains_on(run)}, run {uri}"
    )


def trains_on(run: Run) -> str:
    """What trains the trials, behind a comma; nothing where the record does not say."""
    return f", on {run.trains_on}" if run.trains_on else ""


def _plan(settings: SearchSettings) -> str:
    epochs = settings.budget.epochs
    if settings.budget_limit:
        return f"{settings.budget_limit} of training, {epochs} epochs to a full one"
    if settings.is_multi_fidelity:
        return f"{settings.total_budget.epochs:.0f} epochs, {epochs} to a full training"
    return f"{settings.trials} networks x {epochs} epochs"


def resumed_line(view: SearchView) -> str:
    """What was done before a run goes on."""
    run = view.run
    if run is None:
        return ""
    if run.settings.is_training:
        return f"resumed: {view.num_done:.0f} of {view.num_planned:.0f} epochs done"
    if run.settings.is_multi_fidelity:
        return f"resumed: {run.tally.epochs} of {view.num_planned:.0f} epochs done"
    return f"resumed: {run.num_trained} of {run.settings.trials} done"


def time_line(view: SearchView) -> str:
    """How long it has taken, and how long it will."""
    eta = "" if view.eta_s is None else f", about {format_duration(view.eta_s)} left"
    return f"{format_duration(view.elapsed_s)} so far{eta}"


def count_line(view: SearchView) -> str:
    """Counts and front."""
    run = view.run
    if run is None:
        return ""
    counts = f"{view.count(Status.OK)} done, {len(view.running)} running, {view.count(Status.FAILED)} failed"
    if view.waiting or view.count(Status.STOPPED):
        counts += f", {len(view.waiting)} paused, {view.count(Status.STOPPED)} stopped"
    if refused := view.count(Status.REJECTED):
        counts += f", {refused} refused"
    percent = view.seconds_per_percent
    more = "" if percent is None else f" (1 % more: about {format_duration(percent)} of training)"
    done = f"{run.num_trained}/{run.settings.trials}"
    if run.settings.is_multi_fidelity:
        done = f"{run.tally.epochs}/{view.num_planned:.0f} epochs"
    return f"{done}: {counts}; front {len(run.front.results)}, hypervolume {100 * view.hypervolume:.1f} %{more}"


def status_line(view: SearchView) -> str:
    """Time, counts and front."""
    return f"{time_line(view)}; {count_line(view)}" if view.run else ""


def finish_line(result: Result, view: SearchView) -> str:
    """How one trial ended."""
    after = f" after epoch {result.epochs}" if result.status is Status.STOPPED else ""
    text = f"trial {result.trial} {result.key} {result.status}{after}: "
    text += result.error or f"{view.metrics(result.values)} | {amounts(result.values)}"
    proposal = view.run.trials[result.trial].proposal if view.run else None
    notes = [proposal.origin if proposal and proposal.is_known else "", result.note]
    return text + "".join(f" ({note})" for note in notes if note)


def amounts(values: Mapping[str, float]) -> str:
    """What a network costs, as it stands in a line."""
    return ", ".join(f"{name} {format_si(values[name])}" for name in ("ops", "params", "fps") if name in values)
