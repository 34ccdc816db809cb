from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow import fs

from irnas import storage
from irnas.core.errors import SettingsError, StorageError


def test_credentials_in_a_uri_are_refused_and_not_repeated() -> None:
    with pytest.raises(SettingsError) as refused:
        storage.read("s3://planted:sec/ret@bucket/run/ledger.jsonl")
    text = str(refused.value)
    assert "with credentials in it" in text and "bucket" in text
    assert "planted" not in text and "ret@" not in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("at http://user:pw@example.com:5000: refused", "at http://example.com:5000: refused"),
        ("s3://bucket/run", "s3://bucket/run"),
        ("mail to someone@example.com", "mail to someone@example.com"),
    ],
)
def test_what_is_shown_has_no_password(text: str, shown: str) -> None:
    assert storage.redact_credentials(text) == shown


def test_options_of_a_uri_stay_behind_what_is_joined() -> None:
    uri = "s3://bucket/run?endpoint_override=127.0.0.1:9000&scheme=http"
    assert storage.join(uri, "a", "b") == "s3://bucket/run/a/b?endpoint_override=127.0.0.1:9000&scheme=http"
    assert storage.join("s3://bucket/run/", "a") == "s3://bucket/run/a"
    assert storage.join("runs/what?", "a") == "runs/what?/a"


class Flaky(fs.SubTreeFileSystem):
    """A store that fails so many times before each answer."""

    failures = calls = 0

    def _fail(self) -> None:
        self.calls += 1
        if self.calls <= self.failures:
            raise OSError("When reading from s3://user:pw@bucket: 503 SLOW DOWN\nmore")

    def open_input_stream(self, *given: Any, **more: Any) -> Any:
        self._fail()
        return super().open_input_stream(*given, **more)

    def open_output_stream(self, *given: Any, **more: Any) -> Any:
        self._fail()
        return super().open_output_stream(*given, **more)


def test_a_store_that_fails_for_a_while_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "_answered", set())
    flaky = Flaky(str(tmp_path), fs.LocalFileSystem())
    waited: list[float] = []
    monkeypatch.setattr(storage, "_remote", lambda uri: (flaky, uri.rpartition("/")[2]))
    # Not in the module of all: threads of other tests sleep as well.
    monkeypatch.setattr(storage, "time", SimpleNamespace(sleep=waited.append))
    monkeypatch.setattr(storage, "random", SimpleNamespace(uniform=lambda low, high: high))
    flaky.failures = 3
    storage.write("s3://bucket/file", b"content")
    assert len(waited) == 3 and waited == sorted(waited)
    flaky.calls = 0
    assert storage.read("s3://bucket/file") == b"content"
    assert storage.read("s3://bucket/absent") is None

    # A store that has answered is waited for much longer than one that may not be there at all.
    for tries in (10, 6):
        waited.clear()
        flaky.calls, flaky.failures = 0, 99
        with pytest.raises(
            StorageError, match=f"got 'When reading from s3://bucket: 503 SLOW DOWN' in {tries} tries; must answer$"
        ):
            storage.read("s3://bucket/file")
        assert len(waited) == tries - 1 and (sum(waited) > 60) == (tries == 10)
    flaky.failures = 0
    assert storage.read("s3://bucket/file") == b"content"


def test_where_a_store_is_may_be_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a region in its URI, S3 is asked for it: no answer is no wrong setting, and no such bucket is one."""
    said: list[str] = ["When resolving region for bucket: no connection", "When resolving: Bucket 'lost' not found"]

    def from_uri(uri: str) -> tuple[fs.FileSystem, str]:
        if said:
            raise OSError(said.pop(0))
        return fs.LocalFileSystem(), "there"

    monkeypatch.setattr(fs, "FileSystem", SimpleNamespace(from_uri=from_uri))
    monkeypatch.setattr(storage, "time", SimpleNamespace(sleep=lambda seconds: None))
    with pytest.raises(SettingsError, match="Bucket 'lost' not found"):
        storage.read("s3://lost/file")
    assert storage._remote("s3://lost/run/file")[1] == "there/run/file"
    storage._opened.cache_clear()
