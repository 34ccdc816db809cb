"""How a latent weight becomes +-1 and, outside the convolution, a scale and a shift per filter.

Every convolution uses scale_o * b + shift_o with b in {-1, +1}:

    sign        b = sign(w)                                                        BNN, BinaryConnect
    xnor_mean   b = sign(w), scale = mean|w|, no gradient through the scale         XNOR-Net, Bi-Real-Net, ReActNet
    libra_pow2  w~ = (w - mean) / std; b = sign(w~), scale = 2^round(log2 mean|w~|) IR-Net, eqs 6-8
    adabin      shift = mean(w), scale = ||w - shift|| / sqrt(n); b = sign(w - shift)   AdaBin, eqs 4-6
    siman       w~ as above; b = +1 where |w~| is above its median, -1 below; the scale is learnt   SiMaN
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from irnas.core.errors import SpaceError
from irnas.nn import fused
from irnas.nn.sign import WeightSign

BINARIZERS = ("sign", "xnor_mean", "libra_pow2", "adabin", "siman")
TINY = 1e-12


class BinaryWeight(NamedTuple):
    """A binarised filter bank."""

    bits: Tensor
    """+-1, shaped as the latent [out, in/groups, k, k]."""
    scale: Tensor | None
    """[out, 1, 1, 1], or None for 1."""
    shift: Tensor | None
    """[out, 1, 1, 1], or None for 0."""


def binarize(latent: Tensor, method: str, sign: WeightSign) -> BinaryWeight:
    """Binarise each filter of a latent weight [out, in/groups, k, k]; statistics run over all but the first axis."""
    axes = tuple(range(1, latent.ndim))
    match method:
        case "sign":
            return BinaryWeight(sign(latent), None, None)
        case "xnor_mean":
            return BinaryWeight(sign(latent), latent.detach().abs().mean(axes, keepdim=True), None)
        case "libra_pow2":
            unit = _standardize(latent)
            mean = unit.detach().abs().mean(axes, keepdim=True)
            return BinaryWeight(sign(unit), torch.exp2(mean.clamp(min=TINY).log2().round()), None)
        case "adabin":
            shift = latent.mean(axes, keepdim=True)
            centred = latent - shift
            scale = centred.square().mean(axes, keepdim=True).add(TINY).sqrt()
            return BinaryWeight(sign(centred / scale), scale, shift)
        case "siman":
            size = _standardize(latent).abs()
            ordered = size.detach().flatten(1).sort(1).values
            num = ordered.shape[1]
            middle = (ordered[:, (num - 1) // 2] + ordered[:, num // 2]) / 2
            return BinaryWeight(sign(size - middle.view(-1, *(1,) * len(axes))), None, None)
    raise SpaceError(f"weight binarizer: got {method!r}; one of {', '.join(BINARIZERS)}")


def fast_binarize(latent: Tensor, method: str, sign: WeightSign) -> BinaryWeight:
    """``binarize``, where AdaBin's scale and shift may be in ``bits`` already: the kernels can do that."""
    if method == "adabin" and sign.estimator in fused.ESTIMATORS and fused.suits(latent):
        return BinaryWeight(fused.adabin(latent, sign.log_k, sign.estimator, sign.at_zero, TINY), None, None)
    return binarize(latent, method, sign)


def _standardize(latent: Tensor) -> Tensor:
    """Zero mean and unit (unbiased) deviation within each filter."""
    axes = tuple(range(1, latent.ndim))
    centred = latent - latent.mean(axes, keepdim=True)
    # A filter of one weight has no deviation; dividing by n instead of n - 1 keeps it finite.
    num = max(latent[0].numel() - 1, 1)
    return centred / centred.square().sum(axes, keepdim=True).div(num).add(TINY).sqrt()
