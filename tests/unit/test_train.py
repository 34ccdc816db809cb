from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.datasets import tiny
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.core.errors import FormatError, TrainingError
from irnas.core.recipe import Budget, Recipe
from irnas.core.space import Genotype
from irnas.metrics import PRESETS, Counts, count, summarize
from irnas.nn.loss import make_loss
from irnas.training.checkpoint import (
    Stateful,
    checkpoint_uri,
    delete_checkpoint,
    read_checkpoint,
    write_checkpoint,
)
from irnas.training.criterion import make_criterion
from irnas.training.fit import fit
from irnas.training.prediction import PAD, predict, predictions, validate

BUDGET = Budget(epochs=4, batch=4, crop=32)
RECIPE = Recipe()


def small() -> Genotype:
    return catalog.find_point("biisnet", "base=4,stages=2,n_bot=0")


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return models.build(small())


def trace(
    budget: Budget = BUDGET, recipe: Recipe = RECIPE, *, seed: int = 1, checkpoint: str | None = None
) -> list[float]:
    return [e.loss for e in fit(network(), tiny().split("fit"), budget, recipe, seed=seed, checkpoint=checkpoint)]


@pytest.mark.parametrize("recipe", [RECIPE, Recipe(ema=0.9), Recipe(loss="softiou")])
def test_equal_seeds_give_equal_training(recipe: Recipe) -> None:
    first, second = trace(recipe=recipe), trace(recipe=recipe)
    assert first == second and len(first) == 4
    assert trace(recipe=recipe, seed=2) != first


@pytest.mark.parametrize("recipe", [RECIPE, Recipe(ema=0.9)])
def test_a_stopped_training_goes_on_where_it_was(tmp_path: Path, recipe: Recipe) -> None:
    path = str(tmp_path / "state.pt")
    model, interrupted_model = network(), network()
    uninterrupted = list(fit(model, tiny().split("fit"), BUDGET, recipe, seed=1))
    first = fit(interrupted_model, tiny().split("fit"), BUDGET, recipe, seed=1, checkpoint=path)
    losses = [next(first).loss, next(first).loss]
    first.close()
    second = list(fit(network(seed=9), tiny().split("fit"), BUDGET, recipe, seed=1, checkpoint=path))
    assert [e.epoch for e in second] == [3, 4]
    assert losses + [e.loss for e in second] == [e.loss for e in uninterrupted]
    for mine, theirs in zip(
        second[-1].model.state_dict().values(), uninterrupted[-1].model.state_dict().values(), strict=True
    ):
        torch.testing.assert_close(mine, theirs, rtol=0, atol=0)


def test_a_finished_checkpoint_yields_its_last_epoch_again(tmp_path: Path) -> None:
    path = str(tmp_path / "state.pt")
    losses = trace(checkpoint=path)
    again = list(fit(network(seed=9), tiny().split("fit"), BUDGET, RECIPE, seed=1, checkpoint=path))
    assert [(e.epoch, e.loss) for e in again] == [(4, losses[-1])]


def test_a_foreign_checkpoint_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "state.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(FormatError, match="must be a checkpoint of this trial"):
        trace(checkpoint=str(path))
    other = models.build(catalog.find_point("biisnet", "base=6,stages=2,n_bot=0"))
    path.unlink()
    next(fit(other, tiny().split("fit"), BUDGET, RECIPE, seed=1, checkpoint=str(path)))
    with pytest.raises(FormatError, match="must be a checkpoint of this trial"):
        trace(checkpoint=str(path))


def test_the_paper_s_loss_needs_a_paper() -> None:
    """Where a network brings no loss, the default is softiou+bce, and its own is refused rather than made up."""
    model, (x, truth) = nn.Conv2d(1, 1, 1), (torch.rand(2, 1, 8, 8), (torch.rand(2, 1, 8, 8) > 0.9).float())
    wanted = make_loss("softiou+bce")(model(x), truth)
    torch.testing.assert_close(make_criterion(model, Recipe())(x, truth, None, 20.0), wanted)
    with pytest.raises(TrainingError, match=r"^recipe.loss: got own with a Conv2d, which has no loss of its own; must"):
        make_criterion(model, Recipe(loss="own"))
    biisnet = models.build(catalog.load("biisnet").complete({"base": 4}))
    recipes = [Recipe(loss=name) for name in ("default", "own", "softiou")]
    default, own, softiou = (make_criterion(biisnet, recipe)(x, truth, None, 20.0).item() for recipe in recipes)
    assert own == softiou < default


def test_a_loss_that_is_nan_names_epoch_and_step() -> None:
    model = network()
    with torch.no_grad():
        next(model.parameters()).fill_(float("nan"))
    with pytest.raises(TrainingError, match=r"^epoch 1, step 1: got loss nan; must be finite$"):
        next(fit(model, tiny().split("fit"), BUDGET, RECIPE, seed=1))


def test_lit10_learns_eight_images_by_heart() -> None:
    """The whole chain can learn: data, binary gradients, loss, optimiser and metrics agree on what a target is."""
    split = tiny(9, 48, 0.1).split("train")
    assert len(split) == 8
    torch.manual_seed(0)
    model = models.build(catalog.find_point("biisnet", "LIT10"))
    recipe = Recipe(lr=3e-2, augment="none", weight_decay=0, target_share=0)
    for _ in fit(model, split, Budget(epochs=400, batch=8, crop=48), recipe, seed=0):
        pass
    assert validate(model, split, PRESETS["basicirstd"])[0]["miou"] > 0.9


def test_each_replicate_has_a_checkpoint_of_its_own(tmp_path: Path) -> None:
    first, second = (checkpoint_uri(str(tmp_path), "k", replicate) for replicate in (0, 1))
    assert [Path(uri).relative_to(tmp_path).as_posix() for uri in (first, second)] == [
        "checkpoints/k.pt",
        "checkpoints/k-1.pt",
    ]
    parts: dict[str, Stateful] = {"model": network()}
    write_checkpoint(first, parts, 3, 0.5)
    write_checkpoint(second, parts, 4, 0.25)
    delete_checkpoint(first)
    delete_checkpoint(first)
    assert read_checkpoint(first, parts) == (0, 0.0)
    assert read_checkpoint(second, parts) == (4, 0.25)


class Bright(nn.Module):
    """Marks what is brighter than half; refuses sizes that no family would take."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(50.0))

    def forward(self, x_n1hw: torch.Tensor) -> torch.Tensor:
        assert x_n1hw.shape[-1] % PAD == 0 == x_n1hw.shape[-2] % PAD
        return (x_n1hw - 0.5) * self.scale


class Edges(nn.Module):
    """Keeps what it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x_n1hw: torch.Tensor) -> torch.Tensor:
        self.seen = x_n1hw
        return x_n1hw


def test_padding_repeats_the_edge() -> None:
    model, image = Edges(), np.full((20, 33), 200, dtype=np.uint8)
    predict(model, image)
    assert model.seen.shape == (1, 1, 32, 48)
    torch.testing.assert_close(model.seen, torch.full((1, 1, 32, 48), 200 / 255))


def test_the_average_follows_the_network_at_its_own_pace() -> None:
    start = [p.detach().clone() for p in network().parameters()]
    model = network()
    (epoch,) = fit(model, tiny().split("fit"), Budget(epochs=1, batch=4, crop=32), Recipe(ema=0.5), seed=1)
    plain = network()
    list(fit(plain, tiny().split("fit"), Budget(epochs=1, batch=4, crop=32), Recipe(), seed=1))
    raw, average = (
        torch.cat([p.flatten() for p in model.parameters()]),
        torch.cat([p.flatten() for p in epoch.model.parameters()]),
    )
    torch.testing.assert_close(raw, torch.cat([p.flatten() for p in plain.parameters()]), rtol=0, atol=0)
    begin = torch.cat([p.flatten() for p in start])
    assert 0 < (average - begin).norm() < (raw - begin).norm()
    assert (average - raw).norm() < (begin - raw).norm()


def test_prediction_pads_and_crops_back() -> None:
    rng = np.random.default_rng(0)
    shapes = [(40, 70), (40, 70), (32, 32), (1, 1), (40, 70)]
    images = [rng.integers(0, 256, shape, dtype=np.uint8) for shape in shapes]
    probabilities = list(predictions(Bright(), images))
    for image, probability in zip(images, probabilities, strict=True):
        assert probability.shape == image.shape and probability.dtype == np.float32
        np.testing.assert_array_equal(probability > 0.5, image > 127)
    np.testing.assert_array_equal(predict(Bright(), images[0]), probabilities[0])


def test_validation_is_the_metrics_of_the_predictions() -> None:
    split, rules = tiny().split("val"), PRESETS["basicirstd"]
    values, is_blank = validate(Bright(), split, rules)
    rows = [count(predict(Bright(), split.image(i)), split.mask(i), rules) for i in range(len(split))]
    assert values == summarize(Counts.concat(rows)) and not is_blank


def test_a_network_that_marks_nothing_is_noticed() -> None:
    model = Bright()
    with torch.no_grad():
        model.scale.fill_(0)
    values, is_blank = validate(model, tiny().split("val"), PRESETS["basicirstd"])
    assert is_blank and values["miou"] == 0
