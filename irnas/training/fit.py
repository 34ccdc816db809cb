"""Trains one network; knows images, masks and a budget, and nothing of who asked.

``fit`` is a generator of epochs rather than a caller of a callback: whoever drives it stops it by not asking for more,
so a scheduler needs no special return value and a paused trial is one that nobody iterates.
"""

from __future__ import annotations

import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irnas.core.errors import TrainingError
from irnas.core.settings import DEFAULT, OWN, Budget, Recipe
from irnas.data import Split
from irnas.data.loader import Batch, batches
from irnas.nn import fused, parameter_groups, set_progress, traits
from irnas.nn.loss import make_loss
from irnas.training.checkpoint import Stateful, read_checkpoint, write_checkpoint

_SURE = -30.0
"""A logit whose probability is 0 in every loss."""

Criterion = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""The loss of input, truth, and which pixels of it nobody cares about; None where these are none."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Training:
    """What stays the same from the first step of a training to its last; its parts change their state."""

    model: nn.Module
    average: nn.Module
    """The moving average of the model; the model itself where the recipe asks for none."""
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    loss_of: Criterion
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
            ignored = truth > 1 if truth_n1hw.max(initial=0) > 1 else None
            with torch.autocast(self.device, torch.bfloat16, enabled=self.recipe.amp and self.device != "cpu"):
                loss = self.loss_of(x, truth, ignored)
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


def _criterion(model: nn.Module, recipe: Recipe) -> Criterion:
    """The loss of input and truth, less the pixels that nobody cares about: one that the network brings, or of logits.

    Raises:
        TrainingError: the recipe asks for the loss of the network's paper, and the network has none.
    """
    brought = {DEFAULT: traits.default_loss, OWN: traits.own_loss}.get(recipe.loss, lambda _: None)(model)
    if brought is not None:
        return lambda x_nchw, truth_n1hw, ignored_n1hw: _refuse_ignored(brought(x_nchw, truth_n1hw), ignored_n1hw)
    if recipe.loss == OWN:
        raise TrainingError(
            f"recipe.loss: got {OWN} with a {type(model).__name__}, which has no loss of its own; must be {DEFAULT} or "
            "named"
        )
    of_logits = make_loss(DEFAULT_LOSS if recipe.loss == DEFAULT else recipe.loss)
    return lambda x_nchw, truth_n1hw, ignored_n1hw: of_logits(
        *without_ignored(model(x_nchw).float(), truth_n1hw, ignored_n1hw)
    )


def without_ignored(logits_n1hw: Tensor, truth_n1hw: Tensor, ignored_n1hw: Tensor | None) -> tuple[Tensor, Tensor]:
    """Logits and truth with ignored pixels as background that the network is sure of: no loss, and no gradient."""
    if ignored_n1hw is None:
        return logits_n1hw, truth_n1hw
    return logits_n1hw.masked_fill(ignored_n1hw, _SURE), truth_n1hw.masked_fill(ignored_n1hw, 0)


def _refuse_ignored(loss: Tensor, ignored_n1hw: Tensor | None) -> Tensor:
    if ignored_n1hw is not None:
        raise TrainingError(
            "recipe.loss: got a loss that a network brings, on masks with pixels that nobody cares about; must be one "
            f"of logits, which can leave them out (--loss {DEFAULT_LOSS})"
        )
    return loss


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
