"""More than 8 bits become the same 8 bits in training, ``irnas run``, ``xnor-run`` and Python (FORMAT.md, 8)."""

from __future__ import annotations

import ctypes
import json
import re
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer
from PIL import Image
from support.command import printed
from support.native import library, products, run  # noqa: F401
from support.xnor_file import tiny_with_counts
from torch import Tensor, nn

from irnas import models
from irnas.cli import data as data_command
from irnas.cli import run as run_command
from irnas.core import catalog
from irnas.core.errors import DataError, SettingsError
from irnas.data import manifest, open_dataset, tile
from irnas.data.dataset import EVERY
from irnas.data.decode import Notes, is_deep, read_image
from irnas.data.importer import import_folder
from irnas.data.value_range import measure_files, range_of_document
from irnas.deploy.export import onnx, source, write
from irnas.deploy.export.write import Origin
from irnas.runtime import engine, format, reference, session
from irnas.runtime.format import Input, Model, Reference
from irnas.runtime.graph import Op
from irnas.runtime.value_range import (
    RangeChoice,
    RangeMeter,
    ValueRange,
    find_defects,
    map_counts,
    measure_range,
    parse_choice,
)
from irnas.training.weights import WeightsInfo

Array = np.ndarray[Any, np.dtype[Any]]
app = typer.Typer()
app.command("run")(run_command.run)
app.add_typer(data_command.app, name="data")


def scene(seed: int, shape: tuple[int, int] = (48, 64)) -> Array:
    """A radiometric frame: 22000 to 23000 counts, noise of 15, a target of 3x3 pixels 150 above its surroundings."""
    frame = 22000 + 1000 * np.mgrid[: shape[0], : shape[1]][0] / shape[0]
    frame += np.random.default_rng(seed).normal(0, 15, shape)
    frame[target(seed)] += 150
    return frame.round().astype(np.uint16)


def target(seed: int) -> tuple[slice, slice]:
    row = 5 + 4 * (seed % 10)
    return np.s_[row : row + 3, 20:23]


def single() -> Array:
    return scene(0)[None]


def sequence() -> Array:
    """Six frames; something hot enters in the fourth."""
    frames = np.stack([scene(1)] * 6)
    frames[3:, 30:40, 40:55] = 29000
    return frames


def with_defects() -> Array:
    """Frames with dead and stuck pixels, two of them side by side, in a corner and on the edge."""
    frames = np.stack([scene(seed) for seed in range(3)])
    frames[:, 40, 50:52] = 0
    frames[:, 0, 0] = 0
    frames[:, 47, 13] = 65535
    return frames


FRAMES = {"single": single, "sequence": sequence, "with_defects": with_defects}


def save_set(root: Path, frames: Array, seeds: list[int]) -> Path:
    """A folder of images and masks, the images as 16-bit PGM files, which xnor-run reads too."""
    (root / "images").mkdir(parents=True)
    (root / "masks").mkdir()
    for n, (frame, seed) in enumerate(zip(frames, seeds, strict=True)):
        Image.fromarray(frame).save(root / "images" / f"{n}.pgm")
        mask = np.zeros(frame.shape, np.uint8)
        mask[target(seed)] = 255
        Image.fromarray(mask).save(root / "masks" / f"{n}.png")
    return root


def probe(centre: float, counts: ValueRange | None) -> Model:
    """A model whose probability, in 255ths, tells the levels of one quarter of 0..255 apart."""
    window = {"kernel": 1, "stride": 1, "groups": 1, "pad": 0}
    constants = {"weight": np.full((1, 1, 1, 1), 16, np.float32), "bias": np.full(1, -16 * centre, np.float32)}
    ops = (
        Op(kind="conv", inputs=(0,), attributes=window, constants=constants),
        Op(kind="sigmoid", inputs=(1,)),
    )
    run_of = Reference(height=4, width=4, seed=0, input_sha256="0" * 64, output_sha256="0" * 64)
    return Model(input=Input(channels=1, multiple=1, pad=1, counts=counts), ops=ops, reference=run_of)


CENTRES = (1 / 8, 3 / 8, 5 / 8, 7 / 8)


def to_levels(maps: list[Array]) -> Array:
    """The 0..255 that entered the four probes, from 255 times the probabilities that left them."""
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    known = [np.rint(reference.predict(probe(c, None), ramp) * 255).astype(np.uint8).ravel() for c in CENTRES]
    level_of = {tuple(int(k[level]) for k in known): level for level in range(256)}
    assert len(level_of) == 256
    stacked = np.stack(maps, axis=-1)
    levels = [level_of[tuple(int(v) for v in pixel)] for pixel in stacked.reshape(-1, len(CENTRES))]
    return np.array(levels, np.uint8).reshape(stacked.shape[:-1])


@pytest.mark.parametrize("is_stored", [True, False], ids=["stored", "measured"])
@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.usefixtures("library")
def test_training_and_every_runner_see_the_same_numbers(
    kind: str,
    is_stored: bool,
    products: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    """Bit for bit. Without a range in the model, all runners measure that of the images, which is that of the set."""
    frames = FRAMES[kind]()
    folder = save_set(
        tmp_path / "set", frames, [0] if kind == "single" else [1] * 6 if kind == "sequence" else [0, 1, 2]
    )
    folder_manifest = import_folder(folder, tmp_path / "data", val_fraction=0)
    trained_on = range_of_document(folder_manifest.value_range)
    split = open_dataset(str(tmp_path / "data")).split(EVERY)
    row_of = {split.name(i): i for i in range(len(split))}
    wanted = np.stack([split.image(row_of[str(n)]) for n in range(len(frames))])
    by_command, by_runner, by_python = [], [], []
    for centre in CENTRES:
        path = tmp_path / f"{centre}.xnor"
        path.write_bytes(format.write(probe(centre, trained_on if is_stored else None)))
        out = tmp_path / f"out{centre}"
        said = printed(app, "run", path, folder / "images", "-o", out, "--probability")
        assert (
            f"counts {trained_on} read as 0..255, the range of {'the model' if is_stored else 'these images'}" in said
        )
        by_command.append(np.stack([np.asarray(Image.open(out / f"{n}.png")) for n in range(len(frames))]))
        files = [str(folder / "images" / f"{n}.pgm") for n in range(len(frames))]
        said = run([str(products / "xnor-run"), str(path), *files, "-o", str(out), "--probability"])
        assert (
            f"counts {trained_on} read as 0..255, the range of {'the model' if is_stored else 'these images'}" in said
        )
        by_runner.append(np.stack([np.asarray(Image.open(out / f"{n}.pgm")) for n in range(len(frames))]))
        loaded = engine.load(path)
        assert loaded.facts.counts == (trained_on if is_stored else None)
        by_python.append(np.rint(loaded.run(frames) * 255).astype(np.uint8))
        np.testing.assert_array_equal(loaded.run(frames), loaded.run(wanted))
    for maps in (by_command, by_runner, by_python):
        np.testing.assert_array_equal(to_levels(maps), wanted)


def test_a_device_reads_one_frame_as_training_did(products: Path, tmp_path: Path) -> None:  # noqa: F811
    """A frame alone has another range than the sequence that was trained on: the one in the model counts."""
    frames = sequence()
    stored, own = measure_range(frames), measure_range(frames[:1])
    assert stored != own
    Image.fromarray(frames[0]).save(tmp_path / "0.pgm")
    maps = []
    for centre in CENTRES:
        (tmp_path / "x.xnor").write_bytes(format.write(probe(centre, stored)))
        run(
            [
                str(products / "xnor-run"),
                *(str(tmp_path / n) for n in ("x.xnor", "0.pgm")),
                "-o",
                str(tmp_path),
                "--probability",
            ]
        )
        maps.append(np.asarray(Image.open(tmp_path / "0.pgm")).copy())
        Image.fromarray(frames[0]).save(tmp_path / "0.pgm")
    np.testing.assert_array_equal(to_levels(maps), stored.map(frames[0]))


class Steep(nn.Module):
    stride, frames = 1, 1

    def forward(self, x_nchw: Tensor) -> Tensor:
        return x_nchw * 16 - 8


def test_onnx_files_hold_the_range_too(tmp_path: Path) -> None:
    for package in ("onnxruntime", "onnxscript"):
        pytest.importorskip(package, reason="the extra 'export' is not installed")
    network, stored = Steep().eval(), ValueRange(22000.0, 23155.5)
    contents = [
        onnx.convert(network, onnx.input_of(network, 1), Origin(name="steep", counts=counts)).SerializeToString()
        for counts in (stored, None)
    ]
    frames = np.stack([scene(3), scene(4)])
    loaded, without = (session.Session(content) for content in contents)
    assert loaded.facts.counts == stored and without.facts.counts is None and b"counts" not in contents[1]
    np.testing.assert_array_equal(loaded.run(frames), without.run(stored.map(frames)))
    np.testing.assert_array_equal(without.run(frames), without.run(measure_range(frames).map(frames)))
    np.testing.assert_array_equal(without.run(frames, value_range=stored), loaded.run(frames))
    (tmp_path / "x.onnx").write_bytes(contents[0])
    Image.fromarray(frames[0]).save(tmp_path / "0.tiff")
    printed(app, "run", tmp_path / "x.onnx", tmp_path / "0.tiff", "-o", tmp_path, "--probability")
    wanted = np.rint(loaded.run(frames[:1])[0] * 255)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "0.png")), wanted)


@pytest.mark.parametrize("ends", [(0.0, 65535.0), (0.0, 255.0), (22000.0, 23155.5), (-3.0, 7.0), (100.25, 1e6)])
def test_rule_c1_is_one_formula_in_c_and_in_python(ends: tuple[float, float], library: Path) -> None:  # noqa: F811
    counts = np.arange(65536, dtype=np.uint16)
    levels = np.zeros(65536, np.uint8)
    call = ctypes.CDLL(str(library)).xnor_map_counts
    call.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_double, ctypes.c_double, ctypes.c_void_p]
    call.restype = None
    call(counts.ctypes.data, counts.size, *ends, levels.ctypes.data)
    np.testing.assert_array_equal(levels, ValueRange(*ends).map(counts))
    low, high = ends
    exact = [min(max((int(c) - low) * 255 / (high - low), 0), 255) for c in counts[::97]]
    np.testing.assert_array_equal(levels[::97], [round(level) for level in exact])


def test_rule_c1_rounds_halves_to_even_and_cuts_the_rest_off() -> None:
    assert ValueRange(0, 510).map(np.array([0, 1, 2, 3, 5, 509, 510, 65535])).tolist() == [0, 0, 1, 2, 2, 254, 255, 255]
    assert ValueRange(22000, 23000).map(np.array([0, 22000, 23000, 65535])).tolist() == [0, 0, 255, 255]


def measured_by_runner(products: Path, folder: Path, frames: Array, *options: str) -> str:  # noqa: F811
    """What xnor-run says the range of frames is."""
    (folder / "probe.xnor").write_bytes(format.write(probe(0.5, None)))
    np.save(folder / "frames.npy", frames)
    said = run([str(products / "xnor-run"), str(folder / "probe.xnor"), str(folder / "frames.npy"), *options])
    match = re.search(r"counts (\S+) read as 0\.\.255", said)
    assert match, said
    return match[1]


def odd_frames() -> dict[str, Array]:
    rng = np.random.default_rng(9)
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    dead = scene(5, (24, 32))
    dead[3, 4], dead[4, 4] = 0, 65535
    return {
        "noise": rng.integers(0, 65536, (3, 40, 50), dtype=np.uint16),
        "gauss": rng.normal(3000, 20, (2, 130, 170)).round().astype(np.uint16),
        "defects": dead[None],
        "dead column": np.where(np.arange(64) == 9, 0, scene(6))[None].astype(np.uint16),
        "8 bits": ramp[None],
        "8 bits times 257": 257 * ramp[None],
        "nearly times 257": 257 * ramp[None] + (ramp == 77),
        "flat": np.full((1, 9, 9), 300, np.uint16),
        "flat but one": np.where(np.arange(81).reshape(1, 9, 9) == 40, 900, 300).astype(np.uint16),
        "one pixel": np.full((1, 1, 1), 300, np.uint16),
        "one row": rng.integers(400, 500, (2, 1, 37), dtype=np.uint16),
    }


@pytest.mark.parametrize("name", odd_frames())
@pytest.mark.parametrize("percentiles", [None, (0.0, 100.0), (1.0, 95.5)])
def test_rules_c3_to_c6_are_measured_alike_in_c_and_in_python(
    name: str,
    percentiles: tuple[float, float] | None,
    products: Path,  # noqa: F811
    tmp_path: Path,
) -> None:
    frames = odd_frames()[name]
    options = ["--range", f"{percentiles[0]}%,{percentiles[1]}%"] if percentiles else []
    wanted = measure_range(frames, percentiles) if percentiles else measure_range(frames)
    assert measured_by_runner(products, tmp_path, frames, *options) == str(wanted)


def test_rule_c2_a_range_of_the_user_goes_first(products: Path, tmp_path: Path) -> None:  # noqa: F811
    frames, stored, chosen = with_defects(), ValueRange(0.0, 30000.0), ValueRange(21000.0, 24000.0)
    assert map_counts(frames, stored, chosen).tolist() == chosen.map(frames).tolist()
    assert map_counts(frames, stored).tolist() == stored.map(frames).tolist()
    assert map_counts(frames, None).tolist() == measure_range(frames).map(frames).tolist()
    (tmp_path / "x.xnor").write_bytes(format.write(probe(0.5, stored)))
    np.save(tmp_path / "frames.npy", frames)
    command = [str(products / "xnor-run"), str(tmp_path / "x.xnor"), str(tmp_path / "frames.npy")]
    for options, what in (
        ([], "0..30000 read as 0..255, the range of the model"),
        (["--range", "21000,24000"], "21000..24000 read as 0..255, the range of --range"),
        (["--range", "0.01%,99.99%"], f"{measure_range(frames)} read as 0..255, the range of these images"),
    ):
        assert f"counts {what}" in run([*command, *options])
    Image.fromarray(frames[0]).save(tmp_path / "a.png")
    pages = [(tmp_path / "a.png", 0)]
    assert measure_files(pages, RangeChoice(), stored) == stored
    assert measure_files(pages, RangeChoice(fixed=chosen), stored) == chosen
    assert measure_files(pages, parse_choice("0.01%,99.99%"), stored) == measure_range(frames[:1])


def test_rule_c3_what_had_8_bits_keeps_its_values() -> None:
    ramp = np.arange(256, dtype=np.uint16).reshape(16, 16)
    assert measure_range(257 * ramp).map(257 * ramp).tolist() == ramp.tolist()
    assert measure_range(ramp // 4).map(ramp // 4).tolist() == (ramp // 4).tolist()


def test_rule_c4_a_defect_is_no_end_of_the_range() -> None:
    frames = with_defects()
    clean = measure_range(np.stack([scene(seed) for seed in range(3)]))
    assert measure_range(frames) == clean
    marked = find_defects(frames[0])
    assert marked[40, 50] and marked[40, 51] and marked[0, 0] and marked[47, 13] and marked.sum() == 4
    assert clean.map(frames[0])[target(0)].mean() - clean.map(frames[0])[5:8, 26:29].mean() > 15


def test_rule_c4_one_defect_in_a_small_frame_is_found_too() -> None:
    """Of 1024 pixels one is far more than 0.01 %."""
    frame = scene(0, (32, 32))
    frame[20, 3] = 0
    assert measure_range(frame).low > 21900


def test_rule_c5_masks_keep_a_target_that_percentiles_would_cut_off() -> None:
    rng = np.random.default_rng(0)
    frames = rng.normal(22000, 15, (3, 256, 256)).round().astype(np.uint16)
    mask = np.zeros((256, 256), np.uint8)
    mask[100:102, 100:102] = 1
    frames[:, mask == 1] = 22300
    meter, blind = RangeMeter(), RangeMeter()
    for frame in frames:
        meter.add(frame, mask)
        blind.add(frame)
    assert blind.measure().high < 22100 and meter.measure() == ValueRange(blind.measure().low, 22300.0)
    stuck = np.where(mask == 1, 65535, frames[0]).astype(np.uint16)
    meter.add(stuck, mask)
    assert meter.measure().high < 22500, "a stuck pixel in a target flattens the set"


def test_rule_c5_pixels_that_nobody_cares_about_are_no_target() -> None:
    frame, mask = scene(0), np.zeros((48, 64), np.uint8)
    frame[30, 30], mask[30, 30] = 60000, 2
    meter = RangeMeter()
    meter.add(frame, mask)
    assert meter.measure().high < 24000


def test_rule_c6_a_flat_set_has_a_range() -> None:
    flat = np.full((9, 9), 300, np.uint16)
    assert measure_range(flat) == ValueRange(300.0, 301.0) and not measure_range(flat).map(flat).any()
    flat[4, 4] = 900
    assert measure_range(flat) == ValueRange(300.0, 900.0)


def test_floats_have_a_range_as_well() -> None:
    kelvin = scene(0).astype(np.float32) / 100
    kelvin[7, 7] = 0
    measured, counts = measure_range(kelvin), measure_range(scene(0))
    assert abs(measured.low - counts.low / 100) < 0.1 and abs(measured.high - counts.high / 100) < 0.1
    with pytest.raises(DataError, match="not finite"):
        measure_range(np.array([[np.nan, 1.0]]))


@pytest.mark.parametrize(
    "text", ["", "1", "1,2,3", "2,1", "1,1", "a,b", "1%,2", "5%,4%", "-1%,50%", "0%,101%", "nan,1", "0,inf"]
)
def test_a_wrong_range_is_refused_in_one_line(text: str, products: Path, tmp_path: Path) -> None:  # noqa: F811
    with pytest.raises(SettingsError, match=r"^--range: got .*; must be LOW,HIGH in ascending counts, or percent"):
        parse_choice(text)
    (tmp_path / "x.xnor").write_bytes(format.write(probe(0.5, None)))
    with pytest.raises(AssertionError, match=r"xnor-run: --range: got .*; must be LOW,HIGH in ascending counts"):
        run([str(products / "xnor-run"), str(tmp_path / "x.xnor"), "x.pgm", "--range", text])


def test_import_says_what_is_left_and_warns_where_it_is_little(tmp_path: Path) -> None:
    folder = save_set(tmp_path / "hot", sequence(), [1] * 6)
    report = json.loads(
        printed(app, "data", "import", folder, "-o", tmp_path / "wide", "--val-fraction", "0", "--json")
    )
    assert report["value_range"]["high"] == 29000 and report["value_range"]["levels"] < 50
    texts = " ".join(report["warnings"])
    assert "levels for" in texts and "fewer than 100 levels are left: --range LOW,HIGH" in texts
    options = ["--val-fraction", "0", "--range", "21900,23300", "--json"]
    report = json.loads(printed(app, "data", "import", folder, "-o", tmp_path / "cut", *options))
    assert report["value_range"] == {
        "low": 21900,
        "high": 23300,
        "by": "option",
        "levels": report["value_range"]["levels"],
    }
    assert report["value_range"]["levels"] > 100 and "fewer than" not in " ".join(report["warnings"])
    image = open_dataset(str(tmp_path / "cut")).split(EVERY).image(0)
    np.testing.assert_array_equal(image, ValueRange(21900, 23300).map(sequence()[0]))
    before, after = (open_dataset(str(tmp_path / "wide")).split(EVERY).image(n)[:28].astype(int) for n in (0, 5))
    assert np.array_equal(before, after), "the background jumps where something hot enters"


def test_the_manifest_of_8_bits_says_nothing_of_a_range(tmp_path: Path) -> None:
    folder = save_set(tmp_path / "set", np.stack([scene(seed) // 100 for seed in range(3)]).astype(np.uint8), [0, 1, 2])
    import_folder(folder, tmp_path / "data", val_fraction=0)
    assert "value_range" not in json.loads((tmp_path / "data" / manifest.FILE).read_text())
    assert open_dataset(str(tmp_path / "data")).manifest.value_range is None


def test_tiles_keep_the_range_of_their_set(tmp_path: Path) -> None:
    folder = save_set(tmp_path / "set", np.stack([scene(seed) for seed in range(6)]), list(range(6)))
    whole = import_folder(folder, tmp_path / "data")
    cut = tile.write(tmp_path / "tiles", open_dataset(str(tmp_path / "data")), size=32, fit=2, val=1, seed=0)
    assert cut.value_range == whole.value_range is not None


def test_a_pgm_file_of_12_bits_holds_the_counts_of_its_camera(tmp_path: Path) -> None:
    """Pillow scales them to 16 bits; a range from files of another kind would not fit."""
    for most in (300, 1023, 4095, 16383, 65535):
        counts = np.random.default_rng(most).integers(0, most + 1, (20, 30), dtype=np.uint16)
        (tmp_path / "a.pgm").write_bytes(b"P5\n30 20\n%d\n" % most + counts.astype(">u2").tobytes())
        seen: list[Array] = []
        read_image(tmp_path / "a.pgm", Notes(measure=seen.append))
        np.testing.assert_array_equal(seen[0], counts)


def test_a_pgm_file_of_fewer_bits_is_read_alike(products: Path, tmp_path: Path) -> None:  # noqa: F811
    """Its largest value is white, for ``irnas run`` and for xnor-run."""
    for most in (1, 3, 10, 100, 127, 254):
        values = np.random.default_rng(most).integers(0, most + 1, (6, 7), dtype=np.uint8)
        (tmp_path / "a.pgm").write_bytes(b"P5\n7 6\n%d\n" % most + values.tobytes())
        maps = []
        for centre in CENTRES:
            (tmp_path / "x.xnor").write_bytes(format.write(probe(centre, None)))
            files = [str(tmp_path / name) for name in ("x.xnor", "a.pgm")]
            (tmp_path / "out").mkdir(exist_ok=True)
            run([str(products / "xnor-run"), *files, "-o", str(tmp_path / "out"), "--probability"])
            maps.append(np.asarray(Image.open(tmp_path / "out" / "a.pgm")).copy())
        np.testing.assert_array_equal(to_levels(maps), read_image(tmp_path / "a.pgm", Notes()))


def png_of_16_bits(colour_type: int, channels: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    pixels = np.repeat(scene(0)[..., None], channels, 2).astype(">u2")
    head = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], 16, colour_type, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in pixels)
    blocks = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + blocks


@pytest.mark.parametrize(("colour_type", "channels"), [(2, 3), (4, 2), (6, 4)], ids=["RGB", "LA", "RGBA"])
def test_colour_and_alpha_of_16_bits_are_refused_by_name(colour_type: int, channels: int, tmp_path: Path) -> None:
    (tmp_path / "deep.png").write_bytes(png_of_16_bits(colour_type, channels))
    with pytest.raises(DataError, match=r"deep\.png: got colour or alpha of more than 8 bits; must be grey of 16 bits"):
        read_image(tmp_path / "deep.png", Notes())
    (tmp_path / "deep.ppm").write_bytes(b"P6\n2 1\n1023\n" + bytes(12))
    with pytest.raises(DataError, match="must be grey of 16 bits"):
        read_image(tmp_path / "deep.ppm", Notes())
    (tmp_path / "grey.png").write_bytes(png_of_16_bits(0, 1))
    assert is_deep(tmp_path / "grey.png") and len(np.unique(read_image(tmp_path / "grey.png", Notes()))) > 200


def test_an_export_holds_the_range_of_what_was_trained_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not of what it is compared on; where the first is gone, it is said that nothing is known."""
    frames = np.stack([scene(seed) for seed in range(6)])
    made = {
        name: import_folder(save_set(tmp_path / name, values, list(range(6))), tmp_path / f"data-{name}")
        for name, values in (("own", frames), ("other", frames + np.uint16(500)))
    }
    own, other = (str(tmp_path / f"data-{name}") for name in ("own", "other"))
    genotype = catalog.find_point("biisnet", "base=4")
    result = SimpleNamespace(genotype=genotype, key=genotype.key, data_rev=made["own"].revision)
    network = models.build(genotype).eval()
    info = WeightsInfo(genotype=genotype, origin="trained", is_range_known=False)
    run_of = SimpleNamespace(data=SimpleNamespace(path=own), settings=SimpleNamespace(preset="basicirstd"))
    monkeypatch.setattr(source, "restore_trained", lambda uri, key: (run_of, result, network, info))
    trained_on = range_of_document(made["own"].value_range)
    assert trained_on is not None and trained_on != range_of_document(made["other"].value_range)
    assert made["own"].content == made["other"].content and made["own"].revision != made["other"].revision
    for dataset in (None, other):
        chosen = source.from_run("run", "best", dataset)
        assert chosen.origin.counts == trained_on and chosen.is_range_known
    model, _ = write.convert(network, 1, chosen.origin)
    assert format.read(format.write(model)).input.counts == trained_on
    run_of.data.path = str(tmp_path / "gone")
    chosen = source.from_run("run", "best", other)
    assert chosen.origin.counts is None and not chosen.is_range_known


@pytest.mark.usefixtures("library")
def test_the_engine_reads_a_file_with_counts_and_runs_it_as_without() -> None:
    model = tiny_with_counts()
    plain = replace(model, input=replace(model.input, counts=None))
    image = np.random.default_rng(1).integers(0, 256, (1, 16, 24), dtype=np.uint8)
    for kernels in engine.kernels():
        loaded = engine.Model(format.write(model), kernels=kernels)
        loaded.verify()
        assert loaded.facts.counts == model.input.counts
        np.testing.assert_array_equal(loaded.run(image), engine.Model(format.write(plain), kernels=kernels).run(image))
        wanted = reference.predict(model, model.input.counts.map(scene(2))) if model.input.counts else None
        np.testing.assert_array_equal(loaded.run(scene(2)[None])[0], wanted)


def test_every_rule_of_counts_has_a_test() -> None:
    text = Path(format.__file__).with_name("FORMAT.md").read_text()
    rules = set(re.findall(r"\*\*(C\d+) ", text))
    names = " ".join(name for name in globals() if name.startswith("test_rule"))
    assert len(rules) == 6 and all(f"_{rule.lower()}_" in names for rule in rules)
