"""The pages that people look at, in a real browser: MLflow's page of a search, its artifacts, and the report.

MLflow is looked at twice: as `irnas ui` opens it, and on a server with PostgreSQL and S3. Screenshots go to the folder
that IRNAS_SCREENSHOTS names, or are forgotten.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import mirrored
from support.browser import Page, browser
from support.command import started
from support.runs import Writer, space_folder, write_run
from support.tracking_server import free_port, full_server

from irnas import report
from irnas.core.space import Genotype
from irnas.record.run import Run
from irnas.tracking import client as tracking

pytestmark = [
    pytest.mark.service,
    # Of MLflow's own making, with the SQLAlchemy that it allows.
    pytest.mark.filterwarnings("ignore:The ``noload`` loader strategy"),
]


@dataclass(frozen=True)
class Scene:
    """A run, served by MLflow, and a browser to look at it."""

    name: str
    run: Path
    keys: list[str]
    """Of the front."""
    address: str
    """Of the server."""
    parent: Any
    """The search in MLflow, and one of its front."""
    member: Any
    browser: Any

    def page_of(self, run: Any) -> str:
        return f"{self.address}/#/experiments/{run.info.experiment_id}/runs/{run.info.run_id}"

    def keep(self, page: Page, name: str) -> None:
        """A screenshot for people."""
        folder = os.environ.get("IRNAS_SCREENSHOTS")
        if folder:
            page.page.screenshot(path=Path(folder) / f"{self.name}-{name}.png")


@contextmanager
def locally(folder: Path) -> Iterator[str]:
    """`irnas ui` on the runs of a folder; its address."""
    port = free_port()
    with started(folder, "ui", "runs", "--port", str(port)) as process:
        try:
            wait(f"http://127.0.0.1:{port}/health", process)
            yield f"http://127.0.0.1:{port}"
        finally:
            # With the workers below it, which would outlive it.
            os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def on_a_server(folder: Path) -> Iterator[str]:
    with full_server(folder) as (server, _, _):
        yield server.uri


@pytest.fixture(scope="module", params=["ui", "server"])
def scene(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("seen")
    with browser() as running, pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        uri = write_run(folder / "runs" / "one", space_folder(folder), trials=8, then=train_again)
        report.write(uri, images=False)
        patch.delenv("MLFLOW_TRACKING_URI", raising=False)
        if request.param == "server":
            address = stack.enter_context(on_a_server(folder))
            tracking.rebuild(uri, address)
        else:
            tracking.rebuild(uri)
            address = stack.enter_context(locally(folder))
        runs = mirrored.found(client(address))
        (parent,) = [r for r in runs if r.data.tags["irnas.kind"] == "search"]
        member = next(r for r in runs if r.data.tags.get("irnas.front") == "true")
        front = Run.read(uri).winners
        yield Scene(
            name=request.param,
            run=folder / "runs" / "one",
            keys=[r.key for r in front],
            address=address,
            parent=parent,
            member=member,
            browser=running,
        )


def train_again(writer: Writer) -> None:
    """Give the best network of the run two more trainings."""
    results = [r.document() for r in Run.read(writer.uri).outcomes]
    best = max((r for r in results if r["status"] == "ok"), key=lambda r: r["values"]["miou"])
    for seed in (1, 2):
        writer.repeat(best["trial"], Genotype.from_document(best["genotype"]), seed)


def client(address: str) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(tracking_uri=address)


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
    # MLflow asks who has logged in, and has no such page where nobody needs to; Chromium tells of boxes that change
    # their size while it draws them.
    known = ("/mlflow/users/current", "ResizeObserver loop")
    return [text for text in page.complaints if not any(part in text for part in known)]


def test_the_page_of_a_search_in_mlflow(scene: Scene) -> None:
    page = Page(scene.browser, height=1600)
    # MLflow has two faces; the other one is for language models.
    page.page.goto(f"{scene.page_of(scene.parent)}?workflowType=machine_learning")
    page.page.get_by_text("on the front of 8 trained networks").wait_for()
    page.page.get_by_text("Child runs").wait_for()
    scene.keep(page, "search")
    text = page.page.inner_text("body")
    assert len(scene.keys) > 1 and not [key for key in scene.keys if key not in text]
    assert {"one", "Finished", "hypervolume", "Runs"} <= {line.strip() for line in text.splitlines()}
    assert "irnas.family : toy" in " ".join(text.split()) and "nudt-sirst (5eed5eed5eed5eed)" in text
    assert "±" in text
    assert not complaints(page)
    assert {address.split("/")[2] for address in page.asked if "://" in address} == {scene.address.split("/")[2]}


def test_the_front_is_what_a_filter_leaves(scene: Scene) -> None:
    page = Page(scene.browser)
    where = urllib.parse.quote("tags.`irnas.front` = 'true' and tags.`irnas.family` = 'toy'")
    runs = f"{scene.address}/#/experiments/{scene.parent.info.experiment_id}/runs"
    page.page.goto(f"{runs}?workflowType=machine_learning&searchFilter={where}")
    # MLflow shows children below their parent, whatever the filter, and folded.
    page.page.get_by_text(f"{len(scene.keys) + 1} matching runs").wait_for()
    parent = page.page.get_by_role("link", name="one").first
    parent.locator("xpath=ancestor::*[@role='gridcell']").locator("button").first.click()
    for key in scene.keys:
        page.page.get_by_text(key).first.wait_for()
    scene.keep(page, "filter")
    assert not complaints(page)


def test_the_curves_of_a_network(scene: Scene) -> None:
    page = Page(scene.browser, height=1600)
    page.page.goto(f"{scene.page_of(scene.member)}/model-metrics")
    page.page.get_by_text("miou", exact=True).first.wait_for()
    page.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    scene.keep(page, "curves")
    assert not complaints(page)


def test_report_and_front_among_the_artifacts(scene: Scene) -> None:
    page = Page(scene.browser)
    page.page.goto(f"{scene.page_of(scene.parent)}/artifacts/report.html")
    inside = page.page.frame_locator("iframe")
    inside.get_by_text(scene.keys[0]).first.wait_for()
    inside.locator(".js-plotly-plot .main-svg").first.wait_for()
    scene.keep(page, "artifact")
    page.page.get_by_text("report.png").first.click()
    page.page.wait_for_function("[...document.images].some(image => image.naturalWidth > 600)")
    scene.keep(page, "picture")
    assert not complaints(page)


def test_the_report_by_itself(scene: Scene) -> None:
    page = Page(scene.browser)
    page.page.goto((scene.run / "report.html").as_uri(), wait_until="domcontentloaded")
    page.page.locator(".js-plotly-plot .main-svg").first.wait_for()
    scene.keep(page, "report")
    rows = page.page.locator("table tr").all_inner_texts()
    assert not [key for key in scene.keys if not any(key in row for row in rows)]
    assert "toy" in page.page.title() and page.page.locator("h1").first.is_visible()
    assert not page.complaints
    assert not [address for address in page.asked if not address.startswith(("file:", "data:", "blob:"))]


def test_the_table_of_trials_sorts_filters_and_opens_by_a_point(scene: Scene) -> None:
    page = Page(scene.browser)
    page.page.goto((scene.run / "report.html").as_uri(), wait_until="domcontentloaded")
    page.page.locator("#front-0 .main-svg").first.wait_for()
    box = page.page.locator("div.sortable")
    run = Run.read(str(scene.run))
    ops = {result.key: result.values.get("ops", 0.0) for result in run.outcomes}
    for order in (1, -1):
        box.locator("th", has_text="OPs").click()
        keys = box.locator("td code").all_inner_texts()
        assert len(keys) == len(ops) and [order * ops[key] for key in keys] == sorted(order * o for o in ops.values())
    box.locator("input").fill(scene.keys[0])
    assert box.locator("tr:visible td code").all_inner_texts() == [scene.keys[0]]
    # The last trace is the front, from the cheapest to the dearest.
    page.page.locator("#front-0 .scatterlayer .trace").last.locator(".point").last.hover(force=True)
    page.page.mouse.down()
    page.page.mouse.up()
    dearest = run.winners[-1].key
    box.locator("pre code", has_text=f"irnas train {scene.run} {dearest}").wait_for()
    assert box.locator("tr.chosen td code").all_inner_texts() == [dearest]
    scene.keep(page, "chosen")
    assert not page.complaints


@pytest.mark.parametrize("width", [1400, 390])
def test_the_front_is_in_the_first_screen(scene: Scene, width: int) -> None:
    page = Page(scene.browser, width=width, height=900)
    page.page.goto((scene.run / "report.html").as_uri(), wait_until="domcontentloaded")
    page.page.locator("#front-0 .main-svg").first.wait_for()
    place = page.page.locator("#front-0").bounding_box()
    assert place and place["y"] + place["height"] <= 900
    assert page.page.evaluate("document.documentElement.scrollWidth") == width
    scene.keep(page, f"first-screen-{width}")
