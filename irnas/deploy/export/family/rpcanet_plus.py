"""RPCANet+ as a graph of the .xnor format: stages of estimators, with squeeze and excite ahead of their last layer."""

from __future__ import annotations

import numpy as np
from torch import nn

from irnas.deploy.export import fold, part
from irnas.deploy.export.draft import Draft
from irnas.models.rpcanet_plus import Estimator, RPCANetPlus, Stage


def draw(draft: Draft, model: nn.Module) -> int:
    """Append the ops of a network to a draft; returns the tensor of its logits.

    What the last stage makes of D and N only the loss asks for, so it is left out.
    """
    assert isinstance(model, RPCANetPlus)
    d, t, n = 0, None, None
    for index, stage in enumerate(model.stages):
        assert isinstance(stage, Stage)
        is_last = index + 1 == len(model.stages)
        d, t, n = _stage(draft, stage, d, t, n, is_last=is_last)
        if not model.carries_noise:
            n = None
    assert t is not None
    return t


def _stage(
    draft: Draft, stage: Stage, d: int, t: int | None, n: int | None, *, is_last: bool
) -> tuple[int, int, int | None]:
    """The next D, T and N; the first and the last of them only where a stage follows."""
    old_t = [] if t is None else [(t, 1.0)]
    old_n = [] if n is None else [(n, 1.0)]
    rest = part.add_total(draft, (d, 1.0), *_minus(old_t), *_minus(old_n))
    b = part.add_total(draft, (rest, 1.0), (_estimate(draft, stage.background, rest), 1.0))
    rest = part.add_total(draft, *old_t, (d, 1.0), (b, -1.0), *_minus(old_n))
    t = part.add_total(draft, (rest, 1.0), (_estimate(draft, stage.target, rest), -_rate(stage.target_step)))
    if is_last or stage.noise is None or stage.merge is None:
        return d, t, n
    rest = part.add_total(draft, *old_n, (d, 1.0), (b, -1.0), (t, -1.0))
    n = part.add_total(draft, (rest, 1.0), (_estimate(draft, stage.noise, rest), -_rate(stage.noise_step)))
    total = part.add_total(draft, (b, 1.0), (t, 1.0), (n, 1.0))
    return _estimate(draft, stage.merge, total), t, n


def _minus(terms: list[tuple[int, float]]) -> list[tuple[int, float]]:
    return [(tensor, -times) for tensor, times in terms]


def _rate(step: nn.Module | None) -> float:
    assert step is not None
    return float(fold.to_vector(step.get_parameter("rate"))[0])


def _estimate(draft: Draft, estimator: nn.Module, x: int) -> int:
    """An estimator; its wide maps never exist: what is linear around the factors is one convolution for each image."""
    assert isinstance(estimator, Estimator)
    x = part.add_parts(draft, [estimator.stem, estimator.trunk], x)
    weight_1kkw, bias = part.weights_of(estimator.project)
    constants = {"weight": weight_1kkw, "bias": bias}
    excitation = estimator.excite.excitation
    squeeze_hw, shift = part.weights_of(excitation.squeeze)
    squeeze_hw = squeeze_hw[:, 0, 0]
    if isinstance(estimator.expand, nn.Conv2d):
        expand_wkkc, expand_bias = part.weights_of(estimator.expand)
        constants |= {"expand": expand_wkkc, "expand_bias": expand_bias}
        # The means of wide maps follow from those of what each tap sees; both layers are linear, so they are one.
        shift = shift + squeeze_hw @ expand_bias
        squeeze_hw = squeeze_hw @ expand_wkkc.reshape(len(expand_wkkc), -1)
    kernel = 3 if "expand" in constants else 1
    factors = draft.add("mean", [x], kernel * kernel * draft.channels[x], kernel=kernel)
    dense = {"weight": squeeze_hw[:, None, None, :], "bias": shift}
    factors = draft.add("conv", [factors], len(shift), dense, kernel=1, stride=1, groups=1, pad=0)
    factors = part.add_parts(draft, [excitation.relu, excitation.expand, excitation.sigmoid], factors)
    return draft.add("excite_project", [x, factors], 1, {role: np.asarray(each) for role, each in constants.items()})
