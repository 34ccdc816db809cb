"""The pages that people look at, in a real browser: MLflow's page of a search, its artifacts, and the report."""

from __future__ import annotations

import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import mirrored
from support.browser import Page, browser
from support.command import started
from support.runs import space_folder, write_run
from support.tracking_server import free_port

from irnas import report, tracking
from irnas.front import Front
from irnas.ledger import Ledger, results
from irnas.objective import parse

pytestmark = [
    pytest.mark.service,
    # Of MLflow's own making, with the SQLAlchemy that it allows.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]


@dataclass(frozen=True)
class Scene:
    """A run, served by `irnas ui`, and a browser to look at it."""

    run: Path
    keys: list[str]
    """Of the front."""
    address: str
    """Of the page of the search."""
    browser: Any


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("seen")
    with browser() as running:
        uri = write_run(folder / "runs" / "one", space_folder(folder), trials=8)
        report.write(uri, images=False)
        with pytest.MonkeyPatch.context() as patch:
            patch.delenv("MLFLOW_TRACKING_URI", raising=False)
            tracking.rebuild(uri)
        port = free_port()
        with started(folder, "ui", "runs", "--port", str(port)) as process:
            try:
                wait(f"http://127.0.0.1:{port}/health", process)
                (parent,) = [r for r in mirrored.found(client(folder)) if r.data.tags["irnas.kind"] == "search"]
                page = f"http://127.0.0.1:{port}/#/experiments/{parent.info.experiment_id}/runs/{parent.info.run_id}"
                found = results(list(Ledger(uri).events()))
                front = Front.of(found, parse("miou,ops")).results
                yield Scene(run=folder / "runs" / "one", keys=[r.key for r in front], address=page, browser=running)
            finally:
                # With the workers below it, which would outlive it.
                os.killpg(process.pid, signal.SIGKILL)


def client(folder: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=f"sqlite:///{folder / 'runs' / tracking.DATABASE}")


def wait(address: str, process: Any) -> None:
    until = time.monotonic() + 300
    while True:
        assert process.poll() is None and time.monotonic() < until
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)


def complaints(page: Page) -> list[str]:
    # MLflow asks who has logged in, and has no such page where nobody needs to.
    return [text for text in page.complaints if "/mlflow/users/current" not in text]


def test_the_page_of_a_search_in_mlflow(scene: Scene, tmp_path: Path) -> None:
    page = Page(scene.browser, height=1600)
    # MLflow has two faces; the other one is for language models.
    page.page.goto(f"{scene.address}?workflowType=machine_learning")
    page.page.get_by_text("on the front of 8 trained networks").wait_for()
    page.page.get_by_text("Child runs").wait_for()
    page.page.screenshot(path=tmp_path / "mlflow.png")
    text = page.page.inner_text("body")
    assert len(scene.keys) > 1 and not [key for key in scene.keys if key not in text]
    assert {"one", "Finished", "hypervolume", "Runs"} <= {line.strip() for line in text.splitlines()}
    assert "irnas.family : toy" in " ".join(text.split()) and "nudt-sirst (5eed5eed5eed5eed)" in text
    assert not complaints(page)
    assert {address.split("/")[2] for address in page.asked if "://" in address} == {scene.address.split("/")[2]}


def test_the_report_among_the_artifacts(scene: Scene, tmp_path: Path) -> None:
    page = Page(scene.browser)
    page.page.goto(f"{scene.address}/artifacts/report.html")
    inside = page.page.frame_locator("iframe")
    inside.get_by_text(scene.keys[0]).first.wait_for()
    page.page.screenshot(path=tmp_path / "artifact.png")
    assert not complaints(page)


def test_the_report_by_itself(scene: Scene, tmp_path: Path) -> None:
    page = Page(scene.browser)
    page.page.goto((scene.run / "report.html").as_uri(), wait_until="domcontentloaded")
    page.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    page.page.screenshot(path=tmp_path / "report.png", full_page=True)
    rows = page.page.locator("table tr").all_inner_texts()
    assert not [key for key in scene.keys if not any(key in row for row in rows)]
    assert "toy" in page.page.title() and page.page.locator("h1").first.is_visible()
    assert not page.complaints
    assert not [address for address in page.asked if not address.startswith(("file:", "data:", "blob:"))]
