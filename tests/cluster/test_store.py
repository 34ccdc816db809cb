"""A run on an object store that all nodes share, and that fails, and is slow, and does not come back."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import s3
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import Cluster, cluster
from support.mirrored import assert_mirrored

from irnas.tracking import client

pytestmark = [pytest.mark.cluster, pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]


class Store:
    """The store as the nodes see it, and as this process does."""

    def __init__(self, behind: str, proxy: s3.Proxy) -> None:
        self.behind, self.proxy = behind, proxy

    def uri(self, name: str) -> str:
        """A run, for the nodes."""
        return _uri(name, self.proxy.address)

    def seen(self, name: str) -> str:
        """The same run past all that is done to the nodes' requests."""
        return _uri(name, self.behind)

    def num_events(self, name: str) -> int:
        return len(self.keys(f"{name}/ledger/"))

    def keys(self, prefix: str) -> list[str]:
        pages = s3.client(self.behind).get_paginator("list_objects_v2").paginate(Bucket=s3.BUCKET, Prefix=prefix)
        # Without the marks by which pyarrow remembers empty folders.
        return [o["Key"] for page in pages for o in page.get("Contents", []) if not o["Key"].endswith("/")]


def _uri(name: str, address: str) -> str:
    return f"s3://{s3.BUCKET}/{name}?endpoint_override={address.removeprefix('http://')}&scheme=http"


@pytest.fixture(scope="module")
def on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cluster, Store]]:
    """A cluster with an S3 server in its network."""
    folder = tmp_path_factory.mktemp("store")
    with (
        cluster(folder, "a", "b", **s3.KEYS, AWS_EC2_METADATA_DISABLED="true") as found,
        s3.server() as server,
        s3.proxy(server, found.listen("store")) as proxy,
    ):
        yield found, Store(server, proxy)


@pytest.fixture(autouse=True)
def _at_rest(on: tuple[Cluster, Store], monkeypatch: pytest.MonkeyPatch) -> None:
    on[1].proxy.rule = lambda method, path: None
    for name, value in s3.KEYS.items():
        monkeypatch.setenv(name, value)


def begun(on: tuple[Cluster, Store], name: str, data: Path, folder: Path) -> subprocess.Popen[str]:
    """A search on the store, in the middle of its trainings."""
    nodes, store = on
    folder.mkdir(exist_ok=True)
    search = nodes.head.start(folder, *words(data, store.uri(name), TRIALS, EPOCHS, "--address", nodes.address))
    until(lambda: store.num_events(name) >= 10 or search.poll() is not None, "events")
    assert search.poll() is None, (folder / "out.txt").read_text()
    return search


def test_a_store_that_is_slow_and_fails_for_a_while_is_waited_for(
    on: tuple[Cluster, Store], data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    store, search = on[1], begun(on, "a", data, tmp_path)
    assert any(key.endswith(".pt") for key in store.keys("a/checkpoints/")), "who writes there are the nodes"
    back = time.monotonic() + 15
    before = len(store.proxy.asked)
    store.proxy.rule = lambda method, path: "503" if time.monotonic() < back else 0.2
    until(lambda: time.monotonic() > back, "the store is back")
    assert len(store.proxy.asked) > before
    assert search.wait(900) == 0, (tmp_path / "out.txt").read_text()
    assert outcome(store.seen("a")) == expected and account(store.seen("a")).is_whole
    assert not store.keys("a/checkpoints/") and len(store.keys("a/weights/")) == TRIALS


def test_a_search_whose_store_stayed_away_goes_on_later(
    on: tuple[Cluster, Store], data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    (nodes, store), search = on, begun(on, "b", data, tmp_path)
    store.proxy.rule = lambda method, path: "cut"
    code, text = search.wait(1200), (tmp_path / "out.txt").read_text()
    assert code == 2 and "Traceback" not in text, text
    assert re.search(r"^irnas: s3://bucket/b.*: got ['\"].*['\"] in \d+ tries; must answer$", text, re.M), text
    assert f"go on with: irnas search --resume '{store.uri('b')}'" in text
    assert not any(secret in text for secret in s3.PLANTED)
    store.proxy.rule = lambda method, path: None
    again = nodes.head.start(tmp_path, "search", "--resume", store.uri("b"), "--address", nodes.address)
    assert again.wait(600) == 0, (tmp_path / "out.txt").read_text()
    assert outcome(store.seen("b")) == expected and account(store.seen("b")).is_whole


def test_a_search_that_was_resumed_elsewhere_ends_where_it_was(
    on: tuple[Cluster, Store], data: Path, expected: dict[str, Any], tmp_path: Path
) -> None:
    """As when its machine was cut off, was thought dead, and returns: nothing there can hold a lock."""
    (nodes, store), first = on, begun(on, "c", data, tmp_path / "first")
    second = nodes.head.start(tmp_path, "search", "--resume", store.uri("c"), "--executor", "loop")
    code, text = first.wait(600), (tmp_path / "first" / "out.txt").read_text()
    assert code == 2 and "Traceback" not in text, text
    assert re.search(r"^irnas: .*: got a second search; that one has taken over, and this one ends$", text, re.M), text
    assert second.wait(600) == 0, (tmp_path / "out.txt").read_text()
    assert outcome(store.seen("c")) == expected and account(store.seen("c")).is_whole


def test_what_a_search_left_there_is_mirrored_from_elsewhere(on: tuple[Cluster, Store], tmp_path: Path) -> None:
    uri = on[1].seen("b")
    address = f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert client.rebuild(uri, address)[1] == TRIALS
    from mlflow.tracking import MlflowClient

    assert_mirrored(MlflowClient(tracking_uri=address), uri)
