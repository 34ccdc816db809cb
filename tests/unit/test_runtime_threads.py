"""One model among many threads, and across a fork: right masks, never wrong ones, and nothing that hangs."""

from __future__ import annotations

import os
import signal
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny

from irnas.runtime import engine, format

Array = np.ndarray[Any, np.dtype[Any]]
pytestmark = pytest.mark.usefixtures("library")

SIZES = [(32, 32), (40, 24), (16, 64), (72, 8), (24, 24), (64, 48), (8, 8), (48, 80)]


def images(sizes: list[tuple[int, int]]) -> list[Array]:
    """One image a size, all of them different."""
    rng = np.random.default_rng(7)
    return [rng.integers(0, 256, (1, *size), dtype=np.uint8) for size in sizes]


def in_child(work: Callable[[], bool], seconds: float = 20) -> str:
    """How a forked child that does ``work`` ends: right, wrong, or not at all."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12: that is what these tests are about
        child = os.fork()
    if child == 0:
        signal.alarm(0)
        try:
            os._exit(0 if work() else 1)
        except BaseException:
            os._exit(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return {0: "right", 1: "wrong", 2: "error"}.get(os.waitstatus_to_exitcode(status), f"status {status}")
        time.sleep(0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return "hangs"


@pytest.mark.parametrize("sizes", [[(32, 32)] * 8, SIZES], ids=["one size", "mixed sizes"])
@pytest.mark.parametrize("threads", [1, 2])
def test_threads_that_share_a_model_get_its_masks(sizes: list[tuple[int, int]], threads: int) -> None:
    alone, shared = (engine.Model(format.write(tiny())) for _ in range(2))
    pictures = images(sizes)
    wanted = [alone.run(picture, threads) for picture in pictures]
    start = threading.Barrier(len(pictures))

    def count_wrong(n: int) -> int:
        start.wait()
        return sum(not np.array_equal(shared.run(pictures[n], threads), wanted[n]) for _ in range(60))

    with ThreadPoolExecutor(len(pictures)) as pool:
        assert list(pool.map(count_wrong, range(len(pictures)))) == [0] * len(pictures)


def test_a_model_tells_and_verifies_while_it_runs() -> None:
    shared = engine.Model(format.write(tiny()))
    (picture,) = images([(64, 64)])
    wanted = shared.run(picture)

    def use(n: int) -> bool:
        if n % 3 == 0:
            shared.verify(threads=1 + n % 2)
            return shared.facts.channels == 2 and shared.mode in ("auto", "streamed", "layers")
        return np.array_equal(shared.run(picture, 1 + n % 2), wanted)

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(use, range(120)))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_forked_child_runs_the_model_of_its_parent(threads: int) -> None:
    model = engine.Model(format.write(tiny()))
    (picture,) = images([(40, 56)])
    wanted = model.run(picture, threads)
    assert in_child(lambda: np.array_equal(model.run(picture, threads), wanted)) == "right"
    assert in_child(lambda: np.array_equal(model.run(picture, 1), wanted)) == "right"
    np.testing.assert_array_equal(model.run(picture, threads), wanted)


def test_a_child_may_be_forked_while_others_run() -> None:
    model = engine.Model(format.write(tiny()))
    pictures = images(SIZES[:3])
    wanted = [model.run(picture, 2) for picture in pictures]
    stop = threading.Event()

    def run_on(n: int) -> None:
        while not stop.is_set():
            model.run(pictures[n], 2)

    with ThreadPoolExecutor(2) as pool:
        for n in (0, 1):
            pool.submit(run_on, n)
        ends = [in_child(lambda: np.array_equal(model.run(pictures[2], 2), wanted[2])) for _ in range(8)]
        stop.set()
    assert ends == ["right"] * 8


def test_a_model_may_die_in_a_child() -> None:
    model = engine.Model(format.write(tiny()))
    model.run(images([(16, 16)])[0], 2)

    def forget() -> bool:
        nonlocal model
        del model
        return True

    assert in_child(forget) == "right"
