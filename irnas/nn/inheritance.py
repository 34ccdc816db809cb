"""Starts a network from the weights of a trained one of another shape, whatever family they are of.

The two trees of modules are walked side by side. Where both have a module of one type in one place, the child's tensors
come from the parent's:

* Channels: channel j of c comes from channel floor(j p / c) of p. Maps that are joined side by side, or cut into equal
  parts, keep their places as long as all of their widths change alike. Where the child is wider, a channel of the
  parent is there several times, and what reads it weighs so much less: the output stays (T. Chen et al., "Net2Net",
  2016). Noise on the weights tells the copies apart. A filter of signs has one scale for all channels, so it keeps its
  output only where each channel is there equally often.
* Kernels of another size are cut, or set into the middle of the child's own.
* A list that is longer in the child begins with the parent's entries. Each further one becomes the identity where it
  can (``become_identity``), and else begins as the parent's last entry does, as far as they are alike.

Everything else keeps its own first weights.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from irnas.nn.binary import BinaryConv2d, DotBinaryConv2d
from irnas.nn.block import Layer
from irnas.nn.channel import ChannelAffine, MaxOut

NOISE = 0.01
"""Standard deviation of the noise on a widened weight, over that of the weight: a tenth would change the logits of a
BiisNet by two thirds of their deviation, since signs near zero flip."""

_WHISPER = 0.01
"""By how much less a new layer adds to its residual, where it cannot add nothing and still learn."""

_LISTS = (nn.ModuleList, nn.Sequential)
_READERS = (_ConvNd, nn.Linear, BinaryConv2d)
"""Modules whose ``weight`` [out, in, ...] sums over channels of their input."""


@torch.no_grad()
def inherit(child: nn.Module, parent: nn.Module, *, noise: float = NOISE) -> float:
    """Give a network the weights of a trained one, in place, as far as they fit; never raises.

    Args:
        child: freshly built; random numbers come from torch's own generator.
        parent: trained; it stays as it is. Equal networks are copied to the last bit.
        noise: on widened weights, in standard deviations of each; 0 for none.

    Returns:
        The share, 0..1, of the child's numbers that come from the parent.
    """
    parent_of = dict(_pair(child, parent))
    num_inherited = total = 0
    for part in child.modules():
        source_of = dict(_tensors(parent_of[part])) if part in parent_of else {}
        if isinstance(part, BinaryConv2d) and "scale" in source_of:
            # It is learnt, and does not follow from the weights, which sum over more channels where the child is wider.
            source_of["scale"] = source_of["scale"] * min(source_of["weight"].shape[1] / part.weight.shape[1], 1.0)
        for name, tensor in _tensors(part):
            total += tensor.numel()
            source = source_of.get(name)
            if source is not None and source.ndim == tensor.ndim:
                num_inherited += _copy(tensor, source, part, name, noise)
    return num_inherited / total if total else 0.0


def _pair(child: nn.Module, parent: nn.Module) -> Iterator[tuple[nn.Module, nn.Module]]:
    """The modules of a child that have one of the same type in the same place of the parent, and that one."""
    if type(child) is type(parent):
        yield child, parent
    parts_of_parent = dict(parent.named_children())
    is_list = isinstance(child, _LISTS) and type(child) is type(parent)
    last = next(reversed(parts_of_parent.values()), None)
    for name, part in child.named_children():
        if name in parts_of_parent:
            yield from _pair(part, parts_of_parent[name])
        elif is_list and name.isdigit() and not become_identity(part) and last is not None:
            yield from _pair(part, last)


def become_identity(part: nn.Module) -> bool:
    """Change a fresh module in place so that it passes its input on, nearly or quite; whether it can.

    A binary layer with a residual can, a list of what can, and a convolution with nothing but a ReLU behind it, as long
    as its maps come from a ReLU too.
    """
    if isinstance(part, Layer):
        return _silence(part)
    if not isinstance(part, _LISTS):
        return False
    parts = list(part)
    if len(parts) == 2 and isinstance(parts[0], nn.Conv2d) and isinstance(parts[1], nn.ReLU):
        return _become_dirac(parts[0])
    # All are changed that can be: one that cannot is no reason to leave the others as they were drawn.
    return bool(parts) and all([become_identity(each) for each in parts])


def _silence(layer: Layer) -> bool:
    """Let next to nothing be added to the residual of a layer; whether there is one, and that can be."""
    if layer.skip is None or len(layer.skip) or not layer.act_first:
        return False
    conv, last = next(p for p in layer.branch if isinstance(p, BinaryConv2d | DotBinaryConv2d)), layer.branch[-1]
    if isinstance(last, nn.BatchNorm2d):
        nn.init.zeros_(last.weight)
    elif isinstance(last, ChannelAffine):
        nn.init.zeros_(last.scale)
    elif isinstance(layer.act, MaxOut):
        nn.init.zeros_(layer.act.above)
        nn.init.zeros_(layer.act.below)
    elif isinstance(conv, BinaryConv2d) and conv.binarizer in ("sign", "libra_pow2"):
        # Nothing of what they give follows from the size of the weights.
        return False
    else:
        scale = conv.scale if isinstance(conv, BinaryConv2d) else None
        (conv.weight if scale is None else scale).detach().mul_(_WHISPER)
    return True


def _become_dirac(conv: nn.Conv2d) -> bool:
    keeps_size = conv.stride == (1, 1) and conv.padding == tuple(side // 2 for side in conv.kernel_size)
    if not keeps_size or conv.in_channels != conv.out_channels or not all(side % 2 for side in conv.kernel_size):
        return False
    nn.init.dirac_(conv.weight, conv.groups)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return True


def _tensors(part: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """The parameters and lasting buffers of a module itself, by their names in it."""
    for name, tensor in part.state_dict(keep_vars=True).items():
        if "." not in name and isinstance(tensor, Tensor):
            yield name, tensor


def _copy(tensor: Tensor, source: Tensor, part: nn.Module, name: str, noise: float) -> int:
    """Fill a tensor from the parent's; how many of its numbers come from there."""
    if tensor.shape == source.shape:
        tensor.copy_(source)
        return tensor.numel()
    is_reader = isinstance(part, _READERS) and name == "weight"
    value = source.detach().to(tensor.device, tensor.dtype)
    num_channel_axes = min(tensor.ndim, 2) if is_reader else tensor.ndim
    for axis in range(num_channel_axes):
        value = _stretch(value, axis, tensor.shape[axis], divides=is_reader and axis == 1, part=part)
    is_wider = any(tensor.shape[axis] > source.shape[axis] for axis in range(num_channel_axes))
    if is_reader and is_wider and noise:
        value = value + noise * value.std(unbiased=False) * torch.randn_like(value)
    return _set_into(tensor, value, fills=not isinstance(part, BinaryConv2d))


def _stretch(value: Tensor, axis: int, size: int, *, divides: bool, part: nn.Module) -> Tensor:
    """A tensor with ``size`` channels along an axis; ``divides`` what is there several times by how often it is."""
    size_of_parent = value.shape[axis]
    if size == size_of_parent:
        return value
    index = torch.arange(size, device=value.device) * size_of_parent // size
    value = value.index_select(axis, index)
    if not divides or size < size_of_parent:
        return value
    if isinstance(part, BinaryConv2d):
        return value * (size_of_parent / size)
    copies = torch.bincount(index, minlength=size_of_parent)[index].to(value.dtype)
    shape = [1] * value.ndim
    shape[axis] = size
    return value / copies.view(shape)


def _set_into(tensor: Tensor, value: Tensor, *, fills: bool) -> int:
    """Set a kernel into the middle of the child's, or its middle where it is larger; zeros around where ``fills``."""
    mine, theirs = [], []
    for size, size_of_parent in zip(tensor.shape, value.shape, strict=True):
        common = min(size, size_of_parent)
        mine.append(slice((size - common) // 2, (size - common) // 2 + common))
        theirs.append(slice((size_of_parent - common) // 2, (size_of_parent - common) // 2 + common))
    middle = value[tuple(theirs)]
    if fills and middle.shape != tensor.shape:
        # Around a kernel of numbers zeros change nothing; signs have none, and keep what they were drawn as.
        tensor.zero_()
    tensor[tuple(mine)] = middle
    return middle.numel()
