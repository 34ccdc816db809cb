"""What trainings in full show while they run: a line for each thing that happens, a row for each network and seed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from irnas.cli.live_text import time_line, trains_on
from irnas.cli.search_view import SearchView
from irnas.core.objective import OBJECTIVES, USUAL_METRICS
from irnas.core.result import Status
from irnas.record.events import Event, Finished, Proposed, Repeated, Reported, Retried
from irnas.record.run import Run
from irnas.record.trainings import Training, trainings_of

_MAX_ROWS = 24


def headline(uri: str, run: Run) -> str:
    """What is trained, on what, and where it is written."""
    settings, data = run.settings, run.opened.data
    networks = "1 network" if settings.trials == 1 else f"{settings.trials} networks"
    seeds = "1 seed" if settings.seeds == 1 else f"{settings.seeds} seeds"
    return (
        f"{networks} of {settings.space} x {seeds} x {settings.budget.epochs} epochs on {data.name} "
        f"({data.revision[:12]}), split {settings.fit_on}, validated on {settings.validation}{trains_on(run)}; "
        f"run {uri}"
    )


def lines(view: SearchView, event: Event) -> Iterator[str]:
    """What an event is worth saying, once the view has taken it up."""
    run = view.run
    assert run is not None
    match event:
        case Proposed(proposal=proposal):
            yield f"{proposal.key} is {proposal.origin}"
        case Reported():
            epochs = run.settings.budget.epochs
            which = _name(run, event.trial, event.replicate)
            yield f"{which} epoch {event.epoch}/{epochs}: {view.metrics(event.values)}"
        case Retried():
            yield f"{run.trials[event.trial].key}: {event.error}"
        case Finished(result=result):
            outcome = result.error or view.metrics(result.values)
            note = f" ({result.note})" if result.note else ""
            yield f"{_name(run, event.trial, 0)} {result.status}: {outcome}{note}"
            yield from _after_end(view, event.trial)
        case Repeated():
            yield f"{_name(run, event.trial, event.replicate)} ok: {view.metrics(event.values)}"
            yield from _after_end(view, event.trial)


def count_line(view: SearchView) -> str:
    """Trainings and epochs that are done."""
    if view.run is None:
        return ""
    trainings = trainings_of(view.run)
    ended = sum(t.status is Status.OK for t in trainings)
    failed = sum(t.status is Status.FAILED for t in trainings)
    more = f", {failed} failed" if failed else ""
    return f"{ended} of {len(trainings)} trainings done{more}; {view.num_done:.0f}/{view.num_planned:.0f} epochs"


def rows(view: SearchView) -> list[tuple[str, str, str, Mapping[str, float]]]:
    """Network, training, epoch and values of each training, those that go on first."""
    run = view.run
    if run is None:
        return []
    trainings = sorted(trainings_of(run), key=lambda t: t.status is not None)
    return [
        (t.trial.key, f"{t.replicate + 1}/{run.settings.seeds}", _progress(run, t), t.values)
        for t in trainings[:_MAX_ROWS]
    ]


def _progress(run: Run, training: Training) -> str:
    if training.status is not None:
        return str(training.status)
    return f"{training.epoch}/{run.settings.budget.epochs}"


def _name(run: Run, trial: int, replicate: int) -> str:
    return f"{run.trials[trial].key} {replicate + 1}/{run.settings.seeds}"


def _after_end(view: SearchView, number: int) -> Iterator[str]:
    """The mean of a network once all of its trainings have ended, and how far everything is."""
    run = view.run
    assert run is not None
    trial = run.trials[number]
    if len(trial.replicates) == run.settings.seeds - 1 and trial.statistics:
        measured = [(OBJECTIVES[n], trial.statistics[n]) for n in USUAL_METRICS if n in trial.statistics]
        means = ", ".join(f"{o.label} {o.figure(s.mean)} ± {o.quantity(s.deviation)}" for o, s in measured)
        yield f"{trial.key}, mean of {run.settings.seeds}: {means}"
    yield f"{time_line(view)}; {count_line(view)}"
