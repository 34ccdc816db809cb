"""The README names only commands, options and files that exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from irnas.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "search_spaces").glob("*/README.md")),
]


def calls(page: Path) -> list[list[str]]:
    """Every `irnas ...` in a code block or between backticks."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"```(?:bash|sh)?\n(.*?)```", text, re.S) + re.findall(r"^    (irnas .*)$", text, re.M)
    lines = [line for block in blocks for line in block.splitlines()] + re.findall(r"`(irnas [^`]+)`", text)
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("irnas ")]


@pytest.mark.parametrize(
    ("page", "words"),
    [(p, w) for p in PAGES for w in calls(p)],
    ids=lambda v: " ".join(v) if isinstance(v, list) else "",
)
def test_a_command_in_a_page_exists(page: Path, words: list[str]) -> None:
    command = get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not hasattr(command, "commands"), f"{page.name}: no such command: irnas {' '.join(words)}"
    known = {o for p in command.params for o in p.opts}
    assert {w.split("=")[0] for w in words if w.startswith("-")} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_a_linked_file_exists(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_two_commands_are_marked_for_ci() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    marked = re.findall(r"<!-- command (\d) -->\n```bash\n(.*?)```", text, re.S)
    assert [number for number, _ in marked] == ["1", "2"]
    assert "irnas search" in marked[0][1] and "pytest" in marked[1][1]
