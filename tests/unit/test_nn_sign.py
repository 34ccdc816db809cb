"""The sign is exact and its gradient is the derivative of the stand-in, by autograd of the stand-in itself."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from irnas.core.errors import SpaceError
from irnas.nn import ESTIMATORS, Sign, WeightSign, set_progress
from irnas.nn.sign import EDE_RANGE, LEARNT, hard_sign, slope, stand_in


def points() -> torch.Tensor:
    """Both sides of every kink (0, +-1), never on one."""
    x = torch.linspace(-3, 3, 241, dtype=torch.float64) + 1e-3
    return x.view(1, 1, 1, -1)


def test_the_sign_of_zero_is_plus_one_whatever_its_own_sign() -> None:
    x = torch.tensor([-2.0, -0.0, 0.0, 1e-30, -1e-30])
    assert hard_sign(x).tolist() == [-1, 1, 1, 1, -1]
    assert hard_sign(x, at_zero=0).tolist() == [-1, 0, 0, 1, -1]


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_forward_is_exactly_plus_or_minus_one(estimator: str) -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    assert torch.equal(Sign(estimator)(x), torch.where(x >= 0, 1.0, -1.0))


@pytest.mark.parametrize("k", [0.001, 0.7, 5.0])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_the_slope_is_the_derivative_of_the_stand_in(estimator: str, k: float) -> None:
    x, sharpness = points().requires_grad_(), torch.tensor(k, dtype=torch.float64)
    (expected,) = torch.autograd.grad(stand_in(estimator, x, sharpness).sum(), x)
    torch.testing.assert_close(slope(estimator, x.detach(), sharpness), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 1, 1)], ids=["layer", "channel"])
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_backward_equals_the_straight_through_formula(estimator: str, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(1)
    sign = Sign(estimator, shape, k0=0.4).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    weights = torch.randn(2, 3, 4, 4, dtype=torch.float64, generator=generator)
    (sign(x) * weights).sum().backward()

    log_k = sign.log_k.detach().clone().requires_grad_()
    other = x.detach().clone().requires_grad_()
    # The paper's form, eq. 7: sign.detach() - f.detach() + f.
    (stand_in(estimator, other, log_k.exp()) * weights).sum().backward()
    torch.testing.assert_close(x.grad, other.grad, rtol=1e-10, atol=1e-13)
    if estimator in LEARNT:
        torch.testing.assert_close(sign.log_k.grad, log_k.grad, rtol=1e-10, atol=1e-13)
    else:
        assert list(sign.parameters()) == []


def test_a_learnt_sharpness_starts_where_it_is_told() -> None:
    sign = Sign("dysoftsign", k0=0.001)
    assert sign.log_k.exp().item() == pytest.approx(0.001, rel=1e-6)


@pytest.mark.parametrize("far", [-200.0, 200.0])
@pytest.mark.parametrize("estimator", LEARNT)
def test_a_run_away_sharpness_leaves_gradients_finite(estimator: str, far: float) -> None:
    sign = Sign(estimator)
    torch.nn.init.constant_(sign.log_k, far)
    x = torch.randn(1, 1, 8, 8, generator=torch.Generator().manual_seed(2)).requires_grad_()
    sign(x).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all() and (x.grad >= 0).all()
    assert sign.log_k.grad is not None and sign.log_k.grad.isfinite().all()


def test_the_schedule_sharpens_ede_alone_and_geometrically() -> None:
    network = nn.Sequential(Sign("ede"), WeightSign("ede"), Sign("dysoftsign"), Sign("quad"))
    before = [part.log_k.item() for part in network[2:]]
    for fraction, expected in ((0.0, EDE_RANGE[0]), (0.5, math.sqrt(math.prod(EDE_RANGE))), (1.0, EDE_RANGE[1])):
        set_progress(network, fraction)
        assert [part.log_k.exp().item() for part in network[:2]] == pytest.approx([expected] * 2, rel=1e-5)
    assert [part.log_k.item() for part in network[2:]] == before


def test_a_schedule_is_no_part_of_the_stored_network() -> None:
    assert Sign("ede").state_dict() == {}
    assert list(Sign("dysoftsign").state_dict()) == ["log_k"]


def test_an_unknown_estimator_is_refused_by_name() -> None:
    with pytest.raises(SpaceError, match="got 'softsign'; one of identity, clip"):
        Sign("softsign")
