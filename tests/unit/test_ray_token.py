"""The token without which no process of a cluster answers: who can read it, and which one counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from irnas.cluster.token import ensure_token
from irnas.core.errors import SettingsError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home in which nothing is configured; the file in it that Ray reads."""
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / ".ray" / "auth_token"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_a_new_token_is_for_its_owner_alone(home: Path) -> None:
    ensure_token()
    assert (mode(home), mode(home.parent)) == (0o600, 0o700)
    assert len(home.read_text()) == 64 and [p.name for p in home.parent.iterdir()] == ["auth_token"]


def test_a_token_stays_and_loses_its_other_readers(home: Path) -> None:
    home.parent.mkdir()
    home.write_text("a token that ray get-auth-token wrote")
    home.chmod(0o644)
    ensure_token()
    assert home.read_text() == "a token that ray get-auth-token wrote" and mode(home) == 0o600


def test_an_empty_file_is_no_token(home: Path) -> None:
    home.parent.mkdir()
    home.write_text("\n")
    home.chmod(0o644)
    ensure_token()
    assert len(home.read_text()) == 64 and mode(home) == 0o600


def test_a_token_that_is_configured_counts(home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "mine"))
    with pytest.raises(SettingsError, match=r"^RAY_AUTH_TOKEN_PATH: got .*mine'; must be a file with a token"):
        ensure_token()
    (tmp_path / "mine").write_text("0123456789abcdef")
    ensure_token()
    monkeypatch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef")
    ensure_token()
    assert not home.parent.exists()


def test_a_home_that_cannot_hold_a_token_is_one_line(home: Path) -> None:
    home.parent.write_text("no folder")
    with pytest.raises(SettingsError, match=r"^ray: got '.*' for .*auth_token; must be a file for Ray's token"):
        ensure_token()
