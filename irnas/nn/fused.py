"""The element-wise parts of a binary layer in one pass over memory each, for training and validation on a CPU.

Eager PyTorch writes and reads a map for every addition; four fifths of a training step of a binary network went into
that. The kernels (native/fused.cc) do the arithmetic of the plain modules, which remain the definition, the way on
every other device, and the way wherever the library was not built. Gradients are written out by hand. Layers with
batch normalisation have kernels of their own (fused_norm.py).
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from irnas.nn.sign import LOG_LIMIT

ESTIMATORS = ("identity", "clip", "quad", "dysoftsign")
"""Gradient estimators that the kernels have, in the order of their numbers there."""

_HERE = Path(__file__).parent
_PLACES = (_HERE / "_fused.so", _HERE.parent.parent / "build" / "irnas" / "nn" / "native" / "_fused.so")
_WIDTH = 16
_INTERFACE = 3
"""Of the library: one that was built from other sources than these is none."""
_is_on = True
_is_quick = False
_num_calls = 0


@contextmanager
def off() -> Iterator[None]:
    """Plain modules only, to compare with."""
    global _is_on
    before, _is_on = _is_on, False
    try:
        yield
    finally:
        _is_on = before


@contextmanager
def quick() -> Iterator[None]:
    """The kernels wherever no gradients are wanted, in evaluation as well: some three times as fast.

    Sums are taken in another order than those of the plain modules, so a sign of something next to 0 may be the other
    one. What is compared with an engine, or published, does without.
    """
    global _is_quick
    before, _is_quick = _is_quick, True
    try:
        yield
    finally:
        _is_quick = before


def takes_part(module: nn.Module) -> bool:
    """Whether a module may go another way than the plain one: in training unless it is ``off``, else where it is to
    be ``quick``."""
    return _is_on and (module.training or (_is_quick and not torch.is_grad_enabled()))


def is_built() -> bool:
    """Whether the kernels came with this installation."""
    return _library() is not None


def num_calls() -> int:
    """The number of kernels that have run in this process: it has grown after each training step that used them."""
    return _num_calls


def suits(x_nchw: Tensor) -> bool:
    """Whether the kernels know such maps, and are wanted; see ``quick``."""
    is_plain = x_nchw.device.type == "cpu" and x_nchw.dtype == torch.float32
    return _is_on and is_plain and (torch.is_grad_enabled() or _is_quick) and is_built()


def is_even(x_nchw: Tensor) -> bool:
    """Whether a map is whole vectors and pixels at once, as all but the smallest are; the kernels know no other."""
    return x_nchw.numel() % math.lcm(x_nchw.shape[1], _WIDTH) == 0


def prepare(
    x_nchw: Tensor, scale: Tensor | None, shift: Tensor | None, log_k: Tensor, estimator: str, at_zero: int
) -> tuple[Tensor, Tensor]:
    """t = x * scale + shift and its sign, with the gradient estimator of ``Sign``; without a scale, t is x."""
    if scale is None:
        (signs,) = _Prepare.apply(x_nchw, None, None, log_k, estimator, at_zero)  # type: ignore[no-untyped-call]
        return x_nchw, signs
    t_nchw, signs = _Prepare.apply(x_nchw, scale, shift, log_k, estimator, at_zero)  # type: ignore[no-untyped-call]
    return t_nchw, signs


def rprelu(y_nchw: Tensor, knee: Tensor, slope: Tensor, shift: Tensor, residual_nchw: Tensor | None) -> Tensor:
    """RPReLU of y, plus a residual of the same shape."""
    out_nchw: Tensor = _RPReLU.apply(y_nchw, knee, slope, shift, residual_nchw)  # type: ignore[no-untyped-call]
    return out_nchw


def dot(
    x_nchw: Tensor,
    scale: Tensor | None,
    shift: Tensor | None,
    gain: Tensor,
    above: Tensor,
    below: Tensor,
    *,
    share: float = 1.0,
    plus_nchw: Tensor | None = None,
) -> Tensor:
    """A dot binary layer: t = x * scale + shift, y = t * gain, MaxOut of y plus t; ``share`` of that plus another map.

    Parameters are [c].
    """
    parameters = scale, shift, gain, above, below
    y_nchw: Tensor = _Dot.apply(x_nchw, plus_nchw, share, *parameters)  # type: ignore[no-untyped-call]
    return y_nchw


def adabin(latent: Tensor, log_k: Tensor, estimator: str, at_zero: int, tiny: float) -> Tensor:
    """d * sign(w - m) + m with the mean m and the deviation d of each filter of ``latent`` [filters, ...]."""
    weight: Tensor = _AdaBin.apply(latent, log_k, estimator, at_zero, tiny)  # type: ignore[no-untyped-call]
    return weight


class _Prepare(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, scale: Tensor | None, shift: Tensor | None, log_k: Tensor, estimator: str, at_zero: int
    ) -> tuple[Tensor, ...]:
        x = laid_out(x)
        t, signs = None if scale is None else torch.empty_like(x), torch.empty_like(x)
        call("irnas_prepare", x, *size(x), scale, shift, ctypes.c_float(at_zero), t, signs)
        ctx.save_for_backward(x, scale, shift, log_k)
        ctx.estimator = estimator
        return (signs,) if t is None else (t, signs)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, scale, shift, log_k = ctx.saved_tensors
        grad_t = laid_out(grads[0]) if len(grads) == 2 else None
        grad_s = laid_out(grads[-1])
        sharpness = _sharpness(log_k, x.shape[1])
        grad_x, grad_k = torch.empty_like(x), torch.empty_like(sharpness)
        grad_scale, grad_shift = (None if p is None else torch.empty_like(p) for p in (scale, shift))
        call(
            "irnas_prepare_backward",
            x,
            grad_t,
            grad_s,
            *size(x),
            scale,
            shift,
            sharpness,
            ctypes.c_int32(ESTIMATORS.index(ctx.estimator)),
            grad_x,
            grad_scale,
            grad_shift,
            grad_k,
        )
        wants_k = ctx.needs_input_grad[3]
        return (
            grad_x,
            grad_scale,
            grad_shift,
            grad_k.view(1, -1, 1, 1).sum_to_size(log_k.shape) if wants_k else None,
            None,
            None,
        )


class _RPReLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, y: Tensor, knee: Tensor, slope: Tensor, shift: Tensor, residual: Tensor | None) -> Tensor:
        y, residual = laid_out(y), None if residual is None else laid_out(residual)
        out = torch.empty_like(y)
        call("irnas_rprelu", y, residual, *size(y), knee, slope, shift, out)
        ctx.save_for_backward(y, knee, slope)
        ctx.has_residual = residual is not None
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        y, knee, slope = ctx.saved_tensors
        grad = laid_out(grads[0])
        grad_y, grad_knee, grad_slope, grad_shift = (torch.empty_like(v) for v in (y, knee, knee, knee))
        call("irnas_rprelu_backward", y, grad, *size(y), knee, slope, grad_y, grad_knee, grad_slope, grad_shift)
        return grad_y, grad_knee, grad_slope, grad_shift, grad if ctx.has_residual else None


class _AdaBin(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, log_k: Tensor, estimator: str, at_zero: int, tiny: float) -> Tensor:
        weight = latent.detach()
        if not weight.is_contiguous() and not weight.is_contiguous(memory_format=torch.channels_last):
            weight = weight.contiguous()
        out = torch.empty_like(weight)
        ctx.rest = ctypes.c_float(at_zero), ctypes.c_float(tiny)
        ctx.estimator = ctypes.c_int32(ESTIMATORS.index(estimator))
        call("irnas_adabin", weight, *_filters(weight), *ctx.rest, out)
        ctx.save_for_backward(weight, log_k)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        weight, log_k = ctx.saved_tensors
        # In the order of the weight in memory, whatever that is: within a filter the order does not matter.
        grad = grads[0] if grads[0].stride() == weight.stride() else torch.empty_like(weight).copy_(grads[0])
        sharpness = _sharpness(log_k, weight.shape[0])
        grad_weight, grad_k = torch.empty_like(weight), torch.empty_like(sharpness)
        call(
            "irnas_adabin_backward",
            weight,
            grad,
            *_filters(weight),
            *ctx.rest,
            sharpness,
            ctx.estimator,
            grad_weight,
            grad_k,
        )
        wants_k = ctx.needs_input_grad[1]
        return grad_weight, grad_k.view(-1, 1, 1, 1).sum_to_size(log_k.shape) if wants_k else None, None, None, None


class _Dot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, plus: Tensor | None, share: float, *parameters: Tensor | None) -> Tensor:
        x, plus = laid_out(x), None if plus is None else laid_out(plus)
        kept = tuple(None if p is None else p.detach().contiguous() for p in parameters)
        out = torch.empty_like(x)
        ctx.share, ctx.has_plus = ctypes.c_float(share), plus is not None
        call("irnas_dot", x, plus, *size(x), ctx.share, *kept, out)
        ctx.save_for_backward(x, *kept)
        return out

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        x, *parameters = ctx.saved_tensors
        grad, grad_x = laid_out(grads[0]), torch.empty_like(x)
        grads_of_parameters = [None if p is None else torch.empty_like(p) for p in parameters]
        call("irnas_dot_backward", x, grad, *size(x), ctx.share, *parameters, grad_x, *grads_of_parameters)
        return grad_x, grad if ctx.has_plus else None, None, *grads_of_parameters


def laid_out(x_nchw: Tensor) -> Tensor:
    """Channels last; a copy only where it is not."""
    return x_nchw.contiguous(memory_format=torch.channels_last)


def _sharpness(log_k: Tensor, count: int) -> Tensor:
    """k [count] from its logarithm [1, 1, 1, 1], or with ``count`` numbers."""
    return log_k.detach().flatten().clamp(-LOG_LIMIT, LOG_LIMIT).exp().expand(count).contiguous()


def _filters(weight: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    return ctypes.c_int64(weight.shape[0]), ctypes.c_int64(weight[0].numel())


def size(x_nchw: Tensor) -> tuple[ctypes.c_int64, ctypes.c_int64]:
    """Pixels and channels, as the kernels take them."""
    num, channels, height, width = x_nchw.shape
    return ctypes.c_int64(num * height * width), ctypes.c_int64(channels)


def call(name: str, *arguments: Any) -> None:
    """Run a kernel; tensors travel as the addresses of their numbers, None as no address."""
    global _num_calls
    _num_calls += 1
    library = _library()
    assert library is not None
    values = (ctypes.c_void_p(a.data_ptr()) if isinstance(a, Tensor) else a for a in arguments)
    getattr(library, name)(*values)


@functools.cache
def _library() -> ctypes.CDLL | None:
    path_from_environment = os.environ.get("IRNAS_FUSED_LIBRARY")
    for place in [Path(path_from_environment)] if path_from_environment else _PLACES:
        if place.is_file():
            library = ctypes.CDLL(str(place))
            # Addresses are passed unchecked: kernels with other arguments would write anywhere.
            if hasattr(library, "irnas_interface") and library.irnas_interface() == _INTERFACE:
                return library
    return None
