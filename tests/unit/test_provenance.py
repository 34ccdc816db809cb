"""Which commit a result names: from a checkout, a wheel, a source distribution, a wheel made of an installation."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import irnas
from irnas.cluster import wheel as wheels
from irnas.core import provenance

ROOT = Path(irnas.__file__).parent.parent
GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false")


def call(*words: str, folder: Path, **variables: str) -> str:
    environment = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": str(folder), **variables}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert not done.returncode, done.stdout + done.stderr
    return done.stdout.strip()


def revision_in(site: Path) -> str:
    """What an irnas says that lies in ``site``, as installed there, and nowhere else."""
    code = f"import sys; sys.path.insert(0, {str(site)!r}); from irnas.core import provenance as p; import irnas\n"
    return call(sys.executable, "-I", "-S", "-c", f"{code}print(p.code_revision())", folder=site)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A git checkout with as much of irnas as says its revision."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in ("CMakeLists.txt", "pyproject.toml", "LICENSE", "README.md", ".gitignore"):
        shutil.copy(ROOT / name, folder)
    (folder / "irnas/core").mkdir(parents=True)
    (folder / "search_spaces").mkdir()
    (folder / "search_spaces/none.yaml").write_text("")
    for name in ("__init__.py", "core/__init__.py", "core/provenance.py"):
        shutil.copy(ROOT / "irnas" / name, folder / "irnas" / name)
    for words in (("init", "-q"), ("add", "."), ("commit", "-q", "-m", "one")):
        call(*GIT, *words, folder=folder)
    return folder


@pytest.fixture(scope="module")
def commit(checkout: Path) -> str:
    return call(*GIT, "rev-parse", "--short=7", "HEAD", folder=checkout)


def build(kind: str, source: Path, folder: Path) -> Path:
    """What the build backend that pip calls makes of a folder, without a compiler: it has no engine."""
    code = f"import scikit_build_core.build as b; print(b.build_{kind}({str(folder)!r}))"
    printed = call(sys.executable, "-c", code, folder=source, CXX="/absent", CC="/absent")
    return folder / printed.splitlines()[-1]


@pytest.mark.slow
def test_a_wheel_knows_its_commit(checkout: Path, commit: str, tmp_path: Path) -> None:
    wheels.extract(build("wheel", checkout, tmp_path), tmp_path / "site")
    assert revision_in(tmp_path / "site") == f"{irnas.__version__}+g{commit}"


@pytest.mark.slow
def test_a_wheel_of_a_changed_tree_says_dirty(checkout: Path, commit: str, tmp_path: Path) -> None:
    source = tmp_path / "source"
    shutil.copytree(checkout, source)
    (source / "README.md").write_text("another")
    wheels.extract(build("wheel", source, tmp_path), tmp_path / "site")
    assert revision_in(tmp_path / "site") == f"{irnas.__version__}+g{commit}.dirty"


@pytest.mark.slow
def test_a_source_distribution_brings_its_commit_along(checkout: Path, commit: str, tmp_path: Path) -> None:
    with tarfile.open(build("sdist", checkout, tmp_path)) as archive:
        # Python 3.11.2, which Debian 12 has, knows no filters.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(tmp_path)
    (source,) = (path for path in tmp_path.iterdir() if path.is_dir())
    assert not (source / ".git").exists()
    wheels.extract(build("wheel", source, tmp_path), tmp_path / "site")
    assert revision_in(tmp_path / "site") == f"{irnas.__version__}+g{commit}"


def test_a_package_without_a_build_goes_by_its_variable(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(irnas, "__file__", str(tmp_path / "irnas/__init__.py"))
    assert provenance.code_revision() == irnas.__version__
    monkeypatch.setenv("IRNAS_CODE_REV", f"{irnas.__version__}+g1a2b3c4")
    assert provenance.code_revision() == f"{irnas.__version__}+g1a2b3c4"
    (tmp_path / "irnas").mkdir()
    (tmp_path / "irnas/commit.txt").write_text("g\n")
    assert provenance.code_revision() == f"{irnas.__version__}+gg"
