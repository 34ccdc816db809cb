"""Weights that others trained and published, as weights of our networks."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from irnas.core.errors import FormatError, IrnasError
from irnas.core.space import Genotype, Value
from irnas.models import rpcanet_plus

_HEAD = "decos."
"""What the names of an official RPCANet+ file begin with, after whatever wrapped the network."""
_MOST_TENSORS, _MOST_CHANNELS = 2_000, 1_024
"""Far above any network of the space; a file that claims more is not one of them."""
_VERSION = 1
"""Of the files that ``irnas import-weights`` of version 0.1 wrote."""


def convert_official(state: Mapping[str, Tensor]) -> tuple[dict[str, Value], dict[str, Tensor]]:
    """The network behind an official RPCANet+ state dict: its values in the space rpcanet_plus, and its weights.

    Stages, widths and depths are read off names and shapes. Names may carry a prefix, the same for all.

    Returns:
        A value for each axis, and a state dict that ``models.build`` of such a point loads strictly; float32.

    Raises:
        FormatError: a name too many, a name too few, or another shape than the rest implies.
    """
    plain = _plain(state)
    values = _values(plain)
    with torch.device("meta"):
        wanted = rpcanet_plus.build(values).state_dict()
    names = dict(_names(values))
    for theirs in names:
        if theirs not in plain:
            raise FormatError(f"weights: got no tensor {theirs}; must have it, with {_in_words(values)}")
    for theirs in plain:
        if theirs not in names:
            raise FormatError(f"weights: got a tensor {theirs}; must not have it, with {_in_words(values)}")
    converted: dict[str, Tensor] = {}
    for theirs, ours in names.items():
        tensor, expected = plain[theirs], wanted.pop(ours)
        if tensor.shape != expected.shape:
            must = f"must be {tuple(expected.shape)}, with {_in_words(values)}"
            raise FormatError(f"weights {theirs}: got shape {tuple(tensor.shape)}; {must}")
        if not tensor.isfinite().all():
            raise FormatError(f"weights {theirs}: got a number that is not finite; must be finite")
        converted[ours] = tensor.detach().to("cpu", expected.dtype).clone()
    assert not wanted, f"no official name for {sorted(wanted)}"
    return values, converted


def parse(content: bytes, where: str) -> dict[str, Any]:
    """The mapping in a file that torch saved; nothing in the file is executed.

    Raises:
        FormatError: the file holds anything else.
    """
    try:
        document = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except (RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError, pickle.UnpicklingError):
        # What torch says of a file that it cannot read are paragraphs, with advice that must not be followed here.
        raise FormatError(f"{where}: got a file that torch cannot read safely; must be a saved state dict") from None
    if not isinstance(document, Mapping):
        raise FormatError(f"{where}: got a {type(document).__name__}; must be a saved state dict")
    return dict(document)


def parse_imported(content: bytes, where: str) -> tuple[Genotype, dict[str, Any]]:
    """The point and the state dict in a file that ``irnas import-weights`` of version 0.1 wrote.

    Raises:
        FormatError: the file is no such file.
    """
    document = parse(content, where)
    version = document.get("irnas_weights")
    if version is None:
        raise FormatError(f"{where}: got a state dict alone; must say which network it is of (irnas import-weights)")
    if version != _VERSION:
        raise FormatError(
            f"{where}: got version {str(version)[:64]!r}; must be {_VERSION}, which came before safetensors"
        )
    try:
        return Genotype.from_document(document["genotype"]), dict(document["state"])
    except (IrnasError, KeyError, TypeError, ValueError, AttributeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise FormatError(f"{where}: got {reason}; must be a point with its own weights") from None


def _plain(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without the prefix of the names."""
    if not state or len(state) > _MOST_TENSORS:
        raise FormatError(f"weights: got {len(state)} tensors; must be 1 to {_MOST_TENSORS}")
    first = str(next(iter(state)))
    prefix, has_head, _ = first.partition(_HEAD)
    if not has_head:
        raise FormatError(f"weights: got a name {first!r}; must contain {_HEAD}, as in official RPCANet+ files")
    plain = {}
    for name, tensor in state.items():
        if not isinstance(name, str) or not name.startswith(prefix + _HEAD):
            raise FormatError(f"weights: got a name {name!r}; must begin with {prefix + _HEAD}, as the first does")
        if not isinstance(tensor, Tensor):
            raise FormatError(f"weights {name}: got a {type(tensor).__name__}; must be a tensor")
        plain[name.removeprefix(prefix)] = tensor
    return plain


def _values(plain: Mapping[str, Tensor]) -> dict[str, Value]:
    """What names and shapes say of the network; whether all of them agree is not asked here."""
    stages = {int(match[1]) for name in plain if (match := re.match(rf"{re.escape(_HEAD)}(\d{{1,2}})\.", name))}
    bc = _size(plain, "lowrank.convs.0.weight")
    tc = _size(plain, "merge.mapping.0.weight")
    hidden = _size(plain, "merge.channel_attention.excitation.0.weight")
    fitting = [r for r in (16, 8, 4, 2, 1) if tc // r == hidden]
    if not fitting:
        raise FormatError(f"weights: got {hidden} hidden channels for {tc}; must be {tc} over 1, 2, 4, 8 or 16")
    return {
        "stages": len(stages),
        "bc": bc,
        "tc": tc,
        "merge_bc": 0,
        "depth_b": _last(plain, "lowrank.convs") // 3 - 1,
        "depth_t": _last(plain, "sparse.convs") // 2 - 1,
        "depth_n": _last(plain, "residual.convs") // 2 - 1,
        "depth_m": _last(plain, "merge.mapping") // 3,
        "reduction": fitting[0],
        "binary": "off",
        "carry_n": False,
    }


def _size(plain: Mapping[str, Tensor], name: str) -> int:
    """Filters of a convolution of the first stage."""
    tensor = plain.get(f"{_HEAD}0.{name}")
    if tensor is None or tensor.ndim != 4 or not 1 <= tensor.shape[0] <= _MOST_CHANNELS:
        got = "nothing" if tensor is None else f"shape {tuple(tensor.shape)}"
        must = f"must be the weight of a convolution of 1 to {_MOST_CHANNELS} channels"
        raise FormatError(f"weights {_HEAD}0.{name}: got {got}; {must}")
    return tensor.shape[0]


def _last(plain: Mapping[str, Tensor], part: str) -> int:
    """The number of the last convolution of a part of the first stage."""
    head = re.escape(f"{_HEAD}0.{part}.")
    matches = [re.fullmatch(rf"{head}(\d{{1,2}})\.weight", name) for name, tensor in plain.items() if tensor.ndim == 4]
    numbers = [int(match[1]) for match in matches if match]
    least = 0 if part == "merge.mapping" else 1
    if max(numbers, default=-1) < least:
        raise FormatError(f"weights: got {len(numbers)} convolutions in {_HEAD}0.{part}; must be {1 + least} or more")
    return max(numbers)


def _in_words(values: Mapping[str, Value]) -> str:
    names = ("stages", "bc", "tc", "depth_b", "depth_t", "depth_n", "depth_m")
    return ", ".join(f"{name}={values[name]}" for name in names)


_CONV = ("weight", "bias")
_NORM = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")


def _names(values: Mapping[str, Value]) -> Iterator[tuple[str, str]]:
    """Each official name with ours."""
    for k in range(int(values["stages"])):
        for theirs, ours, leaves in _stage(values):
            for leaf in leaves:
                yield f"{_HEAD}{k}.{theirs}.{leaf}", f"stages.{k}.{ours}.{leaf}"
        yield f"{_HEAD}{k}.sparse.epsilon", f"stages.{k}.target_step.rate"
        yield f"{_HEAD}{k}.residual.sigma", f"stages.{k}.noise_step.rate"


def _stage(values: Mapping[str, Value]) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(official layer, our layer, names of its tensors). In their lists ReLUs and normalisations count as layers."""
    for theirs, convs, ours, depth, norm in (
        ("lowrank", "convs", "background", values["depth_b"], True),
        ("sparse", "convs", "target", values["depth_t"], False),
        ("residual", "convs", "noise", values["depth_n"], False),
        ("merge", "mapping", "merge", values["depth_m"], True),
    ):
        units = ["stem", *(f"trunk.{i}" for i in range(int(depth)))]
        pitch = 3 if norm else 2
        for index, unit in enumerate(units):
            yield f"{theirs}.{convs}.{pitch * index}", f"{ours}.{unit}.conv", _CONV
            if norm:
                yield f"{theirs}.{convs}.{pitch * index + 1}", f"{ours}.{unit}.norm", _NORM
        if theirs != "merge":
            yield f"{theirs}.{convs}.{pitch * len(units)}", f"{ours}.expand", _CONV
        yield f"{theirs}.channel_attention.excitation.0", f"{ours}.excite.excitation.squeeze", _CONV
        yield f"{theirs}.channel_attention.excitation.2", f"{ours}.excite.excitation.expand", _CONV
        yield f"{theirs}.final_conv", f"{ours}.project", _CONV
