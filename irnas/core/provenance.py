"""Which code made a result: version, commit, and the versions of the libraries that decide numbers."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import irnas


def code_revision() -> str:
    """The version and the commit of the irnas that runs: ``0.1.0+g1a2b3c4[.dirty]``; no commit where none is known.

    A git checkout is asked. An installed package has the file ``commit.txt``, which the build wrote; a package that was
    put together without a build goes by ``IRNAS_CODE_REV``, which whoever sent it to a cluster sets.
    """
    package = Path(irnas.__file__).parent
    commit = _checkout_commit(package.parent) if (package.parent / ".git").exists() else _built_commit(package)
    if commit:
        return f"{irnas.__version__}+g{commit}"
    revision = os.environ.get("IRNAS_CODE_REV", "")
    return revision if revision.startswith(irnas.__version__) else irnas.__version__


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


def _checkout_commit(folder: Path) -> str:
    try:
        commit = _git(folder, "rev-parse", "--short=7", "HEAD")
        changes = _git(folder, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}{'.dirty' if changes else ''}"


def _built_commit(package: Path) -> str:
    try:
        return (package / "commit.txt").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _git(folder: Path, *words: str) -> str:
    command = ["git", "-C", str(folder), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
