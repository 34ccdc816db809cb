"""Trains one network; knows images, masks and a budget, and nothing of who asked.

``fit`` is a generator of epochs rather than a caller of a callback: whoever drives it stops it by not asking for more,
so a scheduler needs no special return value and a paused trial is one that nobody iterates.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irnas.core.errors import TrainingError
from irnas.core.recipe import Budget, Recipe
from irnas.data import Split
from irnas.nn import fused, parameter_groups, set_progress, traits
from irnas.training.checkpoint import Stateful, read_checkpoint, write_checkpoint
from irnas.training.criterion import Criterion, make_criterion
from irnas.training.feed import Feed, make_feed
from irnas.training.phases import Phase, learning_rate, plan_phases
from irnas.training.statistics import estimate_statistics

_OTHER = 0x5EED
"""Tells the seed of batches that statistics are estimated from, from that of the training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """What one pass over the training split came to."""

    epoch: int
    """From 1."""
    loss: float
    """Mean over the steps."""
    seconds: float
    model: nn.Module
    """The trained network, or its moving average where the recipe asks for one; ``settle`` it before it is judged."""
    fused: bool | None
    """Whether fused kernels (irnas.nn.fused) took part; None for an epoch that another process trained."""
    settle: Callable[[], None]
    """Estimates the model's batch statistics anew; see irnas.training.statistics."""


def fit(
    model: nn.Module,
    split: Split,
    budget: Budget,
    recipe: Recipe,
    *,
    seed: int,
    device: str = "cpu",
    checkpoint: str | None = None,
    repeats_last: bool = False,
) -> Iterator[Epoch]:
    """Train a model in place, yielding after each epoch.

    Args:
        model: maps x_nchw float32 in 0..1 to logits [N, 1, H, W]; irnas.nn.traits lists what it may say of itself.
        split: training images.
        budget: epochs, batch and crop.
        recipe: loss, optimiser, schedule and augmentation.
        seed: of the order of the images and their augmentation, epoch by epoch.
        device: where to train.
        checkpoint: URI that holds the state after each epoch; where it exists, training goes on from it.
        repeats_last: yield the epoch that the checkpoint holds once more.

    Raises:
        TrainingError: the loss is no longer finite; the message names epoch and step.
    """
    model.to(device)
    training = _Training.of(model, split, budget, recipe, seed=seed, device=device)
    parts = training.parts()
    done, loss = read_checkpoint(checkpoint, parts) if checkpoint else (0, 0.0)
    if done >= budget.epochs or (done and repeats_last):
        # Everything was trained before a restart, and perhaps not validated.
        yield training.epoch(done, loss, 0.0, None)
    for epoch in range(done + 1, budget.epochs + 1):
        started, num_calls = time.perf_counter(), fused.num_calls()
        set_progress(model, (epoch - 1) / budget.epochs)
        model.train()
        loss = training.run_epoch(epoch)
        set_progress(training.average, epoch / budget.epochs)
        if checkpoint:
            write_checkpoint(checkpoint, parts, epoch, loss)
        seconds, is_fused = time.perf_counter() - started, fused.num_calls() > num_calls
        yield training.epoch(epoch, loss, seconds, is_fused)


def pace(model: nn.Module, split: Split, budget: Budget, recipe: Recipe, *, steps: int = 3) -> float:
    """Seconds of CPU time that a pass over a split takes, on the average over a training; changes the model.

    It is reckoned from a few steps of each phase of the training.
    """
    late = None if recipe.late is None else replace(recipe.late, lr=1e-6)
    slow = replace(recipe, lr=1e-6, lr_end=0.0, weight_decay=0.0, ema=0.0, late=late)
    training = _Training.of(model.train(), split, budget, slow, seed=0, device="cpu")
    total = 0.0
    for phase in training.phases:
        seconds = 0.0
        for _ in range(2):
            # The first steps pay for memory and kernels that a training pays for once.
            started = time.process_time()
            training.run_epoch(phase.first, max_steps=steps)
            seconds = time.process_time() - started
        total += seconds / min(steps, phase.steps_of_epoch) * phase.steps
    return total / budget.epochs


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
    feed: Feed
    phases: tuple[Phase, ...]
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
        phases = plan_phases(budget, recipe, peak=peak, num_images=len(split))
        optimizer = _make_optimizer(model, recipe, peak)
        return cls(
            model=model,
            average=copy.deepcopy(model) if recipe.ema else model,
            optimizer=optimizer,
            schedule=torch.optim.lr_scheduler.LambdaLR(optimizer, learning_rate(phases, recipe, peak)),
            loss_of=make_criterion(model, recipe),
            split=split,
            feed=make_feed(split, recipe, traits.frames(model), device),
            phases=phases,
            recipe=recipe,
            seed=seed,
            device=device,
        )

    def parts(self) -> dict[str, Stateful]:
        """What a checkpoint keeps the state of."""
        return {"model": self.model, "optimizer": self.optimizer, "schedule": self.schedule, "average": self.average}

    def epoch(self, epoch: int, loss: float, seconds: float, is_fused: bool | None) -> Epoch:
        """What a pass came to."""
        return Epoch(
            epoch=epoch,
            loss=loss,
            seconds=seconds,
            model=self.average,
            fused=is_fused,
            settle=lambda: self._settle(epoch),
        )

    def _settle(self, epoch: int) -> None:
        if self.recipe.statistics_images:
            torch.manual_seed(self.seed ^ _OTHER ^ epoch)
            estimate_statistics(self.average, self._inputs_for_statistics(epoch))

    def run_epoch(self, epoch: int, *, max_steps: int | None = None) -> float:
        """Train on the batches of one pass, at most ``max_steps`` of them; the mean loss over the steps.

        Raises:
            TrainingError: the loss is not finite, or the split has no image.
        """
        # What a network draws itself depends on the epoch alone, however often it was validated or began anew.
        torch.manual_seed(self.seed ^ epoch)
        phase, losses = self._phase_of(epoch), []
        before = (epoch - phase.first) * phase.steps_of_epoch
        steps = itertools.islice(self.feed.steps(phase, self.seed, epoch), max_steps)
        for step, (x_nchw, truth_n1hw, ignored_n1hw) in enumerate(steps, 1):
            with _autocast(self.recipe, self.device):
                weight = phase.positive_weight(before + step - 1)
                loss = self.loss_of(x_nchw, truth_n1hw, ignored_n1hw, weight)
            # A GPU would wait for each answer: there, all losses of a pass are looked at after it.
            if self.device == "cpu":
                _require_finite(loss, epoch, step)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call] # torch publishes no type for it
            self.optimizer.step()
            self.schedule.step()
            losses.append(loss.detach())
            if self.average is not self.model:
                _follow(self.average, self.model, self.recipe.ema)
        if not losses:
            raise TrainingError(f"epoch {epoch}: got no batch; the split must have images")
        return _mean(torch.stack(losses), epoch)

    def _phase_of(self, epoch: int) -> Phase:
        return next(phase for phase in self.phases if epoch <= phase.last)

    def _inputs_for_statistics(self, epoch: int) -> Iterator[Tensor]:
        """Batches as those of an epoch, but never the same."""
        phase = self._phase_of(epoch)
        num_batches = -(-min(self.recipe.statistics_images, len(self.split)) // phase.batch)
        for step in itertools.islice(self.feed.steps(phase, self.seed ^ _OTHER, epoch), num_batches):
            yield step.x_nchw


def _autocast(recipe: Recipe, device: str) -> contextlib.AbstractContextManager[object]:
    """Arithmetic of less precision where a recipe asks for it, on a GPU."""
    is_on = recipe.amp and device != "cpu"
    return torch.autocast(device, torch.bfloat16) if is_on else contextlib.nullcontext()


def _require_finite(loss: Tensor, epoch: int, step: int) -> None:
    if not torch.isfinite(loss):
        raise TrainingError(f"epoch {epoch}, step {step}: got loss {loss.item()}; must be finite")


def _mean(losses: Tensor, epoch: int) -> float:
    """The mean loss over the steps of a pass, all of which must be finite."""
    mean = losses.mean().item()
    if not math.isfinite(mean):
        for step, loss in enumerate(losses, 1):
            _require_finite(loss, epoch, step)
    return mean


def _make_optimizer(model: nn.Module, recipe: Recipe, peak: float) -> torch.optim.Optimizer:
    groups = parameter_groups(model, peak, recipe.weight_decay)
    betas = recipe.momentum, recipe.beta2
    match recipe.optimizer:
        case "adam":
            return torch.optim.Adam(groups, betas=betas, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=peak, momentum=recipe.momentum, fused=True)
    return torch.optim.AdamW(groups, betas=betas, fused=True)


@torch.no_grad()
def _follow(average: nn.Module, model: nn.Module, decay: float) -> None:
    for mine, theirs in zip(average.parameters(), model.parameters(), strict=True):
        mine.lerp_(theirs, 1 - decay)
    for kept, current in zip(average.buffers(), model.buffers(), strict=True):
        kept.copy_(current)
