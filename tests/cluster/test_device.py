"""Nodes that differ: speed is measured on the one with the label, and trials go where there are GPUs for them."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, words
from support.cluster import cluster
from support.command import events
from support.native import library, products  # noqa: F401

pytestmark = pytest.mark.cluster

KERNELS = "reference"
"""What only the board runs: whatever was timed elsewhere was timed with other kernels."""


def test_speed_is_measured_on_the_node_with_the_label(data: Path, library: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "cluster").mkdir()
    run = tmp_path / "run"
    command = words(data, run, TRIALS, EPOCHS // 8, "--objective", "miou,fps", "--device", "node:board")
    with cluster(tmp_path / "cluster", "a", XNOR_LIBRARY=str(library)) as machines:

        def search(*given: str) -> tuple[int, str]:
            process = machines.head.start(tmp_path, *given, "--address", machines.address)
            return process.wait(600), (tmp_path / "out.txt").read_text()

        code, said = search(*command)
        assert code == 2 and "device: got node:board, which no node of the cluster has; must be" in said
        assert not run.exists()

        board = machines.start_worker("board", cpus=0, label="board", XNOR_KERNELS=KERNELS)
        machines.wait_for("board")
        code, said = search(*command)
        assert code == 0, said
        assert account(run).is_whole and not board.trials()
        device = events(run, "opened")[0]["device"]
        assert (device["name"], device["kernels"], device["predicted"]) == ("node:board", KERNELS, False)
        measured = events(run, "measured")
        assert measured and {e["kernels"] for e in measured} == {KERNELS}

        # The record knows its device: a search that goes on needs the same one.
        board.kill()
        machines.start_worker("board", cpus=0, label="board", XNOR_KERNELS="")
        machines.wait_for("board")
        code, said = search("search", "--resume", str(run), "--trials", str(TRIALS + 1))
        assert code == 2 and "got the device node:board (" in said and "must be the one it began with" in said


def test_two_trials_share_a_gpu_and_none_goes_where_there_is_none(data: Path, tmp_path: Path) -> None:
    (tmp_path / "cluster").mkdir()
    run = tmp_path / "run"
    with cluster(tmp_path / "cluster", "a") as found:
        found.start_worker("b", cpus=4, gpus=1)
        found.wait_for("b")
        told = words(data, run, TRIALS, 6 * EPOCHS, "--gpus", "0.5", "--address", found.address)
        search = found.head.start(tmp_path, *told)
        plain, mixed = found.nodes["a"], found.nodes["b"]
        most = 0
        while search.poll() is None:
            assert not plain.trials()
            most = max(most, len(mixed.trials()))
            time.sleep(0.5)
        assert search.wait() == 0, (tmp_path / "out.txt").read_text()
    assert most == 2 and account(run).is_whole
