"""The semantic-gap module of SGEM U-Net: attention between an encoder level and the decoder level below it.

Each of the two maps is pooled to a grid of tokens, squeezed to one channel and turned into one vector; the outer
product of the two vectors, scaled per channel and normalised along its rows, weighs the rows of the decoder's map.

The paper's networks see 256x256 images only, where the matrix is as large as the map is high. For other sizes it is
interpolated and its rows normalised once more: without that, the attention of a network trained on crops of 64x64
would be four times stronger at 256x256.

Legend: n, c, h, w as ever; d = length of the vectors; t = side of the grid of tokens.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.nn.channel import Add

FORMS = ("matrix", "gate")


class TokenPool(nn.Module):
    """The greatest value in each cell of a grid of t x t over the map: adaptive maximum pooling.

    Cells are cut as torch.nn.AdaptiveMaxPool2d cuts them, but by gathering, which ONNX can say of free sizes.
    """

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, c, H, W] to [N, c, t, t]."""
        return self._along(self._along(x_nchw, 2), 3)

    def _along(self, x_nchw: Tensor, axis: int) -> Tensor:
        size, num = x_nchw.shape[axis], self.tokens
        cell = torch.arange(num, device=x_nchw.device)
        start, stop = cell * size // num, ((cell + 1) * size + num - 1) // num
        # No cell is longer than this; a shorter one repeats its last row, which changes no maximum.
        reach = torch.arange((size + num - 1) // num + 1, device=x_nchw.device)
        index = torch.minimum(start[:, None] + reach, stop[:, None] - 1)
        gathered = torch.unflatten(x_nchw.index_select(axis, index.flatten()), axis, (num, -1))
        return gathered.amax(axis + 1)


class Outer(nn.Module):
    """q k^T."""

    def forward(self, q_nd: Tensor, k_nd: Tensor) -> Tensor:
        """Two of [N, d] to [N, 1, d, d]."""
        return q_nd[:, None, :, None] * k_nd[:, None, None, :]


class RowResize(nn.Module):
    """A matrix of positive rows that sum to one, interpolated bilinearly to fit a map; its rows still sum to one.

    Args:
        is_square: to [H, H], which multiplies the map from the left; otherwise to [H, W].
    """

    def __init__(self, is_square: bool) -> None:
        super().__init__()
        self.is_square = is_square

    def forward(self, m_ncdd: Tensor, x_nchw: Tensor) -> Tensor:
        """[N, c, d, d] and a map to [N, c, H, H] or [N, c, H, W]; unchanged, but for rounding, where d is that size."""
        height, width = x_nchw.shape[2:]
        size = (height, height if self.is_square else width)
        # Anti-aliased, or a row whose peaks fall between the samples would vanish, and its sum with it.
        y_nchw = F.interpolate(m_ncdd, size=size, mode="bilinear", align_corners=False, antialias=True)
        return y_nchw / y_nchw.sum(-1, keepdim=True)


class Product(nn.Module):
    """M X for each channel: every row of the result is a mixture of the rows of X."""

    def forward(self, m_nchh: Tensor, x_nchw: Tensor) -> Tensor:
        """[N, c, H, H] and [N, c, H, W] to [N, c, H, W]."""
        return m_nchh @ x_nchw


class Multiply(nn.Module):
    """M X, element by element."""

    def forward(self, m_nchw: Tensor, x_nchw: Tensor) -> Tensor:
        """Two maps of one shape."""
        return m_nchw * x_nchw


class ChannelScale(nn.Module):
    """One map times a number per channel: what is left of ``SemanticGap.restore`` when its shifts are left out."""

    scale: Tensor

    def __init__(self, scale: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale.reshape(1, -1, 1, 1))

    def forward(self, x_n1hw: Tensor) -> Tensor:
        """[N, 1, H, W] to [N, c, H, W]."""
        return x_n1hw * self.scale


class SemanticGap(nn.Module):
    """Z = M X + X, with M = softmax over the rows of restore(q k^T), one M per channel.

    Args:
        shallow, deep: channels of the encoder's map and of the decoder's.
        channels: of X.
        length: d, of the vectors q and k.
        tokens: t, the side of the grid that each of them is drawn from.
        form: "matrix", as in the paper, or "gate": Z = M * X + X, element by element.

    Reference: the paper's equations for Q, K and the matrix. Sizes and order are a reconstruction: see
    search_spaces/sgem_unet/README.md.
    """

    def __init__(self, shallow: int, deep: int, channels: int, *, length: int, tokens: int, form: str) -> None:
        super().__init__()
        if form not in FORMS:
            raise SpaceError(f"form: got {form!r}; one of {', '.join(FORMS)}")
        self.pool = TokenPool(tokens)
        self.query_squeeze, self.query = nn.Conv2d(shallow, 1, 1), nn.Linear(tokens * tokens, length)
        self.key_squeeze, self.key = nn.Conv2d(deep, 1, 1), nn.Linear(tokens * tokens, length)
        self.value = nn.Conv2d(deep, deep, 1)
        """Applied by the network to the decoder's map, ahead of the up-sampling that yields X."""
        self.outer = Outer()
        self.restore: nn.Module = nn.Conv2d(1, channels, 1)
        self.softmax = nn.Softmax(dim=-1)
        self.resize = RowResize(is_square=form == "matrix")
        self.weigh = Product() if form == "matrix" else Multiply()
        self.add = Add()

    def forward(self, x_nchw: Tensor, shallow_nchw: Tensor, deep_nchw: Tensor) -> Tensor:
        """X [N, channels, H, W], the encoder's map and the decoder's, of any sizes, to Z of X's shape."""
        q_nd: Tensor = self.query(self.query_squeeze(self.pool(shallow_nchw)).flatten(1))
        k_nd: Tensor = self.key(self.key_squeeze(self.pool(deep_nchw)).flatten(1))
        m_ncdd = self.softmax(self.restore(self.outer(q_nd, k_nd)))
        m_nchh = self.resize(m_ncdd, x_nchw)
        z_nchw: Tensor = self.add(self.weigh(m_nchh, x_nchw), x_nchw)
        return z_nchw

    def without_shifts(self) -> ChannelScale:
        """What may stand in place of ``restore``: its shifts are the same along each row, so the softmax drops them."""
        assert isinstance(self.restore, nn.Conv2d)
        return ChannelScale(self.restore.weight.detach())
