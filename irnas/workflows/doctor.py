"""What an installation has, what it lacks, and how to get that: for who begins, and for reports of bugs.

Nothing here needs more than the base installation: what is missing is a finding, and no error.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from irnas.core import extras
from irnas.core.errors import IrnasError
from irnas.core.provenance import code_revision, device_name

_BUILD = "cmake -S . -B build && cmake --build build"
_VERSIONS = {
    "search": ("torch", "ray", "optuna", "mlflow", "pyarrow", "dvc"),
    "export": ("onnx", "onnxruntime"),
    "bench": ("openvino", "ai-edge-litert"),
}
"""Whose versions are told, by extra."""
_GIB = 2**30


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about an installation."""

    subject: str
    text: str
    remedy: str = ""
    """What is missing or wrong, and how to mend it; empty where all is well."""


def examine(folder: str = ".") -> list[Finding]:
    """What this installation and this machine have.

    Args:
        folder: where runs and data lie.
    """
    place = Path(folder)
    findings = [_irnas(), _processor(), _memory(), _disk(place), _gpus(), _engine(), _training_kernels()]
    return [*findings, *map(_extra, _VERSIONS), _data(place), _runs(place)]


def _irnas() -> Finding:
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return Finding(subject="irnas", text=f"{code_revision()}, Python {platform.python_version()}, {system}")


def _processor() -> Finding:
    load = os.getloadavg()[0]
    return Finding(
        subject="processor", text=f"{device_name('cpu')}, {len(os.sched_getaffinity(0))} cores, load {load:.1f}"
    )


def _memory() -> Finding:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        of_name = {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}
        text = f"{of_name['MemTotal'] / _GIB:.1f} GiB, {of_name['MemAvailable'] / _GIB:.1f} GiB of it free"
    except (OSError, ValueError, LookupError):
        text = "unknown"
    return Finding(subject="memory", text=text)


def _disk(place: Path) -> Finding:
    try:
        free = shutil.disk_usage(place).free
    except OSError as error:
        return Finding(subject="disk", text="unknown", remedy=f"{place}: got {error.strerror}; must be a folder")
    few = "" if free > _GIB else "less than 1 GiB: runs and caches may not fit"
    return Finding(subject="disk", text=f"{free / _GIB:.1f} GiB free in {place.resolve()}", remedy=few)


def _gpus() -> Finding:
    try:
        from irnas.training.gpus import count_gpus, gpu_bytes, gpu_name
    except ImportError:
        return Finding(subject="GPUs", text="unknown: torch is not installed")
    number = count_gpus()
    if not number:
        return Finding(subject="GPUs", text="none that torch can train on; trials train on the processor")
    return Finding(subject="GPUs", text=f"{number} x {gpu_name()}, {(gpu_bytes() or 0) / _GIB:.0f} GiB")


def _engine() -> Finding:
    from irnas import runtime

    try:
        names = runtime.kernels()
    except IrnasError as error:
        tools = [tool for tool in ("cmake", "c++") if shutil.which(tool) is None]
        first = f"install {' and '.join(tools)}, then " if tools else ""
        return Finding(subject="engine", text=f"absent ({error})", remedy=f"{first}{_BUILD}")
    return Finding(subject="engine", text=f"kernels {names[0]} (here too: {', '.join(names[1:]) or 'none'})")


def _training_kernels() -> Finding:
    try:
        from irnas.nn import fused
    except ImportError:
        return Finding(subject="training", text="unknown: torch is not installed")
    if fused.is_built():
        return Finding(subject="training", text="fused kernels")
    return Finding(subject="training", text="plain torch: at half the speed", remedy=_BUILD)


def _extra(name: str) -> Finding:
    missing = [module for module, extra in extras.EXTRA_OF.items() if extra == name and not _is_there(module)]
    known = ", ".join(f"{package} {text}" for package in _VERSIONS[name] if (text := _version_of(package)))
    remedy = f"no {', '.join(missing)}: pip install 'irnas[{name}]'" if missing else ""
    return Finding(subject=f"extra {name}", text=known or "absent", remedy=remedy)


def _is_there(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def _data(place: Path) -> Finding:
    try:
        from irnas.data import cache, manifest
    except ImportError:
        return Finding(subject="data", text="unknown: pyarrow is not installed")
    files = [file for file in cache.folder().rglob("*") if file.is_file()] if cache.folder().is_dir() else []
    size = sum(file.stat().st_size for file in files) / 1e6
    names = sorted(file.parent.name for file in (place / "data").glob(f"*/{manifest.FILE}"))
    sets = f"data/: {', '.join(names)}" if names else "no sets in data/ (irnas data import FOLDER -o data/NAME)"
    return Finding(subject="data", text=f"{sets}; cache {cache.folder()}: {size:.0f} MB")


def _runs(place: Path) -> Finding:
    number = sum(1 for _ in (place / "runs").glob("*/")) if (place / "runs").is_dir() else 0
    return Finding(subject="runs", text=f"{number} in runs/ (irnas runs)" if number else "none in runs/")


def test_itself() -> Iterator[Finding]:
    """Train a tiny network, export it and run it, in a folder that goes afterwards: a finding for each step.

    The step that fails is the last.
    """
    with tempfile.TemporaryDirectory(prefix="irnas-doctor-") as folder:
        for subject, step in _steps(Path(folder)):
            started = time.perf_counter()
            try:
                text = step()
            except Exception as error:
                yield Finding(
                    subject=subject, text="failed", remedy=" ".join(f"{type(error).__name__}: {error}".split())
                )
                return
            yield Finding(subject=subject, text=f"{text} ({time.perf_counter() - started:.1f} s)")


def _steps(folder: Path) -> list[tuple[str, Callable[[], str]]]:
    """What the test of an installation does, step by step."""

    def make_data() -> str:
        from irnas.data import synthetic
        from irnas.data.synthetic_settings import SyntheticSettings

        synthetic.write(folder / "data", SyntheticSettings(images=12, size=48))
        return "12 synthetic images"

    def search() -> str:
        from irnas.workflows import calls

        words = {"axes": {"base": [4], "stages": [2], "n_bot": [0]}, "objectives": "miou,ops", "batch": 4, "crop": 32}
        words |= {"dataset": str(folder / "data"), "trials": 1, "epochs": 1}
        where = {"executor": "loop", "gpus": 0, "progress": False}
        calls.search("biisnet", words, str(folder / "run"), where)
        return "a network, in a search"

    def export() -> str:
        from irnas.workflows.opened_run import Run

        Run(str(folder / "run")).export("best", folder / "tiny.xnor", images=2)
        return "the same on the engine as in torch"

    return [("makes", make_data), ("trains", search), ("exports", export)]
