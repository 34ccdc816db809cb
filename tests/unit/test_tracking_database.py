"""MLflow's SQLite file is whole or absent, however its making ends; a broken one is set aside and made anew."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine
from support import mirrored
from support.runs import space_folder, write_run

from irnas.cli.ui import ui_command
from irnas.core.errors import SettingsError
from irnas.tracking import client, database

pytestmark = [pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy")]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole store."""
    client.set_environment()
    path = tmp_path_factory.mktemp("whole") / database.DATABASE
    database.prepare(database.sqlite_uri(path), print, may_replace=True)
    return path


def in_a_child(work: Callable[[], object], killed_at: int) -> int:
    """Run ``work`` in a process that ends, as if killed, before its n-th statement of SQL; returns its exit status."""
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    left = killed_at

    def count(*_: object) -> None:
        nonlocal left
        left -= 1
        if not left:
            os._exit(9)

    event.listen(Engine, "before_cursor_execute", count)
    try:
        work()
    finally:
        os._exit(0)


def make_in_place(path: Path) -> None:
    """What MLflow does with a file that does not exist."""
    from mlflow.tracking import MlflowClient

    MlflowClient(tracking_uri=database.sqlite_uri(path))


@pytest.mark.parametrize("killed_at", [1, 20, 60, 200, 400])
def test_a_kill_while_the_store_is_made_leaves_none(tmp_path: Path, template: Path, killed_at: int) -> None:
    path = tmp_path / database.DATABASE
    uri = database.sqlite_uri(path)
    assert in_a_child(lambda: database.prepare(uri, print, may_replace=True), killed_at) == 9
    assert not path.exists()
    assert [p.suffix for p in tmp_path.iterdir()].count(".part") == 1


def test_the_next_one_makes_it_and_removes_what_the_killed_one_left(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = tmp_path / database.DATABASE, list[str]()
    uri = database.sqlite_uri(path)
    assert in_a_child(lambda: database.prepare(uri, print, may_replace=True), 60) == 9
    monkeypatch.setattr(database, "_create", lambda path: shutil.copy(template, path))
    database.prepare(uri, told.append, may_replace=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".mlflow.db.lock", "mlflow.db"]
    assert database.damage_of(path) is None and not told


def truncated(path: Path, whole: Path) -> None:
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])


def garbage(path: Path, whole: Path) -> None:
    path.write_bytes(b"\x00garbage" * 4000)


def empty(path: Path, whole: Path) -> None:
    path.touch()


def zeros_inside(path: Path, whole: Path) -> None:
    content = bytearray(whole.read_bytes())
    content[4096:40960] = bytes(36864)
    path.write_bytes(content)


def killed_in_place(path: Path, whole: Path) -> None:
    assert in_a_child(lambda: make_in_place(path), 60) == 9
    assert path.is_file()


@pytest.mark.parametrize("damage", [truncated, garbage, empty, zeros_inside, killed_in_place], ids=lambda d: d.__name__)
def test_a_broken_store_is_set_aside_and_made_anew_and_said(
    tmp_path: Path, template: Path, monkeypatch: pytest.MonkeyPatch, damage: Callable[[Path, Path], None]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    # The migrations take seconds, and were gone through for the template.
    monkeypatch.setattr(database, "_create", lambda path: shutil.copy(template, path))
    uri, path = write_run(tmp_path / "runs/one", space_folder(tmp_path), trials=2), tmp_path / "runs/mlflow.db"
    damage(path, template)
    before, told = path.read_bytes(), list[str]()
    with pytest.raises(SettingsError, match="track rebuild"):
        ui_command(path.parent, 5000)
    client.rebuild(uri, warn=told.append)
    assert (path.parent / "mlflow.db.broken-1").read_bytes() == before
    (line,) = told
    assert "mlflow.db.broken-1" in line and "irnas track rebuild" in line
    from mlflow.tracking import MlflowClient

    mirrored.assert_mirrored(MlflowClient(tracking_uri=database.sqlite_uri(path)), uri)


def test_a_store_that_holds_runs_or_is_of_another_mlflow_is_left_alone(tmp_path: Path, template: Path) -> None:
    path = tmp_path / database.DATABASE
    shutil.copy(template, path)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = 'older'")
        connection.execute("DROP TABLE logged_model_tags")
    before = path.read_bytes()
    database.prepare(database.sqlite_uri(path), pytest.fail, may_replace=True)
    assert path.read_bytes() == before


def test_a_broken_file_that_is_not_ours_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "theirs.db"
    path.write_bytes(b"garbage" * 99)
    database.prepare(database.sqlite_uri(path), pytest.fail, may_replace=False)
    assert [p.name for p in tmp_path.iterdir()] == ["theirs.db"]


def test_a_busy_store_is_not_called_broken(tmp_path: Path, template: Path) -> None:
    path = tmp_path / database.DATABASE
    shutil.copy(template, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        assert database.damage_of(path) is None
