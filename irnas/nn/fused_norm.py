"""Batch normalisation and what stands around it in a binary layer, fused as in fused.py, on a CPU.

A layer that scales each channel, normalises it and bends it is one line with a bend in each channel once the moments
are known. So one walk over the map gives the moments and another the output, where plain modules take about ten. The
kernels (native/norm.cc) do the arithmetic of the plain modules, which remain the definition and the way elsewhere.
"""

from __future__ import annotations

import ctypes
from typing import Any, TypeGuard

import torch
from torch import Tensor, nn

from irnas.nn import fused
from irnas.nn.channel import MaxOut, RPReLU


def suits(norm: nn.Module, x_nchw: Tensor) -> TypeGuard[nn.BatchNorm2d]:
    """Whether the kernels can stand for this module on this map.

    They know a ``nn.BatchNorm2d`` that learns a scale and a shift and keeps running moments. In training it normalises
    with those of the batch, of more than one pixel a channel; in evaluation, where it need give no gradients, with the
    running ones.
    """
    if type(norm) is not nn.BatchNorm2d or not fused.takes_part(norm):
        return False
    has_many = x_nchw.numel() > x_nchw.shape[1] or not norm.training
    is_usual = norm.affine and norm.track_running_stats and has_many
    return is_usual and fused.suits(x_nchw) and fused.is_even(x_nchw)


def dot(
    x_nchw: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    gain: Tensor,
    norm: nn.BatchNorm2d,
    act: RPReLU | MaxOut,
    *,
    share: float = 1.0,
    plus_nchw: Tensor | None = None,
) -> Tensor:
    """A dot binary layer: t = x * scale + shift, ``act`` of the normalised t * gain, plus t; ``share`` of that plus
    another map. Parameters are [c].
    """
    parameters = (scale, shift, gain, norm.weight, norm.bias, *_bend(act))
    y_nchw: Tensor = _Norm.apply(x_nchw, plus_nchw, norm, True, share, *parameters)  # type: ignore[no-untyped-call]
    return y_nchw


def activate(y_nchw: Tensor, norm: nn.BatchNorm2d, act: RPReLU | MaxOut, residual_nchw: Tensor | None) -> Tensor:
    """``act`` of the normalised y, plus a residual of the same shape."""
    parameters = (None, None, None, norm.weight, norm.bias, *_bend(act))
    out_nchw: Tensor = _Norm.apply(y_nchw, residual_nchw, norm, False, 1.0, *parameters)  # type: ignore[no-untyped-call]
    return out_nchw


def _bend(act: RPReLU | MaxOut) -> tuple[Tensor | None, Tensor | None, Tensor | None, Tensor | None]:
    """Knee, slope above it, slope below it and offset of an activation; None for what does nothing."""
    if isinstance(act, MaxOut):
        return None, act.above, act.below, None
    return act.knee, None, act.slope, act.shift


class _Norm(torch.autograd.Function):
    """Parameters are in the order that the kernels know. Running statistics of ``norm`` move, as they do in its own
    forward."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        plus: Tensor | None,
        norm: nn.BatchNorm2d,
        joins: bool,
        share: float,
        *parameters: Tensor | None,
    ) -> Tensor:
        x, plus = fused.laid_out(x), None if plus is None else fused.laid_out(plus)
        kept = tuple(None if p is None else p.detach().contiguous() for p in parameters)
        out, moments = torch.empty_like(x), x.new_empty(x.shape[1], 2)
        ctx.has_plus = plus is not None
        ctx.rest = ctypes.c_int32(joins), ctypes.c_float(share), ctypes.c_double(norm.eps)
        common = x, plus, *fused.size(x), _addresses(kept), *ctx.rest
        running = norm.running_mean, norm.running_var
        if norm.training:
            fused.call("irnas_norm", *common, ctypes.c_double(_momentum(norm)), *running, moments, out)
        else:
            fused.call("irnas_norm_with", *common, *running, out)
        ctx.save_for_backward(x, moments, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, moments, *kept = ctx.saved_tensors
        grad, grad_x, size = fused.laid_out(grads[0]), torch.empty_like(x), fused.size(x)
        own = [None if p is None else torch.empty_like(p) for p in kept]
        addresses = _addresses(kept), _addresses(own)
        fused.call("irnas_norm_backward", x, grad, *size, addresses[0], *ctx.rest, moments, grad_x, addresses[1])
        return grad_x, grad if ctx.has_plus else None, None, None, None, *own


def _momentum(norm: nn.BatchNorm2d) -> float:
    """How much of the running moments this batch is, after it was counted; without a fixed share, as much as any."""
    count = norm.num_batches_tracked
    if count is not None:
        count.add_(1)
    return norm.momentum if norm.momentum is not None else 1 / int(count) if count is not None else 0.0


def _addresses(tensors: Any) -> ctypes.Array[ctypes.c_void_p]:
    """An array of the addresses of tensors, null for None; the tensors must outlive its use."""
    return (ctypes.c_void_p * len(tensors))(*(None if t is None else t.data_ptr() for t in tensors))
