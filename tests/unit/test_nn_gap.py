"""The semantic-gap module against its equations in plain loops, and its parts against torch's own."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas import cost
from irnas.core.errors import SpaceError
from irnas.cost.rules import RULES, Work
from irnas.nn.gap import FORMS, Multiply, Outer, Product, RowResize, SemanticGap, TokenPool


def draw(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize("tokens", [1, 4, 7])
@pytest.mark.parametrize("size", [(1, 3), (2, 9), (8, 7), (16, 12)])
def test_tokens_are_those_of_adaptive_pooling(tokens: int, size: tuple[int, int]) -> None:
    """Smaller, larger, multiple and not: the grid is cut as torch cuts it."""
    x = draw(2, 3, *size)
    assert torch.equal(TokenPool(tokens)(x), F.adaptive_max_pool2d(x, tokens))


def test_tokens_pass_their_gradient_to_the_greatest_pixel_only() -> None:
    x = draw(1, 1, 4, 6).requires_grad_()
    TokenPool(2)(x).sum().backward()
    assert x.grad is not None and x.grad.sum() == 4
    assert set(x.grad.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(("is_square", "expected"), [(True, (6, 6)), (False, (6, 10))])
@pytest.mark.parametrize("length", [3, 6, 16])
def test_rows_of_a_resized_matrix_sum_to_one(is_square: bool, expected: tuple[int, int], length: int) -> None:
    matrix = draw(2, 3, length, length).softmax(-1)
    resized = RowResize(is_square)(matrix, torch.zeros(2, 5, 6, 10))
    assert resized.shape == (2, 3, *expected)
    torch.testing.assert_close(resized.sum(-1), torch.ones(2, 3, 6, dtype=torch.float64))


@pytest.mark.parametrize("size", [2, 5, 16, 40])
def test_no_row_is_lost_however_sharp(size: int) -> None:
    """One entry per row, at every column in turn: sampling would miss most of them, and divide by nothing."""
    resized = RowResize(is_square=False)(torch.eye(16)[None, None], torch.zeros(1, 1, 16, size))
    torch.testing.assert_close(resized.sum(-1), torch.ones(1, 1, 16))


def test_a_matrix_of_the_right_size_stays_as_it_is() -> None:
    matrix = draw(1, 2, 8, 8).softmax(-1)
    torch.testing.assert_close(RowResize(is_square=True)(matrix, torch.zeros(1, 2, 8, 5)), matrix)


def by_hand(gap: SemanticGap, x: Tensor, shallow: Tensor, deep: Tensor, form: str) -> Tensor:
    """The equations for one image whose matrix needs no resizing, one channel and one row at a time."""
    q = gap.query(gap.query_squeeze(F.adaptive_max_pool2d(shallow, 4)).reshape(1, -1))[0]
    k = gap.key(gap.key_squeeze(F.adaptive_max_pool2d(deep, 4)).reshape(1, -1))[0]
    assert isinstance(gap.restore, nn.Conv2d) and gap.restore.bias is not None
    z = torch.empty_like(x)
    for channel in range(x.shape[1]):
        scale, shift = gap.restore.weight[channel, 0, 0, 0], gap.restore.bias[channel]
        for row in range(x.shape[2]):
            weights = torch.softmax(scale * q[row] * k + shift, 0)
            mixed = weights @ x[0, channel] if form == "matrix" else weights * x[0, channel, row]
            z[0, channel, row] = mixed + x[0, channel, row]
    return z


@pytest.mark.parametrize("form", FORMS)
def test_the_module_is_its_equations(form: str) -> None:
    torch.manual_seed(3)
    gap = SemanticGap(3, 5, 2, length=6, tokens=4, form=form).double()
    width = 9 if form == "matrix" else 6
    x, shallow, deep = draw(1, 2, 6, width), draw(1, 3, 6, width, seed=1), draw(1, 5, 3, 8, seed=2)
    torch.testing.assert_close(gap(x, shallow, deep), by_hand(gap, x, shallow, deep, form))


@pytest.mark.parametrize("form", FORMS)
def test_shifts_of_the_restored_matrix_are_dead(form: str) -> None:
    torch.manual_seed(4)
    gap = SemanticGap(3, 5, 2, length=6, tokens=4, form=form).double()
    maps = draw(2, 2, 8, 6), draw(2, 3, 8, 6, seed=1), draw(2, 5, 4, 3, seed=2)
    before = gap(*maps)
    before.square().sum().backward()
    assert isinstance(gap.restore, nn.Conv2d) and gap.restore.bias is not None
    assert gap.restore.bias.grad is not None and gap.restore.weight.grad is not None
    assert gap.restore.bias.grad.abs().max() < 1e-12 < gap.restore.weight.grad.abs().max()
    gap.restore = gap.without_shifts()
    torch.testing.assert_close(gap(*maps), before)


def test_attention_is_as_strong_on_a_crop_as_on_a_whole_image() -> None:
    """A constant map is what it mixes to, so Z = 2 X whatever its size."""
    torch.manual_seed(5)
    gap = SemanticGap(3, 5, 2, length=16, tokens=4, form="matrix")
    for side in (4, 16, 24):
        x = torch.full((1, 2, side, side), 1.5)
        y = gap(x, torch.rand(1, 3, side, side), torch.rand(1, 5, side // 2, side // 2))
        torch.testing.assert_close(y, 2 * x)


def test_an_unknown_form_is_refused() -> None:
    with pytest.raises(SpaceError, match=r"form: got 'dot'; one of matrix, gate"):
        SemanticGap(1, 1, 1, length=2, tokens=2, form="dot")


def test_the_rules_yield_the_layers_own_shapes() -> None:
    x, q, square, wide = (torch.zeros(s) for s in ((2, 3, 6, 8), (2, 5), (2, 3, 6, 6), (2, 3, 5, 5)))
    inputs: list[tuple[nn.Module, tuple[Tensor, ...]]] = [
        (TokenPool(4), (x,)),
        (Outer(), (q, q)),
        (Product(), (square, x)),
        (Multiply(), (x, x)),
        (RowResize(is_square=True), (wide, x)),
        (RowResize(is_square=False), (wide, x)),
        (nn.Softmax(-1), (x,)),
    ]
    for layer, maps in inputs:
        assert RULES[type(layer)].shape(layer, *(tuple(t.shape) for t in maps)) == layer(*maps).shape


def test_a_matrix_product_by_hand() -> None:
    rule = RULES[Product]
    assert rule.work(Product(), (1, 2, 3, 3), (1, 2, 3, 5)) == Work(ops_full=30 * 5, macs_full=30 * 3)
    assert RULES[Outer].work(Outer(), (1, 4), (1, 1, 4, 4)) == Work(ops_full=16, macs_full=16)
    assert cost.count(nn.Sequential(nn.Softmax(-1)), (2, 3, 3)).total.elementwise == 3 * 18
