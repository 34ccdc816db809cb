"""``irnas run``, on small models of both kinds."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from PIL import Image
from support import rpcanet
from support.command import printed
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny
from torch import Tensor, nn
from typer.testing import CliRunner

import irnas
from irnas.cli import run
from irnas.core.errors import DataError, FormatError, SettingsError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.runtime import engine, format, reference, session

pytestmark = pytest.mark.usefixtures("library")
app = typer.Typer()
app.command("run")(run.run)
app.callback()(lambda: None)


class Moved(nn.Module):
    """Marks what is brighter in the newest of three frames than in the oldest."""

    frames, stride = 3, 4

    def forward(self, x_nchw: Tensor) -> Tensor:
        return 20 * (x_nchw[:, 2:] - x_nchw[:, :1]) - 1


def call(*arguments: object) -> str:
    return printed(app, *arguments)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    return path


@pytest.fixture
def moving(tmp_path: Path) -> Path:
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="the extra 'export' is not installed")
    network = Moved().eval()
    proto = onnx.convert(network, onnx.input_of(network, 3), Origin(name="moved"))
    path = tmp_path / "moved.onnx"
    path.write_bytes(proto.SerializeToString())
    return path


def written(folder: Path, images: np.ndarray[Any, Any]) -> Path:
    folder.mkdir()
    for n, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{folder.name}{n}.png")
    return folder


def test_run_prints_the_boxes_of_the_runner(model: Path, products: Path, tmp_path: Path) -> None:  # noqa: F811
    """The same numbers from images as from a stream of the same frames, and masks beside them where asked for."""
    images = np.random.default_rng(0).integers(0, 256, (3, 9, 13), dtype=np.uint8)
    folder = written(tmp_path / "images", images)
    stream = [products / "xnor-run", model, "-", "--raw", "9x13", "--boxes"]
    wanted = subprocess.run(stream, input=images.tobytes(), capture_output=True, check=True).stdout.splitlines()
    done = CliRunner().invoke(app, ["run", str(model), str(folder), "--boxes"])
    assert done.exit_code == 0 and "3 images" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line.pop("image") for line in lines] == [str(folder / f"images{line['frame']}.png") for line in lines]
    assert lines == [json.loads(line) for line in wanted] and {line["frame"] for line in lines} == {0, 1, 2}
    report = json.loads(call("run", model, folder, "--boxes", "--json", "-o", tmp_path / "masks"))
    boxes = [{"frame": n, **box} for n, each in enumerate(report["images"]) for box in each["boxes"]]
    assert boxes == lines
    assert sorted(path.name for path in (tmp_path / "masks").iterdir()) == [f"images{n}.png" for n in range(3)]


def test_run_without_anything_to_give_is_refused(model: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="--output: got no folder for masks; must be given, or --boxes"):
        call("run", model, written(tmp_path / "images", np.zeros((1, 9, 13), np.uint8)))


def test_run_writes_the_masks_of_the_reference(model: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (2, 9, 13), dtype=np.uint8)
    (tmp_path / "images").mkdir()
    for n, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / "images" / f"{n}.png")
    report = json.loads(call("run", model, tmp_path / "images", "-o", tmp_path / "masks", "--json"))
    assert report["kernels"] == engine.kernels()[0]
    for n, image in enumerate(images):
        wanted = reference.predict(tiny(), image)
        mask = np.asarray(Image.open(tmp_path / "masks" / f"{n}.png"))
        np.testing.assert_array_equal(mask, np.where(wanted > 0.5, 255, 0))
        assert report["images"][n]["pixels"] == int((wanted > 0.5).sum())
    printed = call("run", model, tmp_path / "images" / "0.png", "-o", tmp_path / "maps", "--probability")
    grey = np.asarray(Image.open(tmp_path / "maps" / "0.png"))
    np.testing.assert_array_equal(grey, np.rint(reference.predict(tiny(), images[0]) * 255).astype(np.uint8))
    assert "1 images, kernels" in printed
    assert [path.name for path in (tmp_path / "maps").iterdir()] == ["0.png"]


def test_run_refuses_what_is_no_image(model: Path, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"no image")
    (tmp_path / "empty").mkdir()
    for wrong in (tmp_path / "x.png", tmp_path / "gone.png", tmp_path / "empty"):
        with pytest.raises(DataError):
            call("run", model, wrong, "-o", tmp_path / "masks")


def test_an_image_whose_maps_do_not_fit_is_named(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = written(tmp_path / "images", np.zeros((1, 16, 24), np.uint8))
    for text, reason in (("image: needs more than 4 GiB; must be smaller", "needs more than 4 GiB"), ("", "no")):

        def fail(*_: object, text: str = text, **__: object) -> None:
            raise MemoryError(text)

        monkeypatch.setattr(engine.Model, "run", fail)
        got = rf"^image .*png: got 24x16 pixels \({reason}.*\); must be smaller"
        with pytest.raises(DataError, match=got):
            call("run", model, images, "-o", tmp_path / "masks")


def test_a_model_of_many_frames_takes_a_folder_as_a_sequence(moving: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(1).integers(0, 256, (4, 10, 13), dtype=np.uint8)
    first, second = written(tmp_path / "a", images), written(tmp_path / "b", images[::-1])
    report = json.loads(call("run", moving, first, second, "-o", tmp_path / "masks", "--json"))
    assert report["kernels"].startswith("onnxruntime ") and len(report["images"]) == 8
    for name, sequence in (("a", images), ("b", images[::-1])):
        for n in range(4):
            # Before the first frame stands the first frame; a sequence knows nothing of the one before it.
            window = np.stack([sequence[max(n - 2, 0)], sequence[max(n - 1, 0)], sequence[n]])
            x_nchw = torch.from_numpy(window[None].astype(np.float32) / 255)
            wanted = Moved()(x_nchw)[0, 0].numpy() > 0
            mask = np.asarray(Image.open(tmp_path / "masks" / f"{name}{n}.png"))
            np.testing.assert_array_equal(mask > 0, wanted)


def test_sequences_of_equal_names_are_run_at_once_and_cut_at_gaps(moving: Path, tmp_path: Path) -> None:
    images = np.random.default_rng(2).integers(0, 256, (4, 10, 13), dtype=np.uint8)
    numbers = (8, 9, 10, 30)
    for folder in ("day", "night"):
        (tmp_path / "cams" / folder).mkdir(parents=True)
        for number, image in zip(numbers, images, strict=True):
            Image.fromarray(image).save(tmp_path / "cams" / folder / f"{number}.png")
    report = json.loads(call("run", moving, tmp_path / "cams", "-o", tmp_path / "masks", "--json"))
    masks = [str(Path(row["mask"]).relative_to(tmp_path / "masks")) for row in report["images"]]
    assert masks == [f"{folder}/{number}.png" for folder in ("day", "night") for number in numbers]
    for n, window in enumerate(([0, 0, 0], [0, 0, 1], [0, 1, 2], [3, 3, 3])):
        x_nchw = torch.from_numpy(images[window][None].astype(np.float32) / 255)
        wanted = Moved()(x_nchw)[0, 0].numpy() > 0
        mask = np.asarray(Image.open(tmp_path / "masks" / "night" / f"{numbers[n]}.png"))
        np.testing.assert_array_equal(mask > 0, wanted)


def test_what_is_no_model_of_ours_is_refused(moving: Path, tmp_path: Path) -> None:
    import onnx as package

    foreign = package.load(str(moving))
    del foreign.metadata_props[:]
    for name, content, what in (
        ("foreign.onnx", foreign.SerializeToString(), "must come from irnas export"),
        ("broken.onnx", b"no model", "must be an ONNX model"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(FormatError, match=what):
            session.load(tmp_path / name)
    written(tmp_path / "a", np.zeros((1, 8, 8), np.uint8))
    with pytest.raises(SettingsError, match="must be left out"):
        call("run", moving, tmp_path / "a", "-o", tmp_path / "masks", "--kernels", "avx2")
    with pytest.raises(SettingsError, match=r"must be a \.xnor or \.onnx file"):
        call("run", tmp_path / "gone.onnx", tmp_path / "a", "-o", tmp_path / "masks")


def test_imported_weights_run_as_they_are(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    file = rpcanet.imported(tmp_path / "w.safetensors")
    image_hw = np.random.default_rng(0).integers(0, 256, (32, 48), dtype=np.uint8)
    Image.fromarray(image_hw).save(tmp_path / "a.png")
    call("run", file, tmp_path / "a.png", "-o", tmp_path / "masks", "--probability")
    network = irnas.load(file)
    with torch.no_grad():
        wanted = network(torch.from_numpy(image_hw / np.float32(255))[None, None]).sigmoid()[0, 0].numpy()
    mask_hw = np.asarray(Image.open(tmp_path / "masks" / "a.png"))
    assert np.abs(mask_hw - 255 * wanted).max() <= 0.51


def test_the_threshold_of_the_model_counts_and_0_5_beside_it(tmp_path: Path) -> None:
    image_hw = np.random.default_rng(3).integers(0, 256, (9, 13), dtype=np.uint8)
    Image.fromarray(image_hw).save(tmp_path / "a.png")
    wanted_hw = reference.predict(tiny(), image_hw)
    own = float(np.quantile(wanted_hw, 0.8))
    pixels, at_half = (int((wanted_hw > np.float32(limit)).sum()) for limit in (own, 0.5))
    assert pixels != at_half
    model = tmp_path / "own.xnor"
    model.write_bytes(format.write(replace(tiny(), threshold=own)))
    words = ("run", model, tmp_path / "a.png", "-o", tmp_path / "masks")
    report = json.loads(call(*words, "--json"))
    (row,) = report["images"]
    assert (report["threshold"], row["pixels"], row["pixels_at_half"]) == (own, pixels, at_half)
    assert (np.asarray(Image.open(tmp_path / "masks" / "a.png")) > 0).sum() == pixels
    said = call(*words)
    assert f"{pixels} target pixels ({at_half} at 0.5)" in said and f"threshold {own:g}, that of the model" in said
    said = call(*words, "--threshold", 0.5)
    assert f"{at_half} target pixels, highest" in said and "of the model" not in said and "--threshold" not in said
