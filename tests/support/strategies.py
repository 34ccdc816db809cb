"""Strategies over small spaces, with a free objective that needs no network and answers that need no training."""

from __future__ import annotations

import random
from collections.abc import Mapping

from support.results import tiny_space

from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.space import Genotype, Param, Space
from irnas.search.strategy.optuna_sampler import SamplerStrategy


def price(genotype: Genotype) -> Mapping[str, float]:
    values = genotype.values
    return {"ops": float(values["base"]) * float(values["stages"]) * 1e6}


def answer(proposal: Proposal, *, status: Status = Status.OK) -> Result:
    miou = random.Random(proposal.genotype.key).random()
    values = {**proposal.costs, **({"miou": miou} if status is Status.OK else {})}
    return Result(
        trial=proposal.trial,
        genotype=proposal.genotype,
        status=status,
        values=values,
        epochs=1,
        seed=0,
        data_rev="d",
        code_rev="c",
        seconds=0.0,
        error="E: broken" if status is Status.FAILED else "",
    )


def wide_space() -> Space:
    params = [Param(name=f"x{i}", values=tuple(range(9)), default=0, search=tuple(range(9))) for i in range(4)]
    base = (
        Param(name="base", values=(1, 2), default=1, search=(1, 2)),
        Param(name="stages", values=(1,), default=1, search=(1,)),
    )
    return Space(name="wide", family="f", params=(*base, *params))


def strategy(sampler: str = "tpe", space: Space | None = None, **changes: object) -> SamplerStrategy:
    return SamplerStrategy(space or tiny_space(), parse("miou,ops"), price, sampler=sampler, **{"seed": 5, **changes})  # type: ignore[arg-type]
