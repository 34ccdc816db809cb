"""What irnas knows of Ray beyond its public interface: one patch of a private class, and what texts of Ray mean.

Nothing else in irnas touches a private name of Ray or decides by the text of one of its messages. The patch holds for
the versions in ``WRITTEN_FOR`` alone; tests/unit/test_ray_internals.py makes Ray itself say each of the texts.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import ray
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError

WRITTEN_FOR = ((2, 59), (2, 61))
"""The first version of Ray whose private class the patch fits, and the first after those."""

_STARTUP_TIMEOUT = "timed out during startup"
_NODE_OUT_OF_MEMORY = "running low on memory"
_VERSIONS_DIFFER = re.compile("Version mismatch|Version check returned|is running on the cluster")
_STATUS_CODE = re.compile(r"Request failed with status code (\d{3})\b")


def survive_unexpected_errors(warn: Callable[[str], object]) -> bool:
    """Make Ray Tune treat an error of a kind that it does not expect as the death of one worker.

    Tune expects two kinds of errors and ends all trials at a third, for example when the node of a worker ran out of
    memory. A second call changes nothing.

    Args:
        warn: gets one line where this Ray is none of ``WRITTEN_FOR`` and stays as it is.

    Returns:
        Whether Ray is patched now.
    """
    version = tuple(int(part) for part in ray.__version__.split(".")[:2])
    if not WRITTEN_FOR[0] <= version < WRITTEN_FOR[1]:
        first, after = (".".join(map(str, bound)) for bound in WRITTEN_FOR)
        warn(
            f"ray: got version {ray.__version__}; must be at least {first} and below {after}, or a node that runs out "
            "of memory ends the whole search"
        )
        return False
    if not hasattr(RayActorManager._actor_task_failed, "by_irnas"):
        RayActorManager._actor_task_failed = as_worker_deaths(RayActorManager._actor_task_failed)
    return True


def as_worker_deaths(handle: Callable[..., None]) -> Callable[..., None]:
    """Wrap Tune's handler of a failed call so that it gets errors of kinds that it knows, whatever Ray raised."""

    @functools.wraps(handle)
    def handle_known(manager: Any, tracked_actor_task: Any, exception: Exception) -> None:
        if isinstance(exception, RayError) and not isinstance(exception, RayActorError | RayTaskError):
            exception = RayActorError(error_msg=str(exception))
        handle(manager, tracked_actor_task, exception)

    handle_known.by_irnas = True  # type: ignore[attr-defined]
    return handle_known


def was_killed_for_memory(trial: Any) -> bool:
    """Whether Ray killed the worker of a Tune trial, which has ended in an error, because its node was nearly full."""
    return _NODE_OUT_OF_MEMORY in Path(trial.error_file).read_text(errors="replace")


def worker_of(trial: Any) -> Any:
    """The actor in which a Tune trial runs; None while it waits for one."""
    return trial.temporary_state.ray_actor


def is_startup_timeout(error: BaseException) -> bool:
    """Whether ``ray.init`` gave up because its own processes were slow to start; Ray has no type for that."""
    return _STARTUP_TIMEOUT in str(error)


def is_version_mismatch(error: BaseException) -> bool:
    """Whether a cluster refused because it runs another Ray or another Python than this process."""
    return bool(_VERSIONS_DIFFER.search(str(error)))


def status_code(error: BaseException) -> int | None:
    """The HTTP status code with which a job server refused a request; None where the error tells none."""
    match = _STATUS_CODE.match(str(error))
    return int(match[1]) if match else None
