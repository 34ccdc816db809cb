"""Targets as boxes: by the Python face, the C interface and a second algorithm, and as xnor-run tells of streams."""

from __future__ import annotations

import ctypes
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny, tiny_with_counts

from irnas.runtime import engine, format
from irnas.runtime import library as native
from irnas.runtime.boxes import Box, find_boxes

Array = np.ndarray[Any, np.dtype[Any]]
pytestmark = pytest.mark.usefixtures("library")

SIZE = "9x14"


def boxes_by_scipy(probability_hw: Array, threshold: float) -> list[Box]:
    labels, _ = ndimage.label(probability_hw > np.float32(threshold), np.ones((3, 3)))
    boxes = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        inside = labels == label
        boxes.append(
            Box(
                x=columns.start,
                y=rows.start,
                width=columns.stop - columns.start,
                height=rows.stop - rows.start,
                area=int(inside.sum()),
                score=float(probability_hw[inside].max()),
            )
        )
    return boxes


class NativeBox(ctypes.Structure):
    _fields_ = (*((name, ctypes.c_int32) for name in ("x", "y", "width", "height", "area")), ("score", ctypes.c_float))


def boxes_by_c(probability_hw: Array, threshold: float, capacity: int = 10000) -> tuple[list[Box], int]:
    boxes, num = (NativeBox * max(capacity, 1))(), ctypes.c_size_t()
    x_hw = np.ascontiguousarray(probability_hw, np.float32)
    address, size = ctypes.c_void_p(x_hw.ctypes.data), (ctypes.c_int32(side) for side in x_hw.shape)
    call = native.load_library().xnor_find_boxes
    assert call(address, *size, ctypes.c_double(threshold), boxes, ctypes.c_size_t(capacity), ctypes.byref(num)) == 0
    named = [Box(**{name: getattr(box, name) for name in Box.__slots__}) for box in boxes[: min(capacity, num.value)]]
    return named, num.value


def in_order(boxes: list[Box]) -> list[Box]:
    return sorted(boxes, key=lambda box: (box.y, box.x, box.width, box.area))


@pytest.mark.parametrize("density", [0.02, 0.2, 0.4, 0.6, 0.95, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 40), (40, 1), (7, 9), (30, 45)])
def test_boxes_are_those_of_a_second_algorithm(size: tuple[int, int], density: float) -> None:
    rng = np.random.default_rng(int(100 * density) + size[0])
    for _ in range(4):
        probability_hw = rng.random(size, np.float32)
        threshold = 1 - density
        found = find_boxes(probability_hw, threshold)
        assert in_order(found) == in_order(boxes_by_scipy(probability_hw, threshold))
        assert boxes_by_c(probability_hw, threshold) == (found, len(found))


def test_targets_that_meet_late_are_one() -> None:
    rows = ["#...#...#", "#...#..#.", ".#.#..#.#", "..#..#...", "#.......#"]
    probability_hw = np.float32([[0.75 if pixel == "#" else 0.25 for pixel in row] for row in rows])
    probability_hw[2, 3] = 0.875
    found = find_boxes(probability_hw, 0.5)
    assert found[0] == Box(x=0, y=0, width=5, height=4, area=7, score=0.875)
    assert [(box.x, box.y, box.area) for box in found[1:]] == [(5, 0, 5), (0, 4, 1), (8, 4, 1)]
    assert boxes_by_c(probability_hw, 0.5) == (found, 4)
    assert boxes_by_c(probability_hw, 0.5, capacity=2) == (found[:2], 4)


def test_the_threshold_itself_is_no_target() -> None:
    probability_hw = np.float32([[0.3, np.nextafter(np.float32(0.3), np.float32(1))]])
    for boxes in (find_boxes(probability_hw, 0.3), boxes_by_c(probability_hw, 0.3)[0]):
        assert [(box.x, box.area) for box in boxes] == [(1, 1)]
    assert find_boxes(np.zeros((3, 3), np.float32), 0.0) == []


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model whose maps have several targets."""
    path = tmp_path / "model.xnor"
    path.write_bytes(format.write(replace(tiny_with_counts(0, 4095), threshold=0.6)))
    return path


def frames(bits: int = 8) -> Array:
    return np.random.default_rng(2).integers(
        0, 256 if bits == 8 else 4096, (5, 9, 14), np.uint8 if bits == 8 else "<u2"
    )


def lines_of_python(model: Path, images: Array) -> list[dict[str, Any]]:
    loaded = engine.load(model)
    masks = loaded.run(images)
    return [
        {"frame": n, **box.document()}
        for n, mask in enumerate(masks)
        for box in find_boxes(mask, loaded.facts.threshold)
    ]


def stream(products: Path, model: Path, content: bytes, *options: str) -> subprocess.CompletedProcess[bytes]:  # noqa: F811
    command = [str(products / "xnor-run"), str(model), "-", *options]
    return subprocess.run(command, input=content, capture_output=True, check=False)


@pytest.mark.parametrize("bits", [8, 16])
def test_a_stream_of_frames_has_the_boxes_of_the_python_face(products: Path, model: Path, bits: int) -> None:  # noqa: F811
    images = frames(bits)
    wanted = lines_of_python(model, images)
    done = stream(products, model, images.tobytes(), "--raw", SIZE, "--bits", str(bits), "--boxes")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line) for line in done.stdout.splitlines()] == wanted
    assert len({line["frame"] for line in wanted}) > 1
    assert b"5 frames in" in done.stderr and b"FPS" in done.stderr


def test_a_stream_of_masks(products: Path, model: Path) -> None:  # noqa: F811
    loaded = engine.load(model)
    wanted = np.where(loaded.run(frames()) > np.float32(0.6), 255, 0).astype(np.uint8)
    done = stream(products, model, frames().tobytes(), "--raw", SIZE, "-o", "-")
    assert done.stdout == wanted.tobytes()


def test_files_have_the_boxes_of_the_stream(products: Path, model: Path, tmp_path: Path) -> None:  # noqa: F811
    np.save(tmp_path / "all.npy", frames())
    command = [str(products / "xnor-run"), str(model), str(tmp_path / "all.npy"), "--boxes"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    lines = [json.loads(line) for line in printed.splitlines()]
    assert {line.pop("image") for line in lines} == {str(tmp_path / "all.npy")}
    assert lines == lines_of_python(model, frames())


def test_boxes_come_frame_by_frame(products: Path, model: Path) -> None:  # noqa: F811
    """Whoever reads them does not wait for the end of the stream, and SIGTERM ends it in good order."""
    command = [str(products / "xnor-run"), str(model), "-", "--raw", SIZE, "--boxes"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        assert run.stdin and run.stdout and run.stderr
        run.stdin.write(frames()[0].tobytes())
        run.stdin.flush()
        assert json.loads(run.stdout.readline())["frame"] == 0
        run.send_signal(signal.SIGTERM)
        assert b"1 frames in" in run.stderr.read() and run.wait() == 0


@pytest.mark.parametrize(
    ("options", "content", "said"),
    [
        (["--raw", SIZE], b"x" * 200, "standard input: got 74 bytes of frame 1; must be whole frames of 126"),
        ([], b"", "--raw: got nothing; must be the size of the frames"),
        (["--raw", "9x"], b"", "--raw: got 9x; must be HxW"),
        (["--raw", "9x14x"], b"", "--raw: got 9x14x; must be HxW"),
        (["--raw", SIZE, "--bits", "12"], b"", "--bits: got 12; must be 8 or 16"),
        (["--raw", SIZE, "--threads", "x"], b"", "--threads: got x; must be 1..256"),
        (["--raw", SIZE, "--threshold", "2"], b"", "--threshold: got 2; must be 0..1"),
        (["--raw", SIZE, "--range", "1%,99%"], b"", "--range: got percentiles of frames that are still to come"),
        (["--raw", SIZE, "--repeat", "3"], b"", "--repeat: got 3 with frames as they come"),
        (["--raw", SIZE, "--boxes", "-o", "-"], b"", "-o: got - with --boxes"),
        (["--raw", SIZE, "--watch", "/"], b"", "got 1 images; must be none, or no --watch"),
        (["--raw", SIZE, "--boxes", "--loud"], b"", "--loud: got an unknown option"),
        (["other.pgm"], b"", "-: got other images too; must be alone"),
    ],
)
def test_a_wrong_stream_is_one_line(
    products: Path,  # noqa: F811
    model: Path,
    options: list[str],
    content: bytes,
    said: str,
) -> None:
    done = stream(products, model, content, *options)
    assert done.returncode == 2
    *_, last = done.stderr.decode().splitlines()
    assert last.startswith(f"xnor-run: {said}")


def test_counts_of_a_stream_need_a_range(products: Path, tmp_path: Path) -> None:  # noqa: F811
    path, images = tmp_path / "plain.xnor", frames(16)
    path.write_bytes(format.write(tiny()))
    done = stream(products, path, images.tobytes(), "--raw", SIZE, "--bits", "16", "--boxes")
    assert done.returncode == 2 and b"must come with --range LOW,HIGH" in done.stderr and done.stdout == b""
    done = stream(products, path, images.tobytes(), "--raw", SIZE, "--bits", "16", "--boxes", "--range", "0,4095")
    assert done.returncode == 0 and done.stdout


@contextmanager
def watching(products: Path, model: Path, folder: Path) -> Iterator[subprocess.Popen[bytes]]:  # noqa: F811
    command = [str(products / "xnor-run"), str(model), "--watch", str(folder), "--boxes"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
        try:
            yield run
        finally:
            run.kill()


def test_a_folder_is_watched(products: Path, model: Path, tmp_path: Path) -> None:  # noqa: F811
    folder, images = tmp_path / "camera", frames()
    folder.mkdir()

    def put(name: str, n: int) -> None:
        part = folder / f"{name}.part"
        part.write_bytes(b"P5\n14 9\n255\n" + images[n].tobytes())
        part.rename(folder / name)

    put("a.pgm", 0)
    with watching(products, model, folder) as run:
        assert run.stdout and run.stderr
        first = json.loads(run.stdout.readline())
        assert (first["frame"], first["image"]) == (0, str(folder / "a.pgm"))
        (folder / "broken.pgm").write_bytes(b"P5\n14 9\n255\n")
        assert b"broken.pgm: got too few bytes" in run.stderr.readline()
        for n in (1, 2, 3):
            put(f"b{n}.pgm", n)
        lines: list[dict[str, Any]] = [first]
        wanted = [line for line in lines_of_python(model, images) if line["frame"] < 4]
        while len(lines) < len(wanted):
            lines.append(json.loads(run.stdout.readline()))
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 0 and b"4 frames in" in run.stderr.read()
    names = [line.pop("image") for line in lines]
    assert lines == wanted
    assert sorted(set(names)) == [str(folder / f"{name}.pgm") for name in ("a", "b1", "b2", "b3")]


def test_a_folder_that_is_none_is_one_line(products: Path, model: Path, tmp_path: Path) -> None:  # noqa: F811
    for folder in (tmp_path / "none", model):
        command = [str(products / "xnor-run"), str(model), "--watch", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 2 and "--watch: got" in done.stderr.splitlines()[-1]
