"""Basis decomposition as the paper writes it: every basis map is kept, normalised, multiplied, added up."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def literal(origin_nchw: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """sum_j <o, b_j/|b_j|> b_j/|b_j|, per image and channel."""
    basis = torch.stack([*maps], 2).flatten(3)
    basis = basis / basis.norm(dim=3, keepdim=True).clamp_min(1e-12)
    weights = torch.einsum("ncp,ncjp->ncj", origin_nchw.flatten(2), basis)
    return torch.einsum("ncj,ncjp->ncp", weights, basis).reshape(origin_nchw.shape)


def orthonormal(origin_nchw: Tensor, maps: Sequence[Tensor]) -> Tensor:
    """The same with U V^T of the singular value decomposition in place of the normalised basis."""
    basis = torch.stack([*maps], 2).flatten(3)
    u, _, vt = torch.linalg.svd(basis, full_matrices=False)
    basis = u @ vt
    weights = torch.einsum("ncp,ncjp->ncj", origin_nchw.flatten(2), basis)
    return torch.einsum("ncj,ncjp->ncp", weights, basis).reshape(origin_nchw.shape)


def shifted(source_nchw: Tensor, row: int, column: int) -> Tensor:
    """z(p + d), zero outside the map; by loops over pixels."""
    shifted_nchw = torch.zeros_like(source_nchw)
    height, width = source_nchw.shape[2:]
    for y in range(height):
        for x in range(width):
            if 0 <= y + row < height and 0 <= x + column < width:
                shifted_nchw[:, :, y, x] = source_nchw[:, :, y + row, x + column]
    return shifted_nchw
