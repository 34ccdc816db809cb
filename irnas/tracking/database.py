"""The SQLite file in which MLflow keeps the runs of a folder: made whole, or not at all.

MLflow makes its tables one after the other in the file itself, so a process that is killed meanwhile would leave a file
that MLflow can neither use nor complete. The file is made aside instead, and renamed when it is complete. One that is
broken all the same is set aside, never deleted, and made anew: what it held can be had again from the records.
"""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import quote, unquote

from irnas import storage
from irnas.storage import atomic, lock

DATABASE, ARTIFACT_FOLDER = "mlflow.db", "mlartifacts"
"""Names of the SQLite store and of its files, beside the runs of a folder."""

_SCHEME = "sqlite:///"

_BROKEN = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_COMPANIONS = ("", "-journal", "-wal", "-shm")
"""What SQLite keeps beside a database; a set-aside one takes it along."""

_BUSY_S = 1.0
"""How long a look at a store waits for whoever writes there."""

_MAX_WAIT_S = 120.0
"""How long one process waits for another that makes the same file."""


def default_uri(run_uri: str) -> str:
    """The SQLite store of the folder that holds the run; of ``runs`` here where the run is not a local folder."""
    folder = storage.local(run_uri).parent if storage.is_local(run_uri) else Path("runs").absolute()
    return sqlite_uri(folder / DATABASE)


def sqlite_uri(database: Path) -> str:
    """The URI of an SQLite store."""
    return f"{_SCHEME}{_quoted(database)}"


def artifact_location(tracking_uri: str) -> str | None:
    """Where the files of runs lie: beside an SQLite store, while a server decides for itself (None)."""
    path = _path_of(tracking_uri)
    return (path.parent / ARTIFACT_FOLDER).as_uri() if path else None


def damage_of(database: Path) -> str | None:
    """What is wrong with a store, in words; None where nothing is, or where SQLite cannot tell now.

    A store of another MLflow is whole: MLflow says itself how it is brought up to date.
    """
    if not database.is_file():
        return None
    try:
        with closing(sqlite3.connect(f"file:{_quoted(database)}?mode=rw", timeout=_BUSY_S, uri=True)) as connection:
            ((answer, *_),) = connection.execute("PRAGMA quick_check(1)").fetchall()
            if answer != "ok":
                return "a damaged database"
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
            # The first experiment is the last thing that MLflow writes into a new store.
            if "experiments" not in tables or not connection.execute("SELECT 1 FROM experiments LIMIT 1").fetchone():
                return "a database that was not completed"
    except sqlite3.DatabaseError as error:
        # The low byte is the kind of error, whatever else SQLite says about it.
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return "a damaged database" if code in _BROKEN else None
    return None


def newest_experiment(database: Path) -> str | None:
    """The id of the experiment with the newest run of a store; None where there is none, or SQLite cannot tell."""
    newest = "SELECT experiment_id FROM runs WHERE lifecycle_stage = 'active' ORDER BY start_time DESC LIMIT 1"
    try:
        with closing(sqlite3.connect(f"file:{_quoted(database)}?mode=ro", timeout=_BUSY_S, uri=True)) as connection:
            row = connection.execute(newest).fetchone()
    except sqlite3.DatabaseError:
        return None
    return None if row is None else str(row[0])


def prepare(tracking_uri: str, warn: Callable[[str], None], *, may_replace: bool) -> None:
    """Make an SQLite store where there is none, and set aside one that is broken; any other store is left alone.

    Args:
        tracking_uri: the store.
        warn: gets one line where a broken file is set aside.
        may_replace: whether the file is irnas's own; another one is left as it is, for MLflow to judge.

    Raises:
        StorageError: the folder is full or read-only.
        SettingsError: another process makes the file, and does not come to an end.
    """
    database = _path_of(tracking_uri)
    if database is None or (database.is_file() and not (may_replace and damage_of(database))):
        return
    try:
        atomic.require_replaceable(database)
        database.parent.mkdir(parents=True, exist_ok=True)
        with lock.hold(database.with_name(f".{database.name}.lock"), wait_s=_MAX_WAIT_S):
            atomic.remove_parts(database)
            if database.is_file():
                # Another process may have mended it by now.
                damage = damage_of(database) if may_replace else None
                if damage is None:
                    return
                aside = _set_aside(database)
                warn(
                    f"MLflow: got {damage} in {database}; it is now {aside.name}, and a new one is made "
                    "(`irnas track rebuild RUN` brings back each run of the folder)"
                )
            _create(database)
    except OSError as error:
        raise storage.full_disk(error, database) from error


def _create(database: Path) -> None:
    """Let MLflow make a store in a hidden folder, and bring it to its place."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    folder = Path(tempfile.mkdtemp(prefix=f".{database.name}.", suffix=".part", dir=database.parent))
    try:
        part = folder / database.name
        store = SqlAlchemyStore(sqlite_uri(part), (database.parent / ARTIFACT_FOLDER).as_uri())
        store.engine.dispose()
        with part.open("r+b") as file:
            os.fsync(file.fileno())
        part.replace(database)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _set_aside(database: Path) -> Path:
    """Rename a broken store, and what SQLite keeps beside it; returns its new place."""
    number = 1
    while (aside := database.with_name(f"{database.name}.broken-{number}")).exists():
        number += 1
    for companion in _COMPANIONS:
        path = database.with_name(database.name + companion)
        if path.exists():
            path.rename(aside.with_name(aside.name + companion))
    return aside


def _quoted(path: Path) -> str:
    """A path as part of a URI: a ``%``, ``?`` or ``#`` in it would mean something else."""
    return re.sub("[%?#]", lambda match: quote(match[0]), str(path))


def _path_of(tracking_uri: str) -> Path | None:
    """The file of an SQLite store; None of any other."""
    path = unquote(tracking_uri.removeprefix(_SCHEME)) if tracking_uri.startswith(_SCHEME) else ""
    return Path(path).absolute() if path else None
