"""Which code made a result: version, commit, and the versions of the libraries that decide numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import irnas


def code_revision() -> str:
    """The version, and the commit where the package lies in a git checkout: ``0.1.0+g1a2b3c4[.dirty]``.

    A wheel does not know its commit; whoever sent one to a cluster says it in ``IRNAS_CODE_REV``.
    """
    folder = Path(irnas.__file__).parent.parent
    if not (folder / ".git").exists():
        revision = os.environ.get("IRNAS_CODE_REV", "")
        return revision if revision.startswith(irnas.__version__) else irnas.__version__
    try:
        commit = _git(folder, "rev-parse", "--short=7", "HEAD")
        changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return irnas.__version__
    return f"{irnas.__version__}+g{commit}{'.dirty' if changed else ''}"


def device_name(device: str) -> str:
    """The model name of the processor for ``cpu``; any other text, such as the name of a GPU, as it is."""
    return _cpu_name() if device == "cpu" else device


def versions() -> dict[str, str]:
    """Package name to version, "absent" where it is not installed."""
    version_of = {"python": platform.python_version(), "irnas": irnas.__version__}
    for package in ("torch", "ray", "optuna", "mlflow", "numpy"):
        try:
            version_of[package] = version(package)
        except PackageNotFoundError:
            version_of[package] = "absent"
    return version_of


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    pairs = dict(line.split(":", 1) for line in lines if ":" in line)
    facts = {key.strip().lower(): value.strip() for key, value in pairs.items()}
    # x86 names the processor, single-board computers name the board.
    return facts.get("model name") or facts.get("model") or platform.processor() or platform.machine()


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
