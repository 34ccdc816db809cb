"""Small genotypes and results to compose tests from."""

from __future__ import annotations

from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.space import Space
from irnas.record.events import Proposed


def tiny_space() -> Space:
    return Space.from_document(
        {
            "name": "tiny",
            "family": "biisnet",
            "params": [
                {"name": "stages", "values": [2, 3], "search": [2, 3]},
                {"name": "base", "values": [4, 8, 16], "search": [4, 8, 16], "default": 8},
                {"name": "deep", "values": [0, 1, 2], "search": [0, 1], "when": {"stages": [3]}},
                {"name": "kind", "values": ["BC", "DB"], "search": ["BC", "DB"]},
            ],
        }
    )


def result(trial: int, values: dict[str, float], *, status: Status = Status.OK, **changes: object) -> Result:
    points = list(tiny_space().points())
    fields: dict[str, object] = {
        "trial": trial,
        "genotype": points[trial % len(points)],
        "status": status,
        "values": values,
        "epochs": 3,
        "seed": trial,
        "data_rev": "d" * 12,
        "code_rev": "0.1.0",
        "seconds": 1.5,
        "error": "ValueError: broken" if status is Status.FAILED else "",
    }
    return Result(**{**fields, **changes})  # type: ignore[arg-type]


def proposed(trial: int, refused: str = "") -> Proposed:
    """The event of the network that ``result`` is of, for the same trial."""
    costs = {"ops": 2e8, "params": 1e3}
    genotype = result(trial, {}).genotype
    return Proposed(
        proposal=Proposal(trial=trial, genotype=genotype, costs=costs, origin="tpe", refused=refused), t=1.0
    )
