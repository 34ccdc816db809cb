"""Two 3x3 convolutions with squeeze and excite between them, as one 5x5 convolution: the same numbers for less work.

No activation stands between the two, so for given factors they are linear, and their kernels convolve into one that
leads straight from the narrow map to the single map at the end. The factors need the means of the wide map, and these
follow from nine sums over windows of the narrow one. What remains is the edge: the second convolution sees zeros
outside the image, where the merged kernel would see what the first would have computed there. That difference touches
one ring of pixels, and is computed for a ring alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.nn.excite import SqueezeExcite


class Collapsed(nn.Module):
    """What ``project(excite(expand(x)))`` gives, for inference; weights are as they were when this was built.

    Args:
        expand: c to w channels, 3x3, padding 1, with bias.
        excite: of w channels.
        project: w channels to 1, 3x3, padding 1, with bias.
    """

    taps_wk: Tensor
    """For each wide channel the 5x5 kernel that leads through it, [w, c * 25]."""
    constant_w: Tensor
    """What the bias of each wide channel adds to a pixel whose whole window lies inside the image."""

    def __init__(self, expand: nn.Conv2d, excite: SqueezeExcite, project: nn.Conv2d) -> None:
        super().__init__()
        self.expand, self.excitation, self.project = expand, excite.excitation, project
        assert expand.bias is not None, "the expansion has a bias"
        with torch.no_grad():
            first_cw33, second_w133 = expand.weight.transpose(0, 1), project.weight.transpose(0, 1).flip(2, 3)
            taps_cw55 = F.conv2d(F.pad(first_cw33, (2, 2, 2, 2)), second_w133, groups=expand.out_channels)
            self.register_buffer("taps_wk", taps_cw55.transpose(0, 1).flatten(1).contiguous(), persistent=False)
            self.register_buffer("constant_w", expand.bias * project.weight[0].sum((1, 2)), persistent=False)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, 1, H, W]."""
        num, channels, height, width = x_nchw.shape
        factor_nw11: Tensor = self.excitation(self._mean(x_nchw))
        factor_nw = factor_nw11.flatten(1)
        assert self.project.bias is not None
        kernel_nc55 = (factor_nw @ self.taps_wk).view(num, channels, 5, 5)
        constant_n1 = (factor_nw * self.constant_w).sum(1, keepdim=True) + self.project.bias
        # Each image has a kernel of its own, so images stand side by side as groups of channels.
        y_1nhw: Tensor = F.conv2d(x_nchw.flatten(0, 1)[None], kernel_nc55, padding=2, groups=num)
        y_n1hw = y_1nhw.transpose(0, 1) + constant_n1[:, :, None, None]
        first, second = self.expand.weight, self.project.weight
        above = self._outside(x_nchw[:, :, :1], first[:, :, 2:], second[:, :, :1], factor_nw11, corners=True)
        below = self._outside(x_nchw[:, :, -1:], first[:, :, :1], second[:, :, 2:], factor_nw11, corners=True)
        left = self._outside(x_nchw[..., :1], first[..., 2:], second[..., :1], factor_nw11, corners=False)
        right = self._outside(x_nchw[..., -1:], first[..., :1], second[..., 2:], factor_nw11, corners=False)
        y_n1hw = y_n1hw - F.pad(above, (0, 0, 0, height - 1)) - F.pad(below, (0, 0, height - 1, 0))
        y_n1hw = y_n1hw - F.pad(left, (0, width - 1)) - F.pad(right, (width - 1, 0))
        return y_n1hw

    def _mean(self, x_nchw: Tensor) -> Tensor:
        """The mean of each wide channel, [N, w, 1, 1]: each of nine taps sees all of the image but a row or column."""
        height, width = x_nchw.shape[2:]
        rows_nch = x_nchw.sum(3)
        rows_nch3 = torch.stack((rows_nch - x_nchw[..., -1], rows_nch, rows_nch - x_nchw[..., 0]), 3)
        sums_nc3 = rows_nch3.sum(2)
        sums_nc33 = torch.stack((sums_nc3 - rows_nch3[:, :, -1], sums_nc3, sums_nc3 - rows_nch3[:, :, 0]), 2)
        sums_nw = sums_nc33.flatten(1) @ self.expand.weight.flatten(1).t()
        assert self.expand.bias is not None
        mean_nw: Tensor = sums_nw / (height * width) + self.expand.bias
        return mean_nw[:, :, None, None]

    def _outside(self, edge: Tensor, first: Tensor, second: Tensor, factor_nw11: Tensor, *, corners: bool) -> Tensor:
        """What wide maps one pixel outside an edge would give to that edge; the corners belong to the rows."""
        along = (0, 1) if corners else (1, 0)
        wide = F.conv2d(edge, first, self.expand.bias, padding=tuple((1 + corners) * a for a in along)) * factor_nw11
        return F.conv2d(wide, second, padding=(0, 0) if corners else along)
