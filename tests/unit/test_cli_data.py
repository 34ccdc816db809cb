"""The data commands: what they print, where, and how they fail."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import layouts
from typer.testing import CliRunner

from irnas.cli.data import app
from irnas.core.errors import DataError

runner = CliRunner()


def _run(*arguments: object) -> tuple[str, str]:
    """Standard output and standard error of a command that must succeed."""
    done = runner.invoke(app, [str(a) for a in arguments], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


def _fail(*arguments: object) -> str:
    done = runner.invoke(app, [str(a) for a in arguments])
    assert isinstance(done.exception, DataError), done.output
    return str(done.exception)


def test_import_prints_counts_on_stdout_and_warnings_on_stderr(tmp_path: Path) -> None:
    layouts.sirst_original(tmp_path / "set")
    out, err = _run("import", tmp_path / "set", "-o", tmp_path / "out")
    lines = out.splitlines()
    assert lines[0] == f"{tmp_path / 'out'}: 12 images of 24x20 pixels, 12 targets"
    assert lines[1].split() == ["train", "6", "images", "6", "targets"]
    assert lines[-1].startswith("  revision ")
    assert "warning: got 12 images where the published set has 427" in err.splitlines()
    assert "warning" not in out


def test_import_passes_its_options_on(tmp_path: Path) -> None:
    layouts.nudt(tmp_path / "set")
    options = ["--format", "generic", "--val-fraction", "0.4", "--val-seed", "3", "--json"]
    document = json.loads(_run("import", tmp_path / "set", "-o", tmp_path / "out", *options)[0])
    assert document["format"] == "generic"
    assert document["validation"]["fraction"] == 0.4
    assert document["validation"]["seed"] == 3
    assert document["counts"]["val"]["images"] == 2
    assert "format: got 'sirts'" in _fail("import", tmp_path / "set", "-o", tmp_path / "other", "--format", "sirts")
    assert not (tmp_path / "other").exists()


def test_import_refuses_a_folder_in_use(tmp_path: Path) -> None:
    layouts.nudt(tmp_path / "set")
    assert "got a path that is in use" in _fail("import", tmp_path / "set", "-o", tmp_path / "set")


def test_synth_makes_images_or_sequences(tmp_path: Path) -> None:
    out, _ = _run("synth", "-o", tmp_path / "a", "--images", 10, "--size", 32, "--seed", 5)
    assert "10 images of 32x32 pixels" in out
    document = json.loads(
        _run("synth", "-o", tmp_path / "b", "--sequences", 5, "--frames", 6, "--size", 32, "--json")[0]
    )
    assert (document["images"], document["sequences"]) == (30, 5)
    message = _fail("synth", "-o", tmp_path / "c", "--sequences", 5, "--images", 5)
    assert message == "synth: got 5 images and 5 sequences; must be one of the two"


def test_synth_hard_differs(tmp_path: Path) -> None:
    shared = ["--images", 10, "--size", 32, "--json"]
    plain = json.loads(_run("synth", "-o", tmp_path / "a", *shared)[0])
    hard = json.loads(_run("synth", "-o", tmp_path / "b", "--hard", *shared)[0])
    assert plain["revision"] != hard["revision"]


def test_check_says_what_is_there_or_what_is_wrong(tmp_path: Path) -> None:
    _run("synth", "-o", tmp_path / "out", "--images", 10, "--size", 32)
    out, _ = _run("check", tmp_path / "out")
    assert "10 images of 32x32 pixels" in out
    (tmp_path / "out" / "shard-0000.parquet").write_bytes(b"")
    assert "got sha256" in _fail("check", tmp_path / "out")
    assert "got no manifest.json" in _fail("check", tmp_path)


def test_stats_as_table_and_as_json(tmp_path: Path) -> None:
    layouts.nudt(tmp_path / "set")
    _run("import", tmp_path / "set", "-o", tmp_path / "out")
    document = json.loads(_run("stats", tmp_path / "out", "--json")[0])
    assert document["all"]["images"] == 10
    assert document["all"]["targets_per_image"] == {"1": 10}
    assert document["all"]["area"]["50"] == 6
    assert document["all"]["aspect"]["50"] == 1.5
    assert set(document["splits"]) == {"train", "test", "fit", "val"}
    table, _ = _run("stats", tmp_path / "out")
    assert "6/6/6/6/6" in table
    assert "dataset: got 'nowhere'" in _fail("stats", "nowhere")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["check", "nowhere"],
            "irnas: data folder nowhere: got no manifest.json; must be written by 'irnas data import'",
        ),
        (["import", "nowhere", "-o", "out"], "irnas: source nowhere: got no folder; must be one"),
        (["synth", "-o", "out", "--size", "8"], "irnas: synthetic size: got 8; must be in 32..2048"),
    ],
)
def test_a_user_error_is_one_line_and_exit_2(arguments: list[str], message: str, tmp_path: Path) -> None:
    code = "import sys; from irnas.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "data", *arguments], capture_output=True, text=True, cwd=tmp_path, check=False
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
