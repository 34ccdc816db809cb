"""Which parameters an optimiser treats alike."""

from __future__ import annotations

from typing import Any

from torch import nn

from irnas.nn.sign import Sign

_DECAYED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.Linear)
SHARPNESS_RATE = 10.0
"""Learning rate of log k over the common one. From k = 0.001 the useful range is about seven e-folds away."""


def parameter_groups(module: nn.Module, lr: float, weight_decay: float) -> list[dict[str, Any]]:
    """Parameter groups for a torch optimiser: only full-precision convolution weights decay.

    Decay on a latent binary weight changes how easily it flips and nothing else; on slopes, shifts and scales it pulls
    towards a network without them; on log k it undoes the schedule that k is learnt to follow.

    Returns:
        Up to three groups, each {"name", "params", "lr", "weight_decay"}: "weight", "free" and "sharpness". Their union
        is every parameter once. A scheduler that multiplies learning rates keeps their ratio.
    """
    groups: dict[str, list[nn.Parameter]] = {"weight": [], "free": [], "sharpness": []}
    seen: set[int] = set()
    for part in module.modules():
        for name, parameter in part.named_parameters(recurse=False):
            if id(parameter) in seen:
                continue
            seen.add(id(parameter))
            decays = isinstance(part, _DECAYED) and name == "weight"
            groups["weight" if decays else "sharpness" if isinstance(part, Sign) else "free"].append(parameter)
    rates = {"weight": (lr, weight_decay), "free": (lr, 0.0), "sharpness": (lr * SHARPNESS_RATE, 0.0)}
    return [
        {"name": name, "params": params, "lr": rates[name][0], "weight_decay": rates[name][1]}
        for name, params in groups.items()
        if params
    ]
