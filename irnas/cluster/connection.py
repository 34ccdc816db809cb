"""Joining a Ray cluster, or starting one on this machine, and calling a function on one of its nodes."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import ray
from ray.exceptions import AuthenticationError, GetTimeoutError, RayTaskError

from irnas.cluster import ray_internals
from irnas.cluster.resources import Resources
from irnas.cluster.token import ensure_token
from irnas.core.errors import IrnasError, ServiceError, SettingsError

NODE_PATIENCE_S = 600.0
"""How long a node may take to time a network, the wait for it included."""

_OBJECT_STORE_BYTES = 100_000_000

_LONGEST_TEMP_DIR, _SHORT_TEMP_DIR = 38, "/tmp"
"""Bytes: a socket's name may have 107, and Ray's own part of it takes 69."""

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
    # Who is started again, and how often, is decided here, for spot machines too.
    "RAY_TRAIN_COUNT_PREEMPTION_AS_FAILURE": "1",
}


def connect(resources: Resources) -> bool:
    """Join the cluster, or start one on this machine that ends with this process; False where that is done already.

    Raises:
        SettingsError: the address is none, the cluster runs another Ray or Python, or this machine is too small.
        ServiceError: there is no cluster at the address, or Ray did not start here.
    """
    if ray.is_initialized():
        return False
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    handler = signal.getsignal(signal.SIGTERM)
    _join(resources)
    if handler is not None and threading.current_thread() is threading.main_thread():
        # Ray's own ends the process at once, before the record is complete.
        signal.signal(signal.SIGTERM, handler)
    return True


def _join(resources: Resources) -> None:
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": True}
    if resources.address is None:
        num_cpus = (resources.at_once or 1) * resources.threads
        _start({"num_cpus": num_cpus, "include_dashboard": False, **_short_temp_dir(), **quiet})
        _require_room(resources)
        return
    try:
        _require_listener(resources.address)
        ray.init(address=resources.address, **quiet)
    except AuthenticationError:
        raise SettingsError(
            f"token: got none, or another than that of the cluster at {resources.address}; must be in "
            "~/.ray/auth_token, or in the file that RAY_AUTH_TOKEN_PATH names, with RAY_AUTH_MODE=token"
        ) from None
    except (OSError, ValueError, RuntimeError) as error:
        must = "must be a running cluster"
        if ray_internals.is_version_mismatch(error):
            reason, must = " ".join(str(error).split()), "must be a cluster with the Ray and the Python of this machine"
        else:
            reason = str(error).splitlines()[0]
        is_mistake = isinstance(error, ValueError) or ray_internals.is_version_mismatch(error)
        kind = SettingsError if is_mistake else ServiceError
        raise kind(f"address: got {resources.address!r} ({reason}); {must}") from None


def _start(options: dict[str, Any], tries: int = 3) -> None:
    """Start a cluster here that nobody else can use: it listens on loopback, and asks for a token.

    Ray gives itself half a minute, which a busy machine may not keep, so it has some tries.
    """
    ensure_token()
    ray_internals.require_token()
    own = {"address": "local", "_system_config": ray_internals.WITHOUT_METRICS}
    for left in reversed(range(tries)):
        try:
            with ray_internals.listening_at_home():
                ray.init(object_store_memory=_OBJECT_STORE_BYTES, **own, **options)
            return
        except Exception as error:
            if not ray_internals.is_startup_timeout(error):
                raise
            ray.shutdown()
            if not left:
                text = f"ray: got no answer from its own processes in {tries} tries; must start, or be --executor loop"
                raise ServiceError(text) from None


def _short_temp_dir() -> dict[str, str]:
    """Where Ray keeps its sockets, where the folder for temporary files has too long a name for these; else nothing.

    Raises:
        SettingsError: there is no other place.
    """
    configured = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or ""
    length = len(os.fsencode(configured))
    if length <= _LONGEST_TEMP_DIR:
        return {}
    if os.access(_SHORT_TEMP_DIR, os.W_OK):
        return {"_temp_dir": f"{_SHORT_TEMP_DIR}/ray"}
    raise SettingsError(
        f"TMPDIR: got {configured!r} of {length} bytes; must be at most {_LONGEST_TEMP_DIR}, for Ray's sockets "
        "(or search with --executor loop)"
    )


def _require_room(resources: Resources) -> None:
    """A machine, unlike a cluster, does not grow: what does not fit would wait for ever."""
    available = ray.cluster_resources()
    for name, asked in (("GPU", resources.gpus or 0), ("memory", resources.memory or 0)):
        if asked > (limit := available.get(name, 0)):
            ray.shutdown()
            raise SettingsError(f"{name}: got {asked:g} for each trial; must be at most the {limit:g} of this machine")


def count_gpus_and_cores() -> tuple[int, int]:
    """How many GPUs and how many cores the joined cluster has at this moment."""
    resources = ray.cluster_resources()
    return int(resources.get("GPU", 0)), int(resources.get("CPU", 0))


def disconnect() -> None:
    """Leave the cluster, and end it where ``connect`` started it."""
    ray.shutdown()


def _require_listener(address: str) -> None:
    """Fail at once where nobody listens; Ray would try for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10).close()


def caller(label: str) -> Callable[..., Any]:
    """Calls a function (the first argument) with the others on a node with the resource ``label``.

    Such a node runs one such call at a time where it has one of the resource, and beside no trial where it has no CPUs
    to offer. What crosses must be known to irnas there: a function of a module, and plain values.

    Raises:
        SettingsError: the cluster has no such node.
        ServiceError: of a call, no node answered in ``NODE_PATIENCE_S``.
        IrnasError: of a call, what the function raised.
    """
    resources = ray.cluster_resources()
    if label not in resources:
        own = sorted(n for n in resources if ":" not in n and n not in {"CPU", "GPU", "memory", "object_store_memory"})
        must = f"one of {', '.join(own)}" if own else "a resource of a node: ray start --resources='{\"LABEL\": 1}'"
        raise SettingsError(f"device: got node:{label}, which no node of the cluster has; must be {must}")
    apply_on_node = ray.remote(_apply).options(num_cpus=0, resources={label: 1}, max_retries=-1)

    def call(function: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return ray.get(apply_on_node.remote(function, *arguments), timeout=NODE_PATIENCE_S)
        except GetTimeoutError:
            text = f"device: got no answer from node:{label} in {NODE_PATIENCE_S:.0f} s; must be up and free"
            raise ServiceError(text) from None
        except RayTaskError as error:
            if isinstance(error.cause, IrnasError):
                raise error.cause from None
            raise

    return call


def _apply(function: Callable[..., Any], *arguments: Any) -> Any:
    return function(*arguments)
