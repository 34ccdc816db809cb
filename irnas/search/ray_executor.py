"""The Ray Tune executor.

Tune places trials on workers, reuses their processes and notices when one dies. It decides nothing and remembers
nothing: its schedulers and its own stopping rules know one metric, and its snapshots forget trials, so its searcher and
scheduler here only forward to a session, and a run is resumed from our ledger, never from Tune's files. A payload
crosses as one JSON text because Tune flattens nested results.
"""

from __future__ import annotations

import logging
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError
from ray.tune.schedulers import FIFOScheduler, TrialScheduler
from ray.tune.search import Searcher

from irnas.cluster.resources import Resources
from irnas.core.errors import IrnasError
from irnas.core.result import Result, Status
from irnas.search import memory_limit, wire
from irnas.search.finalists import Finals
from irnas.search.retries import Relay
from irnas.search.session import Session
from irnas.training.trial import Report, evaluate

FIRST_PATIENCE_S, LEAST_PATIENCE_S, PATIENCE = 6 * 3600.0, 600.0, 20.0
"""A silent worker is killed after so long while none has ever reported, and after 600 s or 20 times the longest
silence that ended well, whichever is more."""

_STALL_S = 60.0

_PAYLOAD = "payload"


def run(session: Session | Finals, resources: Resources) -> None:
    """Work through a session on the connected cluster until it hands out no more."""
    relay = Relay(session)
    folder = tempfile.mkdtemp(prefix="irnas-tune-")
    taken = {"cpu": 1, "gpu": resources.gpus, **({"memory": resources.memory} if resources.memory else {})}
    trainable = tune.with_resources(_Worker, taken)
    tuner = tune.Tuner(
        trainable,
        tune_config=tune.TuneConfig(
            search_alg=_Ask(relay, resources.memory),
            scheduler=_Listen(relay),
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
            callbacks=[_Watch(relay, resources.patience_s)],
            verbose=0,
        ),
    )
    # It would call each trial that lost a worker incomplete.
    logging.getLogger("ray.tune.tune").setLevel(logging.CRITICAL)
    try:
        tuner.fit()
    except Exception:
        # Tune wraps whatever its searcher raises; the caller wants what was raised.
        if relay.error:
            raise relay.error from None
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tolerant(tell: Callable[..., None]) -> Callable[..., None]:
    """Tune expects two kinds of errors, and ends all trials at a third: that a worker's node ran out of memory, say."""

    def told(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        tell(manager, tracked_actor_task, exception)

    return told


RayActorManager._actor_task_failed = _tolerant(RayActorManager._actor_task_failed)


class _Ask(Searcher):  # type: ignore[misc] # ray publishes no types
    def __init__(self, relay: Relay, memory: int | None) -> None:
        super().__init__()
        self._relay, self._memory = relay, memory_limit

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:
        assignment = self._relay.ask(trial_id)
        if assignment is not None:
            return {_PAYLOAD: wire.pack(assignment), "memory": self._memory}
        return Searcher.FINISHED if self._relay.is_over else None

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        if error:
            self._relay.lose(trial_id)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing: the ledger is the memory."""


class _Listen(FIFOScheduler):  # type: ignore[misc] # ray publishes no types
    def __init__(self, relay: Relay) -> None:
        super().__init__()
        self._relay = relay

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        found = self._relay.guard(lambda: wire.unpack_found(result[_PAYLOAD]))
        if isinstance(found, wire.Exhausted):
            self._relay.accuse(trial.trial_id, str(found))
            ray.kill(trial.temporary_state.ray_actor)
            return str(TrialScheduler.CONTINUE)
        assert isinstance(found, Report | Result)
        is_over = self._relay.take(trial.trial_id, found)
        if isinstance(found, Result) and found.status is Status.FAILED:
            # What made it fail may have harmed its process: no other trial is to find, say, a GPU that answers no more.
            ray.kill(trial.temporary_state.ray_actor)
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP if is_over else TrialScheduler.CONTINUE)

    def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
        # Tune calls this before its searcher hears that the trial is lost.
        if "running low on memory" in Path(trial.error_file).read_text(errors="replace"):
            self._relay.accuse(trial.trial_id, "its node was nearly out of memory, and Ray killed its worker")


class _Watch(tune.Callback):  # type: ignore[misc] # ray publishes no types
    """Kills a worker that has been silent for too long; its trial is then one whose worker died."""

    def __init__(self, relay: Relay, patience_s: float | None) -> None:
        self._relay, self._patience_s = relay, patience_s
        self._heard: dict[str, float] = {}
        self._longest_s, self._looked = 0.0, time.monotonic()

    def on_trial_result(self, iteration: int, trials: list[Any], trial: Any, result: Any, **info: Any) -> None:
        now = time.monotonic()
        self._longest_s = max(self._longest_s, now - self._heard.get(trial.trial_id, now))
        self._heard[trial.trial_id] = now

    def on_step_end(self, iteration: int, trials: list[Any], **info: Any) -> None:
        now = time.monotonic()
        if now - self._looked < 1:
            return
        if now - self._looked > _STALL_S:
            # It was this process that slept: nobody could be heard.
            self._heard.clear()
        self._looked = now
        for trial in trials:
            if trial.status != "RUNNING":
                self._heard.pop(trial.trial_id, None)
                continue
            silent_s, actor = now - self._heard.setdefault(trial.trial_id, now), trial.temporary_state.ray_actor
            if actor is not None and silent_s > self._limit_s:
                self._heard[trial.trial_id] = now
                self._relay.accuse(trial.trial_id, f"its worker said nothing for {silent_s:.0f} s and was killed")
                ray.kill(actor)

    @property
    def _limit_s(self) -> float:
        if self._patience_s is not None:
            return self._patience_s
        return max(LEAST_PATIENCE_S, PATIENCE * self._longest_s) if self._longest_s else FIRST_PATIENCE_S


class _Worker(tune.Trainable):  # type: ignore[misc] # ray publishes no types
    """A process that runs one trial after another, an epoch a step."""

    def setup(self, config: dict[str, Any]) -> None:
        self._is_at_work = False
        if limit := config.get("memory"):
            memory_limit.watch(limit, lambda: self._is_at_work)
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        self._found: Iterator[Report | Result] = evaluate(wire.unpack(config[_PAYLOAD]))

    def step(self) -> dict[str, Any]:
        # Never "done": Tune tells its scheduler nothing of a result that is; the scheduler ends the trial instead.
        try:
            self._is_at_work = True
            found = next(self._found)
            self._is_at_work = False
            if isinstance(found, Result) and memory_limit.was_short(found.error):
                # Perhaps it was those before it in this process that took so much: it deserves another.
                return {_PAYLOAD: wire.pack_found(wire.Exhausted(found.error))}
            return {_PAYLOAD: wire.pack_found(found)}
        except IrnasError as error:
            # What no other trial could do better ends the search; Tune would try it again elsewhere.
            return {_PAYLOAD: wire.pack_found(error)}

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Nothing: a trial keeps its own checkpoint in the run."""
