"""Puts tests/ on the path, so that `from support.x import y` works, and keeps tests off the user's own folders."""

from __future__ import annotations

import os
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
    """A cache of the session's own: a test neither reads nor fills the one of whoever runs it."""
    cache = tmp_path_factory.getbasetemp() / "cache"
    monkeypatch.setenv("IRNAS_CACHE", str(cache))
