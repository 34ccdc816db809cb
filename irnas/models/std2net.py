"""STD2Net: SD2Net over each frame of a window, and the newest frame decomposed over its differences to the earlier ones
(arXiv 2512.03470, multi-frame network).

The axes, and what each of them reproduces, are described in search_spaces/std2net/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from irnas.core.errors import DataError, SpaceError
from irnas.core.space import Value
from irnas.models.sd2net import STRIDE, SD2Net
from irnas.nn.channel import Concat, Unapplied
from irnas.nn.difference import TemporalRecombination
from irnas.nn.dynamic import with_dynamic_filters
from irnas.nn.loss import softiou
from irnas.nn.rsu import RSU, unit

Values = Mapping[str, Value]


class STD2Net(nn.Module):
    """The same encoder on every frame, then a head over the features of all of them.

    Each frame is encoded without regard to the others, so features can be kept from one window to the next; ``Stream``
    does. In training, batch statistics of the encoder are those of all frames of a batch together.
    """

    stride = STRIDE
    learning_rate = 3e-3

    def __init__(self, values: Values) -> None:
        super().__init__()
        self.frames = int(values["frames"])
        features = int(values["features"])
        self.encoder = SD2Net(values, outputs=features)
        self.temporal = _temporal(values, self.frames, features)

    def forward(self, x_ntchw: Tensor) -> Tensor:
        """A window [N, frames, H, W] in 0..1, newest frame last, to logits [N, 1, H, W] of the newest frame.

        A single image [N, 1, H, W] is a window that never changed.

        Raises:
            DataError: another number of frames, or H or W that is no multiple of 32.
        """
        num, frames, height, width = x_ntchw.shape
        if frames not in (1, self.frames):
            raise DataError(f"network input: got {frames} frames; must be 1 or {self.frames}")
        x_ntchw = x_ntchw.expand(-1, self.frames, -1, -1)
        features = self.encode(x_ntchw.reshape(num * self.frames, 1, height, width))
        return self.decode(features.reshape(num, -1, height, width))

    def encode(self, x_n1hw: Tensor) -> Tensor:
        """Frames [N, 1, H, W] to the features of each, [N, c, H, W]."""
        features_nchw: Tensor = self.encoder(x_n1hw)
        return features_nchw

    def decode(self, features_nchw: Tensor) -> Tensor:
        """The features of a window's frames [N, frames * c, H, W], newest last, to logits [N, 1, H, W]."""
        logits_n1hw: Tensor = self.temporal(features_nchw)
        return logits_n1hw

    def per_frame(self) -> nn.Module:
        """What one more frame of a sequence takes, with the features of the others kept."""
        return _PerFrame(self)

    def deploy(self) -> nn.Module:
        """An equal network in eval mode whose spatial decompositions are dynamic filters, without what is unapplied."""
        deployed = with_dynamic_filters(self)
        for part in deployed.modules():
            if isinstance(part, HeavyHead):
                part.origin[1] = nn.Identity()
        return deployed

    def loss(self, x_ntchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """The paper's: soft IoU of the newest frame, sums over the whole batch, smooth term 1; a scalar."""
        return softiou(self(x_ntchw).float(), truth_n1hw)


class LightHead(nn.Module):
    """The decomposition of a mixture of all frames' features, a small U, a 1x1 convolution (the paper's text).

    Args:
        frames: of the window.
        features: c, of each frame.
        basis: see ``TemporalRecombination``.
        width: half the width of the U's result.
        binary: whether the U is binary.
    """

    def __init__(self, frames: int, features: int, basis: str, width: int, *, binary: bool) -> None:
        super().__init__()
        self.origin = nn.Conv2d(frames * features, features, 1)
        self.recombine = TemporalRecombination(frames, basis)
        self.leave = RSU(features, width, 2 * width, binary=binary)
        self.head = nn.Conv2d(2 * width, 1, 1)

    def forward(self, features_nchw: Tensor) -> Tensor:
        """[N, frames * c, H, W] to [N, 1, H, W]."""
        y_nchw = self.recombine(self.origin(features_nchw), features_nchw)
        logits_n1hw: Tensor = self.head(self.leave(y_nchw))
        return logits_n1hw


class HeavyHead(nn.Module):
    """The same beside a convolution over all frames and one of the newest, and a U over the three (the authors' code).

    Features are normalised first, by one scale and shift for each place in the window; hence what is kept of a frame
    from one window to the next is what comes before that. The authors declare one more normalisation and never apply
    it: its parameters count, and do nothing. Arguments as of ``LightHead``.
    """

    def __init__(self, frames: int, features: int, basis: str, *, binary: bool) -> None:
        super().__init__()
        self.frames, self.features = frames, features
        self.norm = nn.BatchNorm3d(frames)
        self.origin = nn.Sequential(
            nn.Conv2d(features, features, 1), Unapplied(features), nn.Conv2d(features, features, 1)
        )
        self.recombine = TemporalRecombination(frames, basis)
        self.local = nn.Sequential(unit(frames * features, features, binary=binary), nn.Conv2d(features, features, 1))
        self.identity = nn.Conv2d(features, features, 1)
        self.concat = Concat()
        self.leave = RSU(3 * features, 3 * features, 3 * features, binary=binary)
        self.head = nn.Conv2d(3 * features, 1, 1)

    def forward(self, features_nchw: Tensor) -> Tensor:
        """[N, frames * c, H, W] to [N, 1, H, W]."""
        num, _, height, width = features_nchw.shape
        frames_ntchw = features_nchw.reshape(num, self.frames, -1, height, width)
        features_nchw = self.norm(frames_ntchw).reshape(num, -1, height, width)
        newest_nchw = features_nchw[:, -self.features :]
        y_nchw = self.recombine(self.origin(newest_nchw), features_nchw)
        y_nchw = self.concat(y_nchw, self.local(features_nchw), self.identity(newest_nchw))
        logits_n1hw: Tensor = self.head(self.leave(y_nchw))
        return logits_n1hw


class _PerFrame(nn.Module):
    """The newest frame alone through the encoder, the head over a window whose other features stand for kept ones."""

    def __init__(self, network: STD2Net) -> None:
        super().__init__()
        self.encoder, self.temporal, self.frames = network.encoder, network.temporal, network.frames

    def forward(self, x_ntchw: Tensor) -> Tensor:
        features_nchw = self.encoder(x_ntchw[:, -1:])
        num, _, height, width = features_nchw.shape
        kept = features_nchw[:, None].expand(-1, self.frames, -1, -1, -1)
        logits_n1hw: Tensor = self.temporal(kept.reshape(num, -1, height, width))
        return logits_n1hw


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/std2net/space.yaml."""
    return STD2Net(values)


def _temporal(values: Values, frames: int, features: int) -> nn.Module:
    basis, binary = str(values["basis"]), values["binary"] == "body"
    match values["temporal_head"]:
        case "light":
            return LightHead(frames, features, basis, int(values["c"]), binary=binary)
        case "heavy":
            return HeavyHead(frames, features, basis, binary=binary)
    raise SpaceError(f"temporal_head: got {values['temporal_head']!r}; one of light, heavy")
