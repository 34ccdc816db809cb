"""On a machine of several GPUs every trial has its share of one: with GPUs that Ray is told of and torch lacks."""

from __future__ import annotations

import collections
import re
from pathlib import Path

import pytest
from support.datasets import tiny

from irnas.cluster import connection
from irnas.cluster.resources import Resources
from irnas.core.objective import parse
from irnas.core.recipe import Budget
from irnas.core.settings import SearchSettings
from irnas.record.run import Run
from irnas.workflows import executor as executors
from irnas.workflows import search as workflow
from irnas.workflows.execution import Listener
from irnas.workflows.executor import Executor

NUM_GPUS, NUM_TRIALS = 4, 8


@pytest.mark.service
def test_eight_trials_are_two_on_each_of_four_gpus_and_the_record_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = connection._start
    monkeypatch.setattr(connection, "_start", lambda options: start({**options, "num_gpus": NUM_GPUS}))
    monkeypatch.setattr(executors, "count_gpus", lambda: NUM_GPUS)
    monkeypatch.setattr(executors, "gpu_bytes", lambda: 80 * 2**30)
    monkeypatch.setattr(executors, "gpu_name", lambda: "NVIDIA X")
    settings = SearchSettings(
        space="biisnet",
        dataset=str(tiny().root),
        objectives=parse("miou,ops"),
        trials=NUM_TRIALS,
        strategy="random",
        axes={"base": (4, 6, 8), "stages": (2,), "n_bot": (0, 1)},
        # So long that all are at work at once.
        budget=Budget(epochs=40, batch=4, crop=32),
        cost_input=(1, 48, 48),
    )
    uri = str(tmp_path / "run")
    silent = Listener(watch=lambda _: None, warn=lambda _: None, progress=lambda *_: None)
    workflow.search(settings, uri, Executor(resources=Resources(workers=NUM_TRIALS)), silent)
    run = Run.read(uri)
    assert run.opened.trains_on == "4 x NVIDIA X, 2 trials on each"
    used = [re.search(r"given GPU (\d), which torch does not see", result.trained_on) for result in run.results]
    assert all(used) and collections.Counter(m[1] for m in used if m) == dict.fromkeys("0123", 2)
