"""What of a search is sent to a cluster, and what never is; tests/cluster sends real ones."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from support.distribution import VERSION, wheel
from support.own_space import own_space
from support.s3 import KEYS, PLANTED

from irnas.cli.submit import check_command
from irnas.cli.submit import submit as command
from irnas.cluster import job as submission
from irnas.cluster import wheel as wheels
from irnas.cluster.job import Job
from irnas.core.errors import IrnasError, ServiceError, SettingsError, SpaceError
from irnas.workflows import execution

SEARCH = ["search", "--run", "s3://bucket/run", "--trials", "3"]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wheel(tmp_path_factory.mktemp("wheel"))


def test_a_wheel_is_sent_as_what_it_holds(built: Path, tmp_path: Path) -> None:
    spec = submission.specification(Job(words=["search", "--axis", "base=4 8"], wheel=built, variables={}), tmp_path)
    assert spec["entrypoint"] == "python -m irnas search --axis 'base=4 8'"
    assert spec["runtime_env"]["working_dir"] == str(tmp_path) and "pip" not in spec["runtime_env"]
    assert VERSION in (tmp_path / "irnas" / "__init__.py").read_text()
    assert (tmp_path / "irnas" / "search_spaces" / "biisnet" / "space.yaml").is_file()
    assert wheels.digest(built) in spec["metadata"]["wheel"]


def test_pip_is_told_which_content_it_installs(built: Path, tmp_path: Path) -> None:
    """Ray keeps environments by the text of their requirements, so two wheels of one version need two texts."""
    job = Job(words=SEARCH, wheel=built, has_pip=True, variables={})
    (package,) = submission.specification(job, tmp_path)["runtime_env"]["pip"]["packages"]
    sent = Path(package.replace("${RAY_RUNTIME_ENV_CREATE_WORKING_DIR}", str(tmp_path)))
    assert (
        sent.read_bytes() == built.read_bytes() and sent.parent.name == hashlib.sha256(built.read_bytes()).hexdigest()
    )


def test_the_commit_goes_along(built: Path, tmp_path: Path) -> None:
    job = Job(words=SEARCH, wheel=built, code_rev="0.1.0+g1a2b3c4", variables={})
    assert submission.specification(job, tmp_path)["runtime_env"]["env_vars"]["IRNAS_CODE_REV"] == "0.1.0+g1a2b3c4"


def test_without_a_wheel_nothing_is_sent(tmp_path: Path) -> None:
    spec = submission.specification(Job(words=SEARCH, wheel=None, variables={"A": "1"}), tmp_path)
    assert set(spec["runtime_env"]) == {"env_vars"} and spec["runtime_env"]["env_vars"]["A"] == "1"
    assert not list(tmp_path.iterdir())


def test_a_job_has_time_to_close_its_record(tmp_path: Path) -> None:
    """Ray kills a job 3 s after it asked it to stop, unless the job's own environment says otherwise."""
    variables = submission.specification(Job(words=SEARCH, wheel=None, variables={}), tmp_path)["runtime_env"][
        "env_vars"
    ]
    assert int(variables["RAY_JOB_STOP_WAIT_TIME_S"]) >= 30
    assert variables[execution.JOB]


@pytest.mark.parametrize("name", ["other-1.0-py3-none-any.whl", "irnas-0.1.0-py3-none-any.whl"])
def test_what_is_no_wheel_of_irnas_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(b"no archive")
    with pytest.raises(SettingsError, match=r"^wheel: got '.*'; must be a wheel of irnas"):
        wheels.check(tmp_path / name)


def test_an_installation_is_packed_again(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, folder = tmp_path / "site", tmp_path / "made"
    folder.mkdir()
    wheels.extract(built, site)
    (site / f"irnas-{VERSION}.dist-info" / "INSTALLER").write_text("pip")
    # As a build writes it, and as an installer lists it.
    (site / "irnas" / "commit.txt").write_text("1a2b3c4\n")
    with (site / f"irnas-{VERSION}.dist-info" / "RECORD").open("a") as record:
        record.write("irnas/commit.txt,,\n")
    monkeypatch.setattr(wheels.irnas, "__file__", str(site / "irnas" / "__init__.py"))
    monkeypatch.syspath_prepend(site)
    made = wheels.make(folder)
    wheels.extract(made, tmp_path / "again")
    assert made.name == built.name and not list((tmp_path / "again").rglob("INSTALLER"))
    assert (tmp_path / "again/irnas/commit.txt").read_text() == "1a2b3c4\n"
    assert (tmp_path / "again/irnas/cost/count.py").read_bytes() == (site / "irnas/cost/count.py").read_bytes()


def test_variables_are_those_that_were_named() -> None:
    assert submission.variables(["A=1=2", "B"], {"B": "x", "C": "y"}) == {"A": "1=2", "B": "x"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("AWS_SECRET_ACCESS_KEY", "must be no secret"),
        ("mlflow_tracking_password=x", "must be no secret"),
        ("MLFLOW_TRACKING_URI=http://me:pw-1@host", "got a URL with credentials in MLFLOW_TRACKING_URI"),
        ("ABSENT", "is not set here"),
        ("1=2", "must be NAME or NAME=VALUE"),
    ],
)
def test_variables_that_are_refused(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=rf"^var: .*{message}") as raised:
        submission.variables([text], KEYS)
    assert not any(secret in str(raised.value) for secret in (*PLANTED, "pw-1"))


def test_an_author_is_no_secret() -> None:
    assert submission.variables(["GIT_AUTHOR_NAME=me"], {}) == {"GIT_AUTHOR_NAME": "me"}


@pytest.mark.parametrize("secret", PLANTED)
def test_a_secret_that_slipped_in_is_never_sent(secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(submission, "JobSubmissionClient", lambda _: pytest.fail("was asked"))
    job = Job(words=[*SEARCH, "--dataset", f"/data/{secret}"], wheel=None, variables={})
    with pytest.raises(SettingsError, match=r"^job: got the value of AWS_[A-Z_]+ in it; must hold no secret$"):
        submission.submit("http://127.0.0.1:1", job)


def test_the_environment_of_whoever_sends_is_not_part_of_a_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {**KEYS, "RAY_AUTH_TOKEN": "planted-token-0123456789"}.items():
        monkeypatch.setenv(name, value)
    text = json.dumps(submission.specification(Job(words=SEARCH, wheel=None, variables={}), tmp_path))
    assert not any(secret in text for secret in (*PLANTED, "planted-token"))


def test_a_command_gets_the_cluster_it_is_on() -> None:
    assert check_command([*SEARCH, "--dataset", "/data/nudt"]) == [
        *SEARCH,
        "--dataset",
        "/data/nudt",
        "--address",
        "auto",
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["front"], r"^command: got 'front'; must be search$"),
        (["search"], r"^run: got none; must be a URI or an absolute path"),
        (["search", "--run", "runs/a"], r"^run: got 'runs/a'; must be a URI or an absolute path"),
        (["search", "--run", "file://runs/a"], r"^run: got 'file://runs/a'"),
        (["search", "--resume", "runs/a"], r"^resume: got 'runs/a'"),
        (["search", "--run", "s3://key:word@bucket/a"], r"^run: got 's3://bucket/a' with credentials"),
        ([*SEARCH, "--dataset", "data/nudt"], r"^dataset: got 'data/nudt'; must be the absolute path"),
        ([*SEARCH, "--dataset", "s3://bucket/nudt"], r"^dataset: got 's3://bucket/nudt'"),
        ([*SEARCH, "--space", "my/space"], r"^space: got 'my/space'"),
        ([*SEARCH, "--recipe", "mine.yaml"], r"^recipe: got 'mine.yaml'; must be paper, irnas, or the absolute path"),
        ([*SEARCH, "--device", "pi.json"], r"^device: got 'pi.json'"),
        ([*SEARCH, "--objective", "mious,ops"], r"^objective: got 'mious'"),
        ([*SEARCH, "--space", "biisnett"], r"^space: got 'biisnett'; one of adsnet"),
        ([*SEARCH, "--strategy", "best"], r"^strategy: got 'best'"),
        ([*SEARCH, "--device", "node:pi4"], r"^device: got node:pi4 with the objectives miou, ops; must come with"),
        ([*SEARCH, "--memory", "lots"], r"^--memory: got 'lots'"),
        (["search", "--resume", "s3://bucket/run", "--seed", "1"], r"^resume: got --seed too"),
        ([*SEARCH, "--address", "auto"], r"^command: got --address or --executor"),
        ([*SEARCH, "--executor", "loop"], r"^command: got --address or --executor"),
    ],
)
def test_a_command_that_cannot_run_on_any_node_is_refused(words: list[str], message: str) -> None:
    with pytest.raises(IrnasError, match=message):
        check_command(words)


@pytest.mark.parametrize(
    "words",
    [
        [*SEARCH, "--objective", "miou,fps", "--device", "node:pi4"],
        [*SEARCH, "--objective", "miou,fps", "--device", "/devices/pi4.json"],
        [*SEARCH, "--space", "/shared/space", "--axis", "base=4"],
        ["search", "--resume", "s3://bucket/run", "--trials", "9", "--workers", "2"],
    ],
    ids=" ".join,
)
def test_what_only_the_nodes_have_is_left_to_them(words: list[str]) -> None:
    assert check_command(words) == [*words, "--address", "auto"]


def test_a_space_that_its_family_cannot_build_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same line as of `irnas search`, here and not from the cluster an hour later."""
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    assert check_command([*SEARCH, "--space", f"biisnet,{own_space(tmp_path, 'right')}"])
    code = "from torch import nn\n\ndef build(values):\n    return nn.Sequential(nn.Conv2d(1, -4, 3))\n"
    words = [*SEARCH, "--space", str(own_space(tmp_path, "wrong", code))]
    with pytest.raises(SpaceError, match=r"^wrong@[0-9a-f]+/model\.py:4: got .*-4"):
        check_command(words)


def test_one_thing_at_a_time() -> None:
    with pytest.raises(SettingsError, match=r"^submit: got status and stop; must be one of"):
        command(address="http://127.0.0.1:1", status="a", stop="a")
    with pytest.raises(SettingsError, match=r"^submit: got nothing"):
        command(address="http://127.0.0.1:1")


@pytest.mark.parametrize(
    "address", ["auto", "127.0.0.1:8265", "ray://head:10001", "http://me:pw-1@head:8265", "http://"]
)
def test_an_address_is_that_of_a_job_server(address: str) -> None:
    with pytest.raises(SettingsError, match=r"^address: got '.*'; must be that of a job server") as raised:
        command(address=address, status="job")
    assert "pw-1" not in str(raised.value)


def test_nobody_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:2")
    with pytest.raises(ServiceError, match=r"^address: got 'http://127.0.0.1:1' \(.*\); must be a running cluster's"):
        submission.state("http://127.0.0.1:1", "job")


class Server:
    """A job server whose line breaks after each part of the log but the last."""

    def __init__(self, *parts: str) -> None:
        self.text, self.parts, self.calls = "".join(parts), list(parts), 0

    def get_job_info(self, _: str) -> Any:
        status = "RUNNING" if self.parts else "SUCCEEDED"
        return SimpleNamespace(
            status=SimpleNamespace(value=status),
            message="m",
            entrypoint="e",
            start_time=1000,
            end_time=None,
            driver_exit_code=None,
        )

    async def tail_job_logs(self, _: str) -> AsyncIterator[str]:
        self.calls += 1
        if self.parts:
            self.parts.pop(0)
        yield self.text[: len(self.text) - len("".join(self.parts))]
        if self.parts:
            raise RuntimeError("the line broke")


def test_a_log_is_followed_across_broken_lines_and_printed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    server, printed = Server("one\n", "two\n", "three\n"), list[str]()
    monkeypatch.setattr(submission, "JobSubmissionClient", lambda _: server)
    monkeypatch.setattr(submission, "RECONNECTS_S", (0, 0, 0))
    assert submission.follow("http://h", "job", printed.append).status == "SUCCEEDED"
    assert "".join(printed) == "one\ntwo\nthree\n" and server.calls == 3


def test_a_cluster_that_stays_away_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(*"abc")
    calls = []

    def client(_: str) -> Server:
        calls.append(1)
        if len(calls) > 1:
            raise ConnectionError("gone")
        return server

    monkeypatch.setattr(submission, "JobSubmissionClient", client)
    monkeypatch.setattr(submission, "RECONNECTS_S", (0, 0, 0))
    with pytest.raises(ServiceError, match=r"^address: got 'http://h' \(gone\)"):
        submission.follow("http://h", "job", print)
    assert len(calls) == 1 + 1 + len(submission.RECONNECTS_S)
