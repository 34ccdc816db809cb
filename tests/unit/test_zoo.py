"""The model zoo: trained networks by name, wherever a file is asked for."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.core import catalog, zoo
from irnas.core.errors import SettingsError

CARD = {
    "about": "a network",
    "params": 12500.0,
    "ops": 4.8e7,
    "trained": {"data": "SIRST", "split": "train"},
    "tested": {"miou": 0.61},
}


@pytest.fixture
def small_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A zoo of one model, with an engine's file and no weights."""
    folder = tmp_path / "biisnet" / "zoo"
    folder.mkdir(parents=True)
    (folder / "lit.json").write_text(json.dumps(CARD))
    (folder / "lit.xnor").write_bytes(b"x")
    monkeypatch.setattr(catalog, "list_names", lambda: ("biisnet",))
    monkeypatch.setattr(catalog, "find_folder", lambda space: tmp_path / space)
    return folder


def test_a_name_stands_for_the_file_that_is_liked_best(small_zoo: Path) -> None:
    assert zoo.resolve("zoo:lit", ".onnx", ".xnor") == str(small_zoo / "lit.xnor")
    (small_zoo / "lit.safetensors").write_bytes(b"x")
    assert zoo.resolve("zoo:lit", ".xnor", ".safetensors") == str(small_zoo / "lit.xnor")
    assert zoo.resolve("zoo:lit", ".safetensors", ".xnor") == str(small_zoo / "lit.safetensors")
    assert zoo.resolve("zoo.xnor", ".xnor") == "zoo.xnor", "a file of the user's own"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("zoo:lut", r"^zoo: got 'lut'; did you mean lit$"),
        ("zoo:other", r"^zoo: got 'other'; one of lit$"),
        ("zoo:lit", r"^zoo:lit: got no .safetensors of it; must be a model that has one$"),
    ],
)
def test_what_the_zoo_lacks_is_said_in_a_line(small_zoo: Path, source: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        zoo.resolve(source, ".safetensors")


def test_the_list_says_cost_and_test(small_zoo: Path) -> None:
    lines = CliRunner().invoke(app, ["zoo", "list"]).stdout
    assert "lit" in lines and "12.5 K" in lines and "61.0" in lines
    (model,) = json.loads(CliRunner().invoke(app, ["zoo", "list", "--json"]).stdout)
    assert model == {"name": "lit", "space": "biisnet", **CARD, "files": [str(small_zoo / "lit.xnor")]}
    assert "trained: " in CliRunner().invoke(app, ["zoo", "show", "lit"]).stdout
