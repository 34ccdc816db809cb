"""What an MLflow store holds of runs, in a form that two stores can be compared by."""

from __future__ import annotations

from typing import Any

from irnas.record.run import Run
from irnas.tracking import client as tracking
from irnas.tracking.entries import entries


def found(client: Any) -> list[Any]:
    """Every run of the experiment."""
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id], max_results=1000)) if experiment else []


def state(client: Any) -> dict[tuple[str, str], Any]:
    """All that MLflow holds, without its own random identifiers; fails on a second run of one trial."""
    names, kept = {}, {}
    everything = found(client)
    for run in everything:
        names[run.info.run_id] = (run.data.tags["irnas.run"], run.data.tags.get("irnas.trial", ""))
    for run in everything:
        tags = dict(run.data.tags)
        parent = tags.pop("mlflow.parentRunId", "")
        histories = {
            name: sorted((m.step, m.timestamp, m.value) for m in client.get_metric_history(run.info.run_id, name))
            for name in run.data.metrics
        }
        key = names[run.info.run_id]
        assert key not in kept, f"two runs of {key}"
        times = (run.info.status, run.info.start_time, run.info.end_time)
        kept[key] = (times, tags, dict(run.data.params), histories, names.get(parent))
    return kept


def assert_mirrored(client: Any, uri: str) -> None:
    """MLflow holds of a run what its ledger says, each thing once: no more points, no fewer."""
    parent, children = entries(Run.read(uri))
    identity, held = parent.tags["irnas.run"], state(client)
    expected = {"": parent, **{str(trial): child for trial, child in children.items()}}
    assert {trial for run, trial in held if run == identity} == set(expected)
    for trial, entry in expected.items():
        times, tags, params, histories, above = held[identity, trial]
        assert times == (entry.status, entry.start_ms, entry.end_ms)
        assert params == entry.params
        assert {k: v for k, v in tags.items() if k in entry.tags or k.startswith("irnas.")} == entry.tags
        listed = [(n, value, when, step) for n, points in histories.items() for step, when, value in points]
        listed = [point for point in listed if not point[0].startswith("system/")]
        assert sorted(listed) == sorted(set(entry.points))
        assert above == ((identity, "") if trial else None)
