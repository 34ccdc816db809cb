"""How a network is trained: how much (``Budget``) and in which way (``Recipe``). Plain values, checked once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from irnas.core.errors import SettingsError
from irnas.core.text import did_you_mean

LOSSES = ("softiou", "softiou_image", "bce", "dice", "focal")
OPTIMIZERS = ("adamw", "adam", "sgd")
SCHEDULES = ("cosine", "poly", "steps", "constant")
AUGMENTATIONS = ("flips", "brightness")
FILLS = ("zeros", "mirror")
NONE = "none"
"""No augmentation at all."""
RECIPE_NAMES = ("paper", "irnas")
"""The recipes that come with a family: its paper's, and the best that was measured here; see irnas.core.recipes."""
DEFAULT = "default"
"""The loss that trains a family well: its paper's where that does, else one made of it; its README says which."""
OWN = "own"
"""The loss that the family's paper trains with, to the letter."""
MAX_EPOCHS, MAX_BATCH, MAX_CROP = 1_000_000, 65_536, 8192
"""Far above what anybody trains with: beyond them is a slip of the keyboard."""
_MAX_WEIGHT, _MAX_IMAGES = 1e9, 1_000_000
POSITIVE_WEIGHT = 20.0
"""What a target pixel counts in ``bce`` unless a recipe says otherwise; targets are about one pixel in two thousand."""


def at_least(where: str, value: float, least: float) -> None:
    """Refuse a value below ``least``.

    Raises:
        SettingsError: it is.
    """
    if not value >= least:
        raise SettingsError(f"{where}: got {value}; must be at least {least:g}")


def within(where: str, value: float, least: float, most: float) -> None:
    """Refuse a value outside ``least``..``most``, and one that is not a number.

    Raises:
        SettingsError: it is.
    """
    at_least(where, value, least)
    if not value <= most:
        raise SettingsError(f"{where}: got {value}; must be at most {most:.10g}")


def _check_names(where: str, text: str, known: tuple[str, ...], words: tuple[str, ...]) -> None:
    """Refuse a text that is neither a word of ``words`` nor names of ``known`` joined by '+'."""
    for name in [] if text in words else text.split("+"):
        if name not in known:
            must_be = f"one of {', '.join(known)}, several such as {'+'.join(known[:2])}, {' or '.join(words)}"
            hint = did_you_mean(name, (*known, *words))
            raise SettingsError(f"{where}: got {name!r}; must be {must_be}{hint}")


def _check_crop(where: str, crop: int) -> None:
    if not 16 <= crop <= MAX_CROP or crop % 16:
        raise SettingsError(f"{where}: got {crop}; must be a multiple of 16, in 16..{MAX_CROP}")


def _check_shares(where: str, shares: Mapping[str, float]) -> None:
    for name, share in shares.items():
        if not 0 <= share <= 1:
            raise SettingsError(f"{where}.{name}: got {share}; must lie in 0..1")


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
        within("budget.epochs", self.epochs, 1, MAX_EPOCHS)
        within("budget.batch", self.batch, 1, MAX_BATCH)
        _check_crop("budget.crop", self.crop)


@dataclass(frozen=True, slots=True, kw_only=True)
class Late:
    """A last stretch of a training, on larger crops: borders and large bright things are rare in small ones."""

    share: float
    """Of the epochs; between 0 and 1."""
    crop: int = 256
    """Side of a crop in pixels; a multiple of 16."""
    batch: int = 4
    target_share: float = 0.0
    """See ``Recipe.target_share``."""
    lr: float = 3e-3
    """Learning rate at which it begins; it ends, as the rest does, at ``Recipe.lr_end``."""
    pos_weight: float = 1.0
    """See ``Recipe.pos_weight``."""

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SettingsError(f"recipe.late.share: got {self.share}; must lie between 0 and 1")
        if not 0 < self.lr <= 1:
            raise SettingsError(f"recipe.late.lr: got {self.lr}; must lie in 0..1")
        within("recipe.late.batch", self.batch, 1, MAX_BATCH)
        within("recipe.late.pos_weight", self.pos_weight, 0, _MAX_WEIGHT)
        _check_crop("recipe.late.crop", self.crop)
        _check_shares("recipe.late", {"target_share": self.target_share})


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """How a trial is trained."""

    loss: str = DEFAULT
    """``default``, ``own``, or names of ``LOSSES`` joined by '+': their sum."""
    pos_weight: float = POSITIVE_WEIGHT
    """What a target pixel counts in ``bce``, against 1 for one of the background."""
    pos_weight_end: float | None = None
    """What it counts in the end, by even steps of its logarithm; None for as much as in the beginning."""
    optimizer: str = "adamw"
    """One of ``OPTIMIZERS``."""
    momentum: float = 0.9
    """Of sgd; of adam and adamw, the first of their two betas. At least 0 and below 1."""
    beta2: float = 0.999
    """The second beta of adam and adamw; at least 0 and below 1."""
    schedule: str = "cosine"
    """One of ``SCHEDULES``: how the learning rate falls from ``lr`` to ``lr_end``. poly falls with the power 0.9 of
    what is left, steps by ``step_factor`` at each of ``milestones``."""
    milestones: tuple[float, ...] = ()
    """Of the schedule steps: shares of the training, in 0..1 and rising."""
    step_factor: float = 0.1
    """By which the schedule steps multiplies the learning rate; above 0, at most 1."""
    lr: float | None = None
    """Peak learning rate; None for the family's own."""
    lr_end: float = 1e-5
    """Learning rate at the end of the cosine, and of poly."""
    warmup: float = 0.05
    """Share of the steps in which the rate rises linearly; 0..1."""
    weight_decay: float = 1e-4
    ema: float = 0.0
    """Decay of the averaged weights that are validated; 0 turns it off."""
    amp: bool = False
    """bfloat16 autocast, on a GPU only."""
    target_share: float = 0.5
    """Share of the crops that are made to hold a target pixel; 0..1."""
    whole_images: bool = False
    """Whether images are resized to the side of a crop, whatever their shape, instead of crops being cut from them."""
    fill: str = "zeros"
    """One of ``FILLS``: what stands in a crop beyond an image that is smaller."""
    augment: str = "flips+brightness"
    """Names of ``AUGMENTATIONS`` joined by '+', or ``none``. flips are all 8 flips and rotations by right angles,
    brightness is gain and offset."""
    paste: float = 0.0
    """Share of the crops into which a target of another image is pasted; 0..1."""
    clutter: float = 0.0
    """Share of the crops into which a bright or dark frame, bars or a shore are drawn, as background; 0..1."""
    late: Late | None = None
    """A last stretch on larger crops; None for none."""
    statistics_images: int = 128
    """Crops from which batch normalisation's statistics are estimated before the weights are judged or kept; 0 for
    running averages, which lag behind binary weights whose signs still flip."""

    def __post_init__(self) -> None:
        _check_names("recipe.loss", self.loss, LOSSES, (DEFAULT, OWN))
        _check_names("recipe.augment", self.augment, AUGMENTATIONS, (NONE,))
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("fill", FILLS)):
            if getattr(self, name) not in known:
                raise SettingsError(f"recipe.{name}: got {getattr(self, name)!r}; one of {', '.join(known)}")
        for name in ("momentum", "beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise SettingsError(f"recipe.{name}: got {getattr(self, name)}; must be at least 0 and below 1")
        self._check_rates()
        _check_shares(
            "recipe", {name: getattr(self, name) for name in ("warmup", "ema", "target_share", "paste", "clutter")}
        )
        within("recipe.weight_decay", self.weight_decay, 0, _MAX_WEIGHT)
        within("recipe.pos_weight", self.pos_weight, 0, _MAX_WEIGHT)
        within("recipe.statistics_images", self.statistics_images, 0, _MAX_IMAGES)
        if self.pos_weight_end is not None and not 0 < min(self.pos_weight, self.pos_weight_end) < _MAX_WEIGHT:
            got = f"{self.pos_weight:g} to {self.pos_weight_end:g}"
            raise SettingsError(f"recipe.pos_weight: got {got}; must be above 0 where it changes")

    def _check_rates(self) -> None:
        most = 1.0 if self.lr is None else self.lr
        if not 0 < most <= 1 or not 0 <= self.lr_end <= most:
            raise SettingsError(f"recipe.lr: got {self.lr} to {self.lr_end}; must fall, and lie in 0..1")
        if (self.schedule == "steps") != bool(self.milestones) or [*self.milestones] != sorted({*self.milestones}):
            got = f"{list(self.milestones)} with the schedule {self.schedule}"
            raise SettingsError(f"recipe.milestones: got {got}; must rise, and come with the schedule steps only")
        _check_shares("recipe.milestones", {str(place): share for place, share in enumerate(self.milestones)})
        if not 0 < self.step_factor <= 1:
            raise SettingsError(f"recipe.step_factor: got {self.step_factor}; must be above 0, and at most 1")

    def document(self) -> dict[str, Any]:
        """The recipe as plain data: what a record holds of it."""
        return {**asdict(self), "milestones": list(self.milestones)}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Recipe:
        """The inverse of ``document``, also of those that earlier versions wrote.

        Raises:
            SettingsError: a value is out of its range.
        """
        values = {**_BEFORE, **document}
        if values.get("late") is not None:
            values["late"] = Late(**values["late"])
        if isinstance(values["augment"], bool):
            values["augment"] = "flips+brightness" if values["augment"] else NONE
        values["milestones"] = tuple(values.get("milestones", ()))
        return cls(**values)


_BEFORE = {"statistics_images": 0, "augment": True}
"""What a record means that was written before recipes could say it, where that is not the default of today."""
