"""Whose weights a new network starts from, where the strategy does not say: the nearest one that is trained.

Nearest by the axes of the space, as ``search.strategy.feature`` places networks on them; of equally near ones the
better by the run's first objective that takes training. Only networks of the same space share anything worth having.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

from irnas.core.errors import DataError, FormatError
from irnas.core.heritage import NEAREST, ZOO, Parent
from irnas.core.result import Result, Status
from irnas.core.space import Genotype, Space
from irnas.core.zoo import PREFIX, list_models
from irnas.record.run import Run
from irnas.search.strategy.feature import features
from irnas.training.weights import read_weights
from irnas.training.weights_info import SUFFIX


def choose_parent(run: Run, genotype: Genotype) -> Parent | None:
    """The network whose weights a new one of the run starts from, by the run's settings; None for random weights."""
    if run.settings.inherit == ZOO:
        return _nearest_of_zoo(run.space, genotype)
    if run.settings.inherit != NEAREST:
        return None
    trained = [result for result in run.outcomes if result.status is Status.OK]
    by = next((o for o in run.objectives if not o.is_free), None)
    parents = sorted(trained, key=lambda r: (by.loss(r.values[by.name]) if by else 0.0, r.trial))
    parent = _nearest(run.space, genotype, parents)
    return Parent(key=parent.key, epochs=parent.line_epochs) if parent else None


def _nearest(space: Space, genotype: Genotype, parents: Sequence[Result]) -> Result | None:
    mine = features(space, genotype)
    alike = [r for r in parents if r.genotype.space == genotype.space and r.genotype.family == genotype.family]
    return min(alike, key=lambda r: math.dist(mine, features(space, r.genotype)), default=None)


def _nearest_of_zoo(space: Space, genotype: Genotype) -> Parent | None:
    mine = features(space, genotype)
    alike = [model for model in _zoo() if model[1].space == genotype.space and model[1].family == genotype.family]
    nearest = min(alike, key=lambda model: math.dist(mine, features(space, model[1])), default=None)
    return Parent(key=nearest[1].key, source=nearest[0], epochs=nearest[2]) if nearest else None


@functools.cache
def _zoo() -> tuple[tuple[str, Genotype, int], ...]:
    """Source, genotype and epochs of each model of the zoo whose weights can be read."""
    models = []
    for model in list_models():
        path = model.folder / f"{model.name}{SUFFIX}"
        try:
            info = read_weights(str(path))[1]
        except (DataError, FormatError):
            continue
        models.append((f"{PREFIX}{model.name}", info.genotype, info.epochs))
    return tuple(models)
