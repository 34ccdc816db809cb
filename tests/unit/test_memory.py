"""A training that takes too much memory is told so; nothing else in its process is."""

from __future__ import annotations

import time

import pytest

from irnas.search import memory_limit


@pytest.mark.parametrize(
    ("error", "is_short"),
    [
        ("MemoryError:  (a.py:3)", True),
        ("OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB (a.py:3)", True),
        (
            "RuntimeError: [enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory (a.py:3)",
            True,
        ),
        ("TrainingError: epoch 3, step 1: got loss nan; must be finite (train.py:9)", False),
        ("", False),
    ],
)
def test_errors_of_memory_are_known(error: str, is_short: bool) -> None:
    assert memory_limit.was_short(error) is is_short


def test_more_than_the_limit_is_an_error_where_it_is_at_work_and_nowhere_else() -> None:
    is_at_work = False
    is_over = memory_limit.watch(memory_limit.taken() + 30_000_000, lambda: is_at_work)
    kept = bytearray(b"x") * 60_000_000
    time.sleep(3 * memory_limit._LOOKS_S)
    with pytest.raises(MemoryError, match=r"^its process has \d+ MB; must have at most \d+ MB$") as caught:
        is_at_work = True
        for _ in range(1000):
            time.sleep(0.01)
    is_at_work = False
    is_over.set()
    assert memory_limit.was_short(type(caught.value).__name__) and len(kept) == 60_000_000
