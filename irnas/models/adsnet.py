"""ADSNet: a residual pyramid whose deep levels guide the finer ones and decide which of their patches are computed.

Backbone, Aware Fusion Distribute (irnas/nn/guide.py), a top-down pyramid with activation blocks that skip patches
(irnas/nn/patch.py), and heads that classify patches, rate them and choose among them. The paper publishes a graph and
no widths; search_spaces/adsnet/README.md says which choices are whose.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from typing import NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.core.space import Value
from irnas.nn import traits
from irnas.nn.channel import Add
from irnas.nn.guide import Distribution
from irnas.nn.loss import focal
from irnas.nn.patch import REFERENCE_SIDE, Decision, PatchActivation, PatchPool
from irnas.nn.residual import BasicBlock
from irnas.nn.slim import fold

Values = Mapping[str, Value]

INPUT_AXIS = "in_ch"
"""See irnas.models."""

_PRIOR = -math.log(99)
"""Bias of what predicts targets: one in a hundred at first, as focal loss wants it."""
_RATIO_WEIGHT = 2.0
_LEVELS = {"4": (2,), "34": (1, 2), "234": (0, 1, 2)}


class _LevelOutput(NamedTuple):
    """What a deep level says of its patches; maps [N, ., gh, gw]."""

    head: Tensor | None
    """Two scores (keep, drop), class and, where asked for, IoU, all as logits. None: deployed, and no decision."""
    active: Tensor | None
    """The patches that stay active, 1 or 0; None where all do."""


class AdsNet(nn.Module):
    """Levels 2, 3, 4 of strides 4, 8, 16; level 4 decides for level 3, and 4 and 3 together for level 2."""

    stride = 16

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.in_channels, width = int(values[INPUT_AXIS]), int(values["width"])
        # Tried: 1e-2 trains a width of 16 best of 1e-2, 3e-3 and 1e-3; with 64 it diverges and 3e-3 does well.
        self.learning_rate = 0.16 / width
        self.grid, depth = int(values["grid"]), int(values["d"])
        self.has_iou, self.has_ratio = bool(values["iou"]), bool(values["ratio"])
        self.dropped = _dropped(str(values["drop"]))
        widths = (width, 2 * width, 4 * width)
        self.stem = nn.Sequential(
            nn.Conv2d(self.in_channels, width, 7, 2, 3, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.level2 = nn.Sequential(BasicBlock(width, width), BasicBlock(width, width))
        self.level3 = nn.Sequential(BasicBlock(width, 2 * width, 2), BasicBlock(2 * width, 2 * width))
        self.level4 = nn.Sequential(BasicBlock(2 * width, 4 * width, 2), BasicBlock(4 * width, 4 * width))
        self.lateral = nn.ModuleList(nn.Conv2d(channels, depth, 1) for channels in widths)
        self.distribution, self.is_lateral_first = _distribution(values, widths, depth)
        dropped3, dropped2 = self.dropped
        self.act4 = PatchActivation(depth, _side(self.grid, 16))
        self.act3 = PatchActivation(depth, _side(self.grid, 8), dropped3)
        self.act2 = PatchActivation(depth, _side(self.grid, 4), dropped2)
        self.grow3, self.grow2, self.add3, self.add2 = _enlarge(2), _enlarge(2), Add(), Add()
        self.pool4, self.pool3 = PatchPool(self.grid, 16), PatchPool(self.grid, 8)
        self.decide3 = Decision(dropped3) if dropped3 else None
        self.decide2 = Decision(dropped2) if dropped2 > dropped3 else None
        self.head4: nn.Conv2d | None = nn.Conv2d(depth, 3 + self.has_iou, 1)
        self.head3: nn.Conv2d | None = nn.Conv2d(depth, 3 + self.has_iou, 1)
        self.segment, self.grow = nn.Conv2d(depth, 1, 1), _enlarge(4)
        self._initialise()

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, 1, H, W] or [N, in_ch, H, W] in 0..1 to logits [N, 1, H, W]; one channel is repeated where three are due.

        Raises:
            DataError: another number of channels, or H or W that is no multiple of 16.
        """
        return self._run(x_nchw)[0]

    def loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The paper's loss and, where asked for, a term that holds the share of active patches near its target."""
        return self._loss(x_nchw, truth_n1hw, has_ratio=self.has_ratio)

    def paper_loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """Segmentation, classification and IoU of patches, equally weighted; a scalar.

        Classification and IoU are means over the two levels that have heads.
        """
        return self._loss(x_nchw, truth_n1hw, has_ratio=False)

    def _loss(self, x_nchw: Tensor, truth_n1hw: Tensor, *, has_ratio: bool) -> Tensor:
        logits_n1hw, outputs = self._run(x_nchw)
        truth_n1hw = truth_n1hw.to(logits_n1hw.dtype)
        pixels = REFERENCE_SIDE // self.grid
        has_target_n1hw = F.max_pool2d(truth_n1hw, pixels, ceil_mode=True)
        iou_n1hw = patch_iou((logits_n1hw.detach() > 0).to(truth_n1hw.dtype), truth_n1hw, pixels)
        total = focal(logits_n1hw, truth_n1hw)
        for output, dropped in zip(outputs, self.dropped, strict=True):
            assert output.head is not None, "a deployed network does not learn"
            total = total + focal(output.head[:, 2:3], has_target_n1hw) / 2
            if self.has_iou:
                total = total + F.binary_cross_entropy_with_logits(output.head[:, 3:], iou_n1hw) / 2
            if has_ratio and output.active is not None:
                total = total + _RATIO_WEIGHT * (output.active.mean() - (1 - dropped / 100)).square()
        return total

    def deploy(self) -> Self:
        """A copy in eval mode with the same logits: normalisation folded in, heads that only decide."""
        deployed = copy.deepcopy(self).eval()
        fold(deployed)
        deployed.head4 = None if self.decide3 is None else _scores(deployed.head4)
        deployed.head3 = None if self.decide2 is None else _scores(deployed.head3)
        return deployed

    def _run(self, x_nchw: Tensor) -> tuple[Tensor, tuple[_LevelOutput, _LevelOutput]]:
        x_nchw = traits.admit(x_nchw, self.in_channels, self.stride)
        fine_nchw: Tensor = self.level2(self.stem(x_nchw))
        middle_nchw = self.level3(fine_nchw)
        maps = [fine_nchw, middle_nchw, self.level4(middle_nchw)]
        if self.distribution is not None and not self.is_lateral_first:
            maps = self.distribution(*maps)
        maps = [lateral(x) for lateral, x in zip(self.lateral, maps, strict=True)]
        if self.distribution is not None and self.is_lateral_first:
            maps = self.distribution(*maps)
        y_nchw = self.act4(maps[2])
        head_nchw = None if self.head4 is None else self.head4(self.pool4(y_nchw))
        output4 = _decide(head_nchw, self.decide3, None)
        y_nchw = _activate(self.act3, self.add3(self.grow3(y_nchw), maps[1]), output4.active)
        head_nchw = None if self.head3 is None else self.head3(self.pool3(y_nchw))
        output3 = _decide(head_nchw, self.decide2, output4.active)
        y_nchw = _activate(self.act2, self.add2(self.grow2(y_nchw), maps[0]), output3.active)
        return self.grow(self.segment(y_nchw)), (output4, output3)

    def _initialise(self) -> None:
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
                if part.bias is not None:
                    nn.init.zeros_(part.bias)
        left3, left2 = (1 - dropped / 100 for dropped in self.dropped)
        # Samples start at the share that ranking will keep: of all patches at level 3, of the active ones at level 2.
        for conv, share in ((self.head4, left3), (self.head3, left2 / left3), (self.segment, None)):
            assert conv is not None and conv.bias is not None
            nn.init.normal_(conv.weight, std=0.01)
            nn.init.constant_(conv.bias if share is None else conv.bias[2:], _PRIOR)
            if share is not None and share < 1:
                nn.init.constant_(conv.bias[:1], math.log(share / (1 - share)))


def representative(values: Values) -> Values:
    """The values of the one point that stands for all that deploy to the same network.

    Without a patch that is skipped nobody sees how an image is cut into patches, but for the loss. ``iou`` and
    ``ratio`` stay: they are there to shape the training.
    """
    return values if any(_dropped(str(values["drop"]))) else {**values, "grid": 16}


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/adsnet/space.yaml."""
    # Rows of channels are what gathering active positions wants, and dense convolutions like them as well.
    network: nn.Module = AdsNet(values).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return network


def patch_iou(predicted_n1hw: Tensor, truth_n1hw: Tensor, pixels: int) -> Tensor:
    """The IoU of two 0/1 masks [N, 1, H, W] around each patch that holds a target, 0 at other patches: [N, 1, gh, gw].

    Both are counted in the patch and the ring of patches around it, so that a target across a border counts whole.
    """

    def around(mask_n1hw: Tensor) -> Tensor:
        sums_n1hw = F.avg_pool2d(mask_n1hw, pixels, ceil_mode=True, divisor_override=1)
        return F.avg_pool2d(sums_n1hw, 3, 1, 1, divisor_override=1)

    both_n1hw = around(predicted_n1hw * truth_n1hw)
    either_n1hw = around(torch.maximum(predicted_n1hw, truth_n1hw)).clamp(min=1)
    return both_n1hw / either_n1hw * F.max_pool2d(truth_n1hw, pixels, ceil_mode=True)


def _decide(head_nchw: Tensor | None, decide: Decision | None, before_n1hw: Tensor | None) -> _LevelOutput:
    if decide is None or head_nchw is None:
        return _LevelOutput(head_nchw, before_n1hw)
    scores_n2hw = head_nchw[:, :2]
    return _LevelOutput(head_nchw, decide(scores_n2hw) if before_n1hw is None else decide(scores_n2hw, before_n1hw))


def _scores(head: nn.Conv2d | None) -> nn.Conv2d:
    """The part of a head that decides."""
    assert head is not None and head.bias is not None, "deployed already"
    scores = nn.Conv2d(head.in_channels, 2, 1)
    scores.weight, scores.bias = nn.Parameter(head.weight[:2]), nn.Parameter(head.bias[:2])
    return scores


def _activate(act: nn.Module, x_nchw: Tensor, active_n1hw: Tensor | None) -> Tensor:
    y_nchw: Tensor = act(x_nchw) if active_n1hw is None else act(x_nchw, active_n1hw)
    return y_nchw


def _dropped(text: str) -> tuple[int, int]:
    """Percent of the patches that levels 3 and 2 skip, from "0.25/0.5"."""
    try:
        level3, level2 = (round(100 * float(part)) for part in text.split("/"))
    except ValueError:
        raise SpaceError(f"drop: got {text!r}; must be two shares such as 0.25/0.5") from None
    if not 0 <= level3 <= level2 < 100:
        raise SpaceError(f"drop: got {text!r}; must rise from level 3 to level 2 and stay below 1")
    return level3, level2


def _side(grid: int, stride: int) -> int:
    """Positions a side of a patch on the map of that stride, at least one."""
    return max(REFERENCE_SIDE // grid // stride, 1)


def _enlarge(times: int) -> nn.Upsample:
    return nn.Upsample(scale_factor=times, mode="bilinear", align_corners=False)


def _distribution(values: Values, widths: tuple[int, int, int], depth: int) -> tuple[Distribution | None, bool]:
    """The distribution, if there is one, and whether it stands behind the laterals."""
    kind = str(values["afd"])
    if kind == "off":
        return None, False
    gates = {"full": (True, True), "no_channel": (False, True), "no_spatial": (True, False)}
    if kind not in gates:
        raise SpaceError(f"afd: got {kind!r}; one of off, {', '.join(gates)}")
    by_channel, by_place = gates[kind]
    is_lateral_first = values["afd_width"] == "lateral"
    channels = (depth, depth, depth) if is_lateral_first else widths
    guided = _LEVELS[str(values["afd_to"])]
    return Distribution(channels, guided, by_channel=by_channel, by_place=by_place), is_lateral_first
