"""A manifest that somebody else wrote: each way of being none is one line, and names no file outside its folder."""

from __future__ import annotations

import json
from typing import Any

import pytest

from irnas.core.errors import FormatError
from irnas.publish.manifest import SCHEMA, File, Publication

SHA = "0" * 64
ONE = {"path": "ledger.jsonl", "bytes": 3, "sha256": SHA}
WHOLE = {"format": "irnas publication", "schema": SCHEMA, "run": "5eed5eed5eed5eed", "name": "one", "files": [ONE]}


def without(name: str) -> dict[str, Any]:
    return {key: value for key, value in WHOLE.items() if key != name}


def with_file(**changed: Any) -> dict[str, Any]:
    return {**WHOLE, "files": [{**ONE, **changed}]}


DOCUMENTS: dict[str, Any] = {
    "a list": [WHOLE],
    "a text": "manifest",
    "a number": 7,
    "null": None,
    "an empty object": {},
    **{f"no {name}": without(name) for name in WHOLE},
    "another format": {**WHOLE, "format": "another"},
    "a newer schema": {**WHOLE, "schema": SCHEMA + 1},
    "a schema that is a text": {**WHOLE, "schema": "1"},
    "a schema that is true": {**WHOLE, "schema": True},
    "a schema below one": {**WHOLE, "schema": 0},
    "a schema with a fraction": {**WHOLE, "schema": 1.5},
    "files that are an object": {**WHOLE, "files": {"path": "x"}},
    "no files": {**WHOLE, "files": []},
    "a file that is a text": {**WHOLE, "files": ["ledger.jsonl"]},
    "a file twice": {**WHOLE, "files": [ONE, ONE]},
    "a file that is a folder of another": {**WHOLE, "files": [ONE, {**ONE, "path": "ledger.jsonl/x"}]},
    "a path above": with_file(path="../x"),
    "a path above inside": with_file(path="weights/../../x"),
    "an absolute path": with_file(path="/tmp/x"),
    "a path of another system": with_file(path="C:\\x"),
    "a hidden path": with_file(path=".bashrc"),
    "an empty path": with_file(path=""),
    "a path that ends in a slash": with_file(path="weights/"),
    "a path with a zero": with_file(path="a\0b"),
    "a path with a line end": with_file(path="a\nb"),
    "a path that commands a terminal": with_file(path="\x1b[2J"),
    "a part that is too long": with_file(path="x" * 201),
    "a path that is too long": with_file(path="/".join(["x" * 100] * 12)),
    "a path that is too deep": with_file(path="/".join("x" * 17)),
    "a path that is a number": with_file(path=7),
    "a negative size": with_file(bytes=-1),
    "a size that no store takes": with_file(bytes=2**60),
    "a size that is a text": with_file(bytes="3"),
    "a size with a fraction": with_file(bytes=3.0),
    "a size that is true": with_file(bytes=True),
    "a hash that is none": with_file(sha256="abc"),
    "a hash in capitals": with_file(sha256="A" * 64),
    "a hash that is a number": with_file(sha256=0),
    "a name above": {**WHOLE, "name": ".."},
    "a name with a slash": {**WHOLE, "name": "a/b"},
    "a name that is a number": {**WHOLE, "name": 1},
    "a run that is a path": {**WHOLE, "run": "../x"},
    "a run that is a number": {**WHOLE, "run": 5},
}
TEXTS = {
    "nothing": b"",
    "no JSON": b"manifest",
    "cut off": json.dumps(WHOLE).encode()[:-9],
    "UTF-16": json.dumps(WHOLE).encode("utf-16"),
    "UTF-32": json.dumps(WHOLE).encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + json.dumps(WHOLE).encode(),
    "bytes that are no text": b"\xff\xfe\x00" * 9,
    "zeros": bytes(64),
    "infinity": json.dumps(with_file(bytes=float("inf"))).encode(),
    "a size beyond every number": json.dumps(WHOLE).replace(": 3,", ": 1e999,").encode(),
    "not a number": json.dumps(with_file(bytes=float("nan"))).encode(),
    "deep nesting": b"[" * 100_000 + b"]" * 100_000,
    "deep nesting inside": json.dumps(WHOLE).encode()[:-1] + b', "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "a number of ten thousand digits": json.dumps(WHOLE).replace(": 3,", f": {'9' * 10_000},").encode(),
}
ALL = {**{name: json.dumps(document).encode() for name, document in DOCUMENTS.items()}, **TEXTS}


@pytest.mark.parametrize("name", ALL)
def test_a_manifest_that_is_none_is_one_line(name: str) -> None:
    with pytest.raises(FormatError, match=r"^s3://b/p/manifest.json: ") as error:
        Publication.from_bytes(ALL[name], "s3://b/p/manifest.json")
    assert len(str(error.value)) < 400


def test_a_whole_manifest_comes_back() -> None:
    files = (File(path="ledger.jsonl", size_bytes=3, sha256=SHA), File(path="weights/a.bin", size_bytes=0, sha256=SHA))
    whole = Publication(run="5eed5eed5eed5eed", name="one", files=files)
    assert Publication.from_bytes(whole.to_bytes(), "here") == whole
    assert len(ALL) >= 46
