"""The pages of docs/ are a site that builds without a warning, with what the docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    pytest.importorskip("mkdocs", reason="mkdocs is not installed: pip install 'irnas[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "site" / "index.html").is_file()
    page = (tmp_path / "site" / "python" / "index.html").read_text(encoding="utf-8")
    assert ":::" not in page and "Train networks of a space and find the front" in page


def test_every_page_is_in_the_menu() -> None:
    settings = yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))
    assert sorted(page for entry in settings["nav"] for page in entry.values()) == sorted(
        p.name for p in DOCS.glob("*.md")
    )


def test_docstrings_become_sections(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(DOCS))
    import from_docstrings

    page = from_docstrings.on_page_markdown((DOCS / "python.md").read_text(encoding="utf-8"))
    assert not re.search(r"^:::", page, re.MULTILINE) and "* `space`: a space's name" in page
    assert re.search(r"^#### load$", page, re.MULTILINE) and "def " not in page
    # Four spaces would make code of a sentence.
    assert not re.search(r"^    \S", page, re.MULTILINE)
    with pytest.raises(KeyError):
        from_docstrings.on_page_markdown("::: irnas/__init__.py nothing")
