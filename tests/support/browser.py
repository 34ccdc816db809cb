"""A headless Chromium of the machine's own, driven by Playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def browser() -> Iterator[Any]:
    """A browser; skips the test where there is none. CHROMIUM names one that is not on the path."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    api = pytest.importorskip("playwright.sync_api", reason="needs Playwright (pip install playwright)")
    with api.sync_playwright() as playwright:
        # A container's /dev/shm is small, and Chromium's sandbox does not run as root.
        options = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        running = playwright.chromium.launch(executable_path=found, args=options)
        try:
            yield running
        finally:
            running.close()


class Page:
    """A page of the browser and what it complained of."""

    def __init__(self, running: Any, width: int = 1400, height: int = 1000) -> None:
        self.page = running.new_page(viewport={"width": width, "height": height})
        self.complaints: list[str] = []
        self.page.set_default_timeout(120_000)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.asked: list[str] = []
        self.page.on("request", lambda r: self.asked.append(r.url))

    def _hear(self, message: Any) -> None:
        if message.type == "error":
            self.complaints.append(f"{message.text} {message.location.get('url', '')}")
