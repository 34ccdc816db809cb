"""What `pip install irnas` alone can do, in processes that find no other package than it brings."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
from packaging.requirements import Requirement
from PIL import Image
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny

from irnas.runtime import format, reference

pytestmark = pytest.mark.usefixtures("library")

ROOT = Path(__file__).parent.parent.parent


def base_modules() -> set[str]:
    """The modules of what pyproject.toml declares without extras, and of what that declares itself."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [Requirement(text) for text in project["dependencies"]]
    packages = set[str]()
    while wanted:
        requirement = wanted.pop()
        if requirement.name in packages or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        packages.add(requirement.name)
        wanted += [Requirement(text) for text in metadata.requires(requirement.name) or ()]
    names = {package.lower().replace("_", "-") for package in packages}
    modules = metadata.packages_distributions().items()
    return {"irnas"} | {module for module, owners in modules if {o.lower().replace("_", "-") for o in owners} & names}


CODE = f"""
import sys

class Present:
    def __init__(self, finder):
        self.finder = finder

    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {sorted(base_modules())} or top in sys.stdlib_module_names or top.startswith("_"):
            return self.finder.find_spec(name, path, target)

sys.meta_path[:] = map(Present, sys.meta_path)
from irnas.cli import main
sys.exit(main())
"""


def run(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CODE, *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    return path


def test_it_runs_a_model_on_images(model: Path, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 13), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "one.png")
    done = run(tmp_path, "run", model, "one.png", "-o", "masks", "--boxes")
    assert done.returncode == 0, done.stderr
    wanted = np.where(reference.predict(tiny(), image) > 0.5, 255, 0)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "masks" / "one.png")), wanted)
    assert sum(json.loads(line)["area"] for line in done.stdout.splitlines()) == (wanted > 0).sum()


def test_it_runs_the_zoo_and_times_a_model(model: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "run", "zoo:sirst-lit10-bn", "zoo:frames", "--boxes")
    assert done.returncode == 0, done.stderr
    assert {json.loads(line)["frame"] for line in done.stdout.splitlines()} == {0, 1, 2}, "targets in each frame"
    done = run(tmp_path, "bench", model, "--size", "16x16", "--seconds", "0", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["models"][0]["engine"] == "xnor"


@pytest.mark.parametrize(
    "words",
    [
        "search --trials 2",
        "train biisnet LIT10",
        "export biisnet LIT10 -o lit.xnor",
        "cost biisnet LIT10",
        "data stats synthetic",
        "device profile -o here.json",
        "bench biisnet:LIT10",
        "import-weights weights.pkl -o out.safetensors",
    ],
)
def test_what_needs_more_names_the_extra(tmp_path: Path, words: str) -> None:
    done = run(tmp_path, *words.split())
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and done.stdout == ""
    command = words.split()[0]
    assert line.startswith(f"irnas: {command}: got no package ")
    assert line.endswith("; must be installed: pip install 'irnas[search]'")
    assert not list(tmp_path.iterdir())


def test_onnx_names_its_own_extra(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"")
    Image.fromarray(np.full((16, 16), 9, np.uint8)).save(tmp_path / "one.png")
    done = run(tmp_path, "run", "a.onnx", "one.png", "--boxes")
    assert done.returncode == 2 and "pip install 'irnas[export]'" in done.stderr


def test_help_needs_nothing_more(tmp_path: Path) -> None:
    assert "search" in run(tmp_path, "--help").stdout
    assert run(tmp_path, "search", "--help").returncode == 0
