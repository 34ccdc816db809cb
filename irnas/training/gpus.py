"""The GPUs of this machine."""

from __future__ import annotations

import torch


def count_gpus() -> int:
    """How many GPUs torch can train on here."""
    return torch.cuda.device_count()
