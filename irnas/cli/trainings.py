"""What `irnas front` shows of trainings in full: each network with its mean, and each of its trainings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from irnas.record.run import Run
    from irnas.record.trial import Trial


def documents(run: Run) -> list[dict[str, Any]]:
    """The trainings of a run as plain data."""
    from irnas.record.trainings import trainings_of

    return [
        {
            "trial": t.trial.number,
            "key": t.trial.key,
            "origin": t.trial.proposal.origin,
            "replicate": t.replicate,
            "seed": t.seed,
            "status": t.state,
            "epoch": t.epoch,
            "seconds": t.seconds,
            "values": dict(t.values),
            "split": run.settings.fit_on,
            "validated_on": run.settings.validate_on,
            "is_validation_seen": run.settings.is_validation_seen,
            "error": t.error,
            "note": t.note,
        }
        for t in trainings_of(run)
    ]


def print_trainings(console: Console, run: Run) -> None:
    """Print the networks of a training with their means, their trainings below, and on what they were judged."""
    from rich.markup import escape

    from irnas.record.trainings import trainings_of
    from irnas.report import unit

    settings = run.settings
    if settings.seeds > 1:
        _print_networks(console, run)
    _print_each(console, run)
    for name, values in run.baselines.items():
        known = ", ".join(f"{unit.label(n)} {unit.quantity(n, values[n])}" for n in ("miou", "pd", "fa") if n in values)
        console.print(f"baseline {escape(name.replace('_', ' '))}: {known}", highlight=False)
    kept = "the last epoch's weights" if settings.keep == "last" else f"the best weights on {settings.validate_on}"
    judged = f"judged on {settings.validation} of {run.opened.data.name}"
    what = f"trained on {settings.fit_on} for {settings.budget.epochs} epochs, {kept} kept; {judged}"
    console.print(escape(what), highlight=False, soft_wrap=True)
    trainings = trainings_of(run)
    done = f"{sum(t.status == 'ok' for t in trainings)} of {len(trainings)} trainings are done"
    end = f"; ended: {run.end_reason}" if run.end_reason else ""
    console.print(escape(done + end), highlight=False, soft_wrap=True)


def _print_networks(console: Console, run: Run) -> None:
    """A row for each network: the mean of its trainings with the standard deviation."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.report import unit
    from irnas.report.training import COSTS, METRICS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("key")
    table.add_column("network")
    for name in (*METRICS, *COSTS):
        table.add_column(unit.title(name), justify="right", no_wrap=True)
    table.add_column("trainings", justify="right")
    for trial in run.trials.values():
        figures = [mean(trial, name) for name in METRICS]
        costs = [unit.figure(name, trial.proposal.costs.get(name)) for name in COSTS]
        num = len(trial.replicates) + (trial.finished is not None and trial.finished.result.status == "ok")
        table.add_row(trial.key, escape(trial.proposal.origin), *figures, *costs, str(num))
    console.print(table)


def mean(trial: Trial, name: str) -> str:
    """The mean of a metric over the trainings of a network that have ended, as people read it; a dash before any."""
    from irnas.report import unit

    statistics = trial.statistics.get(name)
    if statistics:
        return f"{unit.figure(name, statistics.mean)} ± {unit.figure(name, statistics.deviation)}"
    return unit.figure(name, trial.finished.result.values.get(name) if trial.finished else None)


def _print_each(console: Console, run: Run) -> None:
    """A row for each training."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from irnas.core.text import format_duration
    from irnas.record.trainings import trainings_of
    from irnas.report import unit
    from irnas.report.training import METRICS

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("key", "training", "seed", "status"):
        table.add_column(heading)
    for name in METRICS:
        table.add_column(unit.title(name), justify="right", no_wrap=True)
    table.add_column("epochs", justify="right")
    table.add_column("time", justify="right")
    notes: dict[str, str] = {}
    for t in trainings_of(run):
        which = f"{t.replicate + 1}/{run.settings.seeds}"
        figures = [unit.figure(name, t.values.get(name)) for name in METRICS]
        epochs = f"{t.epoch}/{run.settings.budget.epochs}"
        table.add_row(t.trial.key, which, str(t.seed), t.state, *figures, epochs, format_duration(t.seconds))
        if t.error or t.note:
            notes[f"{t.trial.key} {which}"] = t.error or t.note
    console.print(table)
    for which, text in notes.items():
        console.print(escape(f"{which}: {text}"), highlight=False, soft_wrap=True)
