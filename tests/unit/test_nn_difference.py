"""The decomposition without basis maps equals the literal one, its gradients too."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from support.decomposition import literal, orthonormal, shifted
from support.literal_sd2net import high_pass
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from irnas.core.errors import SpaceError
from irnas.nn.difference import HAAR, QUAD, Bank, HighPass, Recombination, TemporalRecombination, directional
from irnas.nn.dynamic import DynamicFilter

CASES = [
    (directional((1, 3)), "none"),
    (directional((1, 2, 3)), "contrast"),
    (HAAR, "none"),
    (HAAR, "contrast"),
    (QUAD, "none"),
    (QUAD, "max"),
    (QUAD, "deviations"),
]
COMPASS = [(-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1)]


def drawn(stride: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    source = torch.randn(2, 3, 12, 10, dtype=torch.float64, generator=generator)
    origin = torch.randn(2, 3, 12 // stride, 10 // stride, dtype=torch.float64, generator=generator)
    return origin.requires_grad_(), source.requires_grad_()


def maps_of(bank: Bank, extra: str, source: Tensor) -> list[Tensor]:
    layer = Recombination(bank, extra=extra)
    return [*bank.maps(source), *layer.extra_maps(source)]


@pytest.mark.parametrize(("bank", "extra"), CASES)
def test_value_and_gradients_are_those_of_the_literal_form(bank: Bank, extra: str) -> None:
    origin, source = drawn(bank.stride)
    ours = Recombination(bank, extra=extra)(origin, source)
    theirs = literal(origin, maps_of(bank, extra, source))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)
    pull = torch.randn_like(ours)
    grads, wanted = (torch.autograd.grad(y, (origin, source), pull) for y in (ours, theirs))
    torch.testing.assert_close(grads, wanted, rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize(("bank", "extra"), CASES)
def test_a_dynamic_filter_is_the_same_layer(bank: Bank, extra: str) -> None:
    layer = Recombination(bank, extra=extra)
    origin, source = drawn(bank.stride)
    with torch.no_grad():
        torch.testing.assert_close(
            DynamicFilter(layer).double()(origin, source), layer(origin, source), rtol=1e-12, atol=1e-12
        )


@pytest.mark.parametrize("extra", ["none", "max", "deviations"])
@pytest.mark.parametrize("bank", [directional((1,)), directional((1, 3)), HAAR, QUAD])
def test_a_dynamic_filter_is_charged_for_what_torch_multiplies(bank: Bank, extra: str) -> None:
    layer = DynamicFilter(Recombination(bank, extra=extra))
    origin, source = drawn(bank.stride)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        layer.double()(origin, source)
    assert 2 * layer.products(origin.shape)[0] == counter.get_total_flops()


def test_seventeen_taps_make_the_map() -> None:
    """y(p) = (sum_j g_j) z(p) - sum_j g_j z(p + d_j)."""
    origin, source = (x.detach() for x in drawn(1))
    places = [(d * row, d * column) for d in (1, 3) for row, column in COMPASS]
    wanted = torch.zeros_like(source)
    for place in places:
        difference = source - shifted(source, *place)
        gain = (origin * difference).sum((2, 3), keepdim=True) / difference.square().sum((2, 3), keepdim=True)
        wanted += gain * source - gain * shifted(source, *place)
    torch.testing.assert_close(Recombination(directional((1, 3)))(origin, source), wanted, rtol=1e-12, atol=1e-12)


def test_the_banks_are_the_differences_of_the_papers() -> None:
    source = torch.randn(1, 2, 6, 8, dtype=torch.float64)
    for (row, column), difference in zip(COMPASS, directional((1,)).maps(source), strict=True):
        torch.testing.assert_close(difference, source - shifted(source, row, column))
    signs = torch.tensor([[[1, 1], [-1, -1]], [[1, -1], [1, -1]], [[1, -1], [-1, 1]]], dtype=torch.float64)
    wanted = F.conv2d(source.reshape(2, 1, 6, 8), signs[:, None], stride=2)
    for index, difference in enumerate(QUAD.maps(source)):
        torch.testing.assert_close(difference.reshape(2, 3, 4), wanted[:, index])
    wanted = F.conv2d(F.pad(source, (0, 1, 0, 1)).reshape(2, 1, 7, 9), signs[:, None])
    for index, difference in enumerate(HAAR.maps(source)):
        torch.testing.assert_close(difference.reshape(2, 6, 8), wanted[:, index])


def test_a_map_of_zeros_contributes_nothing() -> None:
    origin, source = torch.randn(1, 2, 8, 8), torch.zeros(1, 2, 8, 8, requires_grad=True)
    y = Recombination(directional((1, 3)), extra="contrast")(origin, source)
    assert not y.any()
    y.sum().backward()
    assert source.grad is not None and source.grad.isfinite().all()


@pytest.mark.parametrize(("bank", "extra"), [(directional((1,)), "none"), (HAAR, "contrast"), (QUAD, "max")])
def test_an_orthonormal_basis_is_a_projection(bank: Bank, extra: str) -> None:
    origin, source = drawn(bank.stride)
    layer = Recombination(bank, extra=extra, orthogonal=True)
    y = layer(origin, source)
    torch.testing.assert_close(y, orthonormal(origin, maps_of(bank, extra, source)), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(layer(y, source), y, rtol=1e-4, atol=1e-4)
    # More maps than pixels: the full_basis origin lies in their span.
    small = torch.randn(1, 1, 2, 2, dtype=torch.float64)
    full_basis = Recombination(directional((1, 3)), orthogonal=True)(
        small, torch.randn(1, 1, 2, 2, dtype=torch.float64)
    )
    torch.testing.assert_close(full_basis, small, rtol=1e-3, atol=1e-3)


def test_sums_are_in_float32_whatever_comes_in() -> None:
    origin, source = (x.detach().to(torch.bfloat16) for x in drawn(1))
    y = Recombination(directional((1,)))(origin, source)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, Recombination(directional((1,)))(origin.float(), source.float()))


@pytest.mark.parametrize(("basis", "terms"), [("difference", 3), ("current", 4), ("means", 5)])
def test_frames_are_decomposed_as_the_paper_says(basis: str, terms: int) -> None:
    torch.manual_seed(0)
    frames = [torch.randn(2, 3, 5, 4, dtype=torch.float64) for _ in range(4)]
    origin, newest = torch.randn(2, 3, 5, 4, dtype=torch.float64), frames[-1]
    maps = [newest - frame for frame in frames[:-1]]
    if basis == "current":
        maps.append(newest)
    elif basis == "means":
        maps += [newest - newest.mean((2, 3), keepdim=True), newest - (frames[0] + frames[1] + frames[2]) / 3]
    layer = TemporalRecombination(4, basis)
    assert layer.terms == len(maps) == terms
    torch.testing.assert_close(layer(origin, torch.cat(frames, 1)), literal(origin, maps), rtol=1e-12, atol=1e-12)


def test_frames_are_a_weighted_sum_of_features() -> None:
    """y = (sum_k g_k) F_N - sum_{k<N} g_k F_k: no basis map is needed."""
    torch.manual_seed(1)
    *earlier, newest = [torch.randn(1, 2, 6, 6, dtype=torch.float64) for _ in range(5)]
    origin = torch.randn(1, 2, 6, 6, dtype=torch.float64)

    def gain(basis: Tensor) -> Tensor:
        return (origin * basis).sum((2, 3), keepdim=True) / basis.square().sum((2, 3), keepdim=True)

    gains = [gain(newest - frame) for frame in earlier]
    wanted = (sum(gains) + gain(newest)) * newest
    for weight, frame in zip(gains, earlier, strict=True):
        wanted = wanted - weight * frame
    y = TemporalRecombination(5, "current")(origin, torch.cat([*earlier, newest], 1))
    torch.testing.assert_close(y, wanted, rtol=1e-12, atol=1e-12)


def test_a_high_pass_cuts_the_smallest_square_of_enough_energy() -> None:
    y, x = torch.meshgrid(torch.arange(16.0), torch.arange(12.0), indexing="ij")
    coarse, fine = 3 * torch.cos(2 * torch.pi * y / 16), torch.cos(2 * torch.pi * 3 * x / 12)
    map_nchw = (coarse + fine)[None, None].double()
    # Nine tenths of the energy lie at frequency 1, one tenth at 3; the mean is 0, and a square of 1 leaves both.
    torch.testing.assert_close(HighPass(0.8)(map_nchw)[0, 0], fine.abs().double(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(HighPass(0.0)(map_nchw + 7)[0, 0], without_the_square_of_1(map_nchw[0, 0] + 7))
    assert HighPass(0.95)(map_nchw).abs().max() < 1e-5


def without_the_square_of_1(map_hw: Tensor) -> Tensor:
    spectrum = torch.fft.fft2(map_hw)
    spectrum[:1, :1] = spectrum[-1:, :1] = spectrum[:1, -1:] = spectrum[-1:, -1:] = 0
    return torch.fft.ifft2(spectrum).abs()


@pytest.mark.parametrize("share", [0.8, 0.4, 0.2, 0.1])
@pytest.mark.parametrize("shape", [(3, 4, 16, 12), (2, 3, 32, 32), (2, 2, 9, 15), (2, 2, 4, 4), (1, 2, 2, 6)])
def test_a_high_pass_is_the_literal_one(share: float, shape: tuple[int, ...]) -> None:
    x_nchw = torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    # The further down the spectrum, the earlier its square is full: images and channels differ in their cut-offs.
    x_nchw[0, 0] += torch.linspace(0, 4, shape[2], dtype=torch.float64)[:, None]
    wanted = high_pass(x_nchw, share)
    torch.testing.assert_close(HighPass(share)(x_nchw), wanted, rtol=1e-12, atol=1e-12)


def test_channel_0_decides_for_all() -> None:
    x_nchw = torch.randn(1, 3, 32, 32, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    x_nchw[:, 0] += 5
    swapped = HighPass(0.8)(x_nchw.flip(1)).flip(1)
    assert (HighPass(0.8)(x_nchw) - swapped).abs().max() > 0.1


def test_unknown_names_are_refused() -> None:
    with pytest.raises(SpaceError, match="extra basis map: got 'mean'; one of none, max, deviations, contrast"):
        Recombination(QUAD, extra="mean")
    with pytest.raises(SpaceError, match="temporal basis: got 'all'; one of difference, current, means"):
        TemporalRecombination(3, "all")
