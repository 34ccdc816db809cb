"""Trains one network and predicts with it; knows images, masks and a budget, and nothing of who asked.

``fit`` is a generator of epochs rather than a caller of a callback: whoever drives it stops it by not asking for more,
so a scheduler needs no special return value and a paused trial is one that nobody iterates.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from irnas.core.errors import TrainingError
from irnas.core.settings import OWN, Budget, Recipe
from irnas.data import Split
from irnas.data.loader import Batch, batches
from irnas.metrics import Counts, Rules, count_labels, summarize
from irnas.nn import fused, parameter_groups, set_progress, traits
from irnas.nn.loss import make_loss
from irnas.training.checkpoint import Stateful, read_checkpoint, write_checkpoint

PAD = 16
"""Images are padded to a multiple of this and of the network's stride on their way through it."""

_PREDICT_BATCH = 8
DEFAULT_LOSS = "softiou+bce"
"""The loss of families whose papers name none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training split came to."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the steps."""
    seconds: float
    model: nn.Module
    """What to validate: the trained network, or its moving average where the recipe asks for one."""
    fused: bool | None
    """Whether fused kernels (irnas.nn.fused) took part; None for an epoch that another process trained."""


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
    training = _Training.of(model, split, budget, recipe, seed=seed, device=device)
    parts = training.parts()
    done, loss = read_checkpoint(checkpoint, parts) if checkpoint else (0, 0.0)
    if done >= budget.epochs:
        # Everything was trained before a restart; only the validation is missing.
        yield Epoch(epoch=done, loss=loss, seconds=0.0, model=training.average, fused=None)
    for epoch in range(done + 1, budget.epochs + 1):
        started, num_calls = time.perf_counter(), fused.num_calls()
        set_progress(model, (epoch - 1) / budget.epochs)
        model.train()
        loss = training.run_epoch(epoch)
        set_progress(training.average, epoch / budget.epochs)
        if checkpoint:
            write_checkpoint(checkpoint, parts, epoch, loss)
        seconds, is_fused = time.perf_counter() - started, fused.num_calls() > num_calls
        yield Epoch(epoch=epoch, loss=loss, seconds=seconds, model=training.average, fused=is_fused)


def pace(model: nn.Module, split: Split, budget: Budget, recipe: Recipe, *, steps: int = 3) -> float:
    """Seconds of CPU time that a pass over a split would take, from a few steps of it; changes the model."""
    slow = replace(recipe, lr=1e-6, lr_end=0.0, weight_decay=0.0, ema=0.0)
    training = _Training.of(model.train(), split, budget, slow, seed=0, device="cpu")
    seconds = []
    for epoch in range(2):
        # The first steps pay for memory and kernels that a training pays for once.
        started = time.process_time()
        training.run_epoch(epoch, max_steps=steps)
        seconds.append(time.process_time() - started)
    steps_of_pass = _steps_of(split, budget)
    return seconds[-1] / min(steps, steps_of_pass) * steps_of_pass


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
        rows.append(count_labels(probability_hw, split.mask(index), rules))
        is_blank = is_blank and not (probability_hw > 0.5).any()
    return summarize(Counts.concat(rows)), is_blank


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """What stays the same from the first step of a training to its last; its parts change their state."""

    model: nn.Module
    average: nn.Module
    """The moving average of the model; the model itself where the recipe asks for none."""
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    loss_of: Callable[[Tensor, Tensor], Tensor]
    split: Split
    budget: Budget
    recipe: Recipe
    seed: int
    device: str

    @classmethod
    def of(
        cls,
        model: nn.Module,
        split: Split,
        budget: Budget,
        recipe: Recipe,
        *,
        seed: int,
        device: str,
    ) -> _Training:
        """A training that has not begun; arguments as of ``fit``."""
        peak = recipe.lr or traits.learning_rate(model)
        rate = _rate(recipe, peak, _steps_of(split, budget) * budget.epochs)
        optimizer = torch.optim.AdamW(parameter_groups(model, peak, recipe.weight_decay), fused=True)
        return cls(
            model=model,
            average=copy.deepcopy(model) if recipe.ema else model,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, rate),
            loss_of=_criterion(model, recipe),
            split=split,
            budget=budget,
            recipe=recipe,
            seed=seed,
            device=device,
        )

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint keeps the state of."""
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "average": self.average}

    def run_epoch(self, epoch: int, *, max_steps: int | None = None) -> float:
        """Train on the batches of one pass, at most ``max_steps`` of them; the mean loss over the steps.

        Raises:
            TrainingError: the loss is not finite, or the split has no image.
        """
        losses = []
        for step, (x_nchw, truth_n1hw) in enumerate(itertools.islice(self._batches(epoch), max_steps), 1):
            x = torch.from_numpy(x_nchw).to(self.device, memory_format=torch.channels_last)
            truth = torch.from_numpy(truth_n1hw).to(self.device, torch.float32)
            with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.amp and self.device != "cpu"):
                loss = self.loss_of(x, truth)
            if not torch.isfinite(loss):
                raise TrainingError(f"epoch {epoch}, step {step}: got loss {loss.item()}; must be finite")
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch publishes no type for it
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.detach())
            if self.average is not self.model:
                _follow(self.average, self.model, self.recipe.ema)
        if not losses:
            raise TrainingError(f"epoch {epoch}: got no batch; the split must have images")
        return torch.stack(losses).mean().item()

    def _batches(self, epoch: int) -> Iterator[Batch]:
        return batches(
            self.split,
            batch=self.budget.batch,
            crop=self.budget.crop,
            seed=self.seed,
            epoch=epoch,
            target_share=self.recipe.target_share,
            augment=self.recipe.augment,
            frames=traits.frames(self.model),
        )


def _steps_of(split: Split, budget: Budget) -> int:
    """The number of batches in a pass over a split."""
    return math.ceil(len(split) / budget.batch)


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
