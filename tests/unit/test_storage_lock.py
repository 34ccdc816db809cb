"""The one lock between processes: refused, waited for, and freed with its holder."""

from __future__ import annotations

import math
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from irnas.core.errors import SettingsError
from irnas.storage import lock

HOLDER = (
    "import sys, time; from pathlib import Path; from irnas.storage import lock\n"
    "with lock.hold(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@pytest.fixture
def holder(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_a_second_process_is_refused_in_words(path: Path, holder: subprocess.Popen[bytes]) -> None:
    with (
        pytest.raises(SettingsError, match=r"^run r: got a second search$"),
        lock.hold(path, "run r: got a second search"),
    ):
        pytest.fail("both hold the lock")


def test_a_killed_holder_leaves_a_free_lock(path: Path, holder: subprocess.Popen[bytes]) -> None:
    assert lock.is_held(path)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert not lock.is_held(path)
    with lock.hold(path):
        assert lock.is_held(path)


@pytest.mark.parametrize("wait_s", [30.0, math.inf])
def test_a_waiting_holder_follows_the_first(path: Path, wait_s: float) -> None:
    order: list[str] = []
    entered = threading.Event()

    def hold_first() -> None:
        with lock.hold(path):
            entered.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=hold_first)
    thread.start()
    assert entered.wait(10)
    with lock.hold(path, wait_s=wait_s):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_wait_ends_after_its_time(path: Path) -> None:
    began_s = time.monotonic()
    with lock.hold(path), pytest.raises(SettingsError, match="must be free"), lock.hold(path, wait_s=0.3):
        pytest.fail("both hold the lock")
    assert 0.3 <= time.monotonic() - began_s < 10


def test_asking_for_a_lock_makes_no_file(path: Path) -> None:
    assert not lock.is_held(path) and not path.exists()
    assert lock.is_being_written("s3://bucket/run") and not lock.is_being_written(str(path.parent))
    with lock.hold(path.parent / lock.RUN_LOCK):
        assert lock.is_being_written(str(path.parent))
