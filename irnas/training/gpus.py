"""The GPUs of this machine."""

from __future__ import annotations

import os

import torch

from irnas.core.provenance import device_name


def count_gpus() -> int:
    """How many GPUs torch can train on here."""
    return torch.cuda.device_count()


def gpu_bytes() -> int | None:
    """The memory of the smallest of them; None without any."""
    sizes = [torch.cuda.get_device_properties(number).total_memory for number in range(count_gpus())]
    return min(sizes, default=None)


def gpu_name() -> str:
    """The model name of the first of them; empty without any."""
    return torch.cuda.get_device_name() if count_gpus() else ""


def choose_device(*, on_gpu: bool) -> tuple[str, str]:
    """Where this process trains: torch's device, and what a record calls it.

    Args:
        on_gpu: whether it was given a GPU, or a share of one. Without, it leaves GPUs alone.
    """
    if not on_gpu:
        return "cpu", device_name("cpu")
    # What gives a process its share shows it that GPU and no other.
    number = os.environ.get("CUDA_VISIBLE_DEVICES") or "0"
    if torch.cuda.is_available():
        return "cuda", f"{torch.cuda.get_device_name()} (GPU {number})"
    return "cpu", f"{device_name('cpu')} (given GPU {number}, which torch does not see)"
