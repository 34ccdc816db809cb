"""A run as a study of Optuna, so that its dashboard and its own plots work on it."""

from __future__ import annotations

import datetime
import warnings
from collections.abc import Mapping

import optuna
from sqlalchemy.exc import SQLAlchemyError

from irnas.core.errors import ServiceError, SettingsError
from irnas.core.redaction import redact_credentials
from irnas.core.result import Status
from irnas.record.run import Run
from irnas.record.trial import Trial

_STATE = {
    Status.OK: optuna.trial.TrialState.COMPLETE,
    Status.STOPPED: optuna.trial.TrialState.PRUNED,
    Status.REJECTED: optuna.trial.TrialState.PRUNED,
    Status.FAILED: optuna.trial.TrialState.FAIL,
}


def write_study(run: Run, storage: str, name: str | None = None) -> tuple[str, int]:
    """Write the trials of a run that have ended as a new study; its name, and how many trials it has.

    Every choice is a category, as irnas itself knows no order between the values of an axis that Optuna could use.

    Args:
        run: a search, or a training in full.
        storage: where Optuna keeps studies, such as ``sqlite:///study.db``.
        name: of the study; the run's unless told otherwise.

    Raises:
        SettingsError: there is such a study already, or no such kind of storage.
        ServiceError: the storage does not answer.
    """
    name = name or run.name
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    maximize, minimize = optuna.study.StudyDirection.MAXIMIZE, optuna.study.StudyDirection.MINIMIZE
    directions = [maximize if objective.goal == "max" else minimize for objective in run.objectives]
    choices = _choices(run)
    trials = [_trial(run, trial, choices) for trial in run.trials.values() if trial.finished]
    where = redact_credentials(storage)
    if "://" not in storage:
        raise SettingsError(f"{where}: got no storage of Optuna; must be such as sqlite:///study.db")
    try:
        study = optuna.create_study(storage=storage, study_name=name, directions=directions)
        with warnings.catch_warnings():
            # Optuna calls names of values experimental; without them its pages would say "Objective 0".
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study.set_metric_names([objective.label for objective in run.objectives])
        study.add_trials(trials)
    except optuna.exceptions.DuplicatedStudyError:
        raise SettingsError(f"study {name} in {where}: got one that is there; must be a new one (--name)") from None
    except (optuna.exceptions.StorageInternalError, SQLAlchemyError):
        raise ServiceError(f"{where}: got no answer; must be a database that Optuna can use") from None
    except ImportError as error:
        raise SettingsError(f"{where}: got no package {error.name}; must be installed for such a storage") from None
    return name, len(trials)


def _choices(run: Run) -> dict[str, optuna.distributions.CategoricalDistribution]:
    """What each axis may be: the values of the space, and those of designs beyond it that were trained."""
    values = {param.name: dict.fromkeys(param.values) for param in run.space.params}
    for trial in run.trials.values():
        for axis, value in run.space.values_of(trial.proposal.genotype).items():
            values.setdefault(axis, {})[value] = None
    return {axis: optuna.distributions.CategoricalDistribution(list(known)) for axis, known in values.items()}


def _trial(
    run: Run, trial: Trial, choices: Mapping[str, optuna.distributions.CategoricalDistribution]
) -> optuna.trial.FrozenTrial:
    assert trial.finished is not None
    result, params = trial.finished.result, dict(run.space.values_of(trial.proposal.genotype))
    first, has_curve = run.objectives[0].name, len(run.objectives) == 1
    made = optuna.trial.create_trial(
        state=_STATE[result.status],
        params=params,
        distributions={axis: choices[axis] for axis in params},
        values=[result.values[o.name] for o in run.objectives] if result.status is Status.OK else None,
        user_attrs={"key": result.key, "origin": trial.proposal.origin, "error": result.error, **result.values},
        # Optuna has no curve of several objectives.
        intermediate_values={r.epoch: r.values[first] for r in trial.reports if first in r.values} if has_curve else {},
    )
    made.datetime_start, made.datetime_complete = (
        datetime.datetime.fromtimestamp(event.t) for event in (trial.proposed, trial.finished)
    )
    return made
