"""What a user decides about a search, checked once, then passed around as values."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from irnas.core.errors import SettingsError
from irnas.core.objective import LIMITABLE, parse

LOSSES = ("softiou", "softiou_image", "bce", "dice", "focal")
OWN = "own"
"""The loss that the family's paper trains with; ``softiou+bce`` for families that have none."""
SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "random")
"""Strategies of Optuna, which train every network to its end."""
ASHA, HALVING, FREEZE_THAW = "asha", "moasha", "freeze-thaw"
MULTI_FIDELITY = (ASHA, HALVING, FREEZE_THAW)
"""Strategies that halt trainings and go on with the better ones."""
STRATEGIES = (*SAMPLERS, *MULTI_FIDELITY)
NODE = "node:"
"""Ahead of the label of a cluster's node, in the place of a profile's file."""


def _at_least(where: str, value: float, least: float) -> None:
    if not value >= least:
        raise SettingsError(f"{where}: got {value}; must be at least {least:g}")


def _amount(where: str, text: str) -> tuple[float, str]:
    """Seconds, or epochs, in a text."""
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?) ?(epochs|[smh])", text)
    amount = float(match[1]) if match else 0.0
    if match is None or not amount > 0:
        raise SettingsError(f"{where}: got {text!r}; must be a time or epochs in all: 2h, 45m, 90s, 500epochs")
    if match[2] == "epochs":
        return amount, "epochs"
    return amount * {"s": 1, "m": 60, "h": 3600}[match[2]], "seconds"


class TotalBudget(NamedTuple):
    """Training in all; infinite where nothing limits it."""

    epochs: float = math.inf
    seconds: float = math.inf


ENDLESS = TotalBudget()


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """How much training a trial gets. Results of different budgets are never compared."""

    epochs: int = 10
    """Passes over the training split; at least 1."""
    batch: int = 8
    """Crops in a step; at least 1."""
    crop: int = 64
    """Side of a training crop in pixels; a multiple of 16."""

    def __post_init__(self) -> None:
        _at_least("budget.epochs", self.epochs, 1)
        _at_least("budget.batch", self.batch, 1)
        if self.crop < 16 or self.crop % 16:
            raise SettingsError(f"budget.crop: got {self.crop}; must be a multiple of 16, at least 16")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a trial is trained."""

    loss: str = OWN
    """``own``, or names of ``LOSSES`` joined by '+': their sum."""
    lr: float | None = None
    """Peak learning rate of AdamW; None for the family's own."""
    lr_end: float = 1e-5
    """Learning rate at the end of the cosine."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises linearly; 0..1."""
    weight_decay: float = 1e-4
    ema: float = 0.0
    """Decay of the averaged weights that are validated; 0 turns it off."""
    amp: bool = False
    """bfloat16 autocast, on a GPU only."""
    target_share: float = 0.5
    """Share of the crops that are made to hold a target pixel; 0..1."""
    augment: bool = True
    """Flips, transposes, gain and offset."""

    def __post_init__(self) -> None:
        for name in [] if self.loss == OWN else self.loss.split("+"):
            if name not in LOSSES:
                raise SettingsError(
                    f"recipe.loss: got {name!r}; one of {', '.join(LOSSES)}, a sum such as softiou+bce, or {OWN}"
                )
        most = 1.0 if self.lr is None else self.lr
        if not 0 < most <= 1 or not 0 <= self.lr_end <= most:
            raise SettingsError(f"recipe.lr: got {self.lr} to {self.lr_end}; must fall, and lie in 0..1")
        for name in ("warmup", "ema", "target_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise SettingsError(f"recipe.{name}: got {getattr(self, name)}; must lie in 0..1")
        _at_least("recipe.weight_decay", self.weight_decay, 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """One search, whole: what makes two runs the same run."""

    space: str
    dataset: str = "synthetic"
    objectives: tuple[str, ...] = ("miou", "ops")
    trials: int = 16
    """Full trainings to spend: so many networks, or, with a strategy that halts trainings, as many epochs in all."""
    seed: int = 0
    train_seed: int | None = None
    """Seed of the trainings; None for the search's own. With another, the same networks can be trained again."""
    strategy: str = "tpe"
    grace_period: int | None = None
    """Epochs before a strategy may halt a training; None for a ninth of the budget's."""
    budget_limit: str | None = None
    """What the search may spend on training at most, over all workers: 2h, 45m, 90s or 500epochs."""
    worth: str | None = None
    """The most training that one more percent of hypervolume is worth, such as 1h; the search ends where more is
    expected, by a strategy that expects anything."""
    finalists: int = 0
    """Networks of the front that are trained to their end and again with other seeds; 0 for none."""
    seeds: int = 3
    """Trainings of each finalist, its own included."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Cost name to the largest value that may be trained."""
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Axis to the values to search, instead of those the space suggests."""
    warm_start: bool = False
    """Train the published points first."""
    preset: str = "basicirstd"
    """Metric conventions."""
    cost_input: tuple[int, int, int] = (1, 256, 256)
    """Channels, height and width at which costs are counted, and speed is measured."""
    device: str | None = None
    """The file of the profile that predicts speed, or ``node:LABEL`` to measure it on the cluster's node that has the
    resource LABEL; None measures it on this machine."""
    budget: Budget = field(default_factory=Budget)
    recipe: Recipe = field(default_factory=Recipe)

    def __post_init__(self) -> None:
        parse(self.objectives)
        _at_least("trials", self.trials, 1)
        _at_least("finalists", self.finalists, 0)
        _at_least("seeds", self.seeds, 1)
        if self.strategy not in STRATEGIES:
            raise SettingsError(f"strategy: got {self.strategy!r}; one of {', '.join(STRATEGIES)}")
        if self.grace_period is not None and not (
            self.strategy in MULTI_FIDELITY and 1 <= self.grace_period <= self.budget.epochs
        ):
            raise SettingsError(
                f"grace_period: got {self.grace_period} with strategy {self.strategy}; "
                f"must be in 1..{self.budget.epochs} epochs, "
                f"with {' or '.join(MULTI_FIDELITY)}"
            )
        _ = self.total_budget, self.worth_seconds
        for name, limit in self.limits.items():
            if name not in LIMITABLE:
                raise SettingsError(f"limit: got {name!r}; one of {', '.join(LIMITABLE)}")
            if not limit > 0:
                raise SettingsError(f"limit {name}: got {limit}; must be above 0")
        if any(side < 1 for side in self.cost_input):
            raise SettingsError(f"input: got {self.cost_input}; must be channels x height x width, each at least 1")

    @property
    def seed_of_trainings(self) -> int:
        """The seed from which each trial's derives."""
        return self.seed if self.train_seed is None else self.train_seed

    @property
    def total_budget(self) -> TotalBudget:
        """What the search may spend on training, over all workers."""
        planned = float(self.trials * self.budget.epochs) if self.strategy in MULTI_FIDELITY else math.inf
        if self.budget_limit is None:
            return TotalBudget(planned, math.inf)
        amount, unit = _amount("budget", self.budget_limit)
        return TotalBudget(min(planned, amount), math.inf) if unit == "epochs" else TotalBudget(planned, amount)

    @property
    def worth_seconds(self) -> float:
        """``worth`` in seconds; infinite where it is not given."""
        if self.worth is None:
            return math.inf
        amount, unit = _amount("worth", self.worth)
        if unit == "epochs":
            raise SettingsError(f"worth: got {self.worth!r}; must be a time: 2h, 45m, 90s")
        return amount

    def document(self) -> dict[str, Any]:
        """The settings as plain data."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        found["budget"], found["recipe"] = asdict(self.budget), asdict(self.recipe)
        found["limits"] = dict(self.limits)
        found["axes"] = {axis: list(values) for axis, values in self.axes.items()}
        return {k: list(v) if isinstance(v, tuple) else v for k, v in found.items()}

    @property
    def node(self) -> str | None:
        """The label of the cluster's node that is the device; None where it is no node."""
        return self.device.removeprefix(NODE) if self.device and self.device.startswith(NODE) else None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SearchSettings:
        """The inverse of ``document``."""
        found = dict(document)
        # What records of version 0.1 call them.
        for old, new in {"sampler": "strategy", "grace": "grace_period", "spend": "budget_limit"}.items():
            if old in found:
                found[new] = found.pop(old)
        found["objectives"] = tuple(found["objectives"])
        found["cost_input"] = tuple(found["cost_input"])
        found["axes"] = {axis: tuple(values) for axis, values in found["axes"].items()}
        return cls(**{**found, "budget": Budget(**found["budget"]), "recipe": Recipe(**found["recipe"])})


def trial_seed(seed: int, key: str) -> int:
    """The seed of a trial: from that of the trainings and the genotype's key, so that arrival order does not matter."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4])
