"""Manifests, and what of a run is published."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.runs import space_folder, write_run

from irnas.core.errors import FormatError, SettingsError
from irnas.publish.manifest import File, Publication, identity, record, sources

SHA = "0123456789abcdef" * 4


def publication(*paths: str) -> Publication:
    files = tuple(File(path=path, size_bytes=3, sha256=SHA) for path in paths)
    return Publication(run="5eed", name="one", files=files)


def test_a_manifest_comes_back_equal() -> None:
    original = publication("ledger.jsonl", "weights/a.pt")
    again = Publication.from_bytes(original.to_bytes(), "here")
    assert again == original and again.to_bytes() == original.to_bytes() and again.revision == original.revision
    assert original.size_bytes == 6
    assert publication("ledger.jsonl").revision != original.revision


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../up", "a/../../up", "a//b", "", ".", "..", ".lock", "a/.hidden", "a\\b", "a\nb", "a b", "C:"],
)
def test_a_path_that_could_leave_the_folder_is_refused(path: str) -> None:
    with pytest.raises(FormatError, match=r"^publication, path: got"):
        publication(path)


@pytest.mark.parametrize("paths", [("a", "a"), ("a", "a/b"), ("a/b", "a/b/c")])
def test_two_files_need_two_places(paths: tuple[str, str]) -> None:
    with pytest.raises(FormatError, match="got a path twice"):
        publication(*paths)


@pytest.mark.parametrize("name", ["", "..", "a/b", ".a"])
def test_a_name_that_is_no_folder_name_is_refused(name: str) -> None:
    with pytest.raises(FormatError, match=r"^publication, name"):
        Publication(run="5eed", name=name, files=())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'{"format": "other", "schema": 1}',
        b"\xff\xfe",
        b'{"format": "irnas publication"}',
        b'{"format": "irnas publication", "schema": 1}',
        b'{"format": "irnas publication", "schema": 1, "run": "r", "name": "n", "files": [3]}',
        b'{"format": "irnas publication", "schema": 1, "run": "r", "name": "n", "files": [{"path": "a", "bytes": 1}]}',
        b'{"format": "irnas publication", "schema": 1, "run": "r", "name": "n", "files": null}',
    ],
)
def test_what_is_no_manifest_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(FormatError, match=r"^s3://b/p: got [^\n]*; must be [^\n]*$"):
        Publication.from_bytes(content, "s3://b/p")


@pytest.mark.parametrize(("field", "value"), [("sha256", "abc"), ("sha256", SHA.upper()), ("bytes", -1)])
def test_a_file_needs_its_size_and_checksum(field: str, value: Any) -> None:
    document = json.loads(publication("a").to_bytes())
    document["files"][0][field] = value
    with pytest.raises(FormatError, match="must have both"):
        Publication.from_bytes(json.dumps(document).encode(), "here")


def test_a_newer_manifest_is_refused_by_number() -> None:
    document = json.loads(publication("a").to_bytes())
    document["schema"] = 2
    with pytest.raises(FormatError, match="got schema 2; this irnas reads up to 1"):
        Publication.from_bytes(json.dumps(document).encode(), "here")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "one"
    write_run(folder, space_folder(tmp_path))
    for name in (
        "weights/k.pt",
        "checkpoints/k.pt",
        "exports/w.onnx",
        "weights/.k.pt.12.part",
        "mirror.lock",
        "w.xnor",
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(name.encode())
    return folder


def test_a_publication_is_record_results_weights_exports(run: Path, tmp_path: Path) -> None:
    other = tmp_path / "winner.xnor"
    other.write_bytes(b"w")
    source_of = sources(str(run), b"record", [other])
    assert set(source_of) == {
        "ledger.jsonl",
        "results.parquet",
        "weights/k.pt",
        "exports/w.onnx",
        "w.xnor",
        "exports/winner.xnor",
    }
    assert source_of["ledger.jsonl"] == b"record"
    assert source_of["weights/k.pt"] == run / "weights" / "k.pt"


def test_a_record_in_mid_write_ends_with_a_whole_event(run: Path) -> None:
    before = (run / "ledger.jsonl").read_bytes()
    with (run / "ledger.jsonl").open("ab") as file:
        file.write(b'{"schema":1,"t":17900')
    assert record(str(run)) == before


def test_an_export_that_is_not_there_or_there_twice_is_refused(run: Path, tmp_path: Path) -> None:
    (tmp_path / "w.onnx").write_bytes(b"")
    for path in (tmp_path / "absent.onnx", tmp_path / "w.onnx"):
        with pytest.raises(SettingsError, match=r"^--export: got"):
            sources(str(run), b"", [path])


def identify(folder: Path) -> tuple[str, str]:
    return identity(str(folder), record(str(folder)))


def test_a_run_is_named_by_its_opening_wherever_it_lies(run: Path, tmp_path: Path) -> None:
    name = identify(run)[0]
    run.rename(tmp_path / "elsewhere")
    assert identify(tmp_path / "elsewhere") == (name, "elsewhere")
    write_run(tmp_path / "other", space_folder(tmp_path), data_name="sirst")
    assert identify(tmp_path / "other")[0] != name


def test_what_is_no_run_or_has_no_plain_name_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be the folder or URI of an irnas run"):
        record(str(tmp_path))
    run.rename(tmp_path / "a b")
    with pytest.raises(SettingsError, match="got a folder named 'a b'"):
        identify(tmp_path / "a b")
