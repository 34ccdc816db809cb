"""Why a network of a run is where it is: who proposed it, what was believed of it, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from irnas.core.front import Front
from irnas.core.objective import USUAL_METRICS
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.text import format_duration
from irnas.record.events import Continued, Event, Finished, Proposed, Repeated, Reported, Retried
from irnas.record.run import Run
from irnas.record.selection import select_trial
from irnas.record.trainings import trainings_of
from irnas.record.trial import Trial
from irnas.report import unit
from irnas.report.network import differing, figure_of, phrases
from irnas.search.strategy.belief import Belief

MAX_BETTER = 3
"""Networks that are named as better ones."""


def explain(run: Run, key: str) -> list[str]:
    """The story of one network, a sentence a line; ``key`` is anything that ``select_trial`` takes.

    Raises:
        SettingsError: the run proposed no such network, or several.
    """
    trial = select_trial(run, key)
    proposal, axes = trial.proposal, differing([r.genotype for r in run.outcomes], run.space)
    choices = f": {' '.join(phrases(proposal.genotype, axes))}" if trial.finished else ""
    if run.settings.is_training:
        return list(_story_of_trainings(run, trial))
    free = [o.name for o in run.objectives if o.is_free]
    costs = ", ".join(f"{unit.label(n)} {unit.quantity(n, proposal.costs[n])}" for n in free)
    lines = [
        f"{proposal.key}, trial {trial.number}{choices}",
        f"{_clock(trial.proposed)} proposed by {proposal.origin}: {costs or 'no free objective'}",
        *_start(proposal),
        *_belief(proposal.memory, run),
    ]
    if proposal.refused:
        return [*lines, f"never trained, for it breaks a limit: {proposal.refused}"]
    if trial.finished and trial.finished.result.status is Status.REJECTED:
        return [*lines, f"never trained: {trial.finished.result.note}"]
    return [*lines, *_training(run, trial.number), *_outcome(run, trial)]


def _start(proposal: Proposal) -> Iterator[str]:
    """Whose weights it was to start from."""
    if proposal.parent:
        epochs = proposal.parent.epochs
        yield f"         to start from the weights of {proposal.parent}, trained {epochs} epochs until then"


def _heritage(result: Result) -> str:
    """What it had from its parent."""
    heritage = result.heritage
    if heritage is None:
        return f" ({result.note})" if result.note else ""
    parent = "its own weights" if heritage.parent == result.key else f"{heritage.source or heritage.parent}"
    return f", {100 * heritage.share:.0f} % inherited from {parent}; {heritage.epochs} epochs with its ancestors'"


def _story_of_trainings(run: Run, trial: Trial) -> Iterator[str]:
    """What became of a network that was given to be trained: each of its trainings, and their mean."""
    proposal, settings = trial.proposal, run.settings
    costs = ", ".join(f"{unit.label(n)} {unit.quantity(n, proposal.costs[n])}" for n in ("ops", "params"))
    yield f"{proposal.key}, trial {trial.number}, is {proposal.origin}: {costs}"
    yield (
        f"{_clock(trial.proposed)} to be trained on {settings.fit_on} with {settings.seeds} "
        f"seed{'s' if settings.seeds > 1 else ''} for {settings.budget.epochs} epochs, judged on {settings.validation}"
    )
    for retry in trial.retries:
        yield f"{_clock(retry)} {retry.error}"
    for training in (t for t in trainings_of(run) if t.trial is trial):
        figures = [
            f"{unit.label(n)} {unit.quantity(n, training.values[n])}" for n in USUAL_METRICS if n in training.values
        ]
        end = training.error or ", ".join(figures) or "no figures yet"
        note = f" ({training.note})" if training.note else ""
        which = f"training {training.replicate + 1} (seed {training.seed})"
        yield f"{which} {training.state} after epoch {training.epoch}: {end}{note}"
    for name in USUAL_METRICS:
        if statistics := trial.statistics.get(name):
            mean, deviation = unit.quantity(name, statistics.mean), unit.figure(name, statistics.deviation)
            yield f"mean {unit.label(name)} {mean}, standard deviation {deviation} over {statistics.num} trainings"


def _training(run: Run, number: int) -> Iterator[str]:
    """What became of the training, rung by rung."""
    name = next((o.name for o in run.objectives if not o.is_free), "miou")
    for place, event in enumerate(run.events):
        match event:
            case Reported(trial=trial, paused=True) if trial == number:
                so_far = f"{unit.label(name)} {unit.quantity(name, event.values[name])}"
                then = _handed_out_next(run.events[place + 1 :])
                yield f"{_clock(event)} paused after epoch {event.epoch} with {so_far}{then}"
            case Continued(trial=trial) if trial == number:
                yield f"{_clock(event)} went on, as the most promising thing to do"
                yield from _belief({"belief": event.belief}, run)
            case Retried(trial=trial) if trial == number:
                yield f"{_clock(event)} {event.error}"
            case Finished(result=result) if result.trial == number:
                value = result.values.get(name)
                figure = f", {unit.label(name)} {unit.quantity(name, value)}" if value is not None else ""
                yield f"{_clock(event)} {result.status} after epoch {result.epochs}{figure}{_heritage(result)}"


def _handed_out_next(later: Sequence[Event]) -> str:
    """What was handed out then."""
    match next((e for e in later if isinstance(e, Proposed | Continued)), None):
        case Proposed(proposal=proposal):
            return f"; next came trial {proposal.trial}, a new network"
        case Continued(trial=trial):
            return f"; next came trial {trial}, which had been paused"
    return "; nothing was handed out after it"


def _belief(memory: Mapping[str, Any], run: Run) -> Iterator[str]:
    """What the strategy believed when it chose this."""
    belief = Belief.in_memory(memory)
    if belief is None:
        return
    name = next(o.name for o in run.objectives if not o.is_free)
    low, high = (unit.quantity(name, belief.mean + s * 2 * belief.standard_deviation) for s in (-1, 1))
    yield (
        f"         believed: final {unit.label(name)} {low} to {high} (two deviations), an expected improvement of "
        f"{100 * belief.expected_improvement:.2g} % of the hypervolume in {format_duration(belief.seconds)}, the best "
        f"of {belief.options} options"
    )


def _outcome(run: Run, trial: Trial) -> Iterator[str]:
    if trial.finished is None:
        yield "it has not ended"
        return
    (result,) = (r for r in run.results if r.trial == trial.number)
    if result.status is Status.FAILED:
        yield f"failed: {result.error}"
        return
    names = [o.name for o in run.objectives if o.name in trial.statistics]
    if names:
        yield "trained again: " + ", ".join(f"{unit.label(n)} {figure_of(run, result, n)}" for n in names)
    for again in trial.from_scratch:
        figures = [f"{unit.label(o.name)} {_figure(o.name, again)}" for o in run.objectives if o.name in again.values]
        yield f"trained in full from random weights (seed {again.seed}): {', '.join(figures)}"
    if result in run.front.results:
        rest = [r for r in run.done if r.trial != result.trial]
        lost = run.hypervolume() - Front.of(rest, run.objectives, run.requirements).hypervolume(run.bounds)
        yield f"on the front: without it the hypervolume would be {100 * lost:.2g} points less"
        return
    better = [r for r in run.winners if _covers(run, r, result)]
    words = [f"{r.key} ({', '.join(_value(o.name, r) for o in run.objectives)})" for r in better[:MAX_BETTER]]
    more = f" and {len(better) - MAX_BETTER} more" if len(better) > MAX_BETTER else ""
    end = "as it stood when it was stopped, " if result.status is Status.STOPPED else ""
    if better:
        yield f"not on the front: {end}dominated by {', '.join(words)}{more}"
    else:
        yield f"not on the front: {end}nothing dominates it, but it was not trained to its end"


def _figure(name: str, repeated: Repeated) -> str:
    return unit.quantity(name, repeated.values[name])


def _value(name: str, result: Result) -> str:
    return f"{unit.label(name)} {unit.quantity(name, result.values[name])}"


def _covers(run: Run, one: Result, other: Result) -> bool:
    return all(o.loss(one.values[o.name]) <= o.loss(other.values[o.name]) for o in run.objectives)


def _clock(event: Event) -> str:
    return time.strftime("%H:%M:%S", time.localtime(event.t))
