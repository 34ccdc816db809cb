"""Searches, trainings and tests as Python calls them: the same workflows as of the command line, told in lines."""

from __future__ import annotations

import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from irnas.core import catalog
from irnas.core.errors import SettingsError, TrainingError
from irnas.core.objective import OBJECTIVES
from irnas.core.result import Result, Status
from irnas.core.text import did_you_mean, parse_si
from irnas.record.events import Event, Finished, Repeated
from irnas.record.run import Run as Record
from irnas.workflows import search_plan

if TYPE_CHECKING:
    from irnas.workflows.execution import Listener, Outcome
    from irnas.workflows.executor import Executor
    from irnas.workflows.test import Outcome as TestOutcome

_WHERE = ("address", "workers", "gpus", "memory", "patience", "executor", "progress")
"""Where and how trials run; no settings of a search."""
_OF_RECIPE = ("epochs", "batch", "crop", "loss", "lr", "ema", "amp")


def search(space: str, words: Mapping[str, Any], uri: str | None, where: Mapping[str, Any]) -> str:
    """Run a search and return where its record is; see ``irnas.search``.

    Args:
        space: its space.
        words: the other words of a ``search.yaml``; None for the default.
        uri: where the record goes; None for a new folder of ``runs``.
        where: of ``_WHERE``, those that are not as usual.
    """
    catalog.admit_code(space)
    settings = search_plan.make_settings({"space": space, **words})
    # Only now, because it imports torch.
    executor, listener = _executor(where), _listener(where)
    from irnas.workflows import search as workflow

    uri = uri or search_plan.new_uri(settings)
    return _uri_of(workflow.search(settings, uri, executor, listener), "search")


def train(
    source: str, names: Sequence[str], words: Mapping[str, Any], uri: str | None, where: Mapping[str, Any]
) -> str:
    """Train networks in full and return where the record is; see ``irnas.train``.

    Arguments are as of ``search``, words as of a ``train.yaml``.
    """
    from irnas.workflows import training_plan

    recipe, of_recipe = words.get("recipe"), {word: words.get(word) for word in _OF_RECIPE}
    others = {word: value for word, value in words.items() if word != "recipe" and word not in _OF_RECIPE}
    known = (*_OF_RECIPE, "recipe", *training_plan.OVERRIDABLE)
    for word in others:
        if word not in training_plan.OVERRIDABLE:
            raise SettingsError(f"train: got {word!r}; one of {', '.join(known)}{did_you_mean(word, known)}")
    plan = training_plan.plan_for(source, names, has_recipe=recipe is not None)
    plan = training_plan.override(plan, recipe, of_recipe, others)
    executor, listener = _executor(where), _listener(where)
    from irnas.workflows import train as workflow

    uri = uri or training_plan.new_uri(plan)
    return _uri_of(workflow.train(plan, uri, executor, listener), "train")


def resume(uri: str, trials: int | None, dataset: str | None, where: Mapping[str, Any]) -> str:
    """Go on with the search or the training at ``uri``, and return that."""
    is_training = Record.read(uri).settings.is_training
    if is_training and trials is not None:
        raise SettingsError(f"resume of {uri}: got trials {trials}; must be left out: a training has its networks")
    executor, listener = _executor(where), _listener(where)
    if is_training:
        from irnas.workflows import train as training

        return _uri_of(training.resume(uri, executor, listener, dataset), "train")
    from irnas.workflows import search as searching

    return _uri_of(searching.resume(uri, trials, executor, listener, dataset), "search")


def test(
    model: str,
    key: str,
    *,
    split: str = "test",
    dataset: str | None = None,
    run: str | None = None,
    output: str | None = None,
    predictions: bool = True,
) -> TestOutcome:
    """Judge trained networks; see ``irnas.test``."""
    from irnas.workflows import test as workflow
    from irnas.workflows.testing_plan import Listener, TestSettings

    settings = TestSettings(
        model=model, which=key, split=split, dataset=dataset, run=run, output=output, has_pictures=predictions
    )
    return workflow.test(settings, Listener(warn=_warn, progress=lambda *_: None))


def _uri_of(outcome: Outcome, what: str) -> str:
    """Where the record of a run is that ended.

    Raises:
        TrainingError: too many of its trainings failed.
    """
    if outcome.gave_up:
        raise TrainingError(f"{what}: got too many failures ({outcome.stop_reason}); must mostly succeed")
    return outcome.run.uri


def _executor(where: Mapping[str, Any]) -> Executor:
    for word in where:
        if word not in _WHERE:
            raise SettingsError(f"got {word!r}; one of {', '.join(_WHERE)}{did_you_mean(word, _WHERE)}")
    from irnas.cluster.resources import AUTO, Resources, parse_gpus
    from irnas.workflows.executor import make_executor

    memory = where.get("memory")
    resources = Resources(
        address=where.get("address"),
        workers=where.get("workers"),
        gpus=parse_gpus(str(AUTO if where.get("gpus") is None else where["gpus"])),
        patience_s=where.get("patience"),
        memory=int(parse_si("memory", memory)) if isinstance(memory, str) else memory,
    )
    return make_executor(where.get("executor") or "ray", resources)


def _listener(where: Mapping[str, Any]) -> Listener:
    from irnas.workflows.execution import Listener

    is_told, since = where.get("progress", True), time.time()

    def watch(event: Event) -> None:
        # A run that goes on tells what it was before, too.
        if is_told and event.t >= since:
            _tell(event)

    return Listener(watch=watch, warn=_warn, progress=lambda *_: None)


def _tell(event: Event) -> None:
    """Say in a line how a training ended."""
    match event:
        case Finished(result=result) if result.status is not Status.REJECTED:
            text = f"trial {result.trial} {result.key} {result.status}: {result.error or _values(result)}"
        case Repeated():
            text = f"{event.key} trained again with seed {event.seed}"
        case _:
            return
    print(text, file=sys.stderr, flush=True)


def _values(result: Result) -> str:
    names = [name for name in ("miou", "niou", "pd", "fa", "ops", "params", "latency_ms") if name in result.values]
    return ", ".join(f"{OBJECTIVES[name].label} {OBJECTIVES[name].quantity(result.values[name])}" for name in names)


def _warn(text: str) -> None:
    warnings.warn(text, stacklevel=2)
