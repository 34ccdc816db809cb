"""The engine installed as a CMake package, and the example in plain C on it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from support.native import ROOT, library, products, run  # noqa: F401
from support.xnor_file import tiny

from irnas.runtime import engine, format
from irnas.runtime.boxes import find_boxes

pytestmark = pytest.mark.usefixtures("library")


def test_a_c_program_finds_the_package_and_prints_the_boxes_of_python(products: Path, tmp_path: Path) -> None:  # noqa: F811
    for tool in ("cmake", "gcc"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} to build the example with")
    prefix, build = tmp_path / "prefix", tmp_path / "build"
    run(["cmake", "--install", str(products.parents[2]), "--prefix", str(prefix)])
    source = ROOT / "irnas" / "runtime" / "native" / "example"
    options = [f"-DCMAKE_PREFIX_PATH={prefix}", "-DCMAKE_C_FLAGS=-std=c99 -Wall -Wextra -Wpedantic -Werror"]
    run(["cmake", "-S", str(source), "-B", str(build), *options])
    run(["cmake", "--build", str(build)])
    model, frames = tmp_path / "tiny.xnor", np.random.default_rng(2).integers(0, 256, (3, 9, 14), np.uint8)
    model.write_bytes(format.write(tiny()))
    program = [str(build / "boxes"), str(model), "9", "14"]
    printed = subprocess.run(program, input=frames.tobytes(), capture_output=True, check=True).stdout.decode()
    wanted = [
        f"frame {n}: {box.width}x{box.height} at {box.x}, {box.y}, score {box.score:.6f}"
        for n, mask in enumerate(engine.load(model).run(frames))
        for box in find_boxes(mask, 0.5)
    ]
    assert printed.splitlines() == wanted and len(wanted) >= 3
    assert subprocess.run(program[:2], capture_output=True, check=False).returncode == 2


def test_the_page_asks_for_the_version_of_the_interface() -> None:
    header = (ROOT / "irnas" / "runtime" / "native" / "include" / "xnor.h").read_text(encoding="utf-8")
    (number,) = re.findall(r"^#define XNOR_ABI (\d+)$", header, re.MULTILINE)
    for page in ("docs/edge.md", "irnas/runtime/native/example/CMakeLists.txt"):
        assert f"find_package(xnor {number} REQUIRED)" in (ROOT / page).read_text(encoding="utf-8")
