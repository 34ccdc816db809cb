"""BiisNet: a U-shaped network of binary layers (Xin, Mao, Wang, Zheng, Zhao, Chen, "10K is Enough: An Ultra-Lightweight
Binarized Network for Infrared Small-Target Detection").

The axes, and what each of them reproduces, are described in search_spaces/biisnet/README.md. Only the stem, the head,
the per-channel parameters, pooling and interpolation are in full precision.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from irnas.core.errors import SpaceError
from irnas.core.space import Value
from irnas.nn import traits
from irnas.nn.backward import limit_gradients
from irnas.nn.block import Down, Fuse, Layer, Recipe, Up
from irnas.nn.channel import Gain, Subsample
from irnas.nn.contrast import LocalContrast
from irnas.nn.loss import softiou
from irnas.nn.reach import reach

Values = Mapping[str, Value]

INPUT_AXIS = "in_ch"
"""See irnas.models."""

SHALLOW = 16
"""Blocks of the deepest network of a default search."""


class BiisNet(nn.Module):
    """Stem, ``stages`` levels down, bottom, the same levels up with skip connections, head.

    Level l works on maps of 1/2^l of the input's height and width and has base * growth0 * ... * growth(l-1) channels.
    """

    def __init__(self, values: Values) -> None:
        super().__init__()
        stages, base = int(values["stages"]), int(values["base"])
        widths = [base]
        for level in range(stages):
            widths.append(widths[-1] * int(values[f"growth{level}"]))
        recipe, gain = _recipe(values), int(values["gain"])
        layer2, bottom2 = str(values["layer2"]), str(values.get("bot_layer2", "same"))
        bottom2 = layer2 if bottom2 == "same" else bottom2
        levels = range(stages)
        self.in_channels, self.stride = int(values[INPUT_AXIS]), 2**stages
        self.amplify = Gain(gain) if gain != 1 else None
        scales = int(values.get("contrast", 0))
        self.contrast: nn.Module = LocalContrast(scales) if scales else nn.Identity()
        self.stem = _convolution(scales or self.in_channels, base, int(values["stem_k"]))
        if self.stem.kernel_size != (1, 1):
            # Filters that sum to zero: otherwise the brightness of a scene alone decides the first signs, the same all
            # over the image, and training can stay there.
            with torch.no_grad():
                self.stem.weight -= self.stem.weight.mean((2, 3), keepdim=True)
        self.embed = _projection(values, recipe, base)
        self.enc = nn.ModuleList(_blocks(values, recipe, widths[i], int(values[f"n_enc{i}"]), layer2) for i in levels)
        self.bottom = _blocks(values, recipe, widths[-1], int(values["n_bot"]), bottom2)
        transitions = [_transitions(values, recipe, widths[i], widths[i + 1]) for i in levels]
        self.down = nn.ModuleList(t[0] for t in transitions)
        self.up = nn.ModuleList(t[1] for t in transitions)
        self.fuse = nn.ModuleList(t[2] for t in transitions)
        self.dec = nn.ModuleList(_blocks(values, recipe, widths[i], int(values[f"n_dec{i}"]), layer2) for i in levels)
        self.project = _projection(values, recipe, base)
        self.head = _convolution(base, 1, int(values["head_k"]))
        self.attenuate = Gain(1 / gain) if gain != 1 else None
        if values["a_bin"] != "norm":
            # That one takes the mean of the image.
            self.halo = self._halo()
        if _may_explode(values):
            for part in self.modules():
                if isinstance(part, Layer):
                    limit_gradients(part)

    def forward(self, x_nchw: Tensor) -> Tensor:
        """[N, 1, H, W] or [N, in_ch, H, W] in 0..1 to logits [N, 1, H, W]; one channel is repeated where three are due.

        Raises:
            DataError: another number of channels, or H or W that is no multiple of 2**stages.
        """
        x_nchw = traits.admit(x_nchw, self.in_channels, self.stride)
        if self.amplify is not None:
            x_nchw = self.amplify(x_nchw)
        x_nchw = self.embed(self.stem(self.contrast(x_nchw)))
        skips: list[Tensor] = []
        for blocks, down in zip(self.enc, self.down, strict=True):
            x_nchw = blocks(x_nchw)
            skips.append(x_nchw)
            x_nchw = down(x_nchw)
        x_nchw = self.bottom(x_nchw)
        for level in reversed(range(len(skips))):
            x_nchw = self.fuse[level](self.up[level](x_nchw), skips.pop())
            x_nchw = self.dec[level](x_nchw)
        logits_n1hw: Tensor = self.head(self.project(x_nchw))
        return logits_n1hw if self.attenuate is None else self.attenuate(logits_n1hw)

    def _halo(self) -> int:
        """How far a logit looks: a pixel of level l is 2^l pixels of the image."""
        halo = reach(self.contrast, self.stem, self.embed, self.project, self.head)
        for level, (enc, dec, fuse) in enumerate(zip(self.enc, self.dec, self.fuse, strict=True)):
            halo += (reach(enc, dec, fuse) + 2 * reach(self.down[level], self.up[level])) << level
        return halo + (reach(self.bottom) << len(self.enc))

    def paper_loss(self, x_nchw: Tensor, truth_n1hw: Tensor) -> Tensor:
        """Soft IoU; sums over the batch and smooth term 1 are ours, the paper says nothing of them; a scalar."""
        return softiou(self(x_nchw).float(), truth_n1hw)


def build(values: Values) -> nn.Module:
    """The untrained network with the active values of a genotype of search_spaces/biisnet/space.yaml."""
    return BiisNet(values)


def _may_explode(values: Values) -> bool:
    """Whether gradients may leave the range of a float, as they cannot in what a search varies by itself."""
    num_blocks = sum(int(count) for axis, count in values.items() if axis.startswith("n_"))
    has_unscaled_weights = values["w_bin"] in ("sign", "libra_pow2")
    is_normalised = values["bn"] or "none" in (values["a_bin"], values.get("trans_a_bin"))
    has_detour = values["residual"] != "act_then_add" or values.get("trans_form") == "direct"
    return bool(num_blocks > SHALLOW or has_unscaled_weights or is_normalised or has_detour)


def _recipe(values: Values) -> Recipe:
    return Recipe(
        w_bin=str(values["w_bin"]),
        a_bin=str(values["a_bin"]),
        est_a=str(values.get("est_a", "clip")),
        est_w=str(values["est_w"]),
        k0=float(values.get("k0", 1.0)),
        k_scope=str(values["k_scope"]),
        act_bc=str(values["act_bc"]),
        act_db=str(values["act_db"]),
        # Maps in full precision double from layer to layer unless they are normalised.
        bn=bool(values["bn"]) or values["a_bin"] == "none",
        out_affine=bool(values["out_affine"]),
        residual=str(values["residual"]),
        redist_shift=bool(values["redist_shift"]),
        db_norm=str(values["db_norm"]),
        db_through=bool(values["db_through"]),
        pad=int(values["pad"]),
        at_zero=int(values["sign0"]),
    )


def _convolution(channels: int, out_channels: int, kernel: int) -> nn.Conv2d:
    return nn.Conv2d(channels, out_channels, kernel, padding=kernel // 2, bias=False)


def _projection(values: Values, recipe: Recipe, channels: int) -> nn.Module:
    """What stands between stem and body, and again between body and head: nothing, or a 3x3 convolution."""
    match values["embed"]:
        case "none":
            return nn.Identity()
        case "fp":
            return _convolution(channels, channels, 3)
        case "binary":
            return Layer(recipe, "BC", channels)
    raise SpaceError(f"embed: got {values['embed']!r}; one of none, fp, binary")


def _blocks(values: Values, recipe: Recipe, channels: int, num_blocks: int, second: str) -> nn.Sequential:
    """Binary Blocks (eqs 9-12): a BC layer and a second layer of the kind ``second``."""
    redist, base = int(values["redist"]), int(values["base"])
    # Stated as parts of the base width, so that the groups divide every level of every network.
    per_group = {"all": channels, "base": base, "half": base // 2, "one": 1}[str(values["ch_per_group"])]
    groups = channels // per_group
    layers: list[nn.Module] = []
    for _ in range(num_blocks):
        layers.append(Layer(recipe, "BC", channels, groups=groups, redist=redist == 2))
        layers.append(Layer(recipe, second, channels, groups=groups if second == "BC" else 1, redist=redist >= 1))
    return nn.Sequential(*layers)


def _transitions(values: Values, recipe: Recipe, channels: int, out_channels: int) -> tuple[Down, Up, Fuse]:
    """DS ``channels`` -> ``out_channels``, US and FU back (section 3.1 names them; their shape is BiSRNet's)."""
    kind, redist = str(values["trans"]), bool(values.get("redist_trans", False))
    if values.get("trans_a_bin", "same") == "none":
        recipe = replace(recipe, a_bin="none", bn=True)
    kernels = {name: int(values.get(f"trans_k_{name}", 1)) for name in ("down", "up", "fuse")}
    pool, mode = str(values["down"]), str(values["up"])

    def unit(name: str, stride: int = 1) -> nn.Module:
        # It keeps its channels, so its residual survives; that is why transitions come in pairs.
        if kind == "none":
            return nn.Identity()
        return Layer(recipe, kind, channels, kernel=kernels[name], stride=stride, redist=redist)

    def across(name: str, before: int, after: int, stride: int = 1, skip: str = "none") -> nn.Module:
        return Layer(recipe, kind, before, after, kernel=kernels[name], stride=stride, redist=redist, skip=skip)

    if values.get("trans_form", "pair") == "direct":
        pooling, stride = _pool(pool, kind)
        down = Down(pooling, [across("down", channels, out_channels, stride, str(values["trans_skip"]))])
        up = Up(mode, [across("up", out_channels, channels)])
        return down, up, Fuse([across("fuse", 2 * channels, channels)])
    pooling, stride = _pool(pool, kind)
    copies = range(out_channels // channels)
    down = Down(pooling, [unit("down", stride) for _ in copies])
    return down, Up(mode, [unit("up") for _ in copies]), Fuse([unit("fuse"), unit("fuse")])


def _pool(name: str, kind: str) -> tuple[nn.Module | None, int]:
    """What halves the map ahead of the layers, and the stride of the layers themselves."""
    match name:
        case "avgpool":
            return nn.AvgPool2d(2), 1
        case "maxpool":
            return nn.MaxPool2d(2), 1
        case "stride2":
            # Without a window to stride, every second pixel is what is left.
            return (None, 2) if kind == "BC" else (Subsample(), 1)
    raise SpaceError(f"down: got {name!r}; one of avgpool, maxpool, stride2")
