"""Batch statistics are those of the weights that are judged, and estimating them changes nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from support.datasets import tiny
from torch import Tensor, nn

from irnas.core.recipe import Budget, Recipe
from irnas.training.fit import fit
from irnas.training.prediction import predict
from irnas.training.statistics import estimate_statistics

BUDGET = Budget(epochs=2, batch=4, crop=32)


def normalised(dropout: float = 0.0) -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 3, 3, padding=1), nn.BatchNorm2d(3, momentum=0.3), nn.Dropout(dropout), nn.Conv2d(3, 1, 1)
    )


def inputs(sizes: tuple[int, ...] = (4, 4, 2)) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(size, 1, 8, 8, generator=generator) for size in sizes]


def test_statistics_are_the_mean_over_batches() -> None:
    network = normalised().train()
    expected = [
        nn.functional.conv2d(x.double(), network[0].weight.double(), network[0].bias.double(), padding=1)
        for x in inputs()
    ]
    estimate_statistics(network, inputs())
    mean = torch.stack([x.mean((0, 2, 3)) for x in expected]).mean(0)
    variance = torch.stack([x.var((0, 2, 3)) for x in expected]).mean(0)
    torch.testing.assert_close(network[1].running_mean.double(), mean, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(network[1].running_var.double(), variance, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("is_training", [False, True])
def test_mode_momentum_and_weights_stay(is_training: bool) -> None:
    network = normalised().train(is_training)
    before = {name: value.clone() for name, value in network.named_parameters()}
    estimate_statistics(network, inputs())
    assert network[1].momentum == 0.3
    assert all(module.training is is_training for module in network.modules())
    assert all(torch.equal(value, before[name]) for name, value in network.named_parameters())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_momentum_is_back_after_a_failure() -> None:
    network = normalised().eval()
    with pytest.raises(RuntimeError):
        estimate_statistics(network, [torch.rand(2, 5, 8, 8)])
    assert network[1].momentum == 0.3 and not network.training


def test_a_network_without_such_layers_draws_no_batch() -> None:
    def never() -> Iterator[Tensor]:
        raise AssertionError("a batch was drawn")
        yield torch.empty(0)

    estimate_statistics(nn.Conv2d(1, 1, 1), never())
    with pytest.raises(AssertionError):
        estimate_statistics(normalised(), never())


@pytest.mark.parametrize("ema", [0.0, 0.9])
def test_what_is_judged_does_not_depend_on_running_averages(ema: float) -> None:
    split, maps = tiny().split("fit"), []
    for epoch in fit(normalised(), split, BUDGET, Recipe(ema=ema), seed=3):
        for mean in (0.0, 7.0):
            epoch.model[1].running_mean.fill_(mean)
            epoch.settle()
            maps.append(predict(epoch.model, split.image(0)))
    assert (maps[0] == maps[1]).all() and (maps[2] == maps[3]).all()
    assert (maps[1] != maps[2]).any()


def test_no_images_leave_running_averages_as_they_are() -> None:
    for epoch in fit(normalised(), tiny().split("fit"), BUDGET, Recipe(statistics_images=0), seed=3):
        before = {name: value.clone() for name, value in epoch.model.named_buffers()}
        assert before["1.num_batches_tracked"] > 0 and before["1.running_mean"].abs().sum() > 0
        epoch.settle()
        assert all(torch.equal(value, before[name]) for name, value in epoch.model.named_buffers())


def test_judging_between_epochs_does_not_change_the_training() -> None:
    """Nor what the network draws itself, here in its dropout: that depends on the epoch alone."""
    split, trained = tiny().split("fit"), []
    for is_judged in (False, True):
        network = normalised(dropout=0.5)
        for epoch in fit(network, split, BUDGET, Recipe(), seed=3):
            if is_judged:
                epoch.settle()
                torch.rand(5)
        trained.append([parameter.detach().clone() for parameter in network.parameters()])
    for before, after in zip(*trained, strict=True):
        assert torch.equal(before, after)
