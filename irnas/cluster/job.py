"""A command of irnas as a job of a Ray cluster: sent, watched and stopped through the cluster's job server.

What is sent is a command, a wheel's content and a few variables, none of them a secret: the job server shows a job's
specification to everyone who may use the cluster. The job runs on the cluster and does not need whoever sent it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import re
import shlex
import shutil
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientError
from ray.exceptions import AuthenticationError
from ray.job_submission import JobSubmissionClient

from irnas import __version__, storage
from irnas.cluster import ray_internals, wheel
from irnas.core.errors import ServiceError, SettingsError
from irnas.core.redaction import is_secret_name, known_secrets

RECONNECTS_S = (1, 2, 4, 8, 16, 30)
"""Waits between attempts to reach the cluster again; after the last the log is given up, and the job is not."""

_CODE_REV = "IRNAS_CODE_REV"  # see irnas.core.provenance
_FOR_ALL = {
    # Ray's own 3 s are too few for a search to close its record.
    "RAY_JOB_STOP_WAIT_TIME_S": "60",
    # See irnas.workflows.execution.
    "IRNAS_JOB": "1",
}
_WORKING_DIR = "${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What is to run, and with which irnas."""

    words: Sequence[str]
    """The command without its ``irnas``."""
    wheel: Path | None
    """The irnas to run; None for the one that the cluster's nodes have."""
    has_pip: bool = False
    """Whether the nodes install the wheel, and with it what it needs, rather than find it on their path."""
    code_rev: str = ""
    """The commit that the wheel was made of, which it does not know itself; empty where nobody does."""
    variables: Mapping[str, str]
    """Environment of the job and its trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How a job is."""

    job: str
    status: str
    """PENDING, RUNNING, STOPPED, SUCCEEDED or FAILED."""
    message: str
    entrypoint: str
    started_s: float | None
    """Unix seconds."""
    ended_s: float | None
    exit_code: int | None
    """Of the command, once it has ended by itself."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whichever way."""
        return self.status in ("STOPPED", "SUCCEEDED", "FAILED")


def variables(texts: Sequence[str], environment: Mapping[str, str]) -> dict[str, str]:
    """Variables for a job from texts ``NAME=VALUE``, or ``NAME`` with the value it has in ``environment``.

    Raises:
        SettingsError: a name is none, is not set, or looks like that of a secret; a value holds a password.
    """
    values = {}
    for text in texts:
        name, has_value, value = text.partition("=")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
            raise SettingsError(f"var: got {name!r}; must be NAME or NAME=VALUE")
        if is_secret_name(name):
            raise SettingsError(
                f"var: got {name}; must be no secret, as all can read it in the job: give the nodes a role or a file"
            )
        if not has_value and name not in environment:
            raise SettingsError(f"var: got {name}, which is not set here; must be set, or be {name}=VALUE")
        values[name] = value if has_value else environment[name]
        if storage.redact_credentials(values[name]) != values[name]:
            raise SettingsError(f"var: got a URL with credentials in {name}; must be without")
    return values


def submit(address: str, job: Job) -> str:
    """Send a job to the cluster whose job server is at ``address``; returns its id.

    Raises:
        SettingsError: the cluster refuses; the wheel is none; the job holds a secret.
        ServiceError: the cluster does not answer.
    """
    with tempfile.TemporaryDirectory(prefix="irnas-submit-") as folder:
        spec = specification(job, Path(folder))
        _require_no_secret(spec, os.environ)
        with _asking(address) as client:
            return str(client.submit_job(**spec))


def specification(job: Job, folder: Path) -> dict[str, Any]:
    """The job in Ray's terms; what is to be sent along is laid out in ``folder``."""
    revision = {_CODE_REV: job.code_rev} if job.code_rev else {}
    runtime: dict[str, Any] = {"env_vars": {**_FOR_ALL, **job.variables, **revision}}
    metadata = {"sent by irnas": __version__}
    if job.wheel is not None:
        wheel.check(job.wheel)
        digest = wheel.digest(job.wheel)
        metadata["wheel"] = f"{job.wheel.name} sha256:{digest}"
        runtime["working_dir"] = str(folder)
        if job.has_pip:
            # Ray keeps an environment by the text of its requirements, so the text must say which content it means.
            (folder / digest).mkdir()
            shutil.copy(job.wheel, folder / digest)
            runtime["pip"] = {"packages": [f"{_WORKING_DIR}/{digest}/{job.wheel.name}"], "pip_check": False}
        else:
            wheel.extract(job.wheel, folder)
    return {
        "entrypoint": shlex.join(["python", "-m", "irnas", *job.words]),
        "runtime_env": runtime,
        "metadata": metadata,
    }


def state(address: str, job: str) -> State:
    """How a job is now.

    Raises:
        SettingsError: the cluster refuses, or knows no such job.
        ServiceError: the cluster does not answer.
    """
    with _asking(address, job) as client:
        info = client.get_job_info(job)
    started, ended = (None if ms is None else ms / 1000 for ms in (info.start_time, info.end_time))
    return State(
        job=job,
        status=str(info.status.value),
        message=" ".join((info.message or "").split()),
        entrypoint=info.entrypoint,
        started_s=started,
        ended_s=ended,
        exit_code=info.driver_exit_code,
    )


def stop(address: str, job: str) -> None:
    """Ask a job to end: its command gets SIGTERM, and is killed where it takes more than a minute over it.

    Raises:
        SettingsError: the cluster refuses, or knows no such job.
        ServiceError: the cluster does not answer.
    """
    with _asking(address, job) as client:
        client.stop_job(job)


def log(address: str, job: str) -> str:
    """What a job has printed so far.

    Raises:
        SettingsError: the cluster refuses, or knows no such job.
        ServiceError: the cluster does not answer.
    """
    with _asking(address, job) as client:
        return str(client.get_job_logs(job))


def follow(address: str, job: str, write: Callable[[str], object]) -> State:
    """Pass on what a job prints, from its beginning, until it has ended. A lost connection is made again.

    Raises:
        SettingsError: the cluster refuses, or knows no such job.
        ServiceError: the cluster no longer answers; the job itself may go on.
    """
    written, failures = 0, 0
    state(address, job)
    while True:
        try:
            for chunk in _tail(address, job, written):
                written, failures = written + len(chunk), 0
                write(chunk)
            current = state(address, job)
            if current.is_over:
                return current
        except ServiceError:
            if failures == len(RECONNECTS_S):
                raise
        time.sleep(RECONNECTS_S[min(failures, len(RECONNECTS_S) - 1)])
        failures = min(failures + 1, len(RECONNECTS_S))


def security_warnings(address: str) -> list[str]:
    """What makes a cluster's job server unsafe to use, as seen from here.

    Raises:
        SettingsError: the address is none of a job server, or holds a password.
    """
    _check_address(address)
    parts = urlsplit(address)
    dangers = []
    if parts.scheme == "http" and parts.hostname not in ("127.0.0.1", "localhost", "::1"):
        dangers.append(
            f"the token crosses the network to {parts.hostname} unencrypted; https or a tunnel would hide it"
        )
    with contextlib.suppress(OSError), urllib.request.urlopen(f"{address.rstrip('/')}/api/jobs/", timeout=10):
        dangers.append(f"the cluster at {address} asks for no token: whoever reaches it can run any program there")
    return dangers


def _tail(address: str, job: str, skip: int) -> Iterator[str]:
    """A job's log from its character ``skip``, as it comes, until the job or the connection ends."""
    with _asking(address, job) as client, asyncio.Runner() as runner:
        chunks = client.tail_job_logs(job)
        while (chunk := runner.run(_next(chunks))) is not None:
            if len(chunk) > skip:
                yield chunk[skip:]
            skip = max(skip - len(chunk), 0)


async def _next(chunks: Any) -> str | None:
    return await anext(chunks, None)


def _require_no_secret(spec: Mapping[str, Any], environment: Mapping[str, str]) -> None:
    """The last gate: no value of a variable here that looks like a secret is in what will be sent."""
    text = json.dumps(spec)
    for name, value in environment.items():
        if any(json.dumps(secret)[1:-1] in text for secret in known_secrets({name: value})):
            raise SettingsError(f"job: got the value of {name} in it; must hold no secret")


def _check_address(address: str) -> None:
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or storage.redact_credentials(address) != address:
        got = storage.redact_credentials(address)
        raise SettingsError(f"address: got {got!r}; must be that of a job server, as http://HEAD:8265, and no more")


@contextlib.contextmanager
def _asking(address: str, job: str = "") -> Iterator[JobSubmissionClient]:
    """A client of the job server; what goes wrong with it becomes one line."""
    _check_address(address)
    logging.getLogger("ray").setLevel(logging.ERROR)
    # These would win over what was given on the command line.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    try:
        yield JobSubmissionClient(address)
    except AuthenticationError:
        raise SettingsError(
            f"token: got none, or another than that of the cluster at {address}; must be in ~/.ray/auth_token, or in "
            "the file that RAY_AUTH_TOKEN_PATH names (RAY_AUTH_MODE=disabled for a cluster without)"
        ) from None
    except (OSError, RuntimeError, ClientError) as error:
        if job and ray_internals.status_code(error) == 404:
            raise SettingsError(f"job: got {job!r}; must be a job of the cluster at {address}") from None
        reason = " ".join(str(error).split())[:200]
        kind = SettingsError if _is_refusal(error) else ServiceError
        raise kind(f"address: got {address!r} ({reason}); must be a running cluster's job server") from None


def _is_refusal(error: Exception) -> bool:
    """Whether the same request would fail again: no job server, another Ray, or a request that it does not accept."""
    code = ray_internals.status_code(error)
    is_unwilling = code is not None and code < 500 and code != 429
    # A ValueError is an answer that is no JSON; a missing file is that of the certificates.
    return is_unwilling or ray_internals.is_version_mismatch(error) or isinstance(error, ValueError | FileNotFoundError)
