"""The gate before a file is written: the exported model and the network it came from, on real images.

A sign that falls the other way, because sums were rounded in another order, changes everything behind it. So the two
are compared by how many signs and mask pixels differ, and by their metrics, not by the size of a difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from irnas import runtime
from irnas.core.errors import ExportError
from irnas.data import Split
from irnas.metrics import Counts, Rules, count_labels, summarize
from irnas.nn.binary import BinaryConv2d
from irnas.runtime import format, reference
from irnas.runtime.format import Model
from irnas.training.prediction import predictions, windows

Image = npt.NDArray[np.uint8]
Probability = npt.NDArray[np.float32]
Run = Callable[[Image], Probability]
"""From a uint8 image [H, W] to the probability of each pixel, float32 [H, W]."""

POINTS_MOST = 0.1
"""Most that a metric may move, in points: hundredths of a fraction."""
SIGN_IMAGES = 2
"""Images on which every sign inside the network is compared: each takes a second in NumPy."""
UNREST_DRAWS = 4
"""Rounding errors that a refusal tries on the network itself; a sign that hangs on one bit shows in every second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """How a file differs from the network it came from."""

    engine: str
    """What ran the file."""
    images: int
    dataset: str
    sign_flip_rate: float | None
    """Share of the signs inside the network that differ; None for a file that does not tell."""
    mask_flip_rate: float
    """Share of the pixels whose mask differs."""
    moved_points: float
    """The largest difference of a metric, in points."""
    network: Mapping[str, float]
    """Metrics of the network, fractions."""
    file: Mapping[str, float]

    def document(self) -> dict[str, Any]:
        """As the file's metadata holds it."""
        return asdict(self)


def compare(network: nn.Module, run: Run, engine: str, split: Split, rules: Rules, most: int) -> Parity:
    """Run both on the first ``most`` images of a split.

    Raises:
        ExportError: a metric moves by more than POINTS_MOST, or either yields NaN. The message says how far the
            network's own metrics move by rounding alone, see ``measure_unrest``.
    """
    images = windows(network, split, range(min(most, len(split))))
    if not images:
        raise ExportError(f"parity: got no image in {split!r}; must have at least one")
    rows: tuple[list[Counts], list[Counts]] = ([], [])
    flips = pixels = 0
    for index, wanted_hw in enumerate(predictions(network, images)):
        found_hw = run(images[index])
        for who, map_hw in (("network", wanted_hw), ("file", found_hw)):
            if not np.isfinite(map_hw).all():
                raise ExportError(f"{who} on image {split.name(index)}: got NaN; must be finite everywhere")
        flips += int(((found_hw > rules.threshold) != (wanted_hw > rules.threshold)).sum())
        pixels += found_hw.size
        for row, probability_hw in zip(rows, (wanted_hw, found_hw), strict=True):
            row.append(count_labels(probability_hw, split.mask(index), rules))
    ours, theirs = (summarize(Counts.concat(row)) for row in rows)
    moved = _points(ours, theirs)
    if not moved <= POINTS_MOST:
        worst = max(ours, key=lambda name: abs(ours[name] - theirs[name]))
        got = f"{worst} {theirs[worst]:.5f} in the file and {ours[worst]:.5f} in the network"
        own = f"rounding alone moves the network itself by {measure_unrest(network, split, rules, most):.3f} points"
        raise ExportError(f"parity on {len(images)} images: got {got}; must be within {POINTS_MOST} points; {own}")
    return Parity(
        engine=engine,
        images=len(images),
        dataset=f"{split.dataset.name}/{split.label}",
        sign_flip_rate=None,
        mask_flip_rate=flips / pixels,
        moved_points=moved,
        network=ours,
        file=theirs,
    )


def measure_unrest(network: nn.Module, split: Split, rules: Rules, most: int) -> float:
    """How far a network's own metrics move, in points, if input, parameters and output are off by one rounding each.

    The most of UNREST_DRAWS draws on the first ``most`` images, in each of which a value goes up, goes down or stays.
    Parameters count as well: behind signs that hold, sums take few values, and one of those may be 0 but for rounding.
    A network that moves by more than POINTS_MOST hangs on signs or scores within rounding of their thresholds: in
    torch, too, it gives other metrics with another batch size or processor, and no file can be held to one of them.
    """
    images = [split.image(i) for i in range(min(most, len(split)))]
    calm = _metrics(predictions(network, images), split, rules)
    moves = []
    for seed in range(UNREST_DRAWS):
        random = np.random.default_rng(seed)
        with _shaken(network, seed):
            maps = [_steps(probability_hw, random) for probability_hw in predictions(network, images)]
        moves.append(_points(calm, _metrics(maps, split, rules)))
    return max(moves)


@contextmanager
def _shaken(network: nn.Module, seed: int) -> Iterator[None]:
    """Every value of the network's input and of its parameters goes to the next number up or down, or stays."""
    generator = torch.Generator().manual_seed(seed)

    def shake(x: Tensor, shape: Sequence[int]) -> Tensor:
        return torch.nextafter(x, x + torch.randint(-1, 2, tuple(shape), generator=generator).to(x.device))

    def enter(_: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
        # One draw for a pixel, whatever the channels: an image repeated three times stays one.
        return shake(inputs[0], (inputs[0].shape[0], 1, *inputs[0].shape[2:]))

    kept = [parameter.detach().clone() for parameter in network.parameters()]
    hook = network.register_forward_pre_hook(enter)
    try:
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.copy_(shake(parameter, parameter.shape))
        yield
    finally:
        hook.remove()
        with torch.no_grad():
            for parameter, before in zip(network.parameters(), kept, strict=True):
                parameter.copy_(before)


def _steps(probability_hw: Probability, random: np.random.Generator) -> Probability:
    steps_hw = random.integers(-1, 2, probability_hw.shape, np.int8)
    moved_hw: Probability = np.nextafter(probability_hw, probability_hw + steps_hw).clip(0, 1)
    return moved_hw


def _metrics(maps: Iterable[Probability], split: Split, rules: Rules) -> dict[str, float]:
    """Metrics of maps of the first images of a split."""
    rows = [count_labels(probability_hw, split.mask(index), rules) for index, probability_hw in enumerate(maps)]
    return summarize(Counts.concat(rows))


def _points(ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    return max(abs(ours[name] - theirs[name]) * 100 for name in ours)


def sign_flip_rate(
    network: nn.Module, model: Model, blocks: Sequence[nn.Module], run: Run, engine: str, images: Sequence[Image]
) -> float:
    """The share of the signs inside a network that differ between torch and the NumPy reference; 0 without signs.

    On the same images the engine is held against the reference.

    Raises:
        ExportError: engine and reference differ in a bit: one of the two has a bug.
    """
    flips = total = 0
    binary = [op for op in model.ops if op.kind == "binary_block"]
    for image_hw in images:
        height, width = image_hw.shape
        x_hwc = reference.prepare(model.input, image_hw)
        tensors = reference.compute_tensors(model, x_hwc)
        _require_equal(run(image_hw), tensors[-1][:height, :width, 0], engine)
        with _signs(blocks) as seen, torch.no_grad():
            network(torch.from_numpy(np.moveaxis(x_hwc, -1, 0)[None].copy()))
        for op, block in zip(binary, blocks, strict=True):
            ours_hwc = np.moveaxis(seen[block][0].numpy(), 0, -1)
            flips += int((ours_hwc != reference.compute_signs(op, tensors[op.inputs[0]])).sum())
            total += ours_hwc.size
    return flips / max(total, 1)


def make_runner(model: Model) -> tuple[Run, str]:
    """What runs a model here: the native engine, else the NumPy reference; and its name.

    Raises:
        ExportError: the engine is here and differs from the reference in a bit.
    """
    engine = _engine(model)
    if engine is None:
        return lambda image_hw: reference.predict(model, image_hw), "numpy reference"
    run, name = engine
    here = model.reference
    x_hwc = reference.make_reference_input(here.height, here.width, model.input.channels, here.seed)
    grey_hw = (x_hwc[:, :, 0] * 255).astype(np.uint8)
    _require_equal(run(grey_hw), reference.predict(model, grey_hw), name)
    return run, name


def _require_equal(actual: Probability, expected: Probability, engine: str) -> None:
    if not np.array_equal(actual, expected):
        raise ExportError(f"engine {engine}: got another result than the reference; must be equal in every bit")


def _engine(model: Model) -> tuple[Run, str] | None:
    """The native engine with a model loaded, where it has been built."""
    try:
        runtime.kernels()
    except ExportError:
        return None
    loaded = runtime.Model(format.write(model))
    return (lambda image_hw: loaded.run(image_hw[None])[0]), f"xnor {loaded.facts.kernels}"


@contextmanager
def _signs(blocks: Sequence[nn.Module]) -> Iterator[dict[nn.Module, Tensor]]:
    """The signs that binary convolutions saw in the last run, [N, C, H, W]."""
    seen: dict[nn.Module, Tensor] = {}
    hooks = []
    for block in blocks:
        assert isinstance(block, BinaryConv2d) and block.sign is not None

        def keep(_: nn.Module, __: object, signs_nchw: Tensor, block: nn.Module = block) -> None:
            seen[block] = signs_nchw

        hooks.append(block.sign.register_forward_hook(keep))
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()
