"""YAML and JSON of a user, or of a run, in every way of being none: one line that names the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.runs import space_folder, write_run

from irnas.core import catalog
from irnas.core.errors import DataError, FormatError, IrnasError, SettingsError, SpaceError
from irnas.core.recipes import load_recipe
from irnas.data import lock
from irnas.deploy.device import profile
from irnas.record.run import Run
from irnas.workflows import search_plan

NO_YAML = {
    "a date that is none": "a: 2026-13-99",
    "a number that is none": "a: 0x_",
    "nested without end": "[" * 100_000,
    "indented without end": "- " * 100_000,
    "a type of Python": "a: !!python/object/apply:os.system [touch it-ran]",
    "a key that is a list": "? [a]\n: b",
    "not ended": "'a",
    "a control character": "a: \x01",
    "two of one": "a: b: c",
    "a list that holds itself": "a: &a [*a]",
    "lists that are a billion values": "a: &a [1]\n" + "".join(f"b{n}: &a [{'*a, ' * 10}]\n" for n in range(9)),
}


def as_space(path: Path) -> None:
    catalog.load(str(path.rename(path.with_name("space.yaml"))))


def as_lock(path: Path) -> None:
    (path.parent / ".dvc").mkdir()
    path.rename(path.with_name("dvc.lock"))
    (path.parent / "data").mkdir()
    lock.dvc_digest_or_raise(path.parent / "data")


READERS: dict[str, tuple[Callable[[Path], object], type[IrnasError]]] = {
    "a space": (as_space, SpaceError),
    "a recipe": (lambda path: load_recipe("biisnet", str(path)), SettingsError),
    "settings": (lambda path: search_plan.read_settings(str(path)), SettingsError),
    "DVC's lock": (as_lock, DataError),
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("text", NO_YAML.values(), ids=NO_YAML)
def test_yaml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, text: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.yaml").write_text(text)
    read, error = READERS[reader]
    with pytest.raises(error, match=r"^[^\n]*(text|space)\.yaml|dvc\.lock"):
        read(tmp_path / "text.yaml")
    assert not Path("it-ran").exists()


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[" * 100_000, b"9" * 5000, b"null"])
def test_a_profile(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "pi.json").write_bytes(content)
    with pytest.raises(FormatError, match=r"pi\.json: got"):
        profile.load(str(tmp_path / "pi.json"))


WHOLE = {"title": "Top-Hat", "data_rev": "", "split": "val", "metrics": {"miou": 0.25, "auc": float("nan")}}
DAMAGED = {
    "none": b"",
    "no JSON": b"{",
    "no UTF-8": b"\xff\xfe",
    "nested without end": b"[" * 100_000,
    "a list": b"[]",
    "no figures": json.dumps({**WHOLE, "metrics": None}).encode(),
    "a text as a figure": json.dumps({**WHOLE, "metrics": {"miou": "<script>"}}).encode(),
    "a number as a title": json.dumps({**WHOLE, "title": 3}).encode(),
    "no split": json.dumps({name: value for name, value in WHOLE.items() if name != "split"}).encode(),
}


def test_a_judged_baseline_in_a_run(tmp_path: Path) -> None:
    uri = str(write_run(tmp_path / "run", space_folder(tmp_path), trials=1))
    run = Run.read(uri)
    file = tmp_path / "run" / "baselines" / "tophat.json"
    file.parent.mkdir()
    whole = {**WHOLE, "data_rev": run.data.revision, "split": run.settings.validate_on, "title": "Top\x1b[2J-Hat"}
    file.write_text(json.dumps(whole))
    assert run.baselines == {**run.opened.baselines, "Top\ufffd[2J-Hat": {"miou": 0.25}}
    for damage, content in DAMAGED.items():
        file.write_bytes(content)
        with pytest.raises(FormatError, match=r"tophat\.json: got something else"):
            pytest.fail(f"{damage}: {run.baselines}")
