"""Ray itself says each text by which irnas decides; an update of Ray that says it otherwise turns one of these red."""

from __future__ import annotations

import http.server
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray._private import ray_constants
from ray._private import utils as ray_utils
from ray._private.node import Node
from ray.air.execution._internal import RayActorManager
from ray.exceptions import OutOfMemoryError, RayActorError, RayTaskError
from ray.job_submission import JobSubmissionClient
from ray.tune.execution import class_cache
from support.s3 import KEYS, PLANTED

from irnas.cluster import ray_internals

HANDLER = "_actor_task_failed"


def silence(text: str) -> None:
    pytest.fail(text)


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Ray's own handler of a failed call, put back after the test."""
    own = getattr(RayActorManager, HANDLER)
    own = getattr(own, "__wrapped__", own)
    monkeypatch.setattr(RayActorManager, HANDLER, own)
    return own


def test_an_import_leaves_ray_as_it_is() -> None:
    code = (
        "from ray.air.execution._internal import RayActorManager as M; own = M._actor_task_failed\n"
        "import irnas.search.ray_executor; assert M._actor_task_failed is own"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_the_patch_is_applied_once(handler: Any) -> None:
    assert ray_internals.survive_unexpected_errors(silence)
    patched = getattr(RayActorManager, HANDLER)
    assert patched is not handler and patched.by_irnas
    assert ray_internals.survive_unexpected_errors(silence) and getattr(RayActorManager, HANDLER) is patched


@pytest.mark.parametrize("version", ["2.58.1", "2.61.0", "3.0.0rc1"])
def test_another_ray_stays_as_it_is(version: str, handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ray, "__version__", version)
    warnings = list[str]()
    assert not ray_internals.survive_unexpected_errors(warnings.append)
    assert getattr(RayActorManager, HANDLER) is handler
    (line,) = warnings
    assert line.startswith(f"ray: got version {version}; must be at least 2.59 and below 2.61")


def failed(manager: RayActorManager, error: Exception) -> list[type[Exception]]:
    """What the two callbacks of a failed call get to hear, by Ray's own handler."""
    heard = list[type[Exception]]()
    keep = lambda _, error: heard.append(type(error))  # noqa: E731
    actor = SimpleNamespace(actor_id=1, _on_error=keep)
    getattr(manager, HANDLER)(SimpleNamespace(_tracked_actor=actor, _on_error=keep), error)
    return heard


def test_a_node_without_memory_is_the_death_of_one_worker(handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    manager, error = RayActorManager.__new__(RayActorManager), OutOfMemoryError("1 worker(s) were killed")
    monkeypatch.setattr(manager, "_failed_actor_ids", set(), raising=False)
    monkeypatch.setattr(manager, "_cleanup_actor", lambda tracked_actor: None)
    with pytest.raises(RuntimeError, match="Caught unexpected exception"):
        failed(manager, error)
    ray_internals.survive_unexpected_errors(silence)
    assert failed(manager, error) == [RayActorError, RayActorError]
    assert failed(manager, RayTaskError("f", "traceback", ValueError())) == [RayTaskError]
    with pytest.raises(RuntimeError, match="a bug"):
        failed(manager, ValueError("a bug"))


def test_tune_gives_no_credentials_to_its_workers_runtime_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    class Worker:
        pass

    def variables() -> set[str]:
        actor = class_cache._ActorClassCache().get(Worker)
        return set(actor._default_options["runtime_env"]["env_vars"])

    monkeypatch.setattr(class_cache, "ENV_VARS_TO_PROPAGATE", set(class_cache.ENV_VARS_TO_PROPAGATE))
    for name, value in {**KEYS, "AWS_SECURITY_TOKEN": PLANTED[0], "RAY_CHDIR_TO_TRIAL_DIR": "0"}.items():
        monkeypatch.setenv(name, value)
    ray_internals.withhold_credentials()
    assert variables() == {"PL_DISABLE_FORK", "RAY_CHDIR_TO_TRIAL_DIR"}


def test_what_ray_listens_on_is_patched_while_a_cluster_starts_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    def seen() -> tuple[bool, bool, object]:
        return ray_constants.ENABLE_RAY_CLUSTER, ray_utils.get_dashboard_dependency_error() is None, Node.start_monitor

    before = seen()
    assert before[:2] == (True, True)
    with pytest.raises(ZeroDivisionError), ray_internals.listening_at_home():
        assert seen()[:2] == (False, False) and seen()[2] is not before[2]
        raise ZeroDivisionError
    assert seen() == before
    monkeypatch.setattr(ray, "__version__", "2.61.0")
    with ray_internals.listening_at_home():
        assert seen() == before


def said(code: str, folder: Path) -> str:
    """What a program of its own, which may leave Ray in whatever state, writes to the file that it is given."""
    path = folder / "said.txt"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=150, capture_output=True)
    return path.read_text()


@pytest.mark.slow
def test_ray_says_that_a_node_ran_out_of_memory(tmp_path: Path) -> None:
    """On a cluster that calls every use of memory too much, so that Ray kills the worker."""
    code = """
import sys, time, ray
from ray.exceptions import OutOfMemoryError, RayActorError
limits = {"memory_usage_threshold": 0.0, "memory_monitor_refresh_ms": 100}
ray.init(num_cpus=1, include_dashboard=False, object_store_memory=10**8, log_to_driver=False, _system_config=limits)
@ray.remote(max_restarts=0)
class Worker:
    def step(self):
        time.sleep(60)
try:
    ray.get(Worker.remote().step.remote(), timeout=60)
except (OutOfMemoryError, RayActorError) as error:
    open(sys.argv[1], "w").write(str(error))
"""
    text = said(code, tmp_path)
    assert ray_internals.was_killed_for_memory(SimpleNamespace(error_file=str(tmp_path / "said.txt"))), text


@pytest.mark.slow
def test_ray_says_that_it_was_slow_to_start(tmp_path: Path) -> None:
    """By a clock that runs a thousand times as fast, on a node of which nobody has heard yet."""
    code = """
import sys, time, ray
from types import SimpleNamespace
from ray._private import node
def unknown(*_):
    raise RuntimeError("no node")
node.time = SimpleNamespace(**{**vars(time), "monotonic": lambda: 1000 * time.monotonic()})
ray._private.services.get_node = unknown
try:
    ray.init(num_cpus=1, include_dashboard=False, object_store_memory=10**8, log_to_driver=False)
except Exception as error:
    open(sys.argv[1], "w").write(str(error))
"""
    text = said(code, tmp_path)
    assert ray_internals.is_startup_timeout(Exception(text)), text


def test_ray_says_that_a_cluster_runs_another_version() -> None:
    with pytest.raises(RuntimeError) as caught:
        ray_utils.check_version_info({"ray_version": "1.0.0", "python_version": "3.6.1"}, "here")
    assert ray_internals.is_version_mismatch(caught.value), caught.value


@pytest.fixture
def job_server() -> Iterator[tuple[str, dict[str, tuple[int, object]]]]:
    """The address of a server and what it answers: by path, a status and a document."""
    answers: dict[str, tuple[int, object]] = {}

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, document = answers.get(self.path, (404, "no such page"))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", answers
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("code", [404, 400, 503])
def test_ray_says_with_which_code_a_job_server_refuses(code: int, job_server: Any) -> None:
    address, answers = job_server
    answers |= {"/api/version": (200, {"ray_version": ray.__version__}), "/api/jobs/x": (code, "because")}
    with pytest.raises(RuntimeError) as caught:
        JobSubmissionClient(address).get_job_info("x")
    assert ray_internals.status_code(caught.value) == code


@pytest.mark.parametrize("version", [None, "1.0.0"])
def test_ray_says_that_a_job_server_is_too_old(version: str | None, job_server: Any) -> None:
    address, answers = job_server
    if version:
        answers["/api/version"] = 200, {"ray_version": version}
    with pytest.raises(RuntimeError) as caught:
        JobSubmissionClient(address)
    assert ray_internals.is_version_mismatch(caught.value) and ray_internals.status_code(caught.value) is None
