"""What is to be exported: a trained network of a run, or a point of a space with random weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import DataError, ExportError, SettingsError, SpaceError
from irnas.core.objective import parse
from irnas.core.result import Result, Status
from irnas.data import Dataset, open_dataset
from irnas.deploy.export.write import Origin
from irnas.metrics import PRESETS, Rules
from irnas.record import ledger, replicates
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
    opened, events = ledger.opening(uri)
    objectives = opened["settings"]["objectives"]
    # The best of many is also the luckiest: a network that was trained several times counts with its mean.
    with_replicate_means = replicates.with_replicate_means(
        ledger.results(events), replicates.replicate_statistics(events)
    )
    result = choose(with_replicate_means, key, objectives, uri)
    network = weights.restore(uri, result)
    found = open_dataset(dataset or opened["data"]["path"])
    if dataset is None and found.revision != result.data_rev:
        raise DataError(
            f"data set {opened['data']['path']}: got revision {found.revision}; must be {result.data_rev}, "
            "on which the network was trained (--dataset names another place)"
        )
    origin = Origin(name=f"{result.genotype.space} {result.key}", trial=result.key, data_rev=result.data_rev)
    return Source(network=network, origin=origin, rules=PRESETS[opened["settings"]["preset"]], dataset=found)


def from_space(space: str, point: str, dataset: str | None, seed: int) -> Source:
    """A point of a space with random weights: its size and its speed are those of a trained one."""
    try:
        catalog.folder(space)
    except SpaceError:
        names = ", ".join(catalog.names())
        raise SettingsError(f"source: got {space!r}; must be a run's folder or a space ({names})") from None
    genotype = catalog.point(space, point)
    torch.manual_seed(seed)
    network = models.build(genotype).eval()
    origin = Origin(name=f"{genotype.space} {point}", trial=genotype.key)
    found = None if dataset is None else open_dataset(dataset)
    return Source(network=network, origin=origin, rules=PRESETS["basicirstd"], dataset=found)


def choose(results: Sequence[Result], key: str, objectives: Sequence[str], where: str) -> Result:
    """The trained result of that key.

    Raises:
        SettingsError: none, or several whose keys begin so.
        ExportError: the run has trained no network yet.
    """
    trained = {result.key: result for result in results if result.status in _TRAINED}
    if not trained:
        raise ExportError(f"run {where}: got no trained network; must have one")
    if key == BEST:
        first = parse(objectives)[0]
        return min(trained.values(), key=lambda result: first.loss(result.values[first.name]))
    found = [name for name in trained if name.startswith(key)]
    if key in trained or len(found) == 1:
        return trained[key if key in trained else found[0]]
    names = ", ".join(sorted(found or trained)[:5])
    must = f"one of {len(found or trained)} keys: {names}, ..., or {BEST}"
    raise SettingsError(f"run {where}: got key {key!r} of {len(found)} networks; must be {must}")
