"""Layers with fused kernels and with plain modules, for tests: the kernels of this source tree, and comparisons."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from support.native import products  # noqa: F401
from torch import Tensor, nn

from irnas.nn import fused


@pytest.fixture(scope="module")
def kernels(products: Path) -> Iterator[None]:  # noqa: F811
    """Those of this source tree, built by its own files."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("IRNAS_FUSED_LIBRARY", str(products.parents[1] / "nn" / "native" / "_fused.so"))
        fused._library.cache_clear()
        assert fused.is_built()
        yield
    fused._library.cache_clear()


def grown(layer: nn.Module, seed: int = 0) -> nn.Module:
    """The layer with every parameter moved from where it starts, so that none is 0 or 1."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(torch.randn(parameter.shape, generator=generator), alpha=0.3)
    return layer.train()


def differentiated(layer: nn.Module, x_nchw: Tensor) -> dict[str, Tensor]:
    """Output, and gradients of a weighted sum of it, by name."""
    x_nchw = x_nchw.clone(memory_format=torch.preserve_format).requires_grad_()
    layer.zero_grad()
    y_nchw = layer(x_nchw)
    weight = torch.randn(y_nchw.shape, generator=torch.Generator().manual_seed(1))
    (y_nchw * weight).sum().backward()
    assert x_nchw.grad is not None
    tensors = {"output": y_nchw.detach(), "input": x_nchw.grad}
    for name, parameter in layer.named_parameters():
        assert parameter.grad is not None, name
        tensors[name] = parameter.grad.clone()
    return tensors


def assert_same(layer: nn.Module, x_nchw: Tensor) -> None:
    with fused.off():
        wanted = differentiated(layer, x_nchw)
    tensors = differentiated(layer, x_nchw)
    assert tensors.keys() == wanted.keys()
    # Rounding is that of the terms of a sum, which may all but cancel: behind a normalisation, the scale of a layer.
    atol = 3e-6 * max(float(tensor.abs().max()) for tensor in wanted.values())
    for name, tensor in wanted.items():
        differs = (tensors[name] - tensor).abs() > atol + 1e-4 * tensor.abs()
        assert not differs.any(), name


def assert_precise(layer: nn.Module, x_nchw: Tensor) -> None:
    """Output, gradients and running statistics of two steps are those of double precision."""
    exact = copy.deepcopy(layer).double()
    for _ in range(2):
        tensors, wanted = differentiated(layer, x_nchw), differentiated(exact, x_nchw.double())
    tensors |= dict(layer.named_buffers())
    wanted |= dict(exact.named_buffers())
    assert tensors.keys() == wanted.keys()
    atol = 3e-6 * max(float(tensor.abs().max()) for tensor in wanted.values())
    for name, tensor in wanted.items():
        differs = (tensors[name].double() - tensor).abs() > atol + 1e-4 * tensor.abs()
        assert not differs.any(), name


def image(channels: int, *, last: bool = True, side: int = 16) -> Tensor:
    x_nchw = torch.randn(2, channels, side, side + 4, generator=torch.Generator().manual_seed(2))
    return x_nchw.contiguous(memory_format=torch.channels_last) if last else x_nchw
