"""Basis decomposition: a map as an input-dependent sum of its own differences (SD2Net; search_spaces/sd2net/README.md).

For each image and channel, with an origin o and basis maps b_1..b_n, all sums running over the whole map,

    y = sum_j g_j b_j,    g_j = <o, b_j> / max(|b_j|, 1e-12)^2.

That equals normalising each b_j and adding <o, b_j/|b_j|> b_j/|b_j|. Where the b_j are differences of a map with copies
of itself that are shifted, y is a filter of it whose taps are sums of the g_j; so no b_j is ever kept, neither for the
result nor for the gradient, and a level of 16 basis maps takes the memory of one. Sums are in float32 at least.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn.revision import Revised

FLOOR = 1e-24
"""Least squared norm of a basis map: a map of zeros contributes nothing."""

Tap = tuple[int, int, int]
"""(sign, row, column) of one summand, relative to the pixel."""


@dataclass(frozen=True, slots=True)
class Bank:
    """Filters of +1 and -1 taps; each yields one basis map of a map. Taps outside the map see zeros."""

    filters: tuple[tuple[Tap, ...], ...]
    """The first tap of each is positive."""
    stride: int = 1

    @property
    def margins(self) -> tuple[int, int, int, int]:
        """Left, right, top, bottom: how far the taps reach beyond the map."""
        rows, columns = ({tap[axis] for taps in self.filters for tap in taps} for axis in (1, 2))
        inside = self.stride - 1
        right, bottom = (max(max(places) - inside, 0) for places in (columns, rows))
        return max(-min(columns), 0), right, max(-min(rows), 0), bottom

    def maps(self, source_nchw: Tensor) -> Iterator[Tensor]:
        """The basis maps [N, c, H/stride, W/stride], one after the other."""
        padded_nchw = F.pad(source_nchw, self.margins)
        for taps in self.filters:
            first, second, *rest = (self._seen(padded_nchw, source_nchw, tap) for tap in taps)
            map_nchw = torch.add(first, second, alpha=taps[1][0])
            for tap, seen in zip(taps[2:], rest, strict=True):
                map_nchw = map_nchw.add(seen, alpha=tap[0])
            yield map_nchw

    def scatter(self, map_nchw: Tensor, taps: Sequence[Tap], padded_nchw: Tensor, source_nchw: Tensor) -> None:
        """Add the gradient of one basis map to that of the padded source."""
        for tap in taps:
            self._seen(padded_nchw, source_nchw, tap).add_(map_nchw, alpha=tap[0])

    def _seen(self, padded_nchw: Tensor, source_nchw: Tensor, tap: Tap) -> Tensor:
        """What one tap sees of the padded source at every pixel."""
        left, _, top, _ = self.margins
        row, column = top + tap[1], left + tap[2]
        height, width = source_nchw.shape[2] - self.stride + 1, source_nchw.shape[3] - self.stride + 1
        return padded_nchw[:, :, row : row + height : self.stride, column : column + width : self.stride]


_AROUND = ((-1, -1), (-1, 0), (-1, 1), (0, 1), (1, 1), (1, 0), (1, -1), (0, -1))
_SIGNS = ((1, 1, -1, -1), (1, -1, 1, -1), (1, -1, -1, 1))
HAAR = Bank(tuple(tuple(zip(signs, (0, 0, 1, 1), (0, 1, 0, 1), strict=True)) for signs in _SIGNS))
"""The three 2x2 wavelets, at every pixel."""
QUAD = Bank(HAAR.filters, stride=2)
"""The same on blocks that do not overlap."""


def directional(dilations: Sequence[int]) -> Bank:
    """z(p) - z(p + d u) for each dilation d and each of the eight unit steps u."""
    return Bank(tuple(((1, 0, 0), (-1, d * row, d * column)) for d in dilations for row, column in _AROUND))


def recombine(origin_nchw: Tensor, maps: Iterable[Tensor]) -> Tensor:
    """y = sum_j g_j b_j for basis maps [N, c, H, W] that are given one by one."""
    return sum((_gain(origin_nchw, map_nchw)[0] * map_nchw for map_nchw in maps), torch.zeros_like(origin_nchw))


EXTRAS = {"none": 0, "max": 1, "deviations": 2, "contrast": 1}
"""Basis maps that are no difference of a bank, by the name of their set."""
_WORK_OF_DEVIATIONS = 5
"""Beyond one subtraction a map: the mean of four pixels, and the mean of those means."""


class Recombination(Revised):
    """The decomposition of a map over the differences that a bank takes of it.

    Args:
        bank: the differences.
        extra: further basis maps, one of ``EXTRAS``. "max": the maximum of each 2x2 block of a bank with stride.
            "deviations": that less the mean of the block, and the mean less its own mean over the map. "contrast": the
            maximum of the 3x3 pixels around less their mean.
        orthogonal: make the basis orthonormal first (singular value decomposition, U V^T); what remains is the
            projection of the origin onto the basis maps, which is computed as such.
    """

    def __init__(self, bank: Bank, *, extra: str = "none", orthogonal: bool = False) -> None:
        super().__init__()
        if extra not in EXTRAS:
            raise SpaceError(f"extra basis map: got {extra!r}; one of {', '.join(EXTRAS)}")
        self.bank, self.extra, self.orthogonal = bank, extra, orthogonal

    @property
    def terms(self) -> int:
        """Basis maps per channel."""
        return len(self.bank.filters) + EXTRAS[self.extra]

    @property
    def revised(self) -> str:
        """As of ``Revised``."""
        return "the basis of sd3m_origin=wide" if self.extra == "deviations" else ""

    def products(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """Multiply-accumulates, operations and element-wise work of a decomposition of a map [N, c, H, W].

        Each basis map is multiplied with the origin and summed, then scaled and added to the result. Filters of four
        taps are convolutions with fixed weights; a difference is one subtraction, a squared norm two operations.
        """
        gram = self.terms**2 * math.prod(shape) if self.orthogonal else 0
        macs, ops, elementwise = _products(self.terms, self.bank.filters, shape)
        return macs + gram, ops + 2 * gram, elementwise + self._work_of_means(shape)

    def work_of_extra_maps(self, shape: Sequence[int]) -> int:
        """Element-wise work on the maps that are no differences of the bank, one by one: see ``recombine``.

        For each number of a map: to make it, two products and sums for its gain, another to scale it and to add it.
        """
        num, maps = math.prod(shape), shape[0] * shape[1]
        return EXTRAS[self.extra] * (7 * num + maps) + self._work_of_means(shape)

    def _work_of_means(self, shape: Sequence[int]) -> int:
        return _WORK_OF_DEVIATIONS * math.prod(shape) if self.extra == "deviations" else 0

    def forward(self, origin_nchw: Tensor, source_nchw: Tensor) -> Tensor:
        """Origin [N, c, H, W] and source [N, c, H * stride, W * stride] to [N, c, H, W]."""
        kind = torch.promote_types(origin_nchw.dtype, torch.float32)
        origin_nchw, source_nchw = origin_nchw.to(kind), source_nchw.to(kind)
        extra_maps = self.extra_maps(source_nchw)
        if self.orthogonal:
            return _project(origin_nchw, torch.stack([*self.bank.maps(source_nchw), *extra_maps], 2))
        y_nchw: Tensor = _Filter.apply(origin_nchw, source_nchw, self.bank)  # type: ignore[no-untyped-call]
        return y_nchw + recombine(origin_nchw, extra_maps) if extra_maps else y_nchw

    def extra_maps(self, source_nchw: Tensor) -> list[Tensor]:
        """The basis maps [N, c, H, W] that are no differences of the bank."""
        match self.extra:
            case "max":
                return [F.max_pool2d(source_nchw, self.bank.stride)]
            case "deviations":
                mean_nchw = F.avg_pool2d(source_nchw, self.bank.stride)
                peak_nchw = F.max_pool2d(source_nchw, self.bank.stride) - mean_nchw
                return [peak_nchw, mean_nchw - mean_nchw.mean((2, 3), keepdim=True)]
            case "contrast":
                return [F.max_pool2d(source_nchw, 3, 1, 1) - F.avg_pool2d(source_nchw, 3, 1, 1)]
        return []


class TemporalRecombination(nn.Module):
    """The decomposition of the newest frame over its differences to the earlier ones (STD2Net, TD2M).

    Args:
        frames: N, at least 2.
        basis: "difference": F_N - F_k for each k < N. "current": those and F_N. "means": the differences, F_N less its
            mean over the map, and F_N less the mean of the other frames.
    """

    def __init__(self, frames: int, basis: str) -> None:
        super().__init__()
        if basis not in ("difference", "current", "means"):
            raise SpaceError(f"temporal basis: got {basis!r}; one of difference, current, means")
        self.frames, self.basis = frames, basis

    @property
    def terms(self) -> int:
        """Basis maps per channel."""
        return self.frames - 1 + {"difference": 0, "current": 1, "means": 2}[self.basis]

    def products(self, shape: Sequence[int]) -> tuple[int, int, int]:
        """As of ``Recombination``."""
        return _products(self.terms, (), shape)

    def forward(self, origin_nchw: Tensor, features_nchw: Tensor) -> Tensor:
        """Origin [N, c, H, W] and the features of all frames [N, frames * c, H, W], newest last, to [N, c, H, W]."""
        kind = torch.promote_types(origin_nchw.dtype, torch.float32)
        return recombine(origin_nchw.to(kind), self.maps(features_nchw.to(kind)))

    def maps(self, features_nchw: Tensor) -> Iterator[Tensor]:
        """The basis maps [N, c, H, W], one after the other."""
        *earlier, newest_nchw = features_nchw.chunk(self.frames, 1)
        yield from (newest_nchw - frame_nchw for frame_nchw in earlier)
        if self.basis == "current":
            yield newest_nchw
        elif self.basis == "means":
            yield newest_nchw - newest_nchw.mean((2, 3), keepdim=True)
            yield newest_nchw - torch.stack(earlier).mean(0)


class HighPass(Revised):
    """A map without its low frequencies, as a magnitude (SD2Net's comparison with a Fourier basis).

    What is left out is a square of frequencies from -c up to and without c in either direction. An image's c is the
    smallest from 1 on whose square holds a share of the energy of its first channel; 5 where none below half of the
    map's shorter side does. The square ends where the map's frequencies end.

    Args:
        share: of the energy, in 0..1.
    """

    @property
    def revised(self) -> str:
        """As of ``Revised``."""
        return "kernel=fourier"

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        kind = torch.promote_types(x_nchw.dtype, torch.float32)
        spectrum = torch.fft.fft2(x_nchw.to(kind))
        rows, columns = (_reach(side, x_nchw.device) for side in x_nchw.shape[2:])
        reach_hw = torch.maximum(rows[:, None], columns)
        with torch.no_grad():
            cutoff_n111 = self._cutoff(spectrum[:, 0], reach_hw)[:, None, None, None]
        y_nchw: Tensor = torch.fft.ifft2(spectrum * (reach_hw > cutoff_n111)).abs()
        return y_nchw

    def _cutoff(self, spectrum_nhw: Tensor, reach_hw: Tensor) -> Tensor:
        """The c of each image, [N], from the spectrum of its first channel."""
        energy_np = spectrum_nhw.abs().square().flatten(1)
        largest = max(spectrum_nhw.shape[1:]) // 2 + 1
        squares = energy_np.new_zeros(len(energy_np), largest + 1).index_add(1, reach_hw.flatten(), energy_np).cumsum(1)
        tried = squares[:, 1 : max(min(spectrum_nhw.shape[1:]) // 2, 1)]
        enough = tried >= self.share * squares[:, -1:]
        # The first that holds enough: as many as hold too little, and one more.
        cutoff_n = (~enough).sum(1) + 1
        return torch.where(enough.any(1), cutoff_n, _FALLBACK)


_FALLBACK = 5


def _reach(side: int, device: torch.device) -> Tensor:
    """For each frequency of an axis the least c whose square holds it: 1 for 0 and -1, 2 for 1 and -2, and so on."""
    places = torch.arange(side, device=device)
    return torch.where(places < (side + 1) // 2, places + 1, side - places)


def _gain(origin_nchw: Tensor, map_nchw: Tensor) -> tuple[Tensor, Tensor]:
    """g and the squared norm of one basis map, each [N, c, 1, 1]."""
    norm = (map_nchw * map_nchw).sum((2, 3), keepdim=True).clamp_min(FLOOR)
    return (origin_nchw * map_nchw).sum((2, 3), keepdim=True) / norm, norm


class _Filter(torch.autograd.Function):
    """sum_j g_j b_j over the maps of a bank; the b_j are taken again for the gradient rather than kept."""

    @staticmethod
    def forward(ctx: Any, origin_nchw: Tensor, source_nchw: Tensor, bank: Bank) -> Tensor:
        y_nchw, kept = torch.zeros_like(origin_nchw), []
        for map_nchw in bank.maps(source_nchw):
            gain, norm = _gain(origin_nchw, map_nchw)
            y_nchw = torch.addcmul(y_nchw, map_nchw, gain)
            kept += [gain, norm]
        ctx.save_for_backward(origin_nchw, source_nchw, *kept)
        ctx.bank = bank
        return y_nchw

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, Tensor, None]:
        (grad,) = grad_outputs
        origin_nchw, source_nchw, *kept = ctx.saved_tensors
        bank: Bank = ctx.bank
        left, right, top, bottom = bank.margins
        to_origin = torch.zeros_like(origin_nchw)
        to_padded = torch.zeros_like(F.pad(source_nchw, bank.margins))
        maps = bank.maps(source_nchw)
        for taps, map_nchw, gain, norm in zip(bank.filters, maps, kept[::2], kept[1::2], strict=True):
            # Of g = <o, b> / |b|^2: to o goes b / |b|^2, to b goes (o - 2 g b) / |b|^2, each times <grad, b>.
            pull = (grad * map_nchw).sum((2, 3), keepdim=True) / norm
            to_origin.addcmul_(map_nchw, pull)
            to_map = map_nchw.mul_(-2 * pull * gain).addcmul_(origin_nchw, pull).addcmul_(grad, gain)
            bank.scatter(to_map, taps, to_padded, source_nchw)
        height, width = to_padded.shape[2:]
        return to_origin, to_padded[:, :, top : height - bottom, left : width - right], None


def _project(origin_nchw: Tensor, basis_ncjhw: Tensor) -> Tensor:
    """The projection of each channel onto the span of its basis maps, by least squares."""
    basis = basis_ncjhw.flatten(3)
    basis = basis / basis.square().sum(3, keepdim=True).clamp_min(FLOOR).sqrt()
    gram = (basis @ basis.mT).double()
    # The ridge decides where maps depend on each other, as they do when they outnumber the pixels.
    ridge = _RIDGE * torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)
    inner = (basis @ origin_nchw.flatten(2)[..., None]).double()
    solver = solve if torch.compiler.is_exporting() else torch.linalg.solve
    weights: Tensor = solver(gram + ridge, inner).to(origin_nchw.dtype)
    return (weights.mT @ basis).reshape(origin_nchw.shape)


@torch.library.custom_op("irnas::solve", mutates_args=())
def solve(matrix_njj: Tensor, right_nj1: Tensor) -> Tensor:
    """x of A x = b, under one name, for an exporter to whose format linear algebra is unknown."""
    x_nj1: Tensor = torch.linalg.solve(matrix_njj, right_nj1)
    return x_nj1


@solve.register_fake
def _(matrix_njj: Tensor, right_nj1: Tensor) -> Tensor:
    return torch.empty_like(right_nj1)


_RIDGE = 1e-6


def _products(terms: int, filters: Sequence[Sequence[Tap]], shape: Sequence[int]) -> tuple[int, int, int]:
    num, maps = math.prod(shape), shape[0] * shape[1]
    wide = [len(taps) for taps in filters if len(taps) > 2]
    macs = (2 * terms + sum(wide)) * num
    ops = (2 * num - maps) * terms + num * (2 * terms - 1) + sum(2 * taps - 1 for taps in wide) * num
    return macs, ops, (terms - len(wide)) * num + terms * (2 * num + maps)
