"""The options of how networks are trained, declared once: a search and a training in full share them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from irnas.cli.option_groups import Options
from irnas.core.recipe import Budget, Recipe

PANEL = "Training of each network"
_DEFAULT = Budget()


def _option(text: str, *names: str, **how: Any) -> Any:
    return typer.Option(*names, help=text, rich_help_panel=PANEL, **how)


# Without slots, so that groups can have it beside another base.
@dataclass(frozen=True, kw_only=True)
class RecipeOptions(Options):
    """A recipe, and what of it is otherwise. What is not typed is as the recipe says, or as without any."""

    recipe: Annotated[
        str | None,
        _option(
            "paper: as the family's paper trains; irnas: as was found best here; or a file with the words of a "
            "recipe.yaml. The options below override it.",
            show_default="the defaults below",
        ),
    ] = None
    epochs: Annotated[
        int | None,
        _option("Of a full training: passes over the training split.", show_default=str(_DEFAULT.epochs)),
    ] = None
    batch: Annotated[int | None, _option("Crops in a step.", show_default=str(_DEFAULT.batch))] = None
    crop: Annotated[int | None, _option("Side of a crop in pixels.", show_default=str(_DEFAULT.crop))] = None
    loss: Annotated[
        str | None,
        _option(
            "softiou, softiou_image, bce, dice, focal, or a sum: softiou+bce; default: what trains the family well; "
            "own: that of its paper, to the letter.",
            show_default="default",
        ),
    ] = None
    lr: Annotated[float | None, _option("Peak learning rate.", show_default="the family's own")] = None
    ema: Annotated[float | None, _option("Decay of averaged weights; 0 is off.", show_default="0.0")] = None
    amp: Annotated[bool | None, _option("bfloat16 autocast, on a GPU.", "--amp", show_default="off")] = None

    def train_with(self, space: str, budget: Budget, recipe: Recipe) -> tuple[Budget, Recipe]:
        """How networks are trained by these options.

        Args:
            space: names the families whose recipe it may be.
            budget: without --recipe, what is not typed.
            recipe: the same.

        Raises:
            SettingsError: there is no such recipe, or a value is out of its range.
            SpaceError: there is no such space.
        """
        from irnas.core.recipes import override

        words = {name: getattr(self, name) for name in ("epochs", "batch", "crop", "loss", "lr", "ema", "amp")}
        return override(budget, recipe, space, self.recipe, words)
