"""What a user decides about a search, checked once, then passed around as values.

Texts that users type are parsed at the command line. Records hold plain data; ``from_document`` is the one place that
reads what an older version wrote.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, NamedTuple

from irnas.core.errors import SettingsError
from irnas.core.heritage import INHERIT, OFF
from irnas.core.objective import LIMITABLE, RUNTIME, Objective, parse
from irnas.core.recipe import DEFAULT, OWN, Budget, Recipe, within
from irnas.core.requirement import Requirement, parse_requirements
from irnas.core.strategies import INHERITING, LISTED, MULTI_FIDELITY, STRATEGIES
from irnas.core.text import did_you_mean, duration_option, number_option, parse_duration, parse_quantity

HEADLINES, ALL_PUBLISHED = "published", "published/all"
"""Instead of names of designs to begin with: the headlines of the papers, and all of their points."""
MAX_TRIALS, MAX_SEEDS, MAX_SIDE, MAX_THREADS = 10_000_000, 10_000, 65_536, 4096
"""Far above what any search does: beyond them is a slip of the keyboard."""
LAST, BEST = "last", "best"
"""Which epoch's weights count."""
FEW_REPORTS, MANY_REPORTS = 5, 20
"""About how often a training is validated whose course nobody acts on, and one that is watched."""
NODE = "node:"
"""Ahead of the label of a cluster's node, in the place of a profile's file."""


_NAMES_OF_0_1 = {"sampler": "strategy", "grace": "grace_period", "spend": "budget_limit"}
"""What the records of version 0.1 call settings, and what they are called now."""


class TotalBudget(NamedTuple):
    """Training in all, over all workers; infinite where nothing limits it."""

    epochs: float = math.inf
    seconds: float = math.inf

    @classmethod
    def parse(cls, where: str, text: str) -> TotalBudget:
        """Read a time or a number of epochs: 2h, 45m, 90s or 500epochs.

        Raises:
            SettingsError: the text is anything else.
        """
        quantity = parse_quantity(text, "epochs|s|m|h")
        if quantity is None:
            raise SettingsError(f"{where}: got {text!r}; must be a time or epochs in all: 2h, 45m, 90s, 500epochs")
        if quantity[1] == "epochs":
            return cls(epochs=quantity[0])
        return cls(seconds=parse_duration(where, text))

    def __str__(self) -> str:
        """The text that ``parse`` reads as this budget."""
        if math.isfinite(self.seconds):
            return duration_option(self.seconds)
        return f"{number_option(self.epochs)}epochs" if math.isfinite(self.epochs) else "endless"


ENDLESS = TotalBudget()


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchSettings:
    """Everything that decides one search: two runs with equal settings are the same run."""

    space: str
    dataset: str = "synthetic"
    objectives: tuple[Objective, ...] = parse("miou,ops")
    trials: int = 16
    """Full trainings to spend: so many networks, or, with a strategy that halts trainings, as many epochs in all."""
    seed: int = 0
    train_seed: int | None = None
    """Seed of the trainings; None for the search's own. With another, the same networks can be trained again."""
    strategy: str = "tpe"
    grace_period: int | None = None
    """Epochs before a strategy may halt a training; None for a ninth of the budget's."""
    budget_limit: TotalBudget | None = None
    """The most training that the user grants the search, in one of its two units; None for what ``trials`` come to."""
    worth: float | None = None
    """Seconds of training that one more percent of hypervolume is worth at most; the search ends where more is
    expected, by a strategy that expects anything. None for any number of them."""
    finalists: int = 0
    """Networks of the front that are trained to their end and again with other seeds; 0 for none."""
    seeds: int = 3
    """Trainings of each finalist, its own included; of ``irnas train``, those of each network."""
    fit_on: str = "fit"
    """The split that is trained on."""
    validate_on: str = "val"
    """The split that is validated on."""
    is_validation_seen: bool = False
    """Whether ``validate_on`` holds images of ``fit_on``: its figures then show that a training works, and not how well
    the network does on images that are new to it."""
    keep: str = "last"
    """Which epoch's weights count: those of the ``last``, or of the ``best`` on ``validate_on``."""
    starts_from: str = ""
    """The file whose weights the trainings start from; empty for random ones."""
    known_from: str = ""
    """The run whose results are known from the beginning, at no cost; empty for none."""
    inherit: str = OFF
    """Where a search finds the network whose weights another one starts from: ``off`` for nowhere, ``nearest`` for the
    nearest of its own that is trained, ``zoo`` for the nearest of the zoo."""
    inherited_epochs: int | None = None
    """Epochs of a network that starts from another's weights; None for a third of the budget's."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Cost name to the largest value that may be trained."""
    requirements: tuple[Requirement, ...] = ()
    """What a trained network must reach to rank before all that do not."""
    axes: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """Axis to the values to search, instead of those the space suggests."""
    warm_start: str = ""
    """The published designs that are trained first: names joined by commas, ``published`` for the headlines of the
    space, ``published/all`` for all of its points; empty for none."""
    preset: str = "basicirstd"
    """Metric conventions."""
    cost_input: tuple[int, int, int] = (1, 256, 256)
    """Channels, height and width at which costs are counted, and speed is measured."""
    device: str | None = None
    """The file of the profile that predicts speed, or ``node:LABEL`` to measure it on the cluster's node that has the
    resource LABEL; None measures it on this machine."""
    budget: Budget = field(default_factory=Budget)
    recipe: Recipe = field(default_factory=Recipe)
    threads: int = 1
    """Threads in which a trial trains, wherever it does: another number sums in another order and ends elsewhere."""

    def __post_init__(self) -> None:
        parse([o.name for o in self.objectives])
        within("trials", self.trials, 1, MAX_TRIALS)
        within("finalists", self.finalists, 0, MAX_TRIALS)
        within("seeds", self.seeds, 1, MAX_SEEDS)
        within("threads", self.threads, 1, MAX_THREADS)
        if self.strategy not in STRATEGIES and not self.is_training:
            hint = did_you_mean(self.strategy, STRATEGIES)
            raise SettingsError(f"strategy: got {self.strategy!r}; one of {', '.join(STRATEGIES)}{hint}")
        if self.grace_period is not None and not (
            self.strategy in MULTI_FIDELITY and 1 <= self.grace_period <= self.budget.epochs
        ):
            raise SettingsError(
                f"grace_period: got {self.grace_period} with strategy {self.strategy}; "
                f"must be in 1..{self.budget.epochs} epochs, "
                f"with {' or '.join(MULTI_FIDELITY)}"
            )
        self._check_splits()
        self._check_inheritance()
        if self.worth is not None and not 0 < self.worth < math.inf:
            raise SettingsError(f"worth: got {self.worth} seconds; must be above 0")
        for name, limit in self.limits.items():
            if name not in LIMITABLE:
                hint = did_you_mean(name, LIMITABLE)
                raise SettingsError(f"limit: got {name!r}; one of {', '.join(LIMITABLE)}{hint}")
            if not 0 < limit < math.inf:
                raise SettingsError(f"limit {name}: got {limit}; must be a number above 0")
        if self.device is not None and re.fullmatch(r"(cpu|gpu|cuda)(:\d+)?", self.device.lower()):
            raise SettingsError(
                f"device: got {self.device}; must be the device whose speed counts (a profile, or {NODE}LABEL); trials "
                "train where --gpus or --cpu says"
            )
        if self.device is not None and not self.is_timed:
            names = ", ".join(o.name for o in self.objectives)
            raise SettingsError(
                f"device: got {self.device} with the objectives {names}; must come with an objective or a limit that "
                f"it decides: {', '.join(sorted(RUNTIME))}"
            )
        if not all(1 <= side <= MAX_SIDE for side in self.cost_input):
            got = "x".join(map(str, self.cost_input))
            raise SettingsError(f"input: got {got}; must be channels x height x width, each in 1..{MAX_SIDE}")

    def _check_splits(self) -> None:
        for name, split in (("fit_on", self.fit_on), ("validate_on", self.validate_on)):
            if split.rpartition("/")[2].startswith("test"):
                raise SettingsError(f"{name}: got {split!r}; must be no test split: only `irnas test` reads those")
        if self.keep not in (LAST, BEST):
            raise SettingsError(f"keep: got {self.keep!r}; must be {LAST} or {BEST}")
        if self.keep == BEST and self.is_validation_seen:
            raise SettingsError(
                f"keep: got {BEST} with {self.validate_on}, whose images are trained on (split {self.fit_on}); must be "
                f"{LAST}, or come with a split without them (--split fit)"
            )

    def _check_inheritance(self) -> None:
        if self.inherit not in INHERIT:
            hint = did_you_mean(self.inherit, INHERIT)
            raise SettingsError(f"inherit: got {self.inherit!r}; one of {', '.join(INHERIT)}{hint}")
        if self.inherit != OFF and (self.strategy in MULTI_FIDELITY or self.is_training):
            raise SettingsError(
                f"inherit: got {self.inherit} with strategy {self.strategy}; must be {OFF}, or come with one that "
                f"halts no trainings: {', '.join(name for name in STRATEGIES if name not in MULTI_FIDELITY)}"
            )
        if self.inherited_epochs is not None:
            if self.inherit == OFF and self.strategy not in INHERITING:
                raise SettingsError(
                    f"inherited_epochs: got {self.inherited_epochs} where nothing is inherited; must come "
                    f"with --inherit, or with the strategy {' or '.join(INHERITING)}"
                )
            within("inherited_epochs", self.inherited_epochs, 1, self.budget.epochs)

    @property
    def epochs_of_heirs(self) -> int:
        """Epochs of a network that starts from another's weights."""
        return self.inherited_epochs or -(-self.budget.epochs // 3)

    @property
    def is_training(self) -> bool:
        """Whether nothing is searched: the networks are given, and each is trained in full (``irnas train``)."""
        return self.strategy == LISTED

    @property
    def max_reports(self) -> int:
        """About how often each training is validated; a validation takes up to half as long as an epoch."""
        is_watched = self.is_multi_fidelity or self.is_training or self.keep == BEST
        return MANY_REPORTS if is_watched else FEW_REPORTS

    @property
    def validation(self) -> str:
        """How figures on the validation split are to be called: its name, and whether its images were trained on."""
        return f"{self.validate_on} (images that were trained on)" if self.is_validation_seen else self.validate_on

    @property
    def is_timed(self) -> bool:
        """Whether the search asks for the speed of its networks."""
        return bool(RUNTIME & {*(o.name for o in self.objectives), *self.limits})

    @property
    def seed_of_trainings(self) -> int:
        """The seed from which each trial's derives."""
        return self.seed if self.train_seed is None else self.train_seed

    @property
    def is_multi_fidelity(self) -> bool:
        """Whether the strategy trains networks in several goes, so that the budget counts epochs and not networks."""
        return self.strategy in MULTI_FIDELITY or self.strategy in INHERITING

    @property
    def total_budget(self) -> TotalBudget:
        """What the search may spend on training, over all workers."""
        planned = float(self.trials * self.budget.epochs) if self.is_multi_fidelity else math.inf
        limit = self.budget_limit or ENDLESS
        return TotalBudget(min(planned, limit.epochs), limit.seconds)

    def document(self) -> dict[str, Any]:
        """The settings as plain data: what a record holds of them."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {
            **values,
            "objectives": [o.name for o in self.objectives],
            "budget_limit": None if self.budget_limit is None else str(self.budget_limit),
            "worth": None if self.worth is None else duration_option(self.worth),
            "limits": dict(self.limits),
            "requirements": [str(requirement) for requirement in self.requirements],
            "axes": {axis: list(choices) for axis, choices in self.axes.items()},
            "cost_input": list(self.cost_input),
            "budget": asdict(self.budget),
            "recipe": self.recipe.document(),
        }

    @property
    def node(self) -> str | None:
        """The label of the cluster's node that is the device; None where it is no node."""
        return self.device.removeprefix(NODE) if self.device and self.device.startswith(NODE) else None

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> SearchSettings:
        """The inverse of ``document``, also of those that version 0.1 wrote.

        Raises:
            SettingsError: the document holds settings that this version refuses.
        """
        values = {_NAMES_OF_0_1.get(name, name): value for name, value in document.items()}
        recipe = dict(values["recipe"])
        if isinstance(values["warm_start"], bool):
            # As long as it was yes or no, the family's default loss was called own.
            values["warm_start"] = HEADLINES if values["warm_start"] else ""
            recipe["loss"] = DEFAULT if recipe["loss"] == OWN else recipe["loss"]
        limit, worth = values.get("budget_limit"), values.get("worth")
        values.update(
            objectives=parse(values["objectives"]),
            budget_limit=None if limit is None else TotalBudget.parse("budget", limit),
            worth=None if worth is None else parse_duration("worth", worth),
            requirements=parse_requirements(",".join(values.get("requirements", ()))),
            axes={axis: tuple(choices) for axis, choices in values["axes"].items()},
            cost_input=tuple(values["cost_input"]),
            budget=Budget(**values["budget"]),
            recipe=Recipe.from_document(recipe),
        )
        return cls(**values)


def trial_seed(seed: int, key: str) -> int:
    """The seed of a trial: from that of the trainings and the genotype's key, so that arrival order does not matter."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{key}".encode()).digest()[:4])
