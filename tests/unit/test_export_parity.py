from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from support.datasets import tiny
from support.xnor import network
from torch import nn

from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.data import open_dataset
from irnas.data.importer import import_folder
from irnas.deploy.export import parity
from irnas.deploy.export.lower import Lowered
from irnas.deploy.export.write import Origin, convert
from irnas.metrics import PRESETS
from irnas.runtime.format import Model
from irnas.training.prediction import predict

RULES = PRESETS["basicirstd"]


@pytest.fixture(scope="module")
def exported() -> tuple[nn.Module, Model, Lowered]:
    """A network whose mask has some pixels and not all."""
    model = network(catalog.find_point("biisnet", "base=4,stages=2,layer2=BC"), 4)
    image = tiny().split("val").image(0)
    assert 0.01 < (predict(model, image) > 0.5).mean() < 0.99
    return model, *convert(model, 1, Origin(name="x"))


def test_a_faithful_file_passes_and_says_by_how_much(exported: tuple[nn.Module, Model, Lowered]) -> None:
    model, converted, _ = exported
    run, engine = parity.make_runner(converted)
    comparison = parity.compare(model, run, engine, tiny().split("val"), RULES, 100)
    assert comparison.images == len(tiny().split("val")) and comparison.moved_points <= parity.POINTS_MOST
    assert comparison.mask_flip_rate <= 1e-3 and comparison.network.keys() == comparison.file.keys() >= {
        "miou",
        "pd",
        "fa",
    }
    assert comparison.dataset == "tiny/val" and comparison.document()["engine"] == engine


def test_a_file_whose_metrics_move_is_refused(exported: tuple[nn.Module, Model, Lowered]) -> None:
    model = exported[0]
    must = r"must be within 0.1 points; rounding alone moves the network itself by 0\.0\d\d points"
    with pytest.raises(ExportError, match=rf"parity on 2 images: got \w+ .* {must}"):
        parity.compare(model, lambda image: 1 - predict(model, image), "broken", tiny().split("val"), RULES, 2)


class Tied(nn.Module):
    """Its filter sums to zero but for rounding, as an untrained stem does on a flat piece of an image."""

    def __init__(self, *weights: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weights))

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        first, second, third = self.weight
        return torch.sign(x_nchw * first + x_nchw * second + x_nchw * third)


class Level(Tied):
    """The same, whatever the image: only its parameters can move it."""

    def forward(self, x_nchw: torch.Tensor) -> torch.Tensor:
        return super().forward(torch.ones_like(x_nchw))


def test_a_network_that_hangs_on_rounding_is_recognised(
    exported: tuple[nn.Module, Model, Lowered],
) -> None:
    split = tiny().split("val")
    assert parity.measure_unrest(exported[0], split, RULES, 2) <= parity.POINTS_MOST
    tied = Tied(0.3, 0.4, -0.7)
    image = split.image(0)
    before = predict(tied, image)
    assert parity.measure_unrest(tied, split, RULES, 2) > parity.POINTS_MOST
    assert parity.measure_unrest(Tied(0.0, 0.0, 0.0), split, RULES, 2) > parity.POINTS_MOST
    assert parity.measure_unrest(Level(0.3, 0.4, -0.7), split, RULES, 2) > parity.POINTS_MOST
    torch.testing.assert_close(tied.weight.detach(), torch.tensor([0.3, 0.4, -0.7]), rtol=0, atol=0)
    assert not tied._forward_pre_hooks
    np.testing.assert_array_equal(predict(tied, image), before)


def test_mask_pixels_are_those_above_the_rules_threshold(exported: tuple[nn.Module, Model, Lowered]) -> None:
    model, split = exported[0], tiny().split("val")
    image, truth = split.image(0), split.mask(0)
    wanted = predict(model, image)
    low, high = np.sort(np.unique(wanted[truth == 0]))[20:22]
    rules = replace(RULES, threshold=float(low / 2 + high / 2))
    assert rules.threshold < 0.5 and (wanted == high).sum() < 4
    comparison = parity.compare(model, lambda _: np.where(wanted == high, low, wanted), "x", split, rules, 1)
    assert comparison.mask_flip_rate == (wanted == high).sum() / wanted.size > 0


def test_a_file_that_yields_nan_is_refused(exported: tuple[nn.Module, Model, Lowered]) -> None:
    def run(image_hw: np.ndarray) -> np.ndarray:
        return np.full(image_hw.shape, np.nan, np.float32)

    with pytest.raises(ExportError, match=r"file on image .*: got NaN; must be finite"):
        parity.compare(exported[0], run, "broken", tiny().split("val"), RULES, 1)


def test_flipped_signs_are_counted(exported: tuple[nn.Module, Model, Lowered]) -> None:
    model, converted, graph = exported
    images = [tiny().split("val").image(0)]
    run, engine = parity.make_runner(converted)
    assert parity.sign_flip_rate(model, converted, graph.blocks, run, engine, images) < 1e-4
    ops = list(converted.ops)
    stem = ops[0]
    ops[0] = replace(stem, constants={**stem.constants, "weight": -stem.constants["weight"]})
    wrong = replace(converted, ops=tuple(ops))
    run, engine = parity.make_runner(wrong)
    assert parity.sign_flip_rate(model, wrong, graph.blocks, run, engine, images) > 0.1


def test_counting_leaves_the_network_as_it_was(exported: tuple[nn.Module, Model, Lowered]) -> None:
    model, converted, graph = exported
    image = tiny().split("val").image(0)
    before = predict(model, image)
    parity.sign_flip_rate(model, converted, graph.blocks, *parity.make_runner(converted), [image])
    assert not any(m._forward_hooks for m in model.modules())
    np.testing.assert_array_equal(predict(model, image), before)


def test_a_network_without_signs_flips_none() -> None:
    model = network(catalog.find_point("biisnet", "base=4,stages=2,a_bin=none,trans=none"))
    converted, graph = convert(model, 1, Origin(name="x"))
    images = [tiny().split("val").image(0)]
    assert parity.sign_flip_rate(model, converted, graph.blocks, *parity.make_runner(converted), images) == 0


def test_without_images_there_is_no_verdict(exported: tuple[nn.Module, Model, Lowered]) -> None:
    with pytest.raises(ExportError, match="got no image"):
        parity.compare(exported[0], lambda image: image, "x", tiny().split("val"), RULES, 0)


def test_an_engine_that_differs_from_the_reference_is_refused(
    exported: tuple[nn.Module, Model, Lowered], monkeypatch: pytest.MonkeyPatch
) -> None:
    def wrong(image_hw: np.ndarray) -> np.ndarray:
        return np.zeros(image_hw.shape, np.float32)

    model, converted, graph = exported
    with pytest.raises(ExportError, match="engine w: got another result than the reference"):
        parity.sign_flip_rate(model, converted, graph.blocks, wrong, "w", [tiny().split("val").image(0)])
    monkeypatch.setattr(parity, "_engine", lambda model: (wrong, "w"))
    with pytest.raises(ExportError, match="engine w: got another result than the reference"):
        parity.make_runner(converted)


@pytest.mark.realdata
def test_real_images_pass_the_gate(tmp_path: Path) -> None:
    root = os.environ.get("IRNAS_REAL_DATA", "")
    if not root or not (Path(root) / "SIRST").is_dir():
        pytest.skip("IRNAS_REAL_DATA names no folder with SIRST")
    import_folder(Path(root) / "SIRST", tmp_path / "sirst")
    split = open_dataset(str(tmp_path / "sirst")).split("val")
    model = network(catalog.find_point("biisnet", "LIT10"), 4)
    converted, graph = convert(model, 1, Origin(name="LIT10"))
    run, engine = parity.make_runner(converted)
    comparison = parity.compare(model, run, engine, split, RULES, 3)
    assert comparison.mask_flip_rate <= 1e-3
    assert parity.sign_flip_rate(model, converted, graph.blocks, run, engine, [split.image(0)]) <= 1e-4
