"""Processes die, machines go, cables are pulled: a search loses no finished trial and repeats none."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import Cluster, cluster
from support.command import events, run

pytestmark = pytest.mark.cluster


class Search:
    """A search on a cluster, some epochs after its start."""

    def __init__(self, on: Cluster, data: Path, folder: Path, *more: str) -> None:
        self.run, self._folder = folder / "run", folder
        told = words(data, self.run, TRIALS, EPOCHS, "--address", on.address, *more)
        self.process = on.head.start(folder, *told)
        self.wait_for("reported", 6)

    def wait_for(self, kind: str, count: int) -> None:
        """Wait until there are so many events of a kind."""
        is_so = lambda: len(events(self.run, kind)) >= count or self.process.poll() is not None  # noqa: E731
        until(is_so, f"{count} events {kind!r}")
        assert len(events(self.run, kind)) >= count, (self._folder / "out.txt").read_text()

    def end(self) -> None:
        """Wait for the end."""
        assert self.process.wait(600) == 0, (self._folder / "out.txt").read_text()


@contextmanager
def repaired(on: Cluster) -> Iterator[None]:
    """Whatever happened to the workers, there are two again afterwards."""
    yield
    for name in ("a", "b"):
        if on.nodes[name].process is None:
            on.start_worker(name)
    on.wait_for("a", "b")


def test_a_killed_process_costs_at_most_an_epoch(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    search = Search(cluster, data, tmp_path)
    os.kill(cluster.training()[1], signal.SIGKILL)
    search.end()
    found = account(search.run)
    assert outcome(search.run) == expected
    assert found.is_whole and found.retried >= 1 and found.again <= found.retried, found


def test_a_training_that_hangs_is_killed_and_started_again(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    """A process that is stopped answers nothing and does not die of itself: the worst kind of hanging."""
    search = Search(cluster, data, tmp_path, "--patience", "60")
    _, pid = cluster.training()
    os.kill(pid, signal.SIGSTOP)
    search.end()
    assert not Path(f"/proc/{pid}").exists()
    assert any("said nothing for" in e["error"] for e in events(search.run, "retried"))
    assert outcome(search.run) == expected and account(search.run).is_whole


def test_a_machine_that_goes_is_replaced_by_one_that_comes(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    with repaired(cluster):
        search = Search(cluster, data, tmp_path)
        for name in ("a", "b"):
            cluster.nodes[name].kill()
        cluster.start_worker("c")
        cluster.wait_for("c")
        search.end()
        found = account(search.run)
        assert outcome(search.run) == expected
        assert found.is_whole and found.retried >= 1 and found.again <= found.retried, found
        cluster.nodes["c"].kill()


def test_a_machine_that_is_cut_off_and_returns_disturbs_nothing(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    """Its own training goes on for a while, unheard; what it writes then must not be taken for anybody's result."""
    with repaired(cluster):
        search = Search(cluster, data, tmp_path)
        victim, _ = cluster.training()
        name = victim.name.rpartition("-")[2]
        cluster.link(name, "down")
        search.wait_for("retried", 1)
        cluster.link(name, "up")
        search.end()
        found = account(search.run)
        assert outcome(search.run) == expected
        assert found.is_whole and found.retried >= 1, found
        victim.kill()


def test_a_search_outlives_a_node_and_then_the_head(
    data: Path, expected: dict[str, object], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "first").mkdir()
    with cluster(tmp_path / "first", "a", "b") as first:
        search = Search(first, data, tmp_path / "first")
        victim, _ = first.training()
        victim.kill()
        search.wait_for("finished", 1)
        first.head.kill()
        search.process.wait(30)
    before, then = events(search.run, "finished"), account(search.run)
    assert 1 <= len(before) < TRIALS
    (tmp_path / "second").mkdir()
    with cluster(tmp_path / "second", "a", "b") as second:
        again = second.head.start(tmp_path, "search", "--resume", str(search.run), "--address", second.address)
        assert again.wait(600) == 0, (tmp_path / "out.txt").read_text()
    found = account(search.run)
    with capsys.disabled():
        print(f"\nkill -9 of node {victim.name}, then of the head: {then}\nresumed on another cluster: {found}")
    assert events(search.run, "finished")[: len(before)] == before
    assert outcome(search.run) == expected
    assert found.is_whole and found.finished == found.proposed == TRIALS, found
    # A worker that is lost costs the epoch at which it was, and the head all that were at work.
    assert found.again <= found.retried + 2, found


def test_a_search_that_lost_its_cluster_goes_on_without_one(
    cluster: Cluster, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    search = Search(cluster, data, tmp_path)
    search.process.kill()
    search.process.wait()
    for pid in cluster.head.processes("-m irnas search"):
        os.kill(pid, signal.SIGKILL)
    run(tmp_path, "search", "--resume", str(search.run), "--executor", "loop", timeout_s=600)
    assert outcome(search.run) == expected and account(search.run).is_whole
