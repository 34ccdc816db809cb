"""Patches of an image that later, finer levels of a pyramid may skip (ADSNet, Aware Cascaded Sparse).

The published networks cut a 256x256 image into P x P patches. Here a patch is 256/P pixels a side at every image size,
so a crop that a network is trained on and a full image that it is run on are cut alike. Where a side is no multiple of
that, the last patches reach beyond the image, and the part outside does not exist.

Legend: n, c, h, w as ever; gh, gw = patches down and across; r = active positions of all images, in reading order.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.nn.channel import Concat

REFERENCE_SIDE = 256
"""Pixels a side of the images that the paper cuts into P x P patches."""

_PART = 2048
"""Rows that a convolution gathers at a time: their neighbours stay in the cache."""


class PatchPool(nn.Module):
    """The maximum of each patch; where a position is larger than a patch, its value for each of them.

    Args:
        grid: P, patches a side of an image of 256x256.
        stride: image pixels between positions of the map.
    """

    def __init__(self, grid: int, stride: int) -> None:
        super().__init__()
        pixels = REFERENCE_SIDE // grid
        self.side, self.repeat = pixels // stride, stride // pixels

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, gh, gw]."""
        if self.side > 1:
            return F.max_pool2d(x_nchw, self.side, ceil_mode=True)
        return F.interpolate(x_nchw, scale_factor=float(self.repeat)) if self.repeat > 1 else x_nchw

    def shape(self, x: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the result for a map of that shape."""
        rows, columns = (-(-side // self.side) if self.side else side * self.repeat for side in x[2:])
        return x[0], x[1], rows, columns


def num_kept(patches: int, dropped: int) -> int:
    """How many of so many patches remain when ``dropped`` percent go: ceil((1 - dropped/100) patches)."""
    return ((100 - dropped) * patches + 99) // 100


class Decision(nn.Module):
    """Which patches stay active, as a map of ones and zeros.

    In training a sample: a hard Gumbel-softmax at temperature 1 with straight-through gradients. In evaluation the
    ``num_kept`` patches with the largest difference of the two scores; of equals the first in reading order.

    Args:
        dropped: percent of all patches that are inactive afterwards, those included that were so before.
    """

    def __init__(self, dropped: int) -> None:
        super().__init__()
        self.dropped = dropped

    def forward(self, scores_n2hw: Tensor, before_n1hw: Tensor | None = None) -> Tensor:
        """Scores for keeping and dropping [N, 2, gh, gw], and the patches active so far, to [N, 1, gh, gw]."""
        if self.training:
            sample_n1hw = F.gumbel_softmax(scores_n2hw, hard=True, dim=1)[:, :1]
            return sample_n1hw if before_n1hw is None else sample_n1hw * before_n1hw
        margin_n1hw = scores_n2hw[:, :1] - scores_n2hw[:, 1:]
        if before_n1hw is not None:
            margin_n1hw = margin_n1hw.masked_fill(before_n1hw == 0, -torch.inf)
        margin_np = margin_n1hw.flatten(1)
        if torch.compiler.is_exporting():
            # A stable sort has no ONNX form in torch; the plain one becomes TopK, which is stable by definition.
            order_np = margin_np.sort(dim=1, descending=True).indices
        else:
            order_np = margin_np.sort(dim=1, descending=True, stable=True).indices
        rank_n1hw = order_np.sort(dim=1).indices.view_as(margin_n1hw)
        count = num_kept(margin_n1hw.shape[2] * margin_n1hw.shape[3], self.dropped)
        return (rank_n1hw < count).to(scores_n2hw.dtype)


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """The five convolutions of a ``PatchActivation`` with their normalisation folded in, each over a line of rows."""

    point: tuple[Tensor, Tensor]
    """Branch a: weight [d, d, 1, 1] and bias [d]."""
    wide: tuple[Tensor, Tensor]
    """Branch b and the first half of c, which read the same map: [2d, d, 1, 9] and [2d]."""
    second: tuple[Tensor, Tensor]
    """The second half of c: [d, d, 1, 9] and [d]."""
    fuse: tuple[Tensor, Tensor]
    """[d, d, 1, 3] and [d]."""


class PatchActivation(nn.Module):
    """x plus a block of three branches that works on active patches only: the branches see zeros elsewhere, and the
    block adds nothing there, while x itself passes everywhere.

    Branches: a 1x1, a 3x3, and two 3x3 convolutions, each with batch normalisation and ReLU; a 1x1 over all three. The
    map between the two convolutions of the last branch is masked too, so that no inactive position matters to an active
    one. Training computes all positions and masks (``masked``), evaluation computes active ones only (``sparse``);
    the two agree up to rounding.

    Args:
        channels: d.
        side: positions a side of a patch.
        dropped: percent of the patches that are inactive when deployed; what the cost rule counts with.
    """

    def __init__(self, channels: int, side: int, dropped: int = 0) -> None:
        super().__init__()
        self.side, self.dropped, self.skips = side, dropped, True
        self.point = _unit(channels, channels, 1)
        self.near = _unit(channels, channels, 3)
        self.first = _unit(channels, channels, 3)
        self.second = _unit(channels, channels, 3)
        self.fuse = _unit(3 * channels, channels, 1)
        self.concat = Concat()

    def forward(self, x_nchw: Tensor, active_n1hw: Tensor | None = None) -> Tensor:
        """A map [N, d, H, W] and its patches [N, 1, gh, gw], all active where none are given, to the same shape."""
        if active_n1hw is not None and self.skips and not self.training:
            return sparse(x_nchw, upsample_mask(active_n1hw, self.side, x_nchw), self.kernel())
        return self.masked(x_nchw, None if active_n1hw is None else upsample_mask(active_n1hw, self.side, x_nchw))

    def masked(self, x_nchw: Tensor, mask_n1hw: Tensor | None) -> Tensor:
        """The definition, over all positions; the mask [N, 1, H, W] is 1 where active."""

        def only(y_nchw: Tensor) -> Tensor:
            return y_nchw if mask_n1hw is None else y_nchw * mask_n1hw

        z_nchw = only(x_nchw)
        deep_nchw = self.second(only(self.first(z_nchw)))
        return x_nchw + only(self.fuse(self.concat(self.point(z_nchw), self.near(z_nchw), deep_nchw)))

    def kernel(self) -> Kernel:
        """The convolutions as ``sparse`` wants them."""
        near, first = folded(self.near), folded(self.first)
        fuse, shift = folded(self.fuse)
        channels = len(shift)
        return Kernel(
            point=folded(self.point),
            wide=(_line(torch.cat([near[0], first[0]])), torch.cat([near[1], first[1]])),
            second=(_line(folded(self.second)[0]), folded(self.second)[1]),
            # The three branches are three taps of d channels each.
            fuse=(fuse.view(channels, 3, channels).permute(0, 2, 1).unsqueeze(2), shift),
        )

    def work(self, x: tuple[int, ...]) -> tuple[int, int, int]:
        """Multiply-accumulates, convolution outputs and element-wise work on a map of that shape, as deployed.

        Counted at the share of active positions that is asked for; whole patches round it up by at most one.
        """
        numbers, left = x[0] * x[1] * x[2] * x[3], 100 - self.dropped
        # 1 + 9 + 9 + 9 + 3; five convolutions; two for each normalisation and one for the sum.
        return 31 * x[1] * numbers * left // 100, 5 * numbers * left // 100, 11 * numbers * left // 100


def upsample_mask(active_n1hw: Tensor, side: int, x_nchw: Tensor) -> Tensor:
    """Patches [N, 1, gh, gw] as a mask of the positions of a map: [N, 1, H, W]."""
    if side == 1:
        return active_n1hw
    mask_n1hw = F.interpolate(active_n1hw, scale_factor=float(side))
    return mask_n1hw[:, :, : x_nchw.shape[2], : x_nchw.shape[3]]


def sparse(x_nchw: Tensor, mask_n1hw: Tensor, kernel: Kernel) -> Tensor:
    """What ``PatchActivation.masked`` computes, in evaluation, from active positions alone.

    Each active position becomes a row of d numbers, and a 3x3 convolution gathers nine rows for each of them, a row of
    zeros standing for what is inactive or outside. Gathering is cheap; the rest is dense.
    """
    num, channels, height, width = x_nchw.shape
    active_r, taps_r9 = _neighbours(mask_n1hw[:, 0] != 0)
    if not torch.compiler.is_exporting() and not len(active_r):
        return x_nchw
    all_rows = x_nchw.permute(0, 2, 3, 1).reshape(-1, channels)
    rows = all_rows.index_select(0, active_r)
    near, first = _gathered(rows, taps_r9, *kernel.wide).chunk(2, 1)
    deep = _gathered(first, taps_r9, *kernel.second)
    point = _dense(rows.unsqueeze(1), *kernel.point)
    fused = _dense(torch.stack([point, near, deep], 1), *kernel.fuse)
    y_rows = all_rows.index_put((active_r,), rows + fused)
    return y_rows.view(num, height, width, channels).permute(0, 3, 1, 2)


def folded(unit: nn.Sequential) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution with the batch normalisation behind it, in evaluation."""
    conv, norm = unit[0], unit[1]
    assert isinstance(conv, nn.Conv2d)
    if not isinstance(norm, nn.BatchNorm2d):
        # Folded already.
        assert conv.bias is not None
        return conv.weight, conv.bias
    assert norm.running_mean is not None and norm.running_var is not None
    scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
    return conv.weight * scale.view(-1, 1, 1, 1), norm.bias - norm.running_mean * scale


def _unit(channels: int, out_channels: int, kernel: int) -> nn.Sequential:
    conv = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out_channels), nn.ReLU())


def _line(weight_oc33: Tensor) -> Tensor:
    """A 3x3 kernel as one of nine taps: [out, in, 1, 9], rows of the kernel one after the other."""
    return weight_oc33.flatten(2).unsqueeze(2).contiguous(memory_format=torch.channels_last)


def _gathered(rows: Tensor, taps_r9: Tensor, weight_oc19: Tensor, bias_o: Tensor) -> Tensor:
    """Rows [R, c] and the numbers of nine rows for each result to [R, out]; number 0 is a row of zeros."""
    rows = F.pad(rows, (0, 0, 1, 0))
    if torch.compiler.is_exporting():
        return _dense(F.embedding(taps_r9, rows), weight_oc19, bias_o)
    return torch.cat([_dense(F.embedding(part, rows), weight_oc19, bias_o) for part in torch.split(taps_r9, _PART)])


def _dense(taps_rtc: Tensor, weight_oc1t: Tensor, bias_o: Tensor) -> Tensor:
    """[R, taps, c] to [R, out]: a sum over taps and channels, and ReLU.

    As a convolution with a stride of all taps over all rows in one line, which oneDNN computes at the speed of a dense
    convolution, while PyTorch's matrix product has a slower library on some CPUs. ONNX engines do well with matrices.
    """
    if torch.compiler.is_exporting():
        return (taps_rtc.flatten(1) @ weight_oc1t.permute(3, 2, 1, 0).flatten(0, 2) + bias_o).relu()
    line_1c1r = taps_rtc.reshape(1, 1, -1, taps_rtc.shape[2]).permute(0, 3, 1, 2)
    y_1o1r = F.conv2d(line_1c1r, weight_oc1t, bias_o, stride=(1, weight_oc1t.shape[3]))
    return y_1o1r.permute(0, 2, 3, 1).reshape(-1, len(bias_o)).relu_()


def _neighbours(active_nhw: Tensor) -> tuple[Tensor, Tensor]:
    """The flat indices of the active positions, [R], and the numbers of the rows around each of them, [R, 9].

    Number r + 1 is the row of the r-th active position; 0 stands for whatever is inactive or outside the map.
    """
    _, height, width = active_nhw.shape
    numbers_nhw = active_nhw.flatten().cumsum(0).view_as(active_nhw) * active_nhw
    numbers = F.pad(numbers_nhw, (1, 1, 1, 1)).flatten()
    image, row, column = active_nhw.nonzero().unbind(1)
    active = (image * height + row) * width + column
    corner = (image * (height + 2) + row) * (width + 2) + column
    tap = torch.arange(3, device=active.device)
    steps = (tap[:, None] * (width + 2) + tap).flatten()
    return active, numbers[corner[:, None] + steps]
