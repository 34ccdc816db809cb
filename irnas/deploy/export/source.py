"""What is to be exported: a trained network of a run, imported weights, or a point of a space with random weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, SettingsError, SpaceError
from irnas.core.result import Result, Status
from irnas.data import Dataset, open_dataset
from irnas.data.value_range import range_of_document
from irnas.deploy.export.write import Origin
from irnas.metrics import PRESETS, Rules
from irnas.models import rpcanet_plus_weights
from irnas.record.run import Run
from irnas.record.selection import select_trial
from irnas.training import weights

WEIGHTS = ".pt"
"""How a file of imported weights ends."""
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
    is_range_known: bool = True
    """Whether the set it was trained on could be asked how counts of more than 8 bits were read."""


def from_run(uri: str, key: str, dataset: str | None) -> Source:
    """The trained network ``key`` of a run.

    Args:
        uri: folder or URI of the run.
        key: anything that ``select_trial`` takes.
        dataset: compare on this data set instead of the run's own.

    Raises:
        SettingsError: no run there, or no such network in it.
        DataError: the run's data set is no longer where it was, or another one.
    """
    run, result, network = restore_trained(uri, key)
    data = run.opened.data
    validated_on = open_dataset(dataset or data.path)
    if dataset is None and validated_on.revision != result.data_rev:
        raise DataError(
            f"data set {data.path}: got revision {validated_on.revision}; must be {result.data_rev}, "
            "on which the network was trained (--dataset names another place)"
        )
    trained_on = _find_dataset(result.data_rev, validated_on, data.path)
    origin = Origin(
        name=f"{result.genotype.space} {result.key}",
        trial=result.key,
        data_rev=result.data_rev,
        counts=range_of_document(trained_on.manifest.value_range) if trained_on else None,
    )
    return Source(
        network=network,
        origin=origin,
        rules=PRESETS[run.settings.preset],
        dataset=validated_on,
        is_range_known=trained_on is not None,
    )


def restore_trained(uri: str, key: str) -> tuple[Run, Result, nn.Module]:
    """A run, the result that ``key`` names in it as ``select_trial`` does, and its network, in eval mode on the CPU.

    Raises:
        SettingsError: no run there, or no such network in it.
        ExportError: the network was not trained to an end.
        DataError: the run holds no weights for it.
    """
    run = Run.read(uri)
    trial = select_trial(run, key)
    # The best of many is also the luckiest: a network that was trained several times counts with its mean.
    (result,) = (r for r in run.results if r.trial == trial.number) if trial.finished else (None,)
    if result is None or result.status not in _TRAINED:
        raise ExportError(f"run {uri}: got trial {trial.number} ({trial.key}); must be one whose training has ended")
    return run, result, weights.restore(uri, result)


def from_weights(path: str, dataset: str | None) -> Source:
    """The network in a file that ``irnas import-weights`` wrote.

    Raises:
        SettingsError: there is no such file.
        FormatError: it is another file.
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        raise SettingsError(f"weights {path}: got {error.strerror}; must be a file of irnas import-weights") from None
    genotype, network = rpcanet_plus_weights.read(content, path)
    origin = Origin(name=f"{genotype.space} {Path(path).stem}", trial=genotype.key)
    compared_on = None if dataset is None else open_dataset(dataset)
    return Source(network=network, origin=origin, rules=PRESETS["basicirstd"], dataset=compared_on)


def _find_dataset(revision: str, validated_on: Dataset, path: str) -> Dataset | None:
    """The set of a revision: the one that is open, or the one at a path; None where neither is."""
    if validated_on.revision == revision:
        return validated_on
    try:
        trained_on = open_dataset(path)
    except DataError:
        return None
    return trained_on if trained_on.revision == revision else None


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
