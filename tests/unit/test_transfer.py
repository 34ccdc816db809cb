"""Publishing and fetching over a real S3 server that fails, is slow and is interrupted."""

from __future__ import annotations

import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import records, s3
from support.runs import space_folder, write_run

from irnas.core.errors import DataError, FormatError, IrnasError, ServiceError, SettingsError, StorageError
from irnas.publish import transfer
from irnas.record.events import Closed
from irnas.record.ledger import Ledger
from irnas.storage import object_store

BIG = 100_000


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with s3.server() as address:
        yield address


@pytest.fixture
def way(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[s3.Proxy]:
    """The way to the server, with keys to it and no other settings."""
    for name in [n for n in os.environ if n.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in {**s3.KEYS, "AWS_CONFIG_FILE": os.devnull, "AWS_EC2_METADATA_DISABLED": "true"}.items():
        monkeypatch.setenv(name, value)
    with s3.proxy(server) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.address)
        yield proxy


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Seconds slept; nobody sleeps them."""
    slept_s: list[float] = []
    monkeypatch.setattr("time.sleep", slept_s.append)
    return slept_s


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    write_run(folder / "one", space_folder(folder))
    (folder / "one" / "weights").mkdir()
    for number in range(3):
        (folder / "one" / "weights" / f"{number}.pt").write_bytes(bytes([number + 1]) * (BIG + number))
    return folder / "one"


@pytest.fixture
def run(template: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(template, tmp_path / "one"))


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return f"s3://{s3.BUCKET}/{tmp_path.name}"


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file() and p.name != "lock"}


def grow(run: Path) -> None:
    """What a search that goes on does: one more event, another report."""
    with Ledger(str(run)).writing():
        pass
    records.grow(run, Closed(t=1790001000.0, reason="again"))
    (run / "weights" / "9.pt").write_bytes(b"new")


def one_line(error: pytest.ExceptionInfo[IrnasError]) -> str:
    text = str(error.value)
    assert "\n" not in text and len(text) < 300 and not any(secret in text for secret in s3.PLANTED)
    return text


def test_what_is_fetched_is_what_was_published(run: Path, uri: str, way: s3.Proxy, tmp_path: Path) -> None:
    steps: list[tuple[str, int, int]] = []
    done = transfer.publish(str(run), uri, progress=lambda *step: steps.append(step))
    assert (done.num_sent, done.is_new) == (5, True)
    assert steps[-1] == ("publish", done.publication.size_bytes, done.publication.size_bytes)
    folder, publication = transfer.fetch(uri, tmp_path / "got", progress=lambda *step: steps.append(step))
    assert publication == done.publication and steps[-1] == ("fetch", publication.size_bytes, publication.size_bytes)
    assert contents(folder) == contents(run)
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == []


def test_the_manifest_is_written_last(run: Path, uri: str, way: s3.Proxy) -> None:
    transfer.publish(str(run), uri)
    puts = [path for method, path in way.asked if method == "PUT"]
    assert puts[-1].endswith("/manifest.json") and len(puts) == 6
    assert all("/objects/" in path for path in puts[:-1])


def test_publishing_again_sends_nothing(run: Path, uri: str, way: s3.Proxy) -> None:
    transfer.publish(str(run), uri)
    way.asked.clear()
    done = transfer.publish(str(run), uri)
    assert (done.num_sent, done.is_new, way.count("PUT")) == (0, False, 0)


def test_a_run_that_grew_leaves_the_old_objects(
    run: Path, uri: str, way: s3.Proxy, server: str, tmp_path: Path
) -> None:
    old = contents(run)
    prefix = uri.removeprefix(f"s3://{s3.BUCKET}/")
    before = transfer.publish(str(run), uri).publication
    grow(run)
    done = transfer.publish(str(run), uri)
    assert (done.num_sent, done.is_new) == (2, True)
    stored = s3.objects(server, prefix)
    # Who read the old list finds each of its files.
    assert {f.path: stored[f"{prefix}/objects/{f.sha256}"] for f in before.files} == old
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


def test_an_interrupted_publish_shows_nothing_and_goes_on(
    run: Path, uri: str, way: s3.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    way.rule = lambda method, path: "503" if way.count("PUT") > 2 else None
    with pytest.raises(ServiceError) as error:
        transfer.publish(str(run), uri)
    assert "got 503 (503) from 127.0.0.1" in one_line(error)
    way.rule = lambda method, path: None
    with pytest.raises(SettingsError, match=r"got no manifest\.json"):
        transfer.fetch(uri, tmp_path / "got")
    done = transfer.publish(str(run), uri)
    assert (done.num_sent, done.is_new) == (3, True)
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


def test_an_interrupted_second_publish_leaves_the_first_whole(
    run: Path, uri: str, way: s3.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    old = contents(run)
    transfer.publish(str(run), uri)
    grow(run)
    way.rule = lambda method, path: "cut" if method == "PUT" and "manifest" in path else None
    with pytest.raises(ServiceError):
        transfer.publish(str(run), uri)
    way.rule = lambda method, path: None
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == old


def test_a_run_on_a_store_is_published_like_a_folder(uri: str, way: s3.Proxy, tmp_path: Path, server: str) -> None:
    run = tmp_path / "one"
    write_run(run, space_folder(tmp_path), trials=1)
    (run / "weights").mkdir()
    (run / "weights" / "0.pt").write_bytes(b"weights")
    key = f"{tmp_path.name}/runs/one"
    stored = {name: (run / name).read_bytes() for name in ("results.parquet", "weights/0.pt")}
    lines = (run / "ledger.jsonl").read_bytes().splitlines(keepends=True)
    stored |= {f"ledger/{number:09d}.json": line for number, line in enumerate(lines)} | {"checkpoints/0.pt": b"not me"}
    for name, content in stored.items():
        s3.client(server).put_object(Bucket=s3.BUCKET, Key=f"{key}/{name}", Body=content)
    done = transfer.publish(f"s3://{s3.BUCKET}/{key}", uri)
    assert done.publication == transfer.publish(str(run), f"{uri}/again").publication
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


def test_a_trial_that_ends_during_a_publish_is_all_or_none(run: Path, uri: str, way: s3.Proxy, tmp_path: Path) -> None:
    """The record is read before anything else: whatever ends later is not in it, though its weights may be there."""
    before = (run / "ledger.jsonl").read_bytes()
    way.rule = lambda method, path: grow(run) if len(way.asked) == 1 else None
    transfer.publish(str(run), uri)
    got, _ = transfer.fetch(uri, tmp_path / "got")
    assert (got / "ledger.jsonl").read_bytes() == before and (got / "weights" / "9.pt").is_file()


def test_a_prefix_belongs_to_one_run(run: Path, uri: str, way: s3.Proxy, tmp_path: Path) -> None:
    transfer.publish(str(run), uri)
    write_run(tmp_path / "other", space_folder(tmp_path), data_name="sirst")
    with pytest.raises(SettingsError) as error:
        transfer.publish(str(tmp_path / "other"), uri)
    assert "got the publication of another run (one)" in one_line(error)


def test_a_failing_server_is_asked_after_growing_waits(
    run: Path, uri: str, way: s3.Proxy, waits: list[float], tmp_path: Path
) -> None:
    failing = iter(["503", "cut", "500"])
    way.rule = lambda method, path: next(failing, None) if "manifest" in path else None
    done = transfer.publish(str(run), uri)
    assert done.is_new and len(waits) == 3
    assert all(0 <= wait <= 2**number for number, wait in enumerate(waits))
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


def test_a_server_that_never_recovers_ends_it_clearly(
    run: Path, uri: str, way: s3.Proxy, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    way.rule = lambda method, path: "503"
    with pytest.raises(ServiceError) as error:
        transfer.publish(str(run), uri)
    assert "503" in one_line(error) and way.count("GET") == 3 and len(waits) == 2


def test_a_server_too_slow_to_answer_is_asked_again(
    run: Path, uri: str, way: s3.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer.publish(str(run), uri)
    monkeypatch.setattr(object_store, "_READ_S", 0.5)
    way.asked.clear()
    late, gate = iter([True]), threading.Event()

    def rule(method: str, path: str) -> None:
        if next(late, False):
            gate.wait(1.0)

    way.rule = rule
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)
    assert way.count("GET", "manifest") == 2


def test_a_stream_that_breaks_is_taken_up_where_it_broke(
    run: Path, uri: str, way: s3.Proxy, waits: list[float], server: str, tmp_path: Path
) -> None:
    publication = transfer.publish(str(run), uri).publication
    sha = next(f.sha256 for f in publication.files if f.path == "weights/2.pt")
    way.rule = lambda method, path: "drop" if sha in path and way.count("GET", sha) <= 2 else None
    counts: list[int] = []
    folder, _ = transfer.fetch(uri, tmp_path / "got", progress=lambda what, done, total: counts.append(done))
    assert contents(folder) == contents(run)
    assert way.count("GET", sha) == 3 and len(waits) == 2
    # Were the halves read again, more bytes would have come than there are.
    assert counts[-1] == publication.size_bytes == max(counts)


def test_a_fetch_that_was_given_up_goes_on_later(
    run: Path, uri: str, way: s3.Proxy, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "2")
    publication = transfer.publish(str(run), uri).publication
    sha = next(f.sha256 for f in publication.files if f.path == "weights/2.pt")
    way.rule = lambda method, path: ("drop" if way.count("GET", sha) == 1 else "503") if sha in path else None
    with pytest.raises(ServiceError) as error:
        transfer.fetch(uri, tmp_path / "got")
    one_line(error)
    assert not (tmp_path / "got").exists() and (tmp_path / ".got.part").is_dir()
    way.rule = lambda method, path: None
    way.asked.clear()
    counts: list[int] = []
    transfer.fetch(uri, tmp_path / "got", progress=lambda what, done, total: counts.append(done))
    assert contents(tmp_path / "got") == contents(run)
    assert way.count("GET", sha) == 1 and way.count("GET", "objects") <= len(publication.files)
    assert counts[-1] == publication.size_bytes and not (tmp_path / ".got.part").exists()


def test_parts_of_an_older_publication_are_removed(
    run: Path, uri: str, way: s3.Proxy, waits: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    publication = transfer.publish(str(run), uri).publication
    sha = next(f.sha256 for f in publication.files if f.path == "ledger.jsonl")
    way.rule = lambda method, path: "503" if sha in path else None
    with pytest.raises(ServiceError):
        transfer.fetch(uri, tmp_path / "got")
    way.rule = lambda method, path: None
    grow(run)
    (run / "weights" / "0.pt").unlink()
    transfer.publish(str(run), uri)
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


@pytest.mark.parametrize("content", [b"\x09" * BIG, b"\x01" * (BIG - 1), b""], ids=["other", "short", "empty"])
def test_a_corrupted_object_is_refused_and_publishing_mends_it(
    run: Path, uri: str, way: s3.Proxy, server: str, tmp_path: Path, content: bytes
) -> None:
    publication = transfer.publish(str(run), uri).publication
    sha = next(f.sha256 for f in publication.files if f.path == "weights/0.pt")
    key = f"{uri.removeprefix(f's3://{s3.BUCKET}/')}/objects/{sha}"
    s3.client(server).put_object(Bucket=s3.BUCKET, Key=key, Body=content)
    with pytest.raises((DataError, SettingsError)) as error:
        transfer.fetch(uri, tmp_path / "got")
    one_line(error)
    assert not (tmp_path / "got").exists()
    assert transfer.publish(str(run), uri).num_sent == 1
    assert contents(transfer.fetch(uri, tmp_path / "got")[0]) == contents(run)


def test_a_missing_object_and_a_damaged_manifest_are_named(
    run: Path, uri: str, way: s3.Proxy, server: str, tmp_path: Path
) -> None:
    publication = transfer.publish(str(run), uri).publication
    prefix = uri.removeprefix(f"s3://{s3.BUCKET}/")
    s3.client(server).delete_object(Bucket=s3.BUCKET, Key=f"{prefix}/objects/{publication.files[0].sha256}")
    with pytest.raises(DataError, match="got no such object; must be published again"):
        transfer.fetch(uri, tmp_path / "got")
    s3.client(server).put_object(Bucket=s3.BUCKET, Key=f"{prefix}/manifest.json", Body=publication.to_bytes()[:-30])
    with pytest.raises(FormatError, match=rf"^{uri}/manifest.json: got something else"):
        transfer.fetch(uri, tmp_path / "got")


def test_a_manifest_cannot_write_outside_the_folder(
    run: Path, uri: str, way: s3.Proxy, server: str, tmp_path: Path
) -> None:
    document = json.loads(transfer.publish(str(run), uri).publication.to_bytes())
    document["files"][0]["path"] = "../evil"
    key = f"{uri.removeprefix(f's3://{s3.BUCKET}/')}/manifest.json"
    s3.client(server).put_object(Bucket=s3.BUCKET, Key=key, Body=json.dumps(document).encode())
    with pytest.raises(FormatError, match=r"got '\.\./evil'"):
        transfer.fetch(uri, tmp_path / "deep" / "got")
    assert not (tmp_path / "deep").exists()


def test_a_folder_that_exists_is_not_touched(run: Path, uri: str, way: s3.Proxy, tmp_path: Path) -> None:
    transfer.publish(str(run), uri)
    before = contents(run)
    for target in (run, run / "ledger.jsonl"):
        with pytest.raises(SettingsError, match="which exists; must be a new folder"):
            transfer.fetch(uri, target)
    (tmp_path / "empty").mkdir()
    transfer.fetch(uri, tmp_path / "empty")
    assert contents(tmp_path / "empty") == before == contents(run)


def test_a_full_disk_is_said_so(
    run: Path, uri: str, way: s3.Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    transfer.publish(str(run), uri)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(StorageError, match="No space left on device"):
        transfer.fetch(uri, tmp_path / "got")
    assert not (tmp_path / "got").exists()


def test_two_fetches_to_one_folder_do_not_mix(run: Path, uri: str, way: s3.Proxy, tmp_path: Path) -> None:
    transfer.publish(str(run), uri)
    with (
        transfer._hold(tmp_path / ".got.part"),
        pytest.raises(SettingsError, match="another is writing there now"),
    ):
        transfer.fetch(uri, tmp_path / "got")


def test_a_file_that_holds_the_keys_is_never_published(run: Path, uri: str, way: s3.Proxy, server: str) -> None:
    (run / "report.html").write_text(f"<p>{s3.KEYS['AWS_SECRET_ACCESS_KEY']}</p>")
    with pytest.raises(SettingsError) as error:
        transfer.publish(str(run), uri)
    assert "got report.html, which holds the S3 credentials in use" in one_line(error)
    stored = s3.objects(server, uri.removeprefix(f"s3://{s3.BUCKET}/"))
    assert not any(name.endswith("manifest.json") for name in stored)
    assert not any(secret.encode() in content for secret in s3.PLANTED for content in stored.values())


def test_nobody_at_the_endpoint(run: Path, uri: str, way: s3.Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    with pytest.raises(ServiceError) as error:
        transfer.publish(str(run), uri, endpoint_url=f"http://127.0.0.1:{port}")
    assert f"got EndpointConnectionError from 127.0.0.1:{port}, 1 times; must be reachable" in one_line(error)
