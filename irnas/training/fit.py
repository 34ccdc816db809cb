"""Training and prediction of one network. Knows images, masks and a budget; does not know who listens.

``fit`` is a generator of epochs rather than a caller of a callback: whoever drives it stops it by not asking for more,
so a scheduler needs no special return value and a paused trial is one that nobody iterates.
"""

from __future__ import annotations

import copy
import io
import itertools
import math
import pickle
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from irnas import storage
from irnas.core.errors import FormatError, TrainingError
from irnas.core.settings import OWN, Budget, Recipe
from irnas.data import Split
from irnas.data.loader import batches
from irnas.metrics import Counts, Rules, count, summarize
from irnas.nn import parameter_groups, set_progress, traits
from irnas.nn.loss import make_loss

PAD = 16
"""Images are padded to a multiple of this and of the network's stride on their way through it."""

_PREDICT_BATCH = 8
DEFAULT_LOSS = "softiou+bce"
"""For families whose papers name no loss of their own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One pass over the training split, done."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the steps."""
    seconds: float
    model: nn.Module
    """What to validate: the trained network, or its moving average where the recipe asks for one."""


def fit(
    model: nn.Module,
    split: Split,
    budget: Budget,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: str | None = None,
) -> Iterator[Epoch]:
    """Train a model in place, yielding after each epoch.

    Args:
        model: maps x_nchw float32 in 0..1 to logits [N, 1, H, W]; irnas.nn.traits lists what it may say of itself.
        split: training images.
        budget: epochs, batch and crop.
        recipe: loss, optimiser and augmentation.
        seed: of the order of the images and their augmentation, epoch by epoch.
        device: where to train.
        checkpoint: URI that holds the state after each epoch; where it exists, training goes on from it.

    Raises:
        TrainingError: the loss is no longer finite; the message names epoch and step.
    """
    model.to(device)
    steps = math.ceil(len(split) / budget.batch)
    peak = recipe.lr or traits.learning_rate(model)
    optimizer = torch.optim.AdamW(parameter_groups(model, peak, recipe.weight_decay), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _rate(recipe, peak, steps * budget.epochs))
    average = copy.deepcopy(model) if recipe.ema else model
    parts: dict[str, Any] = {"model": model, "optimizer": optimizer, "schedule": schedule, "average": average}
    done, loss = _load(checkpoint, parts) if checkpoint else (0, 0.0)
    if done >= budget.epochs:
        # Everything was trained before a restart; only the verdict is missing.
        yield Epoch(epoch=done, loss=loss, seconds=0.0, model=average)
    for epoch in range(done + 1, budget.epochs + 1):
        started = time.perf_counter()
        set_progress(model, (epoch - 1) / budget.epochs)
        model.train()
        loss = _pass(model, split, budget, recipe, optimizer, schedule, average, seed=seed, epoch=epoch, device=device)
        set_progress(average, epoch / budget.epochs)
        if checkpoint:
            _save(checkpoint, parts, epoch, loss)
        yield Epoch(epoch=epoch, loss=loss, seconds=time.perf_counter() - started, model=average)


def pace(model: nn.Module, split: Split, budget: Budget, recipe: Recipe, *, steps: int = 3) -> float:
    """Seconds of CPU time that a pass over a split would take, from a few steps of it; changes the model."""
    optimizer = torch.optim.AdamW(parameter_groups(model, 1e-6, 0.0), fused=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda _: 1.0)
    took = []
    for epoch in range(2):
        # The first steps pay for memory and kernels that a training pays for once.
        started = time.process_time()
        _pass(
            model.train(),
            split,
            budget,
            recipe,
            optimizer,
            schedule,
            model,
            seed=0,
            epoch=epoch,
            device="cpu",
            most=steps,
        )
        took.append(time.process_time() - started)
    whole = math.ceil(len(split) / budget.batch)
    return took[-1] / min(steps, whole) * whole


def predict(model: nn.Module, image: np.ndarray) -> np.ndarray:
    """The target probability of each pixel, float32 [H, W], of one uint8 image [H, W] or window [T, H, W].

    The newest frame of a window comes last. A network of many frames sees a single image as one that never changed.
    """
    return next(predictions(model, [image]))


@torch.no_grad()
def predictions(model: nn.Module, images: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """``predict`` for many images in order; neighbours of one size share a batch."""
    model.eval()
    device = next(model.parameters()).device
    start = 0
    while start < len(images):
        stop = start + 1
        while stop < len(images) and stop - start < _PREDICT_BATCH and images[stop].shape == images[start].shape:
            stop += 1
        height, width = images[start].shape[-2:]
        stack = np.stack(images[start:stop]).reshape(stop - start, -1, height, width)
        x_nchw = torch.from_numpy(stack.astype(np.float32) / 255).to(device)
        if x_nchw.shape[1] == 1:
            x_nchw = x_nchw.expand(-1, traits.frames(model), -1, -1)
        # Repeating the edge adds no step that a network could take for a target.
        multiple = math.lcm(PAD, traits.stride(model))
        padding = (0, -width % multiple, 0, -height % multiple)
        logits = model(nn.functional.pad(x_nchw, padding, mode="replicate"))
        probabilities = logits[:, 0, :height, :width].float().sigmoid().cpu().numpy()
        yield from probabilities
        start = stop


def windows(model: nn.Module, split: Split, indices: Iterable[int]) -> list[np.ndarray]:
    """What a network sees of those images of a split: each image [H, W], or the window [T, H, W] that it ends."""
    num = traits.frames(model)
    return [split.image(i) if num == 1 else np.stack(split.window(i, num)) for i in indices]


def validate(model: nn.Module, split: Split, rules: Rules) -> tuple[dict[str, float], bool]:
    """The metrics of a model on a split, and whether it marks no pixel at all."""
    rows: list[Counts] = []
    images = windows(model, split, range(len(split)))
    is_blank = True
    for index, probability_hw in enumerate(predictions(model, images)):
        rows.append(count(probability_hw, split.mask(index), rules))
        is_blank = is_blank and not (probability_hw > 0.5).any()
    return summarize(Counts.concat(rows)), is_blank


def _pass(
    model: nn.Module,
    split: Split,
    budget: Budget,
    recipe: Recipe,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    average: nn.Module,
    *,
    seed: int,
    epoch: int,
    device: str,
    most: int | None = None,
) -> float:
    loss_of = _criterion(model, recipe)
    losses = []
    order = batches(
        split,
        batch=budget.batch,
        crop=budget.crop,
        seed=seed,
        epoch=epoch,
        target_share=recipe.target_share,
        augment=recipe.augment,
        frames=traits.frames(model),
    )
    for step, (x_nchw, truth_n1hw) in enumerate(itertools.islice(order, most), 1):
        x = torch.from_numpy(x_nchw).to(device, memory_format=torch.channels_last)
        truth = torch.from_numpy(truth_n1hw).to(device, torch.float32)
        with torch.autocast(device, torch.bfloat16, enabled=recipe.amp and device != "cpu"):
            loss = loss_of(x, truth)
        if not torch.isfinite(loss):
            raise TrainingError(f"epoch {epoch}, step {step}: got loss {loss.item()}; must be finite")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call] # torch publishes no type for it
        optimizer.step()
        schedule.step()
        losses.append(loss.detach())
        if average is not model:
            _follow(average, model, recipe.ema)
    if not losses:
        raise TrainingError(f"epoch {epoch}: got no batch; the split must have images")
    return torch.stack(losses).mean().item()


def _criterion(model: nn.Module, recipe: Recipe) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss as a function of input and truth: the network's own, or one of its logits."""
    own = traits.own_loss(model) if recipe.loss == OWN else None
    if own is not None:
        return own
    of_logits = make_loss(DEFAULT_LOSS if recipe.loss == OWN else recipe.loss)
    return lambda x_nchw, truth_n1hw: of_logits(model(x_nchw).float(), truth_n1hw)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
        mine.lerp_(theirs, 1 - decay)
    for kept, current in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(current)


class _rate:
    """Cosine from the peak to the end, after a linear rise; as a factor of the peak."""

    def __init__(self, recipe: Recipe, peak: float, steps: int) -> None:
        self._steps, self._rise = max(steps, 1), int(recipe.warmup * steps)
        self._end = min(recipe.lr_end / peak, 1.0)

    def __call__(self, step: int) -> float:
        if step < self._rise:
            return (step + 1) / (self._rise + 1)
        share = min((step - self._rise) / max(self._steps - self._rise, 1), 1.0)
        return self._end + (1 - self._end) * 0.5 * (1 + math.cos(math.pi * share))


def _save(uri: str, parts: dict[str, Any], epoch: int, loss: float) -> None:
    buffer = io.BytesIO()
    torch.save({"epoch": epoch, "loss": loss, **{name: part.state_dict() for name, part in parts.items()}}, buffer)
    storage.write(uri, buffer.getvalue())


def _load(uri: str, parts: dict[str, Any]) -> tuple[int, float]:
    content = storage.read(uri)
    if content is None:
        return 0, 0.0
    try:
        state = torch.load(io.BytesIO(content), weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(state[name])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise FormatError(
            f"{uri}: got {type(error).__name__} while reading; must be a checkpoint of this trial"
        ) from error
    return int(state["epoch"]), float(state["loss"])
