"""The state of an unfinished training: where a run keeps it, and how it is written, read and deleted.

A checkpoint holds what the next epoch depends on: the state of each part of a training (network, optimiser, schedule,
moving average), the number of the last epoch and its loss. It lives until the trial has a result. Damage is seen by the
checksums that torch writes into its files and does not compare itself; a trial with a damaged checkpoint begins anew.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any, Protocol

import torch

from irnas import storage
from irnas.core.errors import FormatError


class Stateful(Protocol):
    """A part of a training that hands out its state and takes it back, as torch's modules and optimisers do."""

    def state_dict(self) -> dict[str, Any]:
        """The state as plain data and tensors."""

    def load_state_dict(self, state_dict: dict[str, Any], /) -> Any:
        """Return to that state."""


class DamagedCheckpoint(FormatError):
    """What an unfinished training has left cannot be gone on from."""


def checkpoint_uri(run: str, key: str, replicate: int = 0) -> str:
    """Where the run at URI ``run`` keeps the checkpoint of a genotype; each replicate above 0 has a file of its own."""
    return storage.join(run, "checkpoints", f"{key}{f'-{replicate}' if replicate else ''}.pt")


def write_checkpoint(uri: str, parts: Mapping[str, Stateful], epoch: int, loss: float) -> None:
    """Write the state of the parts after an epoch, counted from 1, in place of what was there.

    Raises:
        StorageError: the disk is full or read-only.
        ServiceError: the store does not answer.
    """
    buffer = io.BytesIO()
    torch.save({"epoch": epoch, "loss": loss, **{name: part.state_dict() for name, part in parts.items()}}, buffer)
    storage.write(uri, buffer.getvalue())


def read_checkpoint(uri: str, parts: Mapping[str, Stateful]) -> tuple[int, float]:
    """Bring the parts into the state that is kept at ``uri``; the last epoch and its loss, or (0, 0.0) without one.

    Raises:
        DamagedCheckpoint: what lies there is no checkpoint of such parts; some of them may have changed.
    """
    content = storage.read(uri)
    if content is None:
        return 0, 0.0
    try:
        damaged = zipfile.ZipFile(io.BytesIO(content)).testzip()
        if damaged is not None:
            raise ValueError(f"{damaged} does not fit its checksum")
        # A training may go on where there is no such device.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
        return int(state["epoch"]), float(state["loss"])
    except Exception as error:
        # Damaged bytes make these readers raise nearly anything.
        raise DamagedCheckpoint(
            f"{uri}: got {type(error).__name__} while reading; must be a checkpoint of this trial"
        ) from error


def delete_checkpoint(uri: str) -> None:
    """Remove the checkpoint at ``uri``; nothing happens where there is none."""
    storage.remove(uri)
