"""The trained weights of a run: where they are kept, and how they are written and read."""

from __future__ import annotations

import io

import torch
from torch import nn

from irnas import models, storage
from irnas.core.errors import DataError
from irnas.core.result import Result


def weights_uri(run: str, key: str) -> str:
    """Where the run at URI ``run`` keeps the trained weights of a genotype."""
    return storage.join(run, "weights", f"{key}.pt")


def write_weights(run: str, key: str, network: nn.Module) -> None:
    """Write the weights of a network as those of the genotype ``key`` of a run.

    Raises:
        StorageError: the disk is full or read-only.
        ServiceError: the store does not answer.
    """
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    storage.write(weights_uri(run, key), buffer.getvalue())


def restore(run: str, result: Result) -> nn.Module:
    """The trained network of a finished trial of the run at URI ``run``, on the CPU, ready to predict.

    Raises:
        DataError: the run holds no weights for it.
    """
    content = storage.read(weights_uri(run, result.key))
    if content is None:
        raise DataError(f"run {run}: got no weights of {result.key}; must be a trial that finished there")
    network = models.build(result.genotype)
    network.load_state_dict(torch.load(io.BytesIO(content), weights_only=True))
    return network.eval()
