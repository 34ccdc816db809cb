"""Brings MLflow to what ``irnas.tracking.entries`` says it should hold of a run.

A sync finds existing runs by their tags and writes the difference. So a sync after a crash, a second sync and one by
another process all end in the same state, and nothing of MLflow's is needed to make it again.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irnas import storage
from irnas.core.errors import IrnasError, SettingsError
from irnas.record.events import DataSource
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.storage import lock
from irnas.storage.retry import retry
from irnas.tracking import database
from irnas.tracking.entries import Entry, Point, entries
from irnas.tracking.mlflow_errors import as_irnas_error, cause_of

EXPERIMENT = "irnas"
"""Where the runs appear, unless MLFLOW_EXPERIMENT_NAME names another experiment."""

ARTIFACTS = ("report.html", "report.png", "results.parquet")
"""Files of a run that its parent run keeps once the search has ended."""

HASTE_S, PATIENCE_S = 5, 120
"""How long an answer may take: during a search, so that a dead server costs it seconds; where somebody waits for it."""

# No request twice: MLflow would send one again whose answer is late, and make two runs of one; a sync that failed is
# made again as a whole, and looks first. Quiet, so that nothing is written across the live view; no usage statistics,
# which MLflow sends over the network by default; no job queue beside its pages. What the user sets stays.
_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
}

_set_here: dict[str, str] = {}
"""What this module put into the environment; anything else there is the user's."""

_WAITS_S = (1.0, 5.0)
"""Between the tries of what somebody waits for."""

_MAX_METRICS, _MAX_TEXTS = 800, 100
"""What MLflow takes in one batch: 1000 entries, of which 100 parameters and 100 tags."""

_MAX_VALUE = 5000
"""Characters of a parameter or tag."""

_MAX_WAIT_S = 300.0
"""Between two tries at a store that does not answer."""


@dataclass(slots=True, kw_only=True)
class _Held:
    """What one MLflow run is known to hold."""

    run_id: str
    status: str = "RUNNING"
    end_ms: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    points: set[Point] = field(default_factory=set)


def set_environment(timeout_s: int = HASTE_S) -> None:
    """Set what MLflow reads from the environment, except where the user has set it."""
    for name, value in {**_ENVIRONMENT, "MLFLOW_HTTP_REQUEST_TIMEOUT": str(timeout_s)}.items():
        if os.environ.get(name) in (None, _set_here.get(name)):
            os.environ[name] = _set_here[name] = value


def load_mlflow() -> None:
    """Import MLflow in this thread, before a mirror's thread does.

    Ray Tune imports it, too: two threads that do so at once get one half of it each, and an error. One that cannot be
    imported is the mirror's to tell.
    """
    with contextlib.suppress(Exception):
        import mlflow.tracking  # noqa: F401


class Mirror:
    """Brings MLflow up to date with the ledger of one run."""

    def __init__(
        self,
        uri: str,
        tracking_uri: str | None = None,
        timeout_s: int = HASTE_S,
        warn: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.uri = uri
        self._ledger = Ledger(uri)
        self.timeout_s = timeout_s
        self.tracking_uri = tracking_uri or os.environ.get("MLFLOW_TRACKING_URI") or database.default_uri(uri)
        self._warn = warn
        self._client: Any = None
        self._experiment = ""
        self._runs: dict[int | None, _Held] = {}
        """By trial; None is the search."""
        self._has_input = False

    def sync(self, *, is_live: bool = True) -> None:
        """Write to MLflow what the ledger holds and MLflow does not.

        Raises:
            SettingsError: there is no run.
            Exception: anything that MLflow raises; the next call starts from what MLflow then holds.
        """
        run = Run.of(self.uri, self._ledger.events())
        parent, children = entries(run, is_live=is_live)
        with lock.hold_mirror(self.uri):
            try:
                self._connect()
                self._look_up(parent, children)
                self._log(None, parent)
                self._log_input(run.opened.data)
                for trial, child in children.items():
                    self._log(trial, child)
                    self._settle(trial, child)
                self._settle(None, parent)
                if parent.end_ms is not None:
                    self._attach()
            except BaseException:
                # Whatever was under way may or may not have arrived: the next sync looks again.
                self._client, self._runs, self._has_input = None, {}, False
                raise

    def watch(self) -> Any:
        """Start to log the load of this machine to the search; what is returned has a ``finish``.

        None unless MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING is true. No record holds it, so no rebuild brings it back.
        """
        if self._runs.get(None) is None or os.environ["MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING"] != "true":
            return None
        from mlflow.system_metrics.system_metrics_monitor import SystemMetricsMonitor

        run_id = self._runs[None].run_id
        monitor = SystemMetricsMonitor(run_id, resume_logging=True, tracking_uri=self.tracking_uri)
        monitor.start()
        return monitor

    def _connect(self) -> None:
        if self._client is not None:
            return
        set_environment(self.timeout_s)
        from mlflow.tracking import MlflowClient

        database.prepare(self.tracking_uri, self._warn, may_replace=self.tracking_uri == database.default_uri(self.uri))
        client = MlflowClient(tracking_uri=self.tracking_uri)
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME") or EXPERIMENT
        experiment = client.get_experiment_by_name(name)
        if experiment is None:
            self._experiment = client.create_experiment(name, database.artifact_location(self.tracking_uri))
        elif experiment.lifecycle_stage == "deleted":
            raise SettingsError(
                f"MLflow experiment {name!r}: got one that was deleted; must be restored "
                f"('mlflow experiments restore -x {experiment.experiment_id}'), or MLFLOW_EXPERIMENT_NAME another"
            )
        else:
            self._experiment = experiment.experiment_id
        self._client = client

    def _look_up(self, parent: Entry, children: Mapping[int, Entry]) -> None:
        """Learn which of the runs exist already, whoever made them."""
        wanted: dict[int | None, Entry] = dict(children.items())
        wanted[None] = parent
        if self._runs.keys() >= wanted.keys():
            return
        where, token = f"tags.`irnas.run` = '{parent.tags['irnas.run']}'", None
        runs_of: dict[int | None, list[Any]] = {}
        while True:
            page = self._client.search_runs([self._experiment], where, max_results=1000, page_token=token)
            for run in page:
                tags = run.data.tags
                runs_of.setdefault(int(tags["irnas.trial"]) if "irnas.trial" in tags else None, []).append(run)
            token = page.token
            if not token:
                break
        for trial in runs_of.keys() & wanted.keys():
            # A server that was too slow to be waited for has made a run all the same, which the next sync may have
            # been too early to find. All mirrors keep the same one.
            kept, *others = sorted(runs_of[trial], key=lambda run: str(run.info.run_id))
            for run in others:
                self._client.delete_run(run.info.run_id)
            if trial not in self._runs or self._runs[trial].run_id != kept.info.run_id:
                self._runs[trial] = _held(kept, wanted[trial])
                self._has_input &= trial is not None

    def _log(self, trial: int | None, entry: Entry) -> None:
        """Create the run of an entry if it does not exist, and log what it does not hold."""
        tags = dict(entry.tags)
        if trial is not None:
            tags["mlflow.parentRunId"] = self._runs[None].run_id
        if trial not in self._runs:
            run = self._client.create_run(
                self._experiment, entry.start_ms, {k: _cut(v) for k, v in tags.items()}, entry.name
            )
            self._runs[trial] = _Held(run_id=run.info.run_id, tags=tags)
        held = self._runs[trial]
        new_tags = {k: v for k, v in tags.items() if held.tags.get(k) != v}
        params = {k: v for k, v in entry.params.items() if k not in held.params}
        points = [point for point in entry.points if point not in held.points]
        for batch in _batches(points, params, new_tags):
            self._client.log_batch(held.run_id, **batch)
        held.tags.update(new_tags)
        held.params.update(params)
        held.points.update(points)

    def _settle(self, trial: int | None, entry: Entry) -> None:
        """Give a run its status; the last thing that is written, so that an ended run is a complete one."""
        held = self._runs[trial]
        if (held.status, held.end_ms) == (entry.status, entry.end_ms):
            return
        if entry.end_ms is None:
            self._client.update_run(held.run_id, status=entry.status)
        else:
            self._client.set_terminated(held.run_id, status=entry.status, end_time=entry.end_ms)
        held.status, held.end_ms = entry.status, entry.end_ms

    def _log_input(self, data: DataSource) -> None:
        if self._has_input:
            return
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"uri": data.path})
        profile = json.dumps({"revision": data.revision, **({"dvc": data.dvc} if data.dvc else {})})
        dataset = Dataset(data.name, data.revision[:36], "local", source, profile=profile)
        entry = DatasetInput(dataset=dataset, tags=[InputTag("mlflow.data.context", "training")])
        self._client.log_inputs(self._runs[None].run_id, datasets=[entry])
        self._has_input = True

    def _attach(self) -> None:
        """Keep the files of the run with its parent run, where it does not hold them yet."""
        run_id = self._runs[None].run_id
        sizes = {f.path: f.file_size for f in self._client.list_artifacts(run_id)}
        for name in ARTIFACTS:
            content = storage.read(storage.join(self.uri, name))
            if content is None or sizes.get(name) == len(content):
                continue
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / name
                path.write_bytes(content)
                self._client.log_artifact(run_id, str(path))


def follow(
    uri: str, stop: threading.Event, interval_s: float = 10.0, warn: Callable[[str], None] = lambda text: None
) -> None:
    """Keep MLflow up to date with a run until ``stop`` is set, and once more then. Made for a daemon thread.

    It raises nothing: ``warn`` gets a line when it goes wrong, and one when it goes again, each once; it is tried
    again ever less often. It takes no more than a tenth of the time.
    """
    mirror, watched, wait_s = None, None, interval_s
    has_failed = has_recovered = False
    while True:
        is_last = stop.wait(wait_s)
        began = time.monotonic()
        try:
            mirror = mirror or Mirror(uri, warn=warn)
            retry(mirror.sync, _WAITS_S[:1] if is_last else (), on=(Exception,), unless=(SettingsError,))
            if has_failed and not has_recovered:
                has_recovered = True
                warn("MLflow: answers again, and holds all of the record")
            watched = watched or (None if is_last else mirror.watch())
            wait_s = max(interval_s, 10 * (time.monotonic() - began))
        except Exception as error:
            # The record has it all; a tracking server must not cost anybody a search.
            wait_s = min(2 * max(wait_s, 10 * (time.monotonic() - began)), _MAX_WAIT_S)
            if not has_failed:
                has_failed = True
                rest = f"the search goes on, and `irnas track rebuild {uri}` mirrors it later"
                warn(f"MLflow: got {cause_of(error, 160)}; {rest}")
        if is_last:
            if watched:
                watched.finish()
            return


def rebuild(
    uri: str, tracking_uri: str | None = None, warn: Callable[[str], None] = lambda text: None
) -> tuple[str, int]:
    """Make in MLflow whatever is missing of a run; returns the store and the number of trials.

    ``warn`` gets a line where a broken store was set aside.

    Raises:
        SettingsError: there is no run, or the store cannot be written to.
        ServiceError: the store is out of reach.
    """
    mirror = Mirror(uri, tracking_uri, PATIENCE_S, warn)
    num_trials = len(Run.read(uri).trials)
    try:
        retry(
            lambda: mirror.sync(is_live=lock.is_being_written(uri)), _WAITS_S, on=(Exception,), unless=(SettingsError,)
        )
    except IrnasError:
        raise
    except Exception as error:
        raise as_irnas_error(error, mirror.tracking_uri, "a store that can be written to") from None
    return storage.redact_credentials(mirror.tracking_uri), num_trials


def _held(run: Any, entry: Entry) -> _Held:
    """What a run that was found in MLflow holds, as far as this must be known."""
    ended = run.info.status != "RUNNING"
    held = _Held(
        run_id=run.info.run_id,
        status=run.info.status,
        end_ms=run.info.end_time if ended else None,
        tags=dict(run.data.tags),
        params=dict(run.data.params),
    )
    if ended and (held.status, held.end_ms) == (entry.status, entry.end_ms):
        # Its end was written after its points; what came later may be missing, and is no second point if it is not.
        held.points = {point for point in entry.points if point[2] <= (entry.end_ms or 0)}
    return held


def _batches(points: Sequence[Point], params: Mapping[str, str], tags: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    from mlflow.entities import Metric, Param, RunTag

    texts = [Param(k, _cut(v)) for k, v in params.items()]
    marks = [RunTag(k, _cut(v)) for k, v in tags.items()]
    metrics = [Metric(*point) for point in points]
    while texts or marks or metrics:
        yield {"metrics": metrics[:_MAX_METRICS], "params": texts[:_MAX_TEXTS], "tags": marks[:_MAX_TEXTS]}
        metrics, texts, marks = metrics[_MAX_METRICS:], texts[_MAX_TEXTS:], marks[_MAX_TEXTS:]


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_VALUE else text[: _MAX_VALUE - 3] + "..."
