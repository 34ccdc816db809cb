"""What is to be exported: a trained network of a run, a file of weights, or a point of a space with random weights."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, SettingsError, SpaceError
from irnas.core.result import TRAINED, Result
from irnas.data import Dataset, Split, open_dataset
from irnas.data.value_range import range_of_document
from irnas.deploy.export.write import Origin
from irnas.metrics import PRESETS, Rules
from irnas.record.run import Run
from irnas.record.selection import select_trial
from irnas.training import weights
from irnas.training.weights import WeightsInfo

_COMPARED_ON = ("val", "fit", "train")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A network and where it comes from."""

    network: nn.Module
    """In eval mode, on the CPU."""
    origin: Origin
    rules: Rules
    """How its metrics count, at its own threshold."""
    dataset: Dataset | None
    """What it was validated on; None for a network nobody trained."""
    info: WeightsInfo | None = None
    """What is known of its weights; None where these are random."""

    @property
    def split(self) -> Split | None:
        """The images that file and network are compared on: validation images, or those of training in a set without.

        Raises:
            DataError: the set has neither.
        """
        if self.dataset is None:
            return None
        return self.dataset.split(next((name for name in _COMPARED_ON if name in self.dataset.splits), _COMPARED_ON[0]))

    @property
    def is_range_known(self) -> bool:
        """Whether it is known how counts of more than 8 bits were read in training."""
        return self.info is None or self.info.is_range_known


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
    run, result, network, info = restore_trained(uri, key)
    data = run.data
    validated_on = open_dataset(dataset or data.path)
    if dataset is None and validated_on.revision != result.data_rev:
        raise DataError(
            f"data set {data.path}: got revision {validated_on.revision}; must be {result.data_rev}, "
            "on which the network was trained (--dataset names another place)"
        )
    if not info.is_range_known and (trained_on := _find_dataset(result.data_rev, validated_on, data.path)):
        value_range = range_of_document(trained_on.manifest.value_range)
        info = replace(info, value_range=value_range, is_range_known=True)
    origin = Origin(
        name=f"{result.genotype.space} {result.key}",
        trial=result.key,
        data_rev=result.data_rev,
        counts=info.value_range,
        threshold=info.threshold,
    )
    return Source(network=network, origin=origin, rules=_rules_of(info), dataset=validated_on, info=info)


def restore_trained(uri: str, key: str) -> tuple[Run, Result, nn.Module, WeightsInfo]:
    """A run, the result that ``key`` names in it as ``select_trial`` does, its network, and what is known of that.

    The network is in eval mode, on the CPU.

    Raises:
        SettingsError: no run there, or no such network in it.
        ExportError: the network was not trained to an end.
        DataError: the run holds no weights for it.
        FormatError: its weights are damaged.
    """
    run = Run.read(uri)
    trial = select_trial(run, key)
    # The best of many is also the luckiest: a network that was trained several times counts with its mean.
    (result,) = (r for r in run.results if r.trial == trial.number) if trial.finished else (None,)
    if result is None or result.status not in TRAINED:
        raise ExportError(f"run {uri}: got trial {trial.number} ({trial.key}); must be one whose training has ended")
    return run, result, *weights.find_weights(run, result)


def from_weights(path: str, dataset: str | None) -> Source:
    """The network in a file of weights, as a search, a training or ``irnas import-weights`` wrote it.

    Args:
        path: of the file, or its URI.
        dataset: compare on this data set instead of the one that it was trained on, which counts where it still is.

    Raises:
        DataError: there is no such file, or no such data set.
        FormatError: it is another file.
    """
    network, info = weights.read_weights(path)
    origin = Origin(
        name=f"{info.genotype.space} {Path(path).stem}",
        trial=info.genotype.key,
        data_rev=info.data.revision if info.data else "",
        counts=info.value_range,
        threshold=info.threshold,
    )
    if dataset is not None:
        compared_on: Dataset | None = open_dataset(dataset)
    else:
        compared_on = _find_dataset(info.data.revision, None, info.data.path) if info.data else None
    return Source(network=network, origin=origin, rules=_rules_of(info), dataset=compared_on, info=info)


def _rules_of(info: WeightsInfo) -> Rules:
    return replace(PRESETS[info.preset], threshold=info.threshold)


def _find_dataset(revision: str, opened: Dataset | None, path: str) -> Dataset | None:
    """The set of a revision: the one that is open, or the one at a path; None where neither is."""
    if opened and opened.revision == revision:
        return opened
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
    catalog.admit_code(space)
    genotype = catalog.find_point(space, point)
    torch.manual_seed(seed)
    network = models.build(genotype).eval()
    origin = Origin(name=f"{genotype.space} {point}", trial=genotype.key)
    compared_on = None if dataset is None else open_dataset(dataset)
    return Source(network=network, origin=origin, rules=PRESETS["basicirstd"], dataset=compared_on)
