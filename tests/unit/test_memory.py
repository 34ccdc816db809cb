"""A training that takes too much memory is told so; nothing else in its process is."""

from __future__ import annotations

import time

import pytest
import torch

from irnas.search import memory_limit


@pytest.mark.parametrize(
    ("error", "is_memory"),
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
def test_errors_of_memory_are_known(error: str, is_memory: bool) -> None:
    assert memory_limit.is_out_of_memory(error) is is_memory


def test_only_a_training_is_held_to_the_limit() -> None:
    is_training = False
    is_over = memory_limit.enforce(memory_limit.resident_bytes() + 30_000_000, lambda: is_training)
    kept = bytearray(b"x") * 60_000_000
    time.sleep(3 * memory_limit._CHECK_EVERY_S)
    with pytest.raises(MemoryError, match=r"^its process has \d+ MB; must have at most \d+ MB$") as caught:
        is_training = True
        for _ in range(1000):
            time.sleep(0.01)
    is_training = False
    is_over.set()
    assert memory_limit.is_out_of_memory(type(caught.value).__name__) and len(kept) == 60_000_000


def test_torch_says_that_there_is_no_more_memory() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert memory_limit.is_out_of_memory(f"RuntimeError: {caught.value}")
    assert memory_limit.is_out_of_memory(torch.cuda.OutOfMemoryError.__name__)
