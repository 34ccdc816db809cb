"""The C++ engine for tests: built where a compiler is at hand, otherwise a printed reason to skip.

The build folder lies among the temporary files and outlives the session, so that CMake only builds what changed; a lock
keeps two sessions apart.
"""

from __future__ import annotations

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
AARCH64 = ROOT / "irnas" / "runtime" / "native" / "cmake" / "aarch64.cmake"
_TREE = Path("irnas") / "runtime" / "native"


@functools.cache
def build(name: str, *options: str, targets: tuple[str, ...] = ("all",)) -> Path:
    """The folder of the engine's products; skips where CMake or g++ are missing."""
    for tool in ("cmake", "g++"):
        if shutil.which(tool) is None:
            pytest.skip(f"no {tool} to build the engine with")
    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]
    folder = Path(tempfile.gettempdir()) / f"xnor-tests-{os.getuid()}-{checkout}" / name
    folder.mkdir(parents=True, exist_ok=True)
    generator = ["-G", "Ninja"] if shutil.which("ninja") else []
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run(["cmake", "-S", str(ROOT), "-B", str(folder), *generator, *options])
        run(["cmake", "--build", str(folder), "--target", *targets, "--parallel", "2"])
    return folder / _TREE


def run(command: list[str]) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="session")
def products() -> Path:
    """Folder with _xnor.so, xnor-run and xnor-test; XNOR_PRODUCTS names one that was built before."""
    folder = os.environ.get("XNOR_PRODUCTS")
    return Path(folder) if folder else build("host", "-DXNOR_TESTS=ON")


@pytest.fixture(scope="session")
def library(products: Path) -> Iterator[Path]:
    """The shared library, which irnas.runtime uses while the session lasts."""
    path = products / "_xnor.so"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XNOR_LIBRARY", str(path))
        yield path


@pytest.fixture(scope="session")
def aarch64_command() -> Callable[[str], list[str]]:
    """From a program of the engine (xnor-run, xnor-test) to the command that runs it for 64-bit ARM under qemu."""
    emulator = shutil.which("qemu-aarch64") or shutil.which("qemu-aarch64-static")
    if emulator is None or shutil.which("aarch64-linux-gnu-g++") is None:
        pytest.skip("no qemu-aarch64 or no aarch64-linux-gnu-g++: the ARM kernels are not tried")
    folder = build("aarch64", f"-DCMAKE_TOOLCHAIN_FILE={AARCH64}", "-DXNOR_TESTS=ON", targets=("xnor-run", "xnor-test"))
    return lambda program: [emulator, "-L", "/usr/aarch64-linux-gnu", str(folder / program)]
