"""The disk under a run fills up: the search ends with one line, and goes on once there is room."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.account import EPOCHS, TRIALS, account, outcome, until, words
from support.cluster import Cluster, cluster
from support.command import events

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path_factory.mktemp("disk")
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16M", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def sharing(disk: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster whose nodes see that disk, as it was there before them."""
    with cluster(tmp_path_factory.mktemp("sharing"), "a", "b") as found:
        yield found


def fill(path: Path) -> None:
    """Leave no room beside a file."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


def test_a_full_disk_ends_a_search_that_goes_on_once_there_is_room(
    sharing: Cluster, disk: Path, data: Path, expected: dict[str, object], tmp_path: Path
) -> None:
    run, filler = disk / "run", disk / "filler"
    search = sharing.head.start(tmp_path, *words(data, run, TRIALS, EPOCHS, "--address", sharing.address))
    until(lambda: len(events(run, "reported")) >= 6 or search.poll() is not None, "reports of trials")
    fill(filler)
    code, text = search.wait(300), (tmp_path / "out.txt").read_text()
    assert code == 2, text
    assert "Traceback" not in text and f"go on with: irnas search --resume {run}" in text, text
    assert re.search(r"^irnas: .*: got 'No space left on device' while writing \S+; must have room", text, re.M), text
    assert not list(run.rglob("*.part"))
    before = events(run, "finished")
    filler.unlink()
    again = sharing.head.start(tmp_path, "search", "--resume", str(run), "--address", sharing.address)
    assert again.wait(600) == 0, (tmp_path / "out.txt").read_text()
    assert events(run, "finished")[: len(before)] == before
    assert outcome(run) == expected and account(run).is_whole
