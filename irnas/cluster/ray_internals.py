"""What irnas knows of Ray beyond its public interface: a few patches of private parts, and what texts of Ray mean.

Nothing else in irnas touches a private name of Ray or decides by the text of one of its messages. The patches hold for
the versions in ``WRITTEN_FOR`` alone; tests/unit/test_ray_internals.py makes Ray itself say each of the texts.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import ray
from ray import _raylet
from ray._private import node, ray_constants, utils
from ray.air.execution._internal import RayActorManager
from ray.exceptions import RayActorError, RayError, RayTaskError

from irnas.core.redaction import is_secret_name

WRITTEN_FOR = ((2, 59), (2, 61))
"""The first version of Ray whose private parts the patches fit, and the first after those."""

WITHOUT_METRICS = {"enable_metrics_collection": False}
"""Settings of a cluster whose processes open no port for metrics, which would answer anybody."""

AUTH_MODE = "RAY_AUTH_MODE"
"""The variable by which Ray decides whether requests need a token: ``token`` or ``disabled``."""

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
    if not _is_known():
        first, after = (".".join(map(str, bound)) for bound in WRITTEN_FOR)
        warn(
            f"ray: got version {ray.__version__}; must be at least {first} and below {after}, or a node that runs out "
            "of memory ends the whole search, and a local cluster listens on all interfaces"
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


def withhold_credentials() -> None:
    """Keep Ray Tune from copying credentials of this process into its workers' runtime environment, which Ray logs.

    The workers of a cluster on this machine inherit them; those of another have a role or a file.
    """
    from ray.tune.execution import class_cache

    class_cache.ENV_VARS_TO_PROPAGATE.difference_update(
        {name for name in class_cache.ENV_VARS_TO_PROPAGATE if is_secret_name(name)}
    )


def require_token() -> None:
    """Have the next cluster that this process starts ask for a token, whatever the environment said so far.

    Ray reads its environment once, when it is imported.
    """
    os.environ[AUTH_MODE] = "token"
    _raylet.Config.initialize("")  # type: ignore[attr-defined] # its stub leaves it out


@contextlib.contextmanager
def listening_at_home() -> Iterator[None]:
    """Inside, a cluster that is started listens on loopback, and has no dashboard, no autoscaler and no agent's server.

    Nothing changes where this Ray is none of ``WRITTEN_FOR``.
    """
    if not _is_known():
        yield
        return
    with contextlib.ExitStack() as stack:
        for owner, name, value in (
            # What Ray does on systems for which it has no clusters of several machines.
            (ray_constants, "ENABLE_RAY_CLUSTER", False),
            # What it does where the libraries of its dashboard are not installed.
            (utils, "get_dashboard_dependency_error", lambda: ImportError("not wanted")),
            (node.Node, "start_monitor", lambda self: None),
        ):
            stack.callback(setattr, owner, name, getattr(owner, name))
            setattr(owner, name, value)
        yield


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


def _is_known() -> bool:
    version = tuple(int(part) for part in ray.__version__.split(".")[:2])
    return WRITTEN_FOR[0] <= version < WRITTEN_FOR[1]
