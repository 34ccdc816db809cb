"""The Ray Tune executor.

Tune places trials on workers, reuses their processes and notices when one dies. It decides nothing and remembers
nothing: its schedulers and its own stopping rules know one metric, and its snapshots forget trials, so its searcher and
scheduler here only forward to a stage, and a run is resumed from our ledger, never from Tune's files. A payload
crosses as one JSON text because Tune flattens nested results.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import ray
from ray import tune
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from irnas.cluster import ray_internals
from irnas.cluster.resources import Resources
from irnas.core.errors import IrnasError
from irnas.core.result import Result, Status
from irnas.search import memory_limit, wire
from irnas.search.packing import Packing
from irnas.search.retries import TrialSupervisor
from irnas.search.stage import Stage
from irnas.training.trial import Report, evaluate

FIRST_PATIENCE_S, LEAST_PATIENCE_S, PATIENCE = 6 * 3600.0, 600.0, 20.0
"""A silent worker is killed after so long while none has ever reported, and after 600 s or 20 times the longest
silence that ended well, whichever is more."""

_STALL_S = 60.0

_PAYLOAD = "payload"


def run(stage: Stage, resources: Resources, warn: Callable[[str], object] = warnings.warn) -> None:
    """Work through a stage on the connected cluster until it hands out no more.

    Args:
        stage: hands out the trials.
        resources: what each trial takes of the cluster.
        warn: gets one line where this version of Ray is not one that irnas was written for.
    """
    ray_internals.survive_unexpected_errors(warn)
    ray_internals.withhold_credentials()
    supervisor = TrialSupervisor(stage)
    folder = tempfile.mkdtemp(prefix="irnas-tune-")
    # It would call each trial that lost a worker incomplete.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    try:
        _tuner(supervisor, resources, folder).fit()
    except Exception:
        # Tune wraps whatever its searcher raises; the caller wants what was raised.
        if supervisor.error:
            raise supervisor.error from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tuner(supervisor: TrialSupervisor, resources: Resources, folder: str) -> tune.Tuner:
    packing = Packing(resources.gpus or 0.0, resources.at_once)

    def share(config: dict[str, Any]) -> tune.PlacementGroupFactory:
        memory = {"memory": resources.memory} if resources.memory else {}
        return tune.PlacementGroupFactory([{"CPU": resources.threads, "GPU": config["gpus"], **memory}])

    return tune.Tuner(
        tune.with_resources(_Worker, share),
        tune_config=tune.TuneConfig(
            search_alg=SessionSearcher(supervisor, resources.memory, packing),
            scheduler=SessionScheduler(supervisor, packing),
            num_samples=-1,
            reuse_actors=True,
            # No more: a trial proposed while it must wait was chosen without the results it waited for.
            max_concurrent_trials=resources.at_once,
            trial_dirname_creator=lambda trial: trial.trial_id,
        ),
        run_config=tune.RunConfig(
            name="search",
            storage_path=folder,
            # Tune forgets a trial whose worker dies between two trials, so a lost one is handed out anew instead.
            failure_config=tune.FailureConfig(max_failures=0),
            callbacks=[SilenceWatchdog(supervisor, resources.patience_s)],
            verbose=0,
        ),
    )


class SessionSearcher(Searcher):  # type: ignore[misc] # ray publishes no types
    """Tune's source of trials: asks the supervisor for the next one, and tells it which lost their worker."""

    def __init__(self, supervisor: TrialSupervisor, memory: int | None, packing: Packing) -> None:
        super().__init__()
        self._supervisor, self._memory, self._packing = supervisor, memory, packing

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        """The next trial for Tune; None for nothing now, FINISHED for nothing more."""
        if self._supervisor.num_running >= self._packing.at_once:
            return None
        assignment = self._supervisor.next_assignment(trial_id)
        if assignment is not None:
            gpus = self._packing.share_for(trial_id)
            return {_PAYLOAD: wire.encode(assignment), "memory": self._memory, "gpus": gpus}
        return Searcher.FINISHED if self._supervisor.is_over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Hear that Tune is done with a trial; with ``error``, that its worker died."""
        if error:
            self._supervisor.on_worker_lost(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""


class SessionScheduler(FIFOScheduler):  # type: ignore[misc] # ray publishes no types
    """Tune's judge of trials: passes what they report to the supervisor, and its answer to Tune."""

    def __init__(self, supervisor: TrialSupervisor, packing: Packing) -> None:
        super().__init__()
        self._supervisor, self._packing = supervisor, packing

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        """Take in what a trial says; STOP where its worker becomes free."""
        outcome = self._supervisor.keep_error(lambda: wire.decode_outcome(result[_PAYLOAD]))
        if isinstance(outcome, wire.OutOfMemory):
            is_crowded = outcome.is_of_gpu and self._packing.loosen(trial.trial_id)
            cause = f"{outcome}; fewer trials share a GPU now" if is_crowded else str(outcome)
            self._supervisor.expect_loss(trial.trial_id, cause, is_blameless=is_crowded)
            ray.kill(ray_internals.worker_of(trial))
            return str(TrialScheduler.CONTINUE)
        is_free = self._supervisor.on_result(trial.trial_id, outcome)
        if isinstance(outcome, Result) and outcome.status is Status.FAILED:
            # What made it fail may have harmed its process: no other trial is to meet, say, a GPU that answers no more.
            ray.kill(ray_internals.worker_of(trial))
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP if is_free else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        """Note why a worker died; Tune calls this before its searcher hears that the trial is lost."""
        if ray_internals.was_killed_for_memory(trial):
            self._supervisor.expect_loss(trial.trial_id, "its node was nearly out of memory, and Ray killed its worker")


class SilenceWatchdog(tune.Callback):  # type: ignore[misc] # ray publishes no types
    """Kills a worker that has been silent for longer than the limit; its trial is then one whose worker died."""

    def __init__(self, supervisor: TrialSupervisor, patience_s: float | None) -> None:
        self._supervisor, self._patience_s = supervisor, patience_s
        self._last_heard: dict[str, float] = {}
        self._longest_s, self._last_check = 0.0, time.monotonic()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        """Note when a trial spoke."""
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._last_heard.get(trial.trial_id, now))
        self._last_heard[trial.trial_id] = now

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        """Look once a second which workers are silent for too long."""
        now = time.monotonic()
        if now - self._last_check < 1:
            return
        if now - self._last_check > _STALL_S:
            # It was this process that slept: nobody could be heard.
            self._last_heard.clear()
        self._last_check = now
        for trial in trials:
            if trial.status != "RUNNING":
                self._last_heard.pop(trial.trial_id, None)
                continue
            silent_s = now - self._last_heard.setdefault(trial.trial_id, now)
            worker = ray_internals.worker_of(trial)
            if worker is not None and silent_s > self._limit_s:
                self._last_heard[trial.trial_id] = now
                cause = f"its worker said nothing for {silent_s:.0f} s and was killed"
                self._supervisor.expect_loss(trial.trial_id, cause)
                ray.kill(worker)

    @property
    def _limit_s(self) -> float:
        if self._patience_s is not None:
            return self._patience_s
        return max(LEAST_PATIENCE_S, PATIENCE * self._longest_s) if self._longest_s else FIRST_PATIENCE_S


class _Worker(tune.Trainable):  # type: ignore[misc] # ray publishes no types
    """A process that runs one trial after another, an epoch a step."""

    def setup(self, config: dict[str, Any]) -> None:
        self._is_training, self._is_on_gpu = False, bool(config.get("gpus"))
        if limit := config.get("memory"):
            memory_limit.enforce(limit, lambda: self._is_training)
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._outcomes: Iterator[Report | Result] = evaluate(wire.decode(config[_PAYLOAD]), on_gpu=self._is_on_gpu)

    def step(self) -> dict[str, Any]:
        # Never "done": Tune tells its scheduler nothing of a result that is; the scheduler ends the trial instead.
        try:
            self._is_training = True
            outcome = next(self._outcomes)
            self._is_training = False
            if isinstance(outcome, Result) and memory_limit.is_out_of_memory(outcome.error):
                # Perhaps it was those before it in this process that filled it: the trial deserves another process.
                return {_PAYLOAD: wire.encode_outcome(wire.OutOfMemory(outcome.error))}
            return {_PAYLOAD: wire.encode_outcome(outcome)}
        except IrnasError as error:
            # What no other trial could do better ends the search; Tune would try it again elsewhere.
            return {_PAYLOAD: wire.encode_outcome(error)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""
