"""Whether a training has collapsed: its network says the same of every pixel, and nothing will change that."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
from torch import nn

from irnas.core.errors import TrainingError
from irnas.data import Split
from irnas.training.prediction import predictions, windows

DUE_SHARE = 0.1
"""Of the epochs, after which a network that says the same everywhere is given up."""
LEAST_EPOCHS = 20
"""Shorter trainings are never given up: their first tenth is too short to tell."""

_NUM_LOOKED_AT = 8
"""Images whose probabilities are compared."""
MANY = 0.5
"""Share of false pixels among all from which a network marks everything."""
_ALIKE = 0.1
"""Largest difference between logits that counts as none."""
_NEVER = 1e-6
"""Below this, a probability is beyond the reach of every gradient."""


def is_due(epoch: int, epochs: int) -> bool:
    """Whether a network that is validated after ``epoch`` of ``epochs`` must have left its first state by now."""
    return epochs >= LEAST_EPOCHS and epoch >= DUE_SHARE * epochs


def require_alive(model: nn.Module, split: Split, values: Mapping[str, float], *, is_blank: bool, loss: str) -> None:
    """Refuse to train on what has collapsed.

    Args:
        model: as it was validated.
        split: on which.
        values: its metrics there.
        is_blank: whether it marks no pixel.
        loss: the name of the loss, for the message.

    Raises:
        TrainingError: the model marks most of all pixels, or none, with one and the same logit everywhere or with
            probabilities that no gradient moves.
    """
    cause = f"likely cause: the loss {loss} from these first weights; a sum with bce (--loss softiou+bce) begins safely"
    if values.get("fa", 0.0) > MANY:
        share = f"{100 * values['fa']:.0f} % of all pixels as false alarms"
        raise TrainingError(f"collapsed: got {share}; must tell targets from background ({cause})")
    if not is_blank:
        return
    seen = list(itertools.islice(predictions(model, windows(model, split, range(len(split)))), _NUM_LOOKED_AT))
    low, high = min(float(p.min()) for p in seen), max(float(p.max()) for p in seen)
    if high < _NEVER:
        got = f"a probability of at most {high:.1g} everywhere"
        raise TrainingError(f"collapsed: got {got}; must be within reach of the gradient ({cause})")
    if _logit(high) - _logit(low) < _ALIKE:
        got = f"one probability, {high:.3g}, for every pixel"
        cause = "likely cause: a layer whose output is constant, which no gradient passes; a lower --lr may help"
        raise TrainingError(f"collapsed: got {got}; must differ between pixels ({cause})")


def _logit(probability: float) -> float:
    clipped = min(max(probability, 1e-12), 1 - 1e-7)
    return float(np.log(clipped / (1 - clipped)))
