"""What DVC's lock says of a data folder, read without DVC. tests/e2e/test_dvc.py compares with DVC itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from irnas.core.errors import DataError
from irnas.data import lock

DIGEST = "dafe5b4f934665fba7722eb4d182f64e.dir"
"""What DVC 3.67 calls the folder that ``made`` makes."""


def made(folder: Path) -> Path:
    (folder / "sub").mkdir(parents=True)
    (folder / "x").write_text("1\n")
    (folder / "sub" / "y").write_text("2\n")
    return folder


def locked(root: Path, md5: str, path: str = "data/a", more: str = "") -> None:
    """A DVC repository whose lock names one output."""
    (root / ".dvc").mkdir(exist_ok=True)
    out = f"    outs:\n    - path: {path}\n      hash: md5\n      md5: {md5}\n"
    (root / "dvc.lock").write_text(f"schema: '2.0'\nstages:\n  make@a:\n    cmd: x\n{out}{more}")


def test_the_digest_is_dvc_s(tmp_path: Path) -> None:
    assert lock.digest(made(tmp_path / "a")) == DIGEST


def test_a_folder_as_locked(tmp_path: Path) -> None:
    locked(tmp_path, DIGEST)
    assert lock.dvc_digest_or_raise(made(tmp_path / "data" / "a")) == DIGEST


def test_a_path_may_be_relative_or_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked(tmp_path, DIGEST)
    (tmp_path / "link").symlink_to(made(tmp_path / "data" / "a"))
    monkeypatch.chdir(tmp_path)
    assert lock.dvc_digest_or_raise(Path("data/a")) == lock.dvc_digest_or_raise(Path("link")) == DIGEST


@pytest.mark.parametrize("change", ["edited", "added", "removed", "renamed"])
def test_a_changed_folder_is_refused(tmp_path: Path, change: str) -> None:
    locked(tmp_path, DIGEST)
    folder = made(tmp_path / "data" / "a")
    if change == "edited":
        (folder / "x").write_text("3\n")
    elif change == "added":
        (folder / "z").write_text("")
    elif change == "removed":
        (folder / "sub" / "y").unlink()
    else:
        (folder / "x").rename(folder / "w")
    with pytest.raises(DataError, match=rf"got [0-9a-f]{{32}}\.dir; must be {DIGEST}, as dvc\.lock says"):
        lock.dvc_digest_or_raise(folder)


def test_what_dvc_add_tracks(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    folder = made(tmp_path / "data" / "a")
    pointer = tmp_path / "data" / "a.dvc"
    pointer.write_text(f"outs:\n- md5: {DIGEST}\n  size: 4\n  nfiles: 2\n  hash: md5\n  path: a\n")
    assert lock.dvc_digest_or_raise(folder) == DIGEST
    pointer.write_text(pointer.read_text().replace("dafe", "0000"))
    with pytest.raises(DataError, match=r"as a\.dvc says"):
        lock.dvc_digest_or_raise(folder)


def test_a_folder_inside_a_tracked_one_stands_and_falls_with_it(tmp_path: Path) -> None:
    locked(tmp_path, DIGEST, path="data")
    outer = made(tmp_path / "data")
    assert lock.dvc_digest_or_raise(outer / "sub") == DIGEST
    (outer / "x").write_text("3\n")
    with pytest.raises(DataError, match="must be dafe"):
        lock.dvc_digest_or_raise(outer / "sub")


@pytest.mark.parametrize(
    ("where", "patterns", "extra", "is_same"),
    [
        ("", "*.tmp\n", "a.tmp", True),
        ("", "# a note\n\n*.tmp\n", "sub/b.tmp", True),
        ("", "cache/\n", "cache/deep/c", True),
        ("data", "/a/notes\n", "notes", True),
        ("", "*.tmp\n!keep.tmp\n", "keep.tmp", False),
        ("", "*.tmp\n", "a.txt", False),
        ("elsewhere", "*.tmp\n", "a.tmp", False),
        ("", "", ".git/HEAD", True),
    ],
)
def test_what_dvc_ignores_is_no_change(tmp_path: Path, where: str, patterns: str, extra: str, is_same: bool) -> None:
    locked(tmp_path, DIGEST)
    folder = made(tmp_path / "data" / "a")
    (tmp_path / where).mkdir(exist_ok=True)
    (tmp_path / where / ".dvcignore").write_text(patterns)
    (folder / extra).parent.mkdir(parents=True, exist_ok=True)
    (folder / extra).write_text("left by a tool")
    if is_same:
        assert lock.dvc_digest_or_raise(folder) == DIGEST
    else:
        with pytest.raises(DataError, match=f"must be {DIGEST}"):
            lock.dvc_digest_or_raise(folder)


@pytest.mark.parametrize("case", ["no repository", "another output", "no lock", "empty lock", "never run"])
def test_what_dvc_does_not_track(tmp_path: Path, case: str) -> None:
    folder = made(tmp_path / "data" / "a")
    locked(tmp_path, "0" * 32 + ".dir", path="data/b" if case == "another output" else "data/a")
    if case == "no repository":
        (tmp_path / ".dvc").rmdir()
    elif case == "no lock":
        (tmp_path / "dvc.lock").unlink()
    elif case == "empty lock":
        (tmp_path / "dvc.lock").write_text("")
    elif case == "never run":
        (tmp_path / "dvc.lock").write_text("stages:\n  make@a:\n    outs:\n    - path: data/a\n")
    assert lock.dvc_digest_or_raise(folder) is None


NOT_DVCS = r"got a file that cannot be read \(.*\); must be DVC's"
NO_YAML = r"got text that is no YAML \(while parsing a flow node\); must be YAML"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a: [", NO_YAML),
        ("- 1", NOT_DVCS),
        ("stages:\n  a: 3", NOT_DVCS),
        ("stages: 3", NOT_DVCS),
        ("stages:\n  a:\n    outs:\n    - 1", NOT_DVCS),
    ],
)
def test_a_damaged_lock_is_named(tmp_path: Path, text: str, wanted: str) -> None:
    locked(tmp_path, DIGEST)
    (tmp_path / "dvc.lock").write_text(text)
    with pytest.raises(DataError, match=rf"dvc\.lock: {wanted}$"):
        lock.dvc_digest_or_raise(made(tmp_path / "data" / "a"))


def test_nothing_of_dvc_is_loaded() -> None:
    code = "import sys, irnas.data.lock; print(any(m.split('.')[0].startswith('dvc') for m in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
