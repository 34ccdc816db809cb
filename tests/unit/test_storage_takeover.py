"""On S3 the store decides who wrote an event first, and a store that is silent is told of."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import s3

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.record.events import Closed
from irnas.record.ledger import FOLDER, Ledger, object_name
from irnas.storage import files, object_store, patience


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**s3.KEYS, "AWS_EC2_METADATA_DISABLED": "true", "AWS_CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(files, "WAITS_S", (0.0,))
    monkeypatch.setattr(files, "LONG_WAITS_S", ())
    monkeypatch.setattr(patience, "_said_at", {})


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3.server() as address:
        yield address


@pytest.fixture
def store(server: str) -> Iterator[s3.Proxy]:
    """The way to the server that a machine may be cut off from."""
    with s3.proxy(server) as proxy:
        yield proxy


def uri_at(address: str, run: str) -> str:
    return f"s3://{s3.BUCKET}/{run}?scheme=http&endpoint_override={address.removeprefix('http://')}&region=us-east-1"


def test_of_two_who_write_one_object_the_first_is_kept(server: str) -> None:
    uri = storage.join(uri_at(server, "first"), "file")
    assert storage.create(uri, b"one") and not storage.create(uri, b"two")
    # Whose answer was lost asks again, and learns that the object is his own.
    assert storage.create(uri, b"one")
    assert s3.objects(server, "first") == {"first/file": b"one"}


def test_of_two_who_write_one_file_the_first_is_kept(tmp_path: Path) -> None:
    uri = str(tmp_path / "file")
    assert storage.create(uri, b"one") and not storage.create(uri, b"two") and storage.create(uri, b"one")
    assert storage.read(uri) == b"one"


def test_a_writer_that_was_cut_off_does_not_replace_the_event_of_the_one_that_took_over(
    server: str, store: s3.Proxy
) -> None:
    key = f"run/{FOLDER}/{object_name(2)}"

    def take_over(method: str, path: str) -> None:
        """The request has left one machine, and arrives when another one has taken over and written."""
        if method == "PUT" and key in path and store.rule is take_over:
            store.rule = lambda method, path: None
            heir = Ledger(uri_at(server, "run"))
            with heir.writing():
                heir.append(Closed(reason="of the heir"))

    cut_off = Ledger(uri_at(store.address, "run"))
    with cut_off.writing():
        cut_off.append(Closed(reason="before"))
        store.rule = take_over
        with pytest.raises(SettingsError, match="got event 2 of a second search; that one has taken over"):
            cut_off.append(Closed(reason="of the one that was cut off"))
    assert b"of the heir" in s3.objects(server)[key]
    reasons = [e.reason for e in Ledger(uri_at(server, "run")).events() if isinstance(e, Closed)]
    assert reasons == ["before", "of the heir"]


def test_a_store_that_cannot_write_only_where_nothing_is_says_so(store: s3.Proxy) -> None:
    store.rule = lambda method, path: "501" if method == "PUT" else None
    with pytest.raises(SettingsError, match="If-None-Match"):
        storage.create(storage.join(uri_at(store.address, "old"), "file"), b"one")


@pytest.mark.parametrize("call", ["read", "create", "fetch"])
def test_a_silent_store_is_told_of_once_and_a_quick_one_is_not(
    store: s3.Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], call: str
) -> None:
    uri = storage.join(uri_at(store.address, "silent"), f"{call}.file")
    place = object_store.Place(f"s3://{s3.BUCKET}/silent", store.address)
    ask = {
        "read": lambda: storage.read(uri),
        "create": lambda: storage.create(uri, b"one"),
        "fetch": lambda: place.read(call),
    }[call]
    ask()
    assert not capsys.readouterr().err
    monkeypatch.setattr(patience, "NOTICE_S", 0.05)
    store.rule = lambda method, path: time.sleep(0.5)
    ask()
    ask()
    where = f"s3://{s3.BUCKET}{'/silent' if call == 'fetch' else ''}"
    told = f"irnas: {where} has not answered for 0.05 s; it is asked again, for minutes"
    assert capsys.readouterr().err.splitlines() == [told]
