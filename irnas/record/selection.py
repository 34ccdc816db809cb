"""Which trial of a run a user means: ``best``, ``knee``, a trial's number, or a network's key."""

from __future__ import annotations

import math

from irnas.core.errors import SettingsError
from irnas.core.result import Result
from irnas.record.run import Run
from irnas.record.trial import Trial

BEST, KNEE = "best", "knee"

_MAX_NAMED = 5


def select_trial(run: Run, text: str) -> Trial:
    """The trial that a text names.

    Args:
        run: where to look.
        text: ``best``, the point of the front that is best by the run's first objective, and by the others where
            several are; ``knee``, the point of the front nearest to the best value of each objective, on axes that
            reach from the front's best to its worst; the number of a trial; or a network's key, of which the beginning
            is enough.

    Raises:
        SettingsError: no such trial, several, or no front to choose from.
    """
    if text in (BEST, KNEE):
        return run.trials[(_best if text == BEST else _knee)(run).trial]
    if text.isdigit() and int(text) in run.trials:
        return run.trials[int(text)]
    matches = [trial for trial in run.trials.values() if text and trial.key.startswith(text)]
    if len(matches) == 1:
        return matches[0]
    keys = sorted({trial.key for trial in matches or run.trials.values()})
    got = f"{len(matches)} networks whose keys begin so" if matches else "no such network"
    must = f"a key ({', '.join(keys[:_MAX_NAMED])}{', ...' if len(keys) > _MAX_NAMED else ''}), " if keys else ""
    raise SettingsError(f"key {text!r} of {run.uri}: got {got}; must be {must}a trial's number, {BEST} or {KNEE}")


def _best(run: Run) -> Result:
    return min(_front(run), key=lambda result: tuple(o.loss(result.values[o.name]) for o in run.objectives))


def _knee(run: Run) -> Result:
    results = _front(run)
    places = [[o.position(result.values[o.name]) for o in run.objectives] for result in results]
    axes = [(min(axis), max(axis)) for axis in zip(*places, strict=True)]

    def distance(place: list[float]) -> float:
        shares = [(p - low) / ((high - low) or 1.0) for p, (low, high) in zip(place, axes, strict=True)]
        return math.hypot(*shares)

    return min(zip(results, places, strict=True), key=lambda pair: distance(pair[1]))[0]


def _front(run: Run) -> tuple[Result, ...]:
    if not run.front.results:
        raise SettingsError(f"run {run.uri}: got no network that was trained to the end; must have one")
    return run.front.results
