"""Files on folders and stores: addresses without credentials, whole writes, patience, and whose fault a failure is."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow import fs
from support import s3

from irnas import storage
from irnas.core.errors import ServiceError, SettingsError, StorageError
from irnas.storage import atomic, files, hashing, retry
from irnas.tracking import database


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        storage.read("s3://planted:sec/ret@bucket/run/ledger.jsonl")
    text = str(refused.value)
    assert "with credentials in it" in text and "bucket" in text
    assert "planted" not in text and "ret@" not in text


@pytest.mark.parametrize(
    ("text", "redacted"),
    [
        ("at http://user:pw@example.com:5000: refused", "at http://example.com:5000: refused"),
        ("s3://bucket/run", "s3://bucket/run"),
        ("mail to someone@example.com", "mail to someone@example.com"),
    ],
)
def test_redacted_text_holds_no_password(text: str, redacted: str) -> None:
    assert storage.redact_credentials(text) == redacted


def test_options_of_a_uri_stay_behind_what_is_joined() -> None:
    uri = "s3://bucket/run?endpoint_override=127.0.0.1:9000&scheme=http"
    assert storage.join(uri, "a", "b") == "s3://bucket/run/a/b?endpoint_override=127.0.0.1:9000&scheme=http"
    assert storage.join("s3://bucket/run/", "a") == "s3://bucket/run/a"
    assert storage.join("runs/what?", "a") == "runs/what?/a"


class FlakyFileSystem(fs.SubTreeFileSystem):
    """A store that fails so many times before each answer."""

    failures = calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("When reading from s3://user:pw@bucket: 503 SLOW DOWN\nmore")

    def open_input_stream(self, *args: Any, **kwargs: Any) -> Any:
        self._fail()
        return super().open_input_stream(*args, **kwargs)

    def open_output_stream(self, *args: Any, **kwargs: Any) -> Any:
        self._fail()
        return super().open_output_stream(*args, **kwargs)


@pytest.fixture
def waits_s(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between tries; nobody sleeps them."""
    waits: list[float] = []
    # Not in the modules of all: threads of other tests sleep as well.
    monkeypatch.setattr(retry, "time", SimpleNamespace(sleep=waits.append))
    monkeypatch.setattr(retry, "random", SimpleNamespace(uniform=lambda low, high: high))
    monkeypatch.setattr(files, "_answered", set())
    return waits


@pytest.fixture
def flaky(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FlakyFileSystem:
    filesystem = FlakyFileSystem(str(tmp_path), fs.LocalFileSystem())
    monkeypatch.setattr(files, "_open_remote", lambda uri: (filesystem, uri.rpartition("/")[2]))
    return filesystem


def test_a_store_that_fails_for_a_while_is_asked_again(flaky: FlakyFileSystem, waits_s: list[float]) -> None:
    flaky.failures = 3
    storage.write("s3://bucket/file", b"content")
    assert len(waits_s) == 3 and waits_s == sorted(waits_s)
    flaky.calls = 0
    assert storage.read("s3://bucket/file") == b"content"
    assert storage.read("s3://bucket/absent") is None


def test_a_store_that_has_answered_is_waited_for_longer(flaky: FlakyFileSystem, waits_s: list[float]) -> None:
    storage.write("s3://bucket/file", b"content")
    # A store that has answered is waited for much longer than one that may not exist at all.
    for tries in (10, 6):
        waits_s.clear()
        flaky.calls, flaky.failures = 0, 99
        with pytest.raises(
            ServiceError, match=f"got 'When reading from s3://bucket: 503 SLOW DOWN' in {tries} tries; must answer$"
        ):
            storage.read("s3://bucket/file")
        assert len(waits_s) == tries - 1 and (sum(waits_s) > 60) == (tries == 10)
    flaky.failures = 0
    assert storage.read("s3://bucket/file") == b"content"


def test_where_a_store_is_may_be_asked_again(monkeypatch: pytest.MonkeyPatch, waits_s: list[float]) -> None:
    """Without a region in its URI, S3 is asked for it: no answer is no wrong setting, and no such bucket is one."""
    messages = ["When resolving region for bucket: no connection", "When resolving: Bucket 'lost' not found"]

    def from_uri(uri: str) -> tuple[fs.FileSystem, str]:
        if messages:
            raise OSError(messages.pop(0))
        return fs.LocalFileSystem(), "root"

    monkeypatch.setattr(fs, "FileSystem", SimpleNamespace(from_uri=from_uri))
    with pytest.raises(SettingsError, match="Bucket 'lost' not found"):
        storage.read("s3://lost/file")
    assert len(waits_s) == 1
    assert files._open_remote("s3://lost/run/file")[1] == "root/run/file"
    files._open_store.cache_clear()


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Proxy]:
    """A real S3 server that pyarrow talks to, on a way that can be closed."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**s3.KEYS, "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files, "WAITS_S", (0.0,))
    monkeypatch.setattr(files, "LONG_WAITS_S", ())
    monkeypatch.setattr(files, "_answered", set())
    with s3.server() as address, s3.proxy(address) as proxy:
        yield proxy


def uri_at(store: s3.Proxy, bucket: str = s3.BUCKET) -> str:
    return f"s3://{bucket}/run?scheme=http&endpoint_override={store.address.removeprefix('http://')}&region=us-east-1"


def test_pyarrow_s_words_for_a_refusal_are_known(store: s3.Proxy) -> None:
    uri = storage.join(uri_at(store), "file")
    storage.write(uri, b"content")
    with pytest.raises(StorageError, match=r"(?i)no_such_bucket|bucket.*must be yours to use"):
        storage.write(storage.join(uri_at(store, "absent-bucket"), "file"), b"content")
    store.rule = lambda method, path: "403"
    for call in (lambda: storage.read(uri), lambda: storage.write(uri, b"other"), lambda: storage.names(uri_at(store))):
        with pytest.raises(StorageError, match="in 2 tries; must be yours to use"):
            call()


def test_a_store_out_of_reach_is_nobody_s_mistake(store: s3.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    # pyarrow tries for six seconds by itself.
    monkeypatch.setattr(files, "WAITS_S", ())
    store.rule = lambda method, path: "cut"
    with pytest.raises(ServiceError, match="in 1 tries; must answer"):
        storage.read(storage.join(uri_at(store), "file"))


def test_a_hash_of_a_file_is_that_of_its_bytes(tmp_path: Path) -> None:
    content = os.urandom(3 << 20)
    (tmp_path / "file").write_bytes(content)
    assert hashing.of_file(tmp_path / "file") == hashing.of_bytes(content)
    # FIPS 180-2, appendix B.1.
    assert hashing.of_bytes(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_a_new_file_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "file"
    with atomic.new_file(target) as part:
        part.write_bytes(b"old")
        assert not target.exists()
    with pytest.raises(RuntimeError), atomic.new_file(target, is_durable=True) as part:
        part.write_bytes(b"a part")
        raise RuntimeError
    assert target.read_bytes() == b"old" and list(target.parent.iterdir()) == [target]


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    """As ``-o /dev/null`` and MLFLOW_TRACKING_URI=sqlite:////dev/null would, for whoever may write there."""
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    writers: list[Callable[[Path], object]] = [
        lambda target: storage.write(str(target), b"content"),
        lambda target: database.prepare(database.sqlite_uri(target), pytest.fail, may_replace=False),
    ]
    for target, write in itertools.product((pipe, link), writers):
        with pytest.raises(FileExistsError, match="A device or a pipe"):
            write(target)
    assert pipe.is_fifo() and link.is_symlink() and len(list(tmp_path.iterdir())) == 2


def test_a_new_folder_appears_complete_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "folder"
    with pytest.raises(RuntimeError), atomic.new_folder(target) as part:
        (part / "file").write_bytes(b"a part")
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with atomic.new_folder(target) as part:
        (part / "file").write_bytes(b"new")
        assert not target.exists()
    assert (target / "file").read_bytes() == b"new" and list(tmp_path.iterdir()) == [target]


def test_parts_of_killed_writers_are_removed(tmp_path: Path) -> None:
    for name in (".file.7.part", ".other.7.part", "file"):
        (tmp_path / name).write_bytes(b"")
    (tmp_path / ".file.x.part").mkdir()
    atomic.remove_parts(tmp_path / "file")
    assert {p.name for p in tmp_path.iterdir()} == {".other.7.part", "file"}


def fail(errors: list[Exception]) -> str:
    if errors:
        raise errors.pop(0)
    return "done"


def test_a_retry_waits_longer_each_time(waits_s: list[float]) -> None:
    assert retry.doubling(1.0, 4, 5.0) == (1.0, 2.0, 4.0, 5.0)
    errors: list[Exception] = [OSError(), OSError()]
    assert retry.retry(lambda: fail(errors), (1.0, 2.0), on=(OSError,)) == "done"
    assert waits_s == [1.5, 3.0]


@pytest.mark.parametrize("errors", [[OSError("last")] * 3, [KeyError("last")], [FileNotFoundError("last")]])
def test_a_retry_passes_what_no_wait_mends(waits_s: list[float], errors: list[Exception]) -> None:
    expected_waits = len(errors) - 1
    with pytest.raises(type(errors[0]), match="last"):
        retry.retry(lambda: fail(errors), (1.0, 2.0), on=(OSError,), unless=(FileNotFoundError,))
    assert len(waits_s) == expected_waits


def test_progress_gives_a_retry_all_its_waits_again(waits_s: list[float]) -> None:
    errors: list[Exception] = [OSError()] * 5
    assert retry.retry(lambda: fail(errors), (1.0,), on=(OSError,), progress=lambda: len(errors)) == "done"
    assert waits_s == [1.5] * 5
