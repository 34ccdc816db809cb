"""Puts tests/ on the path, so that `from support.x import y` works, and keeps tests off the user's own folders."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")


LONG = ("cluster", "service")
"""Markers of tests that run only when they are asked for."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for marker in LONG:
            if item.get_closest_marker(marker) and marker not in config.option.markexpr:
                item.add_marker(pytest.mark.skip(reason=f"takes minutes: python -m pytest -m {marker}"))


@pytest.fixture(autouse=True)
def _private_folders(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache and a token of the session's own: a test neither reads nor fills those of whoever runs it."""
    folder = tmp_path_factory.getbasetemp()
    monkeypatch.setenv("IRNAS_CACHE", str(folder / "cache"))
    token = folder / "ray_token"
    if not token.exists():
        token.touch(mode=0o600)
        token.write_text(secrets.token_hex(32))
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(token))
