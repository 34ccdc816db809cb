"""infra/wheels/build.py: what a wheel may need, the tag that says so, and the wheels in fresh environments."""

from __future__ import annotations

import base64
import hashlib
import importlib.util
import json
import shutil
import subprocess
import venv
import zipfile
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from support.infra import INFRA, ROOT
from support.native import library, products  # noqa: F401

from irnas.runtime import engine
from irnas.runtime.boxes import find_boxes

WHEEL = "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n\n"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("build_wheels", INFRA / "wheels" / "build.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


BUILD = load()


def test_the_tag_is_in_the_name_the_metadata_and_the_list_of_files(tmp_path: Path) -> None:
    made = tmp_path / "irnas-0.1.0-py3-none-linux_x86_64.whl"
    facts, record = "irnas-0.1.0.dist-info/WHEEL", "irnas-0.1.0.dist-info/RECORD"
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("irnas/__init__.py", "one = 1\n")
        archive.writestr(facts, WHEEL)
        archive.writestr(record, f"irnas/__init__.py,sha256=a,8\n{facts},sha256=b,{len(WHEEL)}\n{record},,\n")
    (tmp_path / "dist").mkdir()
    tagged = BUILD.retag(made, "py3-none-manylinux_2_35_x86_64", tmp_path / "dist")
    assert tagged.name == "irnas-0.1.0-py3-none-manylinux_2_35_x86_64.whl"
    assert list((tmp_path / "dist").iterdir()) == [tagged]
    with zipfile.ZipFile(tagged) as archive:
        said, lines = archive.read(facts), archive.read(record).decode().splitlines()
        assert archive.read("irnas/__init__.py") == b"one = 1\n"
    assert said.decode() == WHEEL.replace("linux_x86_64", "manylinux_2_35_x86_64")
    digest = base64.urlsafe_b64encode(hashlib.sha256(said).digest()).decode().rstrip("=")
    assert lines == ["irnas/__init__.py,sha256=a,8", f"{facts},sha256={digest},{len(said)}", f"{record},,"]


@pytest.fixture
def unpacked(products: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The programs of a wheel, linked as an ordinary build links them."""
    for path in (products / "_xnor.so", products / "xnor-run", products.parents[1] / "nn" / "native" / "_fused.so"):
        shutil.copy(path, tmp_path)
    return tmp_path


def test_a_wheel_needs_the_c_library_alone(unpacked: Path) -> None:
    with pytest.raises(BUILD.WheelError, match=r"_fused\.so: got a need of libstdc\+\+\.so\.6.*; must need the C lib"):
        BUILD.measure_programs(unpacked, "x86_64")


def test_a_wheel_is_for_one_machine(unpacked: Path) -> None:
    with pytest.raises(BUILD.WheelError, match=r"_fused\.so: got a file for another machine; must be for aarch64"):
        BUILD.measure_programs(unpacked, "aarch64")


def test_a_wheel_without_its_engine_is_none(unpacked: Path) -> None:
    (unpacked / "_xnor.so").write_text("no library")
    with pytest.raises(BUILD.WheelError, match=r"wheel: got no _xnor\.so; must hold them"):
        BUILD.measure_programs(unpacked, "x86_64")


def test_a_missing_tool_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    monkeypatch.setenv("PATH", "")
    assert BUILD.main(["--machine", "aarch64", "-o", str(tmp_path / "dist")]) == 2
    assert capsys.readouterr().err == (
        "build.py: qemu-aarch64: got none; must be installed, to try the wheel (Debian: qemu-user)\n"
    )
    assert not (tmp_path / "dist").exists()


@pytest.mark.service
@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_a_wheel_is_built_and_its_engine_repeats_a_recorded_run(
    machine: str,
    wheels: Path,
    library: Path,  # noqa: F811
) -> None:
    if machine == "aarch64" and not (shutil.which("qemu-aarch64") and shutil.which("aarch64-linux-gnu-g++")):
        pytest.skip("no qemu-aarch64 or no aarch64-linux-gnu-g++: the wheel for ARM is not built")
    assert BUILD.main(["--machine", machine, "-o", str(wheels)]) == 0
    (wheel,) = wheels.glob(f"irnas-*-py3-none-manylinux_2_*_{machine}.whl")
    with zipfile.ZipFile(wheel) as archive:
        sizes = {Path(entry.filename).name: entry.file_size for entry in archive.infolist()}
    assert sizes["_xnor.so"] < 1_000_000
    if machine == "aarch64":
        assert_same_boxes_on_arm(wheel, wheels / "unpacked")


def assert_same_boxes_on_arm(wheel: Path, folder: Path) -> None:
    """The plain C example on the wheel's own library, under qemu, finds what this machine's engine finds."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    native, engine_of_arm = ROOT / "irnas" / "runtime" / "native", folder / "irnas" / "runtime" / "_xnor.so"
    source = native / "example" / "boxes.c"
    call(folder, "aarch64-linux-gnu-gcc", f"-I{native / 'include'}", source, engine_of_arm, "-o", "boxes")
    frames = np.zeros((1, 64, 64), np.uint8)
    frames[0, 30:33, 20:23] = 255
    system = ["-L", "/usr/aarch64-linux-gnu", "-E", f"LD_LIBRARY_PATH={engine_of_arm.parent}"]
    command = ["qemu-aarch64", *system, str(folder / "boxes"), str(folder / BUILD.MODEL), "64", "64"]
    printed = subprocess.run(command, input=frames.tobytes(), capture_output=True, check=True).stdout.decode()
    found = find_boxes(engine.load(folder / BUILD.MODEL).run(frames)[0], 0.5)
    assert found and printed.splitlines() == [
        f"frame 0: {box.width}x{box.height} at {box.x}, {box.y}, score {box.score:.6f}" for box in found
    ]


@pytest.fixture(scope="session")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("wheels")


@pytest.mark.service
def test_a_fresh_environment_runs_the_zoo_and_stays_small(wheels: Path, tmp_path: Path) -> None:
    """Outside of any checkout, with what the wheel alone brings; pip fetches that."""
    built = list(wheels.glob("irnas-*_x86_64.whl"))
    if not built:
        assert BUILD.main(["--machine", "x86_64", "-o", str(wheels)]) == 0
        built = list(wheels.glob("irnas-*_x86_64.whl"))
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    (site,) = (tmp_path / "venv" / "lib").glob("python3.*/site-packages")
    before = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    call(tmp_path, python, "-m", "pip", "install", "--quiet", "--no-compile", built[0])
    absent = call(tmp_path, python, "-c", ABSENT)
    assert absent == "all absent\n"
    irnas = python.with_name("irnas")
    printed = call(tmp_path, irnas, "run", "zoo:sirst-lit10-bn", "zoo:frames", "--boxes", "-o", "masks")
    assert {json.loads(line)["frame"] for line in printed.splitlines()} == {0, 1, 2}
    assert len(list((tmp_path / "masks").rglob("*.png"))) == 3
    call(tmp_path, python.with_name("xnor-run"), next(site.glob("irnas/search_spaces/*/zoo/*.xnor")), "--verify")
    after = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    assert after - before < 120e6


ABSENT = """
import importlib.util as u
found = [name for name in ("torch", "ray", "mlflow", "pyarrow", "scipy", "optuna") if u.find_spec(name)]
print(found or "all absent")
"""


def call(folder: Path, *words: object) -> str:
    """What a command prints that runs without this checkout and its environment; it must succeed."""
    command = [str(word) for word in words]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout
