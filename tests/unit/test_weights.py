"""Official RPCANet+ files become our networks: every name has its place, and the numbers that come out are theirs."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from support import rpcanet
from torch import Tensor
from typer.testing import CliRunner

from irnas import models
from irnas.cli.app import app
from irnas.core import catalog
from irnas.core.errors import FormatError, IrnasError
from irnas.models import rpcanet_plus_weights
from irnas.models.rpcanet_plus import RPCANetPlus
from irnas.training.weights import read_weights

SPACE = catalog.load("rpcanet_plus")

LAYOUTS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({"stages": 6}, {"stages": 6}),
    ({"bc": 16}, {"stages": 2, "bc": 16}),
    ({"bc": 16, "depths": (3, 6, 3, 3), "prefix": "module.net."}, {"stages": 2, "bc": 16, "depth_n": 3}),
    (
        {"stages": 1, "bc": 2, "tc": 40, "hidden": 5, "depths": (0, 1, 2, 4)},
        {"stages": 1, "bc": 2, "tc": 40, "reduction": 8, "depth_b": 0, "depth_t": 1, "depth_n": 2, "depth_m": 4},
    ),
)


def restored(state: rpcanet.State) -> RPCANetPlus:
    values, ours = rpcanet_plus_weights.convert_official(state)
    network = models.build(SPACE.genotype(values))
    network.load_state_dict(ours)
    assert isinstance(network, RPCANetPlus)
    return network.eval()


@pytest.mark.parametrize(("layout", "values"), LAYOUTS, ids=["6 stages", "bc=16", "prefix", "odd"])
def test_the_network_is_read_off_names_and_shapes(layout: dict[str, Any], values: dict[str, Any]) -> None:
    converted, ours = rpcanet_plus_weights.convert_official(rpcanet.official(**layout))
    assert SPACE.genotype(converted) == SPACE.complete(values)
    assert len(ours) == len(rpcanet.official(**layout))


def test_the_layout_has_as_many_tensors_as_the_official_files() -> None:
    """696 and 660 tensors; 215,916, 475,188 and 433,428 learnt numbers, besides the statistics of normalisation."""
    for layout, tensors, params in (
        ({}, 696, 215_916),
        ({"bc": 16}, 696, 475_188),
        ({"bc": 16, "depths": (3, 6, 3, 3)}, 660, 433_428),
    ):
        state = rpcanet.official(stages=6, **layout)
        learnt = [t for name, t in state.items() if not name.endswith(("running_mean", "running_var", "tracked"))]
        assert (len(state), sum(t.numel() for t in learnt)) == (tensors, params)


@pytest.mark.parametrize("layout", [layout for layout, _ in LAYOUTS[1:]], ids=["bc=16", "prefix", "odd"])
def test_the_numbers_are_those_of_the_description(layout: dict[str, Any]) -> None:
    """An implementation driven by the official names alone, in float64; and in float32 to 1e-5 of the largest value."""
    x = torch.rand(2, 1, 13, 18, generator=torch.Generator().manual_seed(1))
    state = rpcanet.official(**layout)
    prefix = str(layout.get("prefix", ""))
    plain = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    network = restored(state)
    with torch.no_grad():
        logits, wanted = network(x), rpcanet.evaluate(plain, x)[0]
        assert (logits - wanted).abs().max() <= 1e-5 * wanted.abs().max()
        exact = {name: tensor.double() for name, tensor in plain.items()}
        d_n1hw, t_n1hw = network.double()._unroll(x.double())
        for ours, theirs in zip((t_n1hw, d_n1hw), rpcanet.evaluate(exact, x.double()), strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)


def without(name: str) -> rpcanet.State:
    return {key: tensor for key, tensor in rpcanet.official().items() if key != name}


def changed(name: str, tensor: Any) -> rpcanet.State:
    return {**rpcanet.official(), name: tensor}


MANY = torch.zeros(1, 1, 1, 1).expand(10**9, 1, 1, 1)
WRONG: dict[str, tuple[Any, str]] = {
    "nothing": ({}, "got 0 tensors"),
    "another network": ({"stem.weight": torch.zeros(1)}, r"got a name 'stem.weight'; must contain decos\."),
    "no tensor": (changed("decos.1.sparse.epsilon", 0.5), "sparse.epsilon: got a float; must be a tensor"),
    "one prefix of two": (
        {**rpcanet.official(), "x.decos.0.y": torch.zeros(1)},
        "got a name 'x.decos.0.y'; must",
    ),
    "a number is missing": (without("decos.1.residual.sigma"), "got no tensor decos.1.residual.sigma"),
    "a bias is missing": (without("decos.0.lowrank.convs.6.bias"), "got no tensor decos.0.lowrank.convs.6.bias"),
    "a first layer is missing": (without("decos.0.lowrank.convs.0.weight"), "got nothing; must be the weight"),
    "one too many": (changed("decos.1.sparse.gamma", torch.zeros(1)), "got a tensor decos.1.sparse.gamma; must not"),
    "a far stage": (changed("decos.9.sparse.epsilon", torch.zeros(1)), "got no tensor decos.2.lowrank.convs.0.weight"),
    "shape": (changed("decos.1.merge.final_conv.weight", torch.zeros(1, 32, 1, 1)), r"got shape \(1, 32, 1, 1\); must"),
    "hidden": (rpcanet.official(hidden=3), "got 3 hidden channels for 32"),
    "nan": (changed("decos.0.sparse.epsilon", torch.tensor([torch.nan])), "got a number that is not finite"),
    "too wide": (
        changed("decos.0.lowrank.convs.0.weight", torch.zeros(1, 1, 1, 1).expand(10**9, 1, 1, 1)),
        "1 to 1024",
    ),
}


@pytest.mark.parametrize(("state", "expected"), [*WRONG.values()], ids=[*WRONG])
def test_another_layout_is_refused_in_one_line(state: dict[str, Tensor], expected: str) -> None:
    with pytest.raises(FormatError, match=expected) as raised:
        rpcanet_plus_weights.convert_official(state)
    assert "\n" not in str(raised.value)


def saved(folder: Path, content: object, name: str = "official.pkl") -> Path:
    torch.save(content, folder / name)
    return folder / name


def test_the_command_writes_a_network_that_can_be_read_again(tmp_path: Path) -> None:
    state = rpcanet.official(bc=8)
    file, output = saved(tmp_path, state), tmp_path / "ours.safetensors"
    result = CliRunner().invoke(app, ["import-weights", str(file), "-o", str(output), "--json"], catch_exceptions=False)
    facts = json.loads(result.stdout)
    network, info = read_weights(str(output))
    assert (facts["key"], facts["point"]) == (info.genotype.key, "stages=2,bc=8")
    assert facts["bytes"] == output.stat().st_size
    assert catalog.find_point("rpcanet_plus", facts["point"]) == info.genotype
    assert info.origin == "imported from the authors' file official.pkl" and info.threshold == 0.5
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        torch.testing.assert_close(network(x), restored(state)(x), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("make", "options", "expected"),
    [
        (lambda p: p / "none.pkl", (), "got no such file"),
        (lambda p: saved(p, {"x": Path}), (), "got a file that torch cannot read safely"),
        (lambda p: saved(p, [torch.zeros(1)]), (), "got a list; must be a saved state dict"),
        (lambda p: saved(p, rpcanet.official(bc=5)), (), r"official.pkl: rpcanet_plus.bc: got 5; one of 2, 4"),
        (lambda p: saved(p, {"y": torch.zeros(1)}), (), r"official.pkl: weights: got a name 'y'"),
        (lambda p: saved(p, {}), ("--space", "biisnet"), "got a space of the family 'biisnet'"),
    ],
)
def test_what_the_command_refuses(tmp_path: Path, make: Any, options: tuple[str, ...], expected: str) -> None:
    output = tmp_path / "out.safetensors"
    words = ["import-weights", str(make(tmp_path)), "-o", str(output), *options]
    with pytest.raises(IrnasError, match=expected) as raised:
        CliRunner().invoke(app, words, catch_exceptions=False)
    assert "\n" not in str(raised.value) and not output.exists()


def test_the_output_is_a_safetensors_file_by_name(tmp_path: Path) -> None:
    file = saved(tmp_path, rpcanet.official())
    with pytest.raises(IrnasError, match=r"--output: got .*ours\.pt'; must end in \.safetensors"):
        CliRunner().invoke(app, ["import-weights", str(file), "-o", str(tmp_path / "ours.pt")], catch_exceptions=False)
    assert not (tmp_path / "ours.pt").exists()


# Values of the authors' networks in float32 and eval mode: mean, deviation, least and greatest logit, pixels above 0,
# mean of D, logits at (0, 0) and (31, 41). The official files are no part of this project.
PATTERN, FRAME = "pattern", "NUDT-SIRST/images/000001.png"
REFERENCE = (
    (
        "NUDT_SIRST_mIoU_92.37.pkl",
        PATTERN,
        (-141.343221, 36.343703, -384.70178, 11.06826, 1, 0.045082, -24.39724, -33.93576),
    ),
    (
        "NUDT_SIRST_mIoU_92.37.pkl",
        FRAME,
        (-103.626443, 15.074771, -250.53397, 159.10216, 9, 0.294796, -28.68506, -103.50424),
    ),
    (
        "IRSTD_1K_mIoU_64.68.pkl",
        PATTERN,
        (-132.143011, 31.029548, -334.38739, -31.09996, 0, 0.823946, -67.19552, -163.61440),
    ),
    ("IRSTD_1K_mIoU_64.68.pkl", FRAME, (-57.573702, 7.210054, -117.07637, 35.92217, 8, 0.378051, -46.27302, -54.95487)),
    (
        "SIRST_Aug_mIoU_74.56.pkl",
        PATTERN,
        (-108.418816, 31.548904, -176.94328, -8.98510, 0, 0.631785, -28.36367, -101.72320),
    ),
    (
        "SIRST_Aug_mIoU_74.56.pkl",
        FRAME,
        (-137.157126, 23.407226, -252.79999, 100.78031, 11, 0.257453, -72.28539, -166.82150),
    ),
)


def input_of(name: str) -> Tensor:
    """The pattern, or a real image."""
    if name == PATTERN:
        rows, columns = np.mgrid[:64, :64]
        image = (7 * rows + 13 * columns) % 64 + 64
        image[30:33, 40:43] = 230
    else:
        path = Path(os.environ.get("IRNAS_REAL_DATA", "")) / name
        if "IRNAS_REAL_DATA" not in os.environ or not path.is_file():
            pytest.skip(f"IRNAS_REAL_DATA names no folder with {name}")
        image = np.asarray(Image.open(path).convert("L"))
    return torch.from_numpy(image.astype(np.float32) / 255)[None, None]


@pytest.mark.realdata
@pytest.mark.parametrize(("file", "image", "wanted"), REFERENCE, ids=[f"{f[:5]}-{i[:7]}" for f, i, _ in REFERENCE])
def test_official_weights_give_the_official_numbers(file: str, image: str, wanted: tuple[float, ...]) -> None:
    path = Path(os.environ.get("IRNAS_RPCANET_WEIGHTS", "")) / file
    if "IRNAS_RPCANET_WEIGHTS" not in os.environ or not path.is_file():
        pytest.skip(f"IRNAS_RPCANET_WEIGHTS names no folder with {file}")
    network = restored(rpcanet_plus_weights.parse(path.read_bytes(), str(path)))
    with torch.no_grad():
        d, t = network._unroll(input_of(image))
    assert d is not None
    logits = t[0, 0].double()
    metrics = (
        logits.mean(),
        logits.std(correction=0),
        logits.min(),
        logits.max(),
        (t > 0).sum(),
        d.double().mean(),
        logits[0, 0],
        logits[31, 41],
    )
    # Sums of float32 in another order: 1e-5 of the largest logits, 384.
    np.testing.assert_allclose([float(v) for v in metrics], wanted, rtol=1e-4, atol=4e-3)
