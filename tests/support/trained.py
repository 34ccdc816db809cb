"""A run whose networks have random weights: all that a test of networks needs, and trained in no time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from support.datasets import tiny
from support.opened import opened
from torch import nn

from irnas import cost, models
from irnas.core import catalog
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype
from irnas.record.events import Closed, DataSource, Finished, Proposed, Repeated
from irnas.record.ledger import Ledger
from irnas.training.weights import WeightsInfo, weights_uri, write_weights

POINTS = ("base=4,stages=2,n_bot=0", "base=4,stages=2,n_bot=1")
"""Of the space biisnet."""
THRESHOLD = 0.6
"""Of every network."""


def genotypes() -> list[Genotype]:
    return [catalog.find_point("biisnet", point) for point in POINTS]


def network_of(genotype: Genotype, seed: int) -> nn.Module:
    """A network that marks some pixels of an image and leaves others."""
    torch.manual_seed(seed)
    network = models.build(genotype).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return network


def data_source() -> DataSource:
    return DataSource(name="tiny", revision=tiny().revision, path=str(tiny().root))


def write_run(
    folder: Path | str, *, seeds: Sequence[int] = (11, 12, 13), strategy: str = "random", closed: bool = True
) -> str:
    """A run of one network a point, the first of which is trained with each of the seeds; returns its URI.

    The second network is the better one by what the record says, and the dearer.
    """
    ledger = Ledger(str(folder))
    with ledger.writing():
        settings = SearchSettings(space="biisnet", dataset=str(tiny().root), strategy=strategy)
        ledger.append(opened(settings, space=catalog.load("biisnet").focus(), data=data_source()))
        for trial, genotype in enumerate(genotypes()):
            costs = cost.price(genotype, (1, 64, 64))
            ledger.append(Proposed(proposal=Proposal(trial=trial, genotype=genotype, costs=costs, origin="random")))
            ledger.append(Finished(result=_result(trial, genotype, {**costs, "miou": 0.2 + 0.1 * trial}, seeds[0])))
            _write_weights(folder, genotype, seeds[0], 0)
        for replicate, seed in enumerate(seeds[1:], 1):
            _write_weights(folder, genotypes()[0], seed, replicate)
            ledger.append(
                Repeated(
                    trial=0,
                    key=genotypes()[0].key,
                    seed=seed,
                    replicate=replicate,
                    seconds=1.0,
                    values={"miou": 0.2 + 0.01 * replicate},
                )
            )
        if closed:
            ledger.append(Closed(reason="all trials are handed out"))
    return str(folder)


def _write_weights(folder: Path | str, genotype: Genotype, seed: int, replicate: int) -> None:
    info = WeightsInfo(
        genotype=genotype,
        origin="trained",
        data=data_source(),
        split="fit",
        seed=seed,
        replicate=replicate,
        threshold=THRESHOLD,
    )
    write_weights(weights_uri(str(folder), genotype.key, replicate), network_of(genotype, seed), info)


def _result(trial: int, genotype: Genotype, values: dict[str, float], seed: int) -> Result:
    return Result(
        trial=trial,
        genotype=genotype,
        status=Status.OK,
        values=values,
        epochs=1,
        seed=seed,
        data_rev=tiny().revision,
        code_rev="c",
        seconds=1.0,
    )
