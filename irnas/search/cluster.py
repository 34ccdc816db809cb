"""The Ray Tune executor, and the only file that imports ray.

Tune places trials on workers, reuses their processes and notices when one dies. It decides nothing and remembers
nothing: its schedulers and its own stopping rules know one metric, and its snapshots forget trials, so its searcher and
scheduler here only forward to a session, and a run is resumed from our ledger, never from Tune's files. A payload
crosses as one JSON text because Tune flattens nested results.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from irnas import errors
from irnas.errors import IrnasError, SettingsError
from irnas.result import Result
from irnas.search.finals import Finals
from irnas.search.session import Session
from irnas.settings import Budget, Recipe
from irnas.space import Genotype
from irnas.trial import Assignment, Report, evaluate

MAX_RETRIES = 2
"""Times a trial is started again after its worker died."""

_OBJECT_STORE_BYTES = 100_000_000
_PAYLOAD = "payload"

_QUIET = {
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "86400",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "AIR_VERBOSITY": "0",
    "RAY_DEDUP_LOGS": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What each trial takes, and where."""

    address: str | None = None
    """A cluster to join, as ``ray.init`` takes it; None starts one on this machine."""
    workers: int | None = None
    """Trials at the same time; None means as many as there are cores."""
    gpus: float = 0.0
    """Share of a GPU that a trial takes."""

    @property
    def at_once(self) -> int | None:
        """Trials handed out at the same time; None where the cluster's size decides."""
        return self.workers or (None if self.address else os.cpu_count() or 1)


def connect(resources: Resources) -> None:
    """Join the cluster, or start one on this machine that ends with this process.

    Raises:
        SettingsError: there is no cluster at the address.
    """
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if resources.address is None:
        ray.init(num_cpus=resources.at_once, include_dashboard=False, object_store_memory=_OBJECT_STORE_BYTES, **quiet)
        return
    try:
        _knock(resources.address)
        ray.init(address=resources.address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        reason = str(error).splitlines()[0]
        raise SettingsError(f"address: got {resources.address!r} ({reason}); must be a running cluster") from None


def disconnect() -> None:
    """Leave the cluster, and end it where ``connect`` started it."""
    ray.shutdown()


def _knock(address: str) -> None:
    """Fail at once where nobody listens; Ray would try for minutes."""
    host, found, port = address.removeprefix("ray://").rpartition(":")
    if found and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def run(session: Session | Finals, resources: Resources) -> None:
    """Work through a session on the connected cluster until it hands out no more."""
    forward = _Forward(session)
    folder = tempfile.mkdtemp(prefix="irnas-tune-")
    trainable = tune.with_resources(_Worker, {"cpu": 1, "gpu": resources.gpus})
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=_Ask(forward),
            scheduler=_Listen(forward),
            num_samples=-1,
            reuse_actors=True,
            # No more: a trial proposed while it must wait was chosen without the results it waited for.
            max_concurrent_trials=resources.at_once,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=folder,
            failure_config=tune.FailureConfig(max_failures=MAX_RETRIES),
            callbacks=[_Recover(forward)],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except Exception:
        # Tune wraps whatever its searcher raises; the caller wants what was raised.
        if forward.error:
            raise forward.error from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Forward:
    """The session as Tune's plug-ins see it: by Tune's trial id, with its first error kept."""

    def __init__(self, session: Session | Finals) -> None:
        self._session = session
        self._trial_of: dict[str, int] = {}
        self.error: Exception | None = None

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its plug-ins for a restore that never happens here; an empty shell serves it.
        return {}

    def ask(self, tune_id: str) -> Assignment | None:
        found = self._guard(self._session.next)
        if isinstance(found, Assignment):
            self._trial_of[tune_id] = found.trial
            return found
        return None

    @property
    def is_over(self) -> bool:
        return bool(self._session.stop_reason)

    def take(self, tune_id: str, payload: str) -> bool:
        """Whether the trial ends here."""
        found = self._guard(lambda: _unpack_found(payload))
        if isinstance(found, Result):
            self._guard(lambda: self._session.finish(found))
            return True
        assert isinstance(found, Report)
        return bool(self._guard(lambda: self._session.report(self._trial_of[tune_id], found)))

    def retry(self, tune_id: str, error: str) -> None:
        self._guard(lambda: self._session.retry(self._trial_of[tune_id], error))

    def fail(self, tune_id: str, error: str) -> None:
        self._guard(lambda: self._session.fail(self._trial_of[tune_id], error))

    def _guard(self, call: Callable[[], object]) -> object:
        try:
            return call()
        except Exception as error:
            self.error = self.error or error
            raise


class _Ask(Searcher):  # type: ignore[misc] # ray publishes no types
    def __init__(self, forward: _Forward) -> None:
        super().__init__()
        self._forward = forward

    def suggest(self, trial_id: str) -> dict[str, str] | str | None:
        assignment = self._forward.ask(trial_id)
        if assignment is not None:
            return {_PAYLOAD: _pack(assignment)}
        return Searcher.FINISHED if self._forward.is_over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error:
            self._forward.fail(trial_id, f"its worker died {MAX_RETRIES + 1} times")

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""


class _Listen(FIFOScheduler):  # type: ignore[misc] # ray publishes no types
    def __init__(self, forward: _Forward) -> None:
        super().__init__()
        self._forward = forward

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        is_over = self._forward.take(trial.trial_id, result[_PAYLOAD])
        return str(TrialScheduler.STOP if is_over else TrialScheduler.CONTINUE)


class _Recover(tune.Callback):  # type: ignore[misc] # ray publishes no types
    def __init__(self, forward: _Forward) -> None:
        self._forward = forward

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._forward.retry(trial.trial_id, "its worker died; started again from its checkpoint")


class _Worker(tune.Trainable):  # type: ignore[misc] # ray publishes no types
    """A process that runs one trial after another, an epoch a step."""

    def setup(self, config: dict[str, Any]) -> None:
        self._found: Iterator[Report | Result] = evaluate(_unpack(config[_PAYLOAD]))

    def step(self) -> dict[str, Any]:
        # Never "done": Tune tells its scheduler nothing of a result that is; the scheduler ends the trial instead.
        try:
            return {_PAYLOAD: _pack_found(next(self._found))}
        except IrnasError as error:
            # What no other trial could do better ends the search; Tune would try it again elsewhere.
            return {_PAYLOAD: json.dumps({"error": type(error).__name__, "text": str(error)})}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""


def _pack(assignment: Assignment) -> str:
    return json.dumps({**asdict(assignment), "genotype": assignment.genotype.document()})


def _unpack(text: str) -> Assignment:
    found = json.loads(text)
    found["genotype"] = Genotype.from_document(found["genotype"])
    return Assignment(**{**found, "budget": Budget(**found["budget"]), "recipe": Recipe(**found["recipe"])})


def _pack_found(found: Report | Result) -> str:
    if isinstance(found, Result):
        return json.dumps({"result": found.document()})
    return json.dumps({"epoch": found.epoch, "values": dict(found.values), "seconds": found.seconds})


def _unpack_found(text: str) -> Report | Result:
    found = json.loads(text)
    if "error" in found:
        raise getattr(errors, found["error"])(found["text"])
    return Result.from_document(found["result"]) if "result" in found else Report(**found)
