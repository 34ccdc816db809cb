"""Each weight binarizer against plain loops over filters."""

from __future__ import annotations

import math
import statistics

import pytest
import torch

from irnas.core.errors import SpaceError
from irnas.nn import BINARIZERS, WeightSign, binarize
from irnas.nn.weight import _standardize


def latent(seed: int = 0) -> torch.Tensor:
    # Off-centre, so that centring matters; an even and awkward number of weights per filter.
    return torch.randn(5, 2, 3, 3, generator=torch.Generator().manual_seed(seed)).double() * 0.3 + 0.1


def oracle(weights: list[float], method: str) -> tuple[list[float], float, float]:
    """(bits, scale, shift) of one filter."""
    mean = statistics.fmean(weights)
    if method in ("sign", "xnor_mean"):
        scale = 1.0 if method == "sign" else statistics.fmean(map(abs, weights))
        return [1.0 if w >= 0 else -1.0 for w in weights], scale, 0.0
    bits = [1.0 if w >= mean else -1.0 for w in weights]
    if method == "adabin":
        return bits, statistics.pstdev(weights), mean
    unit = [(w - mean) / statistics.stdev(weights) for w in weights]
    if method == "libra_pow2":
        return bits, 2.0 ** round(math.log2(statistics.fmean(map(abs, unit)))), 0.0
    middle = statistics.median(map(abs, unit))
    return [1.0 if abs(u) >= middle else -1.0 for u in unit], 1.0, 0.0


@pytest.mark.parametrize("method", BINARIZERS)
def test_bits_scale_and_shift_equal_a_loop_over_filters(method: str) -> None:
    weights = latent()
    binarized = binarize(weights, method, WeightSign("clip"))
    for index in range(len(weights)):
        bits, scale, shift = oracle(weights[index].flatten().tolist(), method)
        assert binarized.bits[index].flatten().tolist() == bits
        assert (1.0 if binarized.scale is None else binarized.scale[index].item()) == pytest.approx(scale, rel=1e-6)
        assert (0.0 if binarized.shift is None else binarized.shift[index].item()) == pytest.approx(shift, rel=1e-6)


def test_standardised_latents_have_unit_unbiased_deviation() -> None:
    unit = _standardize(latent()).flatten(1)
    torch.testing.assert_close(unit.mean(1), torch.zeros(5).double(), rtol=0, atol=1e-12)
    torch.testing.assert_close(unit.std(1), torch.ones(5).double())


def test_siman_splits_each_filter_in_halves() -> None:
    assert binarize(latent(), "siman", WeightSign("identity")).bits.sum((1, 2, 3)).tolist() == [0] * 5


@pytest.mark.parametrize("method", BINARIZERS)
def test_gradients_of_equal_latent_weights_are_finite(method: str) -> None:
    for weights in (latent(), torch.full((2, 4, 1, 1), 0.3).double(), torch.zeros(2, 1, 1, 1).double()):
        weights.requires_grad_()
        binarized = binarize(weights, method, WeightSign("clip"))
        # A weight of its own for each bit: standardised latents have no gradient along a common shift.
        total = (binarized.bits * torch.arange(1.0, binarized.bits.numel() + 1).view(binarized.bits.shape)).sum()
        total.backward()
        assert weights.grad is not None and weights.grad.isfinite().all()
    assert weights.grad is not None


def test_the_mean_scale_passes_no_gradient() -> None:
    weights = latent().requires_grad_()
    scale = binarize(weights, "xnor_mean", WeightSign("clip")).scale
    assert scale is not None and not scale.requires_grad


def test_adabin_passes_gradients_through_scale_and_shift() -> None:
    weights = latent().requires_grad_()
    binarized = binarize(weights, "adabin", WeightSign("clip"))
    assert binarized.scale is not None and binarized.shift is not None
    (grad,) = torch.autograd.grad(binarized.shift.sum(), weights, retain_graph=True)
    torch.testing.assert_close(grad, torch.full_like(grad, 1 / 18))
    (grad,) = torch.autograd.grad(binarized.scale.sum(), weights)
    assert grad.abs().sum() > 0


def test_an_unknown_binarizer_is_refused_by_name() -> None:
    with pytest.raises(SpaceError, match="got 'ternary'; one of sign, xnor_mean"):
        binarize(latent(), "ternary", WeightSign("clip"))
