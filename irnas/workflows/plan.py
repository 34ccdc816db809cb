"""What a search would do, found out without one: the networks, what the limits refuse, and how long it would take."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from irnas import models
from irnas.core import catalog
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype
from irnas.data import Split, open_dataset
from irnas.search import pricing
from irnas.training.fit import pace
from irnas.training.prediction import predictions, windows
from irnas.training.space_check import require_buildable

DRAWN = 100
"""Networks that stand for the space."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timed:
    """A network of the space with the time of its training."""

    genotype: Genotype
    costs: Mapping[str, float]
    seconds: float
    """Of a full training with its validations, on one core of this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a search would come to."""

    points: int
    """Networks of the space."""
    free: Mapping[str, tuple[float, float, float]]
    """Least, median and largest of each free objective and limit, over the networks drawn."""
    refused: float
    """Share, 0..1, of those that the limits refuse."""
    timed: tuple[Timed, ...]
    """The cheapest, the middle and the dearest of those that they admit, by the first free objective."""

    @property
    def mean_seconds(self) -> float:
        """About what a full training takes: the middle one counts twice."""
        weights = [1, 2, 1][: len(self.timed)]
        return sum(w * t.seconds for w, t in zip(weights, self.timed, strict=True)) / sum(weights)


def plan(settings: SearchSettings, tell: Callable[[str, int, int], None] = lambda *_: None) -> Plan:
    """Price ``DRAWN`` networks, and time a few steps of three of them.

    Raises:
        SettingsError: the settings cannot be met.
        DataError: no such data set.
    """
    space = catalog.load(settings.space).focus(settings.axes)
    require_buildable(settings.space)
    dataset = open_dataset(settings.dataset, progress=tell)
    costs_of = pricing.pricer(settings, pricing.target_of(settings))
    rng = random.Random(settings.seed)
    drawn = {}
    number = min(DRAWN, space.count())
    for done in range(number):
        genotype = space.sample(rng)
        drawn[genotype.key] = genotype
        costs_of(genotype)
        tell("pricing networks", done + 1, number)
    names = list(dict.fromkeys([*(o.name for o in settings.objectives if o.is_free), *settings.limits])) or ["ops"]
    admitted = [g for g in drawn.values() if all(costs_of(g)[n] <= most for n, most in settings.limits.items())]
    admitted.sort(key=lambda g: costs_of(g)[names[0]])
    chosen = {g.key: g for g in (admitted[i] for i in (0, len(admitted) // 2, -1))}.values() if admitted else ()
    timed: list[Timed] = []
    for genotype in chosen:
        tell("timing trainings", len(timed) + 1, len(chosen))
        model = models.build(genotype)
        seconds = _training(model, settings, dataset.split("fit"), dataset.split("val"))
        timed.append(Timed(genotype=genotype, costs=costs_of(genotype), seconds=seconds))
    ranges = {n: sorted(costs_of(g)[n] for g in drawn.values()) for n in names}
    return Plan(
        points=space.count(),
        free={n: (v[0], v[len(v) // 2], v[-1]) for n, v in ranges.items()},
        refused=1 - len(admitted) / len(drawn),
        timed=tuple(timed),
    )


def _training(model: torch.nn.Module, settings: SearchSettings, fit: Split, val: Split) -> float:
    """Seconds of CPU time of a full training: what it takes where a core is its own."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        epoch = pace(model, fit, settings.budget, settings.recipe)
        images = windows(model, val, range(min(8, len(val))))
        started = time.process_time()
        list(predictions(model, images))
        look = (time.process_time() - started) / len(images) * len(val)
    finally:
        torch.set_num_threads(before)
    return settings.budget.epochs * epoch + min(settings.budget.epochs, settings.max_reports) * look
