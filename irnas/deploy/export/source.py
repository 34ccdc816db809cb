"""What is to be exported: a trained network of a run, or a point of a space with random weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, SettingsError, SpaceError
from irnas.core.result import Status
from irnas.data import Dataset, open_dataset
from irnas.deploy.export.write import Origin
from irnas.metrics import PRESETS, Rules
from irnas.record.run import Run
from irnas.record.selection import select_trial
from irnas.training import weights

BEST = "best"
_TRAINED = (Status.OK, Status.STOPPED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A network and where it comes from."""

    network: nn.Module
    """In eval mode, on the CPU."""
    origin: Origin
    rules: Rules
    """How its metrics count."""
    dataset: Dataset | None
    """What it was validated on; None for a network nobody trained."""


def from_run(uri: str, key: str, dataset: str | None) -> Source:
    """The trained network ``key`` of a run; ``best`` is the best by the run's first objective.

    Args:
        uri: folder or URI of the run.
        key: a genotype's key, its first letters as far as they are unique, or ``best``.
        dataset: compare on this data set instead of the run's own.

    Raises:
        SettingsError: no run there, or no such network in it.
        DataError: the run's data set is no longer where it was, or another one.
    """
    run = Run.read(uri)
    trial = select_trial(run, key)
    # The best of many is also the luckiest: a network that was trained several times counts with its mean.
    (result,) = (r for r in run.results if r.trial == trial.number) if trial.finished else (None,)
    if result is None or result.status not in _TRAINED:
        raise ExportError(f"run {uri}: got trial {trial.number} ({trial.key}); must be one whose training has ended")
    network = weights.restore(uri, result)
    data = run.opened.data
    validated_on = open_dataset(dataset or data.path)
    if dataset is None and validated_on.revision != result.data_rev:
        raise DataError(
            f"data set {data.path}: got revision {validated_on.revision}; must be {result.data_rev}, "
            "on which the network was trained (--dataset names another place)"
        )
    origin = Origin(name=f"{result.genotype.space} {result.key}", trial=result.key, data_rev=result.data_rev)
    return Source(network=network, origin=origin, rules=PRESETS[run.settings.preset], dataset=validated_on)


def from_space(space: str, point: str, dataset: str | None, seed: int) -> Source:
    """A point of a space with random weights: its size and its speed are those of a trained one."""
    try:
        catalog.find_folder(space)
    except SpaceError:
        names = ", ".join(catalog.list_names())
        raise SettingsError(f"source: got {space!r}; must be a run's folder or a space ({names})") from None
    genotype = catalog.find_point(space, point)
    torch.manual_seed(seed)
    network = models.build(genotype).eval()
    origin = Origin(name=f"{genotype.space} {point}", trial=genotype.key)
    compared_on = None if dataset is None else open_dataset(dataset)
    return Source(network=network, origin=origin, rules=PRESETS["basicirstd"], dataset=compared_on)
