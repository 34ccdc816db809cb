"""What parameter counts cannot see of SD2Net and STD2Net: step by step as described, on the weights of a network."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from support.decomposition import literal
from torch import Tensor


def up_block(block: Any, deep_nchw: Tensor, skip_nchw: Tensor, map_nchw: Tensor | None) -> Tensor:
    """d = up(d) + xin; d = attention(c) * d; two units over c beside d."""
    height, width = skip_nchw.shape[2:]
    d_nchw = F.interpolate(deep_nchw, size=(height, width), mode="bilinear", align_corners=False)
    if map_nchw is not None:
        d_nchw = d_nchw + map_nchw
    conv = block.gate[0]
    attention_nchw = 1 / (1 + torch.exp(-F.conv2d(skip_nchw, conv.weight, conv.bias)))
    both_nchw = torch.cat([skip_nchw, attention_nchw * d_nchw], 1)
    result_nchw: Tensor = block.units(both_nchw)
    return result_nchw


def sd2net(network: Any, x_n1hw: Tensor, *, xin: bool) -> Tensor:
    """SD2Net's main U with ``up_block`` on the way up."""
    maps = [network.enter(x_n1hw)]
    for down, encoder in zip(network.down, network.encoder, strict=True):
        maps.append(encoder(down(maps[-1])))
    y_nchw = maps[-1]
    for level in (3, 2, 1, 0):
        skip_nchw = network.skip[level](maps[level])
        y_nchw = up_block(network.decoder[level], y_nchw, skip_nchw, maps[level] if xin else None)
    logits_n1hw: Tensor = network.head(network.leave(y_nchw))
    return logits_n1hw


def high_pass(x_nchw: Tensor, share: float) -> Tensor:
    """Image by image: a square around the middle of the shifted spectrum, [-c, c), is set to 0 in every channel.

    c is the smallest of 1, 2, ... below half of the shorter side whose square holds the share of the energy of channel
    0, else 5.
    """
    images = []
    for image in x_nchw.numpy():
        spectrum = np.fft.fftshift(np.fft.fft2(image), axes=(1, 2))
        row, column = (side // 2 for side in image.shape[1:])
        energy = np.abs(spectrum[0]) ** 2
        cutoff = 5
        for c in range(1, min(image.shape[1:]) // 2):
            if energy[row - c : row + c, column - c : column + c].sum() >= share * energy.sum():
                cutoff = c
                break
        spectrum[:, max(row - cutoff, 0) : row + cutoff, max(column - cutoff, 0) : column + cutoff] = 0
        images.append(np.abs(np.fft.ifft2(np.fft.ifftshift(spectrum, axes=(1, 2)))))
    return torch.from_numpy(np.stack(images))


def wide_sd3m(layer: Any, x_nchw: Tensor) -> Tensor:
    """A 6x6 convolution of stride 2 by channels and four more are the origin; five basis maps of the 2x2 blocks."""
    origin_nchw = x_nchw
    for conv in layer.origin.modules():
        if isinstance(conv, torch.nn.Conv2d):
            settings = {"stride": conv.stride, "padding": conv.padding, "groups": conv.groups}
            origin_nchw = F.conv2d(origin_nchw, conv.weight, conv.bias, **settings)
    a, b, c, d = (x_nchw[:, :, row::2, column::2] for row in (0, 1) for column in (0, 1))
    mean_nchw = (a + b + c + d) / 4
    peak_nchw = torch.stack([a, b, c, d]).amax(0) - mean_nchw
    flat_nchw = mean_nchw - mean_nchw.mean((2, 3), keepdim=True)
    return literal(origin_nchw, [peak_nchw, flat_nchw, a + b - c - d, a - b + c - d, a - b - c + d])


def heavy_head(head: Any, features_nkchw: Tensor) -> Tensor:
    """STD2Net's larger head in eval mode, on the features of the frames [N, frames, c, H, W], newest last."""
    norm = head.norm
    shape = (1, -1, 1, 1, 1)
    features_nkchw = (features_nkchw - norm.running_mean.view(shape)) / torch.sqrt(
        norm.running_var.view(shape) + norm.eps
    ) * norm.weight.view(shape) + norm.bias.view(shape)
    *earlier, newest_nchw = features_nkchw.unbind(1)
    first, _, second = head.origin
    origin_nchw = F.conv2d(F.conv2d(newest_nchw, first.weight, first.bias), second.weight, second.bias)
    maps = [newest_nchw - frame for frame in earlier]
    maps += [newest_nchw - newest_nchw.mean((2, 3), keepdim=True), newest_nchw - sum(earlier) / len(earlier)]
    parts = [literal(origin_nchw, maps), head.local(features_nkchw.flatten(1, 2)), head.identity(newest_nchw)]
    logits_n1hw: Tensor = head.head(head.leave(torch.cat(parts, 1)))
    return logits_n1hw
