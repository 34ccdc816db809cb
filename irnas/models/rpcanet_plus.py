"""RPCANet+ (L-RPCANet): robust principal component analysis with noise, unrolled into K stages of small networks.

An image is D = B + T + N: background, targets, noise. A stage estimates B, T and N in turn, each by a network of its
own, and a fourth one puts D together again for the next stage. The targets of the last stage are the logits.

The axes, and what of them is published, are described in search_spaces/rpcanet_plus/README.md. Maps between the
networks have one channel.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Mapping
from typing import Self

import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import DataError, SpaceError
from irnas.core.space import Value
from irnas.nn.block import body
from irnas.nn.channel import Add
from irnas.nn.collapse import Collapsed
from irnas.nn.excite import SqueezeExcite
from irnas.nn.loss import softiou_image
from irnas.nn.slim import fold
from irnas.nn.step import Balance, Step

Values = Mapping[str, Value]

_FIDELITY = 0.1
"""Weight of the mean squared difference between the last D and the image, from the authors' code."""
_UNSEEN: Values = {"merge_bc": 0, "depth_n": 6, "depth_m": 3, "carry_n": False}
"""What makes N and the next D, as published."""


class Estimator(nn.Module):
    """One channel to one: a narrow trunk of 3x3 convolutions, wide maps weighed by squeeze and excite, one map.

    Args:
        narrow: channels of the trunk.
        wide: channels that squeeze and excite weighs.
        expand: whether a 3x3 convolution without activation leads from narrow to wide; otherwise they are equal.
        depth: convolutions of the trunk after its first.
        kernel: of the first convolution.
        norm: whether batch normalisation follows each convolution of the trunk.
        hidden: channels inside the excitation.
        binary: whether binary layers stand for the convolutions of the trunk after its first.
    """

    def __init__(
        self, narrow: int, wide: int, *, expand: bool, depth: int, kernel: int, norm: bool, hidden: int, binary: bool
    ) -> None:
        super().__init__()
        self.stem = _unit(1, narrow, kernel, norm)
        self.trunk = nn.Sequential(*(body(narrow) if binary else _unit(narrow, narrow, 3, norm) for _ in range(depth)))
        self.expand = nn.Conv2d(narrow, wide, 3, padding=1) if expand else nn.Identity()
        self.excite = SqueezeExcite(wide, hidden)
        self.project = nn.Conv2d(wide, 1, 3, padding=1)

    def forward(self, x_n1hw: Tensor) -> Tensor:
        """[N, 1, H, W] to the same shape."""
        y_n1hw: Tensor = self.project(self.excite(self.expand(self.trunk(self.stem(x_n1hw)))))
        return y_n1hw

    def collapsed(self) -> nn.Module:
        """The same for inference with one convolution after the trunk, where nothing but the excitation is between."""
        if not isinstance(self.expand, nn.Conv2d):
            return self
        return nn.Sequential(
            OrderedDict(stem=self.stem, trunk=self.trunk, tail=Collapsed(self.expand, self.excite, self.project))
        )


class Stage(nn.Module):
    """One round of the algorithm: from D, and T and N where there are any, to the next D, T and N.

    Args:
        takes_targets: whether a stage before this one estimated T; without one, T is zero.
        takes_noise: the same for N.
    """

    noise: nn.Module | None
    """None, like ``merge``, where nothing after this stage asks for D and N."""
    merge: nn.Module | None

    def __init__(self, values: Values, *, takes_targets: bool, takes_noise: bool) -> None:
        super().__init__()
        narrow, wide, merge_bc = int(values["bc"]), int(values["tc"]), int(values["merge_bc"])
        hidden, binary = wide // int(values["reduction"]), values["binary"] == "body"
        if hidden < 1:
            raise SpaceError(f"reduction: got {values['reduction']} with tc={wide}; must be at most tc")

        old_t, old_n = int(takes_targets), int(takes_noise)

        def estimator(part: str, kernel: int, *, norm: bool, narrow: int = narrow, expand: bool = True) -> Estimator:
            return Estimator(
                narrow,
                wide,
                expand=expand,
                depth=int(values[f"depth_{part}"]),
                kernel=kernel,
                norm=norm,
                hidden=hidden,
                binary=binary,
            )

        self.background_of, self.background = Balance(1, old_t + old_n), estimator("b", 1, norm=True)
        self.background_sum = Add()
        self.target_of, self.target = Balance(1 + old_t, 1 + old_n), estimator("t", 1, norm=False)
        self.target_step = Step()
        self.noise_of, self.noise = Balance(1 + old_n, 2), estimator("n", 3, norm=False)
        self.noise_step: Step | None = Step()
        self.merge_of = Balance(3, 0)
        self.merge = estimator("m", 3, norm=True, narrow=merge_bc or wide, expand=merge_bc > 0)

    def forward(
        self, d_n1hw: Tensor, t_n1hw: Tensor | None, n_n1hw: Tensor | None
    ) -> tuple[Tensor | None, Tensor, Tensor | None]:
        """D, T and N as [N, 1, H, W] each, None for zero, to the next; D and N are None where nobody asks for them."""
        old_t = () if t_n1hw is None else (t_n1hw,)
        old_n = () if n_n1hw is None else (n_n1hw,)
        rest_n1hw = self.background_of(d_n1hw, *old_t, *old_n)
        b_n1hw = self.background_sum(rest_n1hw, self.background(rest_n1hw))
        rest_n1hw = self.target_of(*old_t, d_n1hw, b_n1hw, *old_n)
        t_n1hw = self.target_step(rest_n1hw, self.target(rest_n1hw))
        assert t_n1hw is not None
        if self.noise is None or self.noise_step is None or self.merge is None:
            return None, t_n1hw, None
        rest_n1hw = self.noise_of(*old_n, d_n1hw, b_n1hw, t_n1hw)
        n_n1hw = self.noise_step(rest_n1hw, self.noise(rest_n1hw))
        return self.merge(self.merge_of(b_n1hw, t_n1hw, n_n1hw)), t_n1hw, n_n1hw


class RPCANetPlus(nn.Module):
    """K stages; the first starts with D = the image, T = N = 0."""

    stride = 1
    learning_rate = 3e-3

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.carries_noise = bool(values["carry_n"])
        self.stages = nn.ModuleList(
            Stage(values, takes_targets=k > 0, takes_noise=k > 0 and self.carries_noise)
            for k in range(int(values["stages"]))
        )
        for layer in self.modules():
            # On the meta device, where costs are counted, drawing nothing would still take most of the time.
            if isinstance(layer, nn.Conv2d) and not layer.weight.is_meta:
                nn.init.xavier_normal_(layer.weight)

    def forward(self, x_n1hw: Tensor) -> Tensor:
        """[N, 1, H, W] in 0..1 to logits of the same shape; any height and width.

        Raises:
            DataError: another number of channels, or no pixels.
        """
        return self._unroll(x_n1hw)[1]

    def loss(self, x_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """SoftIoU of each image that holds a target, averaged, plus 0.1 times the mean of (last D - image) squared.

        The paper trains on whole images, and each of them holds a target. A crop without one would be worth as much
        as a target found, for predicting nothing, and soon nothing is what a network predicts; here such crops count
        for the second term alone. Source: the slides' loss, with the weight of the authors' code.
        """
        holds_n = truth_n1hw.flatten(1).amax(1) > 0
        return self._loss(x_n1hw, truth_n1hw, holds_n if holds_n.any() else ~holds_n)

    def paper_loss(self, x_n1hw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The same with the SoftIoU of every image, as the authors have it."""
        return self._loss(x_n1hw, truth_n1hw, truth_n1hw.flatten(1).amax(1) >= 0)

    def _loss(self, x_n1hw: Tensor, truth_n1hw: Tensor, counts_n: Tensor) -> Tensor:
        """SoftIoU of the images that count, averaged, and 0.1 times the fidelity of all."""
        d_n1hw, logits_n1hw = self._unroll(x_n1hw)
        assert d_n1hw is not None, "a deployed network does not learn"
        overlap = softiou_image(logits_n1hw[counts_n].float(), truth_n1hw[counts_n])
        return overlap + _FIDELITY * F.mse_loss(d_n1hw.float(), x_n1hw.float())

    def trim(self) -> Self:
        """A copy in eval mode with the same logits, without what only the loss asks for: N and D of the last stage."""
        trimmed = copy.deepcopy(self).eval()
        last = trimmed.stages[-1]
        assert isinstance(last, Stage)
        last.noise = last.noise_step = last.merge = None
        return trimmed

    def deploy(self) -> Self:
        """A copy for inference with the same logits but for rounding: trimmed, estimators collapsed, norms folded."""
        deployed = self.trim()
        fold(deployed)
        for stage in deployed.stages:
            for name, part in list(stage.named_children()):
                if isinstance(part, Estimator):
                    setattr(stage, name, part.collapsed())
        return deployed

    def _unroll(self, x_n1hw: Tensor) -> tuple[Tensor | None, Tensor]:
        channels, height, width = x_n1hw.shape[1:]
        if channels != 1 or not height or not width:
            got = f"{channels} channels of {height}x{width} pixels"
            raise DataError(f"network input: got {got}; must be 1 channel with at least one pixel")
        d_n1hw, t_n1hw, n_n1hw = x_n1hw, None, None
        for stage in self.stages:
            d_n1hw, t_n1hw, n_n1hw = stage(d_n1hw, t_n1hw, n_n1hw)
            if not self.carries_noise:
                n_n1hw = None
        assert t_n1hw is not None
        return d_n1hw, t_n1hw


def representative(values: Values) -> Values:
    """The values of the one point that stands for all that deploy to the same network.

    A single stage is also the last one, so nothing but the loss sees its N and the next D: whatever makes these counts
    as published.
    """
    return values if int(values["stages"]) > 1 else {**values, **_UNSEEN}


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/rpcanet_plus/space.yaml."""
    return RPCANetPlus(values)


def _unit(channels: int, out_channels: int, kernel: int, norm: bool) -> nn.Sequential:
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    parts["conv"] = nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2)
    if norm:
        parts["norm"] = nn.BatchNorm2d(out_channels)
    parts["act"] = nn.ReLU()
    return nn.Sequential(parts)
