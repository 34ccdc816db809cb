"""The two binary convolutions: 3x3 or 1x1 on signs, and the dot (per-channel) one on full-precision maps.

A +-1 convolution proper gives integers; every scale is applied to its result, never to its operands, so that an
engine working on bits reproduces the numbers exactly. Padding happens after the sign: a tap outside the image
contributes 0 (or +-1 where the design says so), neither of the two values of a sign.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn import fused
from irnas.nn.sign import Sign, WeightSign
from irnas.nn.weight import BINARIZERS, TINY, binarize, fast_binarize


class BinaryConv2d(nn.Module):
    """A convolution with +-1 weights, on the signs of its input.

    With N the +-1 convolution, T the sum of the signs under the window, and scale and shift per filter (weight.py),
    the output is scale * N + shift * T. T is the same for all filters of a group.

    Args:
        in_channels, out_channels: multiples of ``groups``.
        kernel: odd; the output keeps the size of the input (times 1/stride).
        sign: binarises the input; None leaves it in full precision (weight-only methods).
        binarizer: one of ``weight.BINARIZERS``.
        adaptive: the input becomes a (+-1) + b with a and b learnt, one pair per layer (AdaBin, eq. 8).
        pad: what a tap outside the image contributes: 0, +1 or -1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        *,
        sign: Sign | None,
        weight_sign: WeightSign,
        binarizer: str = "adabin",
        stride: int = 1,
        groups: int = 1,
        pad: int = 0,
        adaptive: bool = False,
    ) -> None:
        super().__init__()
        if binarizer not in BINARIZERS:
            raise SpaceError(f"weight binarizer: got {binarizer!r}; one of {', '.join(BINARIZERS)}")
        if in_channels % groups or out_channels % groups or kernel % 2 == 0:
            got = f"{in_channels} -> {out_channels} channels, {groups} groups, kernel {kernel}"
            raise SpaceError(f"binary convolution: got {got}; must divide evenly and have an odd kernel")
        self.in_channels, self.out_channels, self.kernel = in_channels, out_channels, kernel
        self.stride, self.groups, self.pad, self.binarizer = stride, groups, pad, binarizer
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels // groups, kernel, kernel))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        self.sign, self.weight_sign = sign, weight_sign
        self.scale = nn.Parameter(self._start_scale()) if binarizer == "siman" else None
        self.set_scale = nn.Parameter(torch.ones(())) if adaptive else None
        self.set_shift = nn.Parameter(torch.zeros(())) if adaptive else None

    def _start_scale(self) -> Tensor:
        return self.weight.detach().abs().mean((1, 2, 3), keepdim=True)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, in, H, W] to [N, out, H/stride, W/stride]."""
        if self.set_scale is not None and self.set_shift is not None:
            x_nchw = (x_nchw - self.set_shift) / self.set_scale
        return self.convolve(self.sign(x_nchw) if self.sign is not None else x_nchw)

    def convolve(self, signs: Tensor) -> Tensor:
        """What follows the sign: [N, in, H, W] of +-1 to [N, out, H/stride, W/stride]."""
        is_fast = fused.takes_part(self)
        method = fast_binarize if is_fast else binarize
        bits, scale, shift = method(self.weight, self.binarizer, self.weight_sign)
        scale = self.scale if scale is None else scale
        if is_fast:
            # One convolution with scale * bits + shift: the same sums in another order, so an engine that works on bits
            # is compared with a network in eval mode.
            bits, scale, shift = _folded(bits, scale, shift), None, None
        y_nchw = self._weigh(signs, bits, scale, shift)
        if self.set_scale is not None and self.set_shift is not None:
            # (a b + c) * w = a (b * w) + c (1 * w): the last term differs at the border only.
            ones = signs.new_ones(1, *signs.shape[1:])
            y_nchw = self.set_scale * y_nchw + self.set_shift * self._weigh(ones, bits, scale, shift, pad=abs(self.pad))
        return y_nchw

    def _weigh(
        self, signs: Tensor, bits: Tensor, scale: Tensor | None, shift: Tensor | None, *, pad: int | None = None
    ) -> Tensor:
        """scale * N + shift * T."""
        value, margin = self.pad if pad is None else pad, self.kernel // 2
        if value and margin:
            signs, margin = F.pad(signs, (margin,) * 4, value=float(value)), 0
        y_nchw = F.conv2d(signs, bits, stride=self.stride, padding=margin, groups=self.groups)
        if scale is not None:
            y_nchw = y_nchw * scale.view(1, -1, 1, 1)
        if shift is not None:
            y_nchw = torch.addcmul(y_nchw, self._window_sum(signs, margin), shift.view(1, -1, 1, 1))
        return y_nchw

    def _window_sum(self, signs: Tensor, margin: int) -> Tensor:
        """T: [N, 1, h, w], or [N, out, h, w] with groups."""
        num, channels, height, width = signs.shape
        total = signs.view(num, self.groups, channels // self.groups, height, width).sum(2)
        window = signs.new_ones(self.groups, 1, self.kernel, self.kernel)
        total = F.conv2d(total, window, stride=self.stride, padding=margin, groups=self.groups)
        return total if self.groups == 1 else total.repeat_interleave(self.out_channels // self.groups, 1)

    def extra_repr(self) -> str:
        """Shown by print(module)."""
        shape = f"{self.in_channels}, {self.out_channels}, kernel={self.kernel}, stride={self.stride}"
        return f"{shape}, groups={self.groups}, pad={self.pad}, {self.binarizer}"


def _folded(bits: Tensor, scale: Tensor | None, shift: Tensor | None) -> Tensor:
    if scale is None:
        return bits
    return bits * scale if shift is None else torch.addcmul(shift, bits, scale)


class DotBinaryConv2d(nn.Module):
    """Dot binary convolution (BiisNet, eqs 13-18): each channel times one of the two values shift +- scale.

    The latent weight [c, 1, 1, 1] is centred on its mean over all channels (``shift``); the bit of a channel is the
    sign of the centred weight, and the scale is its root mean square, or with ``norm="l2"`` its norm as eq. 15 prints
    it, which grows with the square root of c; latent weights start so much smaller there, or the maps of a few layers
    leave the range of a float. AdaBin's code averages over the other axes, which here leaves nothing.

    Args:
        norm: "rms" or "l2".
        through: whether gradients pass through scale and shift, which are functions of the weight.
    """

    def __init__(self, channels: int, *, weight_sign: WeightSign, norm: str = "rms", through: bool = True) -> None:
        super().__init__()
        if norm not in ("rms", "l2"):
            raise SpaceError(f"dot binary norm: got {norm!r}; one of rms, l2")
        self.channels, self.norm, self.through = channels, norm, through
        self.weight = nn.Parameter(torch.empty(channels, 1, 1, 1))
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if norm == "l2":
            with torch.no_grad():
                self.weight.div_(math.sqrt(channels))
        self.weight_sign = weight_sign

    def factors(self) -> Tensor:
        """The factor of each channel, [1, c, 1, 1]: two distinct values."""
        sign, latent = self.weight_sign, self.weight.view(1, -1, 1, 1)
        is_adabin = self.norm == "rms" and self.through and sign.log_k.numel() == 1
        if fused.takes_part(self) and is_adabin and sign.estimator in fused.ESTIMATORS and fused.suits(latent):
            # One filter whose taps are the channels.
            return fused.adabin(latent, sign.log_k, sign.estimator, sign.at_zero, TINY)
        shift = latent.mean()
        centred = latent - shift
        deviation = centred.square().mean().add(TINY).sqrt()
        bits = self.weight_sign(centred / deviation)
        scale = deviation * math.sqrt(self.channels) if self.norm == "l2" else deviation
        if not self.through:
            scale, shift = scale.detach(), shift.detach()
        factors: Tensor = bits * scale + shift
        return factors

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to the same shape."""
        return x_nchw * self.factors()

    def extra_repr(self) -> str:
        """Shown by print(module)."""
        return f"{self.channels}, norm={self.norm}, through={self.through}"
