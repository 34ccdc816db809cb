"""A run becomes a study of Optuna that holds each trial as it ended."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from support.runs import space_folder, write_run

from irnas.core.errors import ServiceError, SettingsError
from irnas.core.result import Status
from irnas.record.run import Run
from irnas.tracking.optuna_study import write_study

STATES = {Status.OK: "COMPLETE", Status.STOPPED: "PRUNED", Status.REJECTED: "PRUNED", Status.FAILED: "FAIL"}


def test_a_study_has_what_the_record_has_and_is_made_once(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "runs" / "one", space_folder(tmp_path)))
    storage = f"sqlite:///{tmp_path / 'study.db'}"
    assert write_study(run, storage) == ("one", len(run.outcomes))
    study = optuna.load_study(study_name="one", storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == [objective.label for objective in run.objectives]
    by_key = {trial.user_attrs["key"]: trial for trial in study.trials}
    for result in run.results:
        trial = by_key[result.key]
        assert trial.state.name == STATES[result.status] and trial.params == dict(run.space.values_of(result.genotype))
        if result.status is Status.OK:
            assert trial.values == [result.values[o.name] for o in run.objectives]
    assert {trial.user_attrs["key"] for trial in study.best_trials} == {result.key for result in run.front.results}
    with pytest.raises(SettingsError, match=r"^study one in sqlite:///.*: got one that is there; must be a new one"):
        write_study(run, storage)
    with pytest.raises(
        SettingsError, match=r"^nowhere: got no storage of Optuna; must be such as sqlite:///study\.db$"
    ):
        write_study(run, "nowhere")
    for unopenable in ("sqlite:////proc/study.db", f"sqlite:///{tmp_path}"):
        with pytest.raises(ServiceError, match=r"^sqlite:///.*: got no answer; must be a database"):
            write_study(run, unopenable)
