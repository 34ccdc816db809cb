"""The report: what it reads, that the page stands alone, and that nothing from a file becomes markup."""

from __future__ import annotations

import base64
import io
import json
import re
import sys
import types
from dataclasses import replace
from html import escape as html_escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from support import records
from support.runs import PUBLISHED_YAML, Writer, price, space_folder, with_speed, write_run

from irnas import report
from irnas.core.errors import FormatError, SettingsError
from irnas.core.objective import parse
from irnas.core.result import Status
from irnas.record.events import Closed, Resumed, Retried
from irnas.record.run import Run
from irnas.report import image, page, published, unit
from irnas.report.network import choice, choices, differing, grouped, phrases

BAD = '<script>alert("1")</script><img src=x onerror=alert(2)>'


@pytest.fixture(autouse=True)
def _toy_prices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Toys have no network to count; and torch would take seconds to load."""
    stand_in = types.ModuleType("irnas.deploy.price")
    stand_in.price = price  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "irnas.deploy.price", stand_in)


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return write_run(tmp_path / "runs" / "one", space_folder(tmp_path))


@pytest.fixture
def run(uri: str) -> Run:
    return Run.read(uri)


class Tags(HTMLParser):
    """Collects the tags of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def tags_of(html: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(html)
    return parser.tags


# The run of a run


def test_winners_go_from_the_cheapest_to_the_dearest(run: Run) -> None:
    ops = [r.values["ops"] for r in run.winners]
    assert ops == sorted(ops)
    assert {r.key for r in run.winners} == {r.key for r in run.front.results}


def test_growth_ends_at_the_hypervolume(run: Run) -> None:
    shares = [g.front.hypervolume(run.bounds) for g in run.growth if not g.is_replicate]
    assert len(shares) == len(run.done) == 12
    assert shares == sorted(shares)
    assert shares[-1] == run.hypervolume()
    assert shares[0] < shares[-1]


def test_a_pause_is_not_time_of_searching(tmp_path: Path) -> None:
    def pause(writer: Writer) -> None:
        writer.append(Closed(reason="interrupted"))
        writer.append(Resumed(trials=12, code_rev="0.1.0"), seconds=10_000.0)

    space = space_folder(tmp_path)
    whole = Run.read(write_run(tmp_path / "a", space, trials=1))
    paused = Run.read(write_run(tmp_path / "b", space, trials=1, then=pause))
    assert paused.seconds() == pytest.approx(whole.seconds() + 1.0)


def test_differing_axes_come_in_the_order_of_the_space(run: Run) -> None:
    space = run.space
    a, b = space.complete({"width": 4, "attention": True}), space.complete({"width": 8})
    assert differing([a, b], space) == ["width", "attention", "reduction"]
    assert differing([a, a], space) == []
    assert [choice(a, "reduction"), choice(b, "reduction")] == ["2", "-"]


def test_numbered_axes_are_shown_together(run: Run) -> None:
    assert grouped(["base", "n_enc0", "n_enc1", "layer2"]) == {
        "base": ["base"],
        "n_enc": ["n_enc0", "n_enc1"],
        "layer2": ["layer2"],
    }
    assert choices(run.space.complete({"width": 4}), ["width", "reduction", "depth"]) == "4/-/2"
    assert phrases(run.space.complete({"width": 4}), ["width", "reduction", "depth"]) == ["width=4", "depth=2"]


# Example detections


class Scenes:
    """Three images; the first without a target."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        self.images = [rng.integers(20, 90, (48, 64), dtype=np.uint8) for _ in range(3)]
        self.masks = [np.zeros((48, 64), np.uint8) for _ in range(3)]
        self.masks[1][20:23, 30:34] = 1
        self.masks[2][0:2, 62:64] = 1
        self.masks[2][40, 5] = 1

    def __len__(self) -> int:
        return 3

    def image(self, i: int) -> np.ndarray:
        return self.images[i]

    def mask(self, i: int) -> np.ndarray:
        return self.masks[i]

    def name(self, i: int) -> str:
        return f"scene {i}"


def shifted(split: Scenes) -> image.Predictor:
    """Finds every target one pixel too far to the right."""

    def predict(index: int) -> np.ndarray:
        return np.roll(split.masks[index], 1, axis=1).astype(np.float32) * 0.9

    return predict


def pixels(uri: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))))


def test_detections_show_images_with_targets_only(run: Run) -> None:
    split = Scenes()
    scenes = image.scenes(split, {0: shifted(split)}, run)
    assert [s.name[:7] for s in scenes] == ["scene 1", "scene 2"]
    knee = " · knee" if image.knee_of(run) == 0 else ""
    assert [c.title for c in scenes[0].cells] == ["image", "truth", f"1 · {run.winners[0].key[:8]}{knee}"]
    # 12 pixels, moved by one column of 3: 9 found, 3 missed, 3 false.
    assert scenes[0].cells[2].caption == "IoU here 60 %"
    # Around the object, at a distance of two pixels and two wide: 11 x 13 without 7 x 9.
    assert np.bincount(pixels(scenes[0].cells[2].boxes).ravel(), minlength=4)[1:].tolist() == [143 - 63, 0, 0]
    kinds = np.unique(pixels(scenes[0].cells[2].outlines))
    assert kinds.tolist() == [0, 1, 2, 3]
    assert not pixels(scenes[0].cells[0].boxes).any() and pixels(scenes[0].full_view).shape == (48, 64)


def test_boxes_tell_what_is_found_missed_and_false() -> None:
    truth, found = np.zeros((40, 60), bool), np.zeros((40, 60), bool)
    truth[10:12, 10:12] = truth[10:12, 30:32] = found[11:13, 11:13] = found[30:32, 50:52] = True
    hit, missed, false = image._boxes(found, truth)
    assert [tuple(int(axis.min()) for axis in np.nonzero(box)) for box in (hit, missed, false)] == [
        (6, 6),
        (6, 26),
        (26, 46),
    ]
    assert not (hit | missed | false)[10:13, 10:13].any()
    edge = np.zeros((40, 60), bool)
    edge[0, 0] = True
    assert sum(int(box.sum()) for box in image._boxes(edge, edge)) == 5 * 5 - 3 * 3


def test_detections_are_counted_at_several_thresholds(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    split = Scenes()
    monkeypatch.setattr(image, "_open", lambda _: (split, {0: shifted(split)}))
    seen = image.detections(run)
    curve = seen.curves[0]
    assert seen.num_judged == seen.num_images == 3 and not seen.absent
    assert curve.pd[curve.threshold == 0.5] == 1 and curve.pd[curve.threshold == 0.95] == 0
    html = page.html(run, [])
    assert 'id="detection-curves"' in html and "Over all 3 validation images" in html
    monkeypatch.setattr(image, "MAX_JUDGED", 2)
    assert "Over 2 of 3 validation images" in page.html(run, [])


def test_the_frame_holds_the_largest_target_and_stays_inside() -> None:
    mask = Scenes().masks[2]
    frame = image.frame_of(mask)
    assert (frame.top, frame.left, frame.side) == (0, 40, 24)
    assert frame.cut(mask).sum() == 4
    frame = image.frame_of(Scenes().masks[1])
    assert (frame.top, frame.left, frame.side) == (9, 20, 24)
    assert image.frame_of(np.ones((10, 30), np.uint8)).side == 10


def test_iou_of_nothing_is_perfect() -> None:
    blank, full = np.zeros((2, 2), bool), np.ones((2, 2), bool)
    assert image.iou(blank, blank) == 1.0
    assert image.iou(blank, full) == 0.0


def test_chosen_winners_span_the_front() -> None:
    winners: Any = list(range(9))
    assert image.chosen(winners) == [0, 3, 5, 8]
    assert [image.chosen(winners, knee) for knee in (1, 5, 7)] == [[0, 1, 5, 8], [0, 3, 5, 8], [0, 3, 7, 8]]
    assert image.chosen(winners[:1]) == [0]


def test_the_page_says_why_there_are_no_pictures(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: Run) -> None:
        raise FormatError("weights/abc.pt: got <nothing>; must be there")

    monkeypatch.setattr(image, "_open", fail)
    html = page.html(run, [])
    assert "could not be run again here: weights/abc.pt: got &lt;nothing&gt;; must be there." in html


# The page


def named(folder: Path, name: str) -> Run:
    """A run in which everything that a file or a user can name has that name."""
    space = space_folder(folder)
    rows = PUBLISHED_YAML
    for known in ("TOY-8", "OTHER-NET", "NUDT-SIRST", '"A. Author et al., A paper about toys, 2025"'):
        rows = rows.replace(known, json.dumps(name))
    # The last is so large, at the run's own input, that it is only told of; the first was counted at another one.
    far = "{input: [1, 256, 256], params: 30000, ops: 5.0e+11}"
    (space / "published.yaml").write_text(rows.replace("{input: [3, 512, 512], params: 30000, ops: 5.0e+8}", far))

    def fail(writer: Writer) -> None:
        genotype = writer.space.complete({"width": 32, "depth": 3, "binarizer": "sign"})
        trial = writer.propose(genotype, origin=name)
        writer.append(Retried(trial=trial, error=name))
        writer.finish(trial, genotype, Status.FAILED, {}, 0, name)

    return Run.read(write_run(folder / "one", space, data_name=name, closed=name, then=fail))


@pytest.mark.parametrize(
    "attack", [BAD, f"</script>{BAD}", "&lt;b&gt;<b>", '"><svg onload=alert(3)>', "'-alert(4)-'", "<!--"]
)
def test_nothing_from_a_file_becomes_markup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: str) -> None:
    split = Scenes()
    monkeypatch.setattr(image, "_open", lambda _: (split, {0: shifted(split)}))
    pages = []
    for name in ("harmless", attack):
        run = named(tmp_path / str(len(pages)), name)
        monkeypatch.setattr(split, "name", lambda _, name=name: name)
        pages.append(page.html(run, *published.references(run)).partition("</head>")[2])
    harmless, attacked = ([(tag, sorted(names)) for tag, names in tags_of(html)] for html in pages)
    assert attacked == harmless
    assert html_escape(attack) in pages[1]
    assert "far to the right of the axis" in pages[1]
    for script in re.findall(r"<script[^>]*>(.*?)</script>", pages[1], re.S):
        assert "<" not in script


def test_the_page_stands_alone(run: Run) -> None:
    references, absent = published.references(run)
    html = page.html(run, references, absent, images=False)
    found = tags_of(html)
    assert not [tag for tag, _ in found if tag in ("link", "iframe", "object", "embed", "base")]
    assert not [attributes for _, attributes in found if "src" in attributes]
    assert all((attributes["href"] or "").startswith("#") for _, attributes in found if "href" in attributes)
    (policy,) = (a["content"] for tag, a in found if tag == "meta" and a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none'; ")
    assert '"showSendToCloud": false' in html
    assert html.count("!function(") < 50 and len(html) < 8_000_000


def test_the_page_names_what_a_reader_needs(run: Run) -> None:
    references, absent = published.references(run)
    html = page.html(run, references, absent, images=False)
    for text in (
        "toy on nudt-sirst",
        "5eed5eed5eed5eed",
        "4 epochs",
        "basicirstd",
        "baseline: global threshold",
        "mIoU 21.00 %",
        "got loss nan",
        "the worker died",
        "epsilon squared",
        "no fair race",
        "published TOY-8",
    ):
        assert text in html, text
    assert all(r.key in html for r in run.winners)


@pytest.mark.parametrize("then", ["nothing", "one", "cost only"])
def test_a_run_with_little_in_it_has_a_page(tmp_path: Path, then: str) -> None:
    space = space_folder(tmp_path)
    objectives = ("params",) if then == "cost only" else ("miou", "ops")
    uri = write_run(tmp_path / "one", space, trials=3, objectives=objectives)
    lines = (tmp_path / "one" / "ledger.jsonl").read_text().splitlines(keepends=True)
    keep = {"nothing": 1, "one": 7, "cost only": len(lines)}[then]
    (tmp_path / "one" / "ledger.jsonl").write_text("".join(lines[:keep]))
    html_path, picture = report.write(uri, images=False)
    assert "<h2>Front</h2>" in html_path.read_text()
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_write_puts_both_where_it_is_told(uri: str, tmp_path: Path) -> None:
    assert report.write(uri, images=False) == (Path(uri) / "report.html", Path(uri) / "report.png")
    there = tmp_path / "new" / "page.html"
    assert report.write(uri, there, images=False) == (there, there.with_suffix(".png"))
    with Image.open(there.with_suffix(".png")) as picture:
        assert picture.width > 900
    assert sorted(p.name for p in there.parent.iterdir()) == ["page.html", "page.png"]


def test_write_refuses(uri: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="which is the picture's place"):
        report.write(uri, tmp_path / "page.png")
    with pytest.raises(SettingsError, match="must name one"):
        report.write("s3://nowhere/run")
    with pytest.raises(SettingsError, match="must be the folder or URI"):
        report.write(str(tmp_path / "nowhere"), tmp_path / "page.html")
    assert not list(tmp_path.glob("page*"))


def test_three_objectives_give_three_figures(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "one", space_folder(tmp_path), objectives=("miou", "pd", "ops"))
    html = report.write(uri, images=False)[0].read_text()
    assert all(f'id="front-{number}"' in html for number in range(3))
    assert "Pd against mIoU" in html


def test_the_same_record_gives_the_same_page(run: Run) -> None:
    references, absent = published.references(run)
    assert page.html(run, references, absent, images=False) == page.html(run, references, absent, images=False)


def test_a_run_for_speed_says_whose_and_how_it_was_checked(uri: str) -> None:
    run = Run.read(with_speed(uri))
    html = page.html(run, [], images=False)
    assert "mIoU against FPS" in html and "FPS against OPs" in html and "FPS alone" in html
    assert "a &lt;small&gt; chip" in html and "<small>" not in html
    assert "measured again after the search" in html
    first = run.winners[0]
    assert run.measured_speed(first.key) == pytest.approx(first.values["fps"] / 0.8)
    assert f"{run.measured_speed(first.key):.4g}" in html


def test_a_prediction_says_that_nothing_was_measured(uri: str) -> None:
    run = Run.read(with_speed(uri, predicted=True))
    html = page.html(run, [], images=False)
    assert "predicted from the profile abcdefabcdef" in html and "nothing was measured again" in html
    assert "FPS alone" not in html and run.measured_speed(run.winners[0].key) is None


def test_without_a_cost_the_fastest_comes_first(uri: str) -> None:
    run = Run.read(with_speed(uri))
    settings = replace(run.settings, objectives=parse("miou,fps"))
    for_speed = Run.of(uri, [replace(run.opened, settings=settings), *run.events[1:]])
    speeds = [r.values["fps"] for r in for_speed.winners]
    assert len(speeds) > 1 and speeds == sorted(speeds, reverse=True)


@pytest.mark.parametrize(
    ("name", "value", "text"), [("fps", 1978.4, "1978"), ("fps", 56.78, "56.78"), ("latency_ms", 4.2, "4.2 ms")]
)
def test_speeds_are_written_plainly(name: str, value: float, text: str) -> None:
    assert unit.quantity(name, value) == text


def test_a_name_that_no_font_has_is_drawn_without_a_word(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "one", space_folder(tmp_path), trials=3, objectives=("miou", "ops"))
    opened, *rest = records.documents(tmp_path / "one")
    opened["data"]["name"] = "红外 \U0001f6f0"
    records.rewrite(tmp_path / "one", [opened, *rest])
    # A warning would be an error here.
    assert report.write(uri, images=False)[1].read_bytes().startswith(b"\x89PNG")
