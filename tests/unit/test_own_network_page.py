"""docs/own-network.md: its commands, its files and its Python, as a reader would try them."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.datasets import tiny
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.core import own_code
from irnas.core.errors import SettingsError
from irnas.models import own
from irnas.workflows import execution

PAGE = (Path(__file__).parent.parent.parent / "docs" / "own-network.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = re.findall(r"^    (irnas .*)$", PAGE, re.MULTILINE)


@pytest.fixture(autouse=True)
def _a_folder_of_one_s_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("IRNAS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "mine").symlink_to(tiny().root)
    yield
    own_code._sources.clear()
    own.module_of.cache_clear()


def irnas(command: str) -> str:
    words = shlex.split(command)[1:]
    # In this process, and on images that take no time.
    if words[0] == "search":
        words += ["--dataset", "data/mine", "--executor", "loop", "--crop", "32", "--input", "1x48x48"]
    outcome = CliRunner().invoke(app, words)
    if outcome.exception and not isinstance(outcome.exception, SystemExit):
        raise outcome.exception
    assert outcome.exit_code == 0, outcome.output
    return outcome.output


def write_example() -> None:
    for _, text in BLOCKS[:2]:
        path = re.match(r"# (\S+)\n", text)
        assert path is not None
        Path(path[1]).write_text(text)


@pytest.mark.slow
def test_the_commands_work_with_the_template() -> None:
    assert [command.split()[1] for command in COMMANDS] == ["spaces", "cost", "search", "front", "export"]
    for command in COMMANDS:
        irnas(command)
    assert Path("mine.onnx").stat().st_size > 1000 and Path("runs/first/report.html").is_file()
    # To be read, and to be named by whoever gets the run.
    for name in ("model.py", "space.yaml"):
        assert Path(f"runs/first/space/myspace/{name}").read_text() == Path(f"myspace/{name}").read_text()
    own_code._sources.clear()
    own.module_of.cache_clear()
    # Another process, after a change: the run is still what it was.
    Path("myspace/model.py").write_text("build = None\n")
    irnas("irnas export runs/first best -o again.onnx")
    assert Path("again.onnx").read_bytes() == Path("mine.onnx").read_bytes()


@pytest.mark.slow
def test_the_example_is_priced_and_searched_from_python() -> None:
    irnas("irnas spaces new myspace")
    write_example()
    costs = json.loads(irnas("irnas cost myspace width=4,dilated=false --input 1x16x16 --json"))
    # What Contrast says of itself, and two for the folded normalisation, of 4 channels.
    assert costs["elementwise"] == (27 + 2) * 4 * 256
    ((_, code),) = [block for block in BLOCKS[2:] if block[0] == "python"]
    scope: dict[str, object] = {}
    exec(code.replace("epochs=1", "epochs=1, crop=32, input=[1, 48, 48], progress=False"), scope)
    network = scope["network"]
    assert type(network).__name__ == "Network" and len(scope["run"].trials) == 2  # type: ignore[attr-defined]


def test_a_new_space_is_made_once_under_a_name_of_its_own() -> None:
    assert irnas("irnas spaces new sub/mine-2").splitlines()[:2] == ["sub/mine-2/space.yaml", "sub/mine-2/model.py"]
    assert "name: mine-2" in Path("sub/mine-2/space.yaml").read_text()
    assert "mine-2" in irnas("irnas spaces sub/mine-2")
    for folder, message in (
        ("sub/mine-2", "which is there; must be a new folder"),
        ("Mine", "must end in a name of small letters"),
        ("biisnet", "that no space of irnas has"),
    ):
        with pytest.raises(SettingsError, match=rf"^spaces new: got '{folder}'.*{message}"):
            irnas(f"irnas spaces new {folder}")
    with pytest.raises(SettingsError, match=r"^spaces new: got 0 folders; must be one, such as myspace$"):
        irnas("irnas spaces new")
    with pytest.raises(SettingsError, match=r"^spaces: got 'biisnet sd2net'; must be one space, or new and a folder$"):
        irnas("irnas spaces biisnet sd2net")
