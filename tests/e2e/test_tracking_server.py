"""A search against a real MLflow server with PostgreSQL and S3, which is killed meanwhile and comes back."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from support import mirrored, s3, tracking_server
from support.command import environment
from support.datasets import tiny
from support.runs import Writer, settings_of, space_folder

from irnas.core import catalog
from irnas.record.events import Closed
from irnas.record.run import Run
from irnas.tracking import client as tracking

USER, PASSWORD, IN_URI = "planted-user-90", "planted-Tracking-Password-12", "planted-Uri-Password-57"
PLANTED = (*s3.PLANTED, tracking_server.DATABASE_PASSWORD, PASSWORD, IN_URI)
"""All of it in the environment of the search; none of it may be anywhere else."""

SMALL = ("--axis", "base=4,6", "--axis", "stages=2,3", "--crop", "32", "--batch", "4", "--input", "1x64x64")

pytestmark = pytest.mark.service


@dataclass
class Story:
    """What happened."""

    folder: Path
    server: tracking_server.Server
    database: tracking_server.Database
    storage: str
    env: dict[str, str]
    printed: list[str] = field(default_factory=list)
    """Of every command."""
    told: list[str] = field(default_factory=list)
    """What the mirror of the second run said."""

    @property
    def client(self) -> Any:
        from mlflow.tracking import MlflowClient

        return MlflowClient(tracking_uri=self.server.uri)

    def irnas(self, *words: str, code: int = 0, **more: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "irnas", *words],
            cwd=self.folder,
            env={**self.env, **more},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=400,
            check=False,
        )
        self.printed.append(done.stdout)
        assert done.returncode == code, done.stdout
        return done.stdout


def search(story: Story) -> subprocess.Popen[str]:
    words = ["search", "--dataset", str(tiny().root), "--run", "run", "--trials", "2", "--epochs", "3", *SMALL]
    return subprocess.Popen(
        [sys.executable, "-m", "irnas", *words, "--executor", "loop"],
        cwd=story.folder,
        env=story.env,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def wait_for_a_run(story: Story, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 300
    while not mirrored.found(story.client):
        assert process.poll() is None and time.monotonic() < until, process.communicate()[0]
        time.sleep(0.3)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Two runs, ``run`` of a real search and ``long`` that is only written; the server dies during both.

    ``run`` ends while the server is away and is mirrored afterwards; ``long`` goes on until the server is back.
    """
    tiny()
    folder = tmp_path_factory.mktemp("tracked")
    tracking.set_environment()
    with tracking_server.full_server(folder) as (server, database, storage):
        uri = server.uri.replace("://", f"://{USER}:{IN_URI}@")
        secrets = {"MLFLOW_TRACKING_PASSWORD": PASSWORD, "PGPASSWORD": tracking_server.DATABASE_PASSWORD, **s3.KEYS}
        # One patient try: a server that was killed refuses at once, one on a busy machine may take its time.
        patience = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0", "MLFLOW_HTTP_REQUEST_TIMEOUT": "60"}
        address = {"MLFLOW_TRACKING_URI": uri, **patience}
        env = {**environment(folder), **secrets, **address}
        story = Story(folder=folder, server=server, database=database, storage=storage, env=env)
        here = mock.patch.dict(os.environ, address)
        with search(story) as process, here, growing(story) as grow:
            wait_for_a_run(story, process)
            grow()
            server.kill()
            grow()
            story.printed.append(process.communicate(timeout=900)[0])
            assert process.returncode == 0, story.printed
            # After a slow sync the mirror waits long, and may then not even notice.
            until = time.monotonic() + 10
            while not story.told and time.monotonic() < until:
                time.sleep(0.1)
            server.start()
            grow()
        yield story


class growing:
    """A run that somebody writes and MLflow follows; each call adds a trial, the end closes it."""

    def __init__(self, story: Story) -> None:
        self.story, self.stop = story, threading.Event()

    def __enter__(self) -> growing:
        space = space_folder(self.story.folder)
        parsed = catalog.load(str(space)).focus()
        uri = str(self.story.folder / "long")
        self.writer = Writer(uri=uri, settings=settings_of(str(space)), space=parsed).__enter__()
        self.writer.open()
        self.widths = itertools.cycle([4, 8, 16, 32])
        follow = (uri, self.stop, 0.2, self.story.told.append)
        self.thread = threading.Thread(target=tracking.follow, args=follow)
        self.thread.start()
        return self

    def __call__(self) -> None:
        self.writer.train(self.writer.space.complete({"width": next(self.widths)}))
        time.sleep(0.5)

    def __exit__(self, *found: object) -> None:
        self.writer.append(Closed(reason="all trials are handed out"))
        self.writer.__exit__(*found)
        self.stop.set()
        self.thread.join()


def test_a_search_outlives_its_tracking_server(story: Story) -> None:
    finished = Run.read(str(story.folder / "run")).outcomes
    assert len(finished) == 2
    assert "irnas track rebuild run" in story.printed[0] and "Traceback" not in story.printed[0]


def test_a_server_that_comes_back_during_a_search_gets_all_of_it(story: Story) -> None:
    assert len(story.told) in (0, 2), story.told
    mirrored.assert_mirrored(story.client, str(story.folder / "long"))


def test_what_was_missed_is_mirrored_later_once(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(story.folder)
    for _ in range(2):
        printed = story.irnas("track", "rebuild", "run")
        assert "the search and its 2 trials are in http://127.0.0.1" in printed
    mirrored.assert_mirrored(story.client, "run")


def test_the_files_of_the_run_are_on_s3(story: Story) -> None:
    kept = {key.rsplit("/", 1)[-1]: content for key, content in s3.objects(story.storage).items()}
    for name in tracking.ARTIFACTS:
        assert kept[name] == (story.folder / "run" / name).read_bytes()


def test_a_winner_is_registered_there(story: Story) -> None:
    printed = story.irnas("track", "register", "run", "best")
    assert printed.startswith(f"biisnet version 1 is champion in {story.server.uri}")
    version = story.client.get_model_version_by_alias("biisnet", "champion")
    trial = story.client.get_run(version.run_id)
    assert trial.data.tags["irnas.key"] == version.tags["irnas.key"]
    assert [key for key in s3.objects(story.storage) if key.endswith("network.xnor")]


def test_no_credential_is_anywhere(story: Story) -> None:
    """Last: in nothing that any command printed or wrote, or made a server write."""
    printed = story.irnas("track", "rebuild", "run", code=2, MLFLOW_TRACKING_URI=f"http://{USER}:{IN_URI}@127.0.0.1:9")
    assert "MLflow at http://127.0.0.1:9: got" in printed
    texts = {f"output {i}": text for i, text in enumerate([*story.printed, *story.told])}
    texts |= {"database": story.database.dump(), "server": story.server.log}
    contents = {name: text.encode() for name, text in texts.items()} | s3.objects(story.storage)
    contents |= {str(path): path.read_bytes() for path in story.folder.rglob("*") if path.is_file()}
    assert {"ledger.jsonl", "report.html", "results.parquet"} <= {Path(name).name for name in contents}
    assert not [(name, word) for name, content in contents.items() for word in PLANTED if word.encode() in content]
