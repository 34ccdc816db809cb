"""What a training minimises: the loss of a recipe, or one that a network brings, less the pixels nobody cares about."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from irnas.core.errors import TrainingError
from irnas.core.recipe import DEFAULT, OWN, Recipe
from irnas.nn import traits
from irnas.nn.loss import make_loss

_SURE = -30.0
"""A logit whose probability is 0 in every loss."""

Criterion = Callable[[Tensor, Tensor, Tensor | None, float], Tensor]
"""The loss of input, truth, which pixels of it nobody cares about (None where these are none), and what a target pixel
counts in cross-entropy."""

DEFAULT_LOSS = "softiou+bce"
"""The loss of families whose papers name none."""


def make_criterion(model: nn.Module, recipe: Recipe) -> Criterion:
    """The loss of input and truth, less the pixels that nobody cares about: one that the network brings, or of logits.

    Raises:
        TrainingError: the recipe asks for the loss of the network's paper, and the network has none.
    """
    brought = {DEFAULT: traits.default_loss, OWN: traits.own_loss}.get(recipe.loss, lambda _: None)(model)
    if brought is not None:
        return lambda x_nchw, truth_n1hw, ignored_n1hw, _: _refuse_ignored(brought(x_nchw, truth_n1hw), ignored_n1hw)
    if recipe.loss == OWN:
        raise TrainingError(
            f"recipe.loss: got {OWN} with a {type(model).__name__}, which has no loss of its own; must be {DEFAULT} or "
            "named"
        )
    of_logits = make_loss(DEFAULT_LOSS if recipe.loss == DEFAULT else recipe.loss)
    return lambda x_nchw, truth_n1hw, ignored_n1hw, pos_weight: of_logits(
        *without_ignored(model(x_nchw).float(), truth_n1hw, ignored_n1hw), pos_weight
    )


def without_ignored(logits_n1hw: Tensor, truth_n1hw: Tensor, ignored_n1hw: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits and truth with ignored pixels as background that the network is sure of: no loss, and no gradient."""
    if ignored_n1hw is None:
        return logits_n1hw, truth_n1hw
    return logits_n1hw.masked_fill(ignored_n1hw, _SURE), truth_n1hw.masked_fill(ignored_n1hw, 0)


def _refuse_ignored(loss: Tensor, ignored_n1hw: Tensor | None) -> Tensor:
    if ignored_n1hw is not None:
        raise TrainingError(
            "recipe.loss: got a loss that a network brings, on masks with pixels that nobody cares about; must be one "
            f"of logits, which can leave them out (--loss {DEFAULT})"
        )
    return loss
