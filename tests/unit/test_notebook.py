"""docs/first-search.ipynb: every cell runs, one after the other, in an empty folder."""

from __future__ import annotations

import ast
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest

from irnas.workflows import execution

PAGE = Path(__file__).parent.parent.parent / "docs" / "first-search.ipynb"


def cells(kind: str) -> dict[str, str]:
    return {c["id"]: "".join(c["source"]) for c in json.loads(PAGE.read_text())["cells"] if c["cell_type"] == kind}


def run_cell(source: str, scope: dict[str, Any]) -> Any:
    """The value of the last expression, as a notebook shows it."""
    tree = ast.parse(source)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), scope)
    return eval(compile(ast.Expression(last.value), "cell", "eval"), scope) if isinstance(last, ast.Expr) else None


def test_it_is_a_notebook_as_jupyter_reads_one_and_keeps_no_output() -> None:
    document = json.loads(PAGE.read_text())
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in document["cells"]}) == len(document["cells"])
    assert all(not c["outputs"] and c["execution_count"] is None for c in document["cells"] if c["cell_type"] == "code")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:run .*, and this is irnas:UserWarning")  # a commit while it runs
def test_it_runs_from_its_first_cell_to_its_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    scope: dict[str, Any] = {}
    displayed = {name: run_cell(source, scope) for name, source in cells("code").items()}
    assert repr(displayed["search"]).startswith("<irnas.Run runs/first: biisnet for miou, ops, 2 trained")
    assert len(displayed["trials"]) == 2 and type(displayed["plot"]).__name__ == "Figure" and displayed["again"] == 3
    said = capsys.readouterr()
    assert "(1, 1, 64, 64) threshold" in said.out and said.err.count(" ok: mIoU") == 3
