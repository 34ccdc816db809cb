"""A report of very many trials stays small, and shows what one of few shows; scripts run only if they are ours."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs import SPACE_YAML, Writer, settings_of

from irnas.core import catalog
from irnas.core.result import Status
from irnas.record.events import Event, Finished, Opened, Retried
from irnas.record.run import Run
from irnas.report import curve, figure, markup, page, parallel, script, thin

NUM_TRIALS = 10_000
BAD = '<script>alert("1")</script><img src=x onerror=alert(2)>'


@dataclass
class Events(Writer):
    """Keeps the events instead of writing them."""

    events: list[Event] = field(default_factory=list)

    def append(self, event: Event, seconds: float = 1.0) -> None:
        self.now += seconds
        self.events.append(replace(event, t=self.now))


def events_of(folder: Path) -> Events:
    more = "".join(f"  - {{name: {name}, values: [0, 1, 2], search: [0, 1, 2]}}\n" for name in "abcdefgh")
    (folder / "space.yaml").write_text(SPACE_YAML + more)
    settings = settings_of(str(folder))
    return Events(uri=str(folder / "run"), settings=settings, space=catalog.load(str(folder)).focus())


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Every tenth trial failed after a retry."""
    writer = events_of(tmp_path_factory.mktemp("large"))
    writer.open()
    extra = itertools.product(range(3), repeat=8)
    for number, values in enumerate(itertools.islice(extra, NUM_TRIALS // 10 * 6)):
        choice = {
            "width": (4, 8, 16, 32)[number % 4],
            "depth": number % 3 + 1,
            **dict(zip("abcdefgh", values, strict=True)),
        }
        for binarizer in ("sign", "scaled")[: 1 + (number % 3 != 0)]:
            genotype = writer.space.complete({**choice, "binarizer": binarizer})
            if writer.num_trials % 10 == 9:
                trial = writer.propose(genotype)
                writer.append(Retried(trial=trial, error="the worker died"))
                writer.finish(trial, genotype, Status.FAILED, {}, 1, f"TrainingError: {'x' * 300} {number}")
            else:
                writer.train(genotype)
    assert writer.num_trials == NUM_TRIALS
    return Run.of(writer.uri, writer.events)


def test_a_report_of_ten_thousand_trials_is_under_three_megabytes(large: Run) -> None:
    html = page.html(large, [], images=False)
    assert len(html.encode()) < 3_000_000
    assert all(r.key in html for r in large.winners)
    assert f"{thin.MAX_ROWS} of {NUM_TRIALS // 10 * 2} of them are listed" in html
    assert f"other trials ({thin.MAX_CURVES} of " in html and "dominated (" in html


def test_the_front_is_drawn_whole_and_the_others_where_they_were(large: Run) -> None:
    (pair,) = figure.pairs(large)
    drawing = figure.front(large, pair, [])
    traces = {trace.name: trace for trace in drawing.data}
    assert len(traces["on the front"].x) == len(large.winners)
    (dominated,) = (trace for name, trace in traces.items() if name.startswith("dominated"))
    assert thin.MAX_POINTS / 3 < len(dominated.x) <= thin.MAX_POINTS
    rest = [r.values["miou"] * 100 for r in large.done if r not in large.winners]
    span = max(rest) - min(rest)
    assert min(dominated.y) < min(rest) + 0.05 * span and max(dominated.y) > max(rest) - 0.05 * span


def test_the_growth_of_many_trials_has_every_step(large: Run) -> None:
    (trace,) = curve.growth(large).data
    shares = [100 * g.front.hypervolume(large.bounds) for g in large.growth]
    grew = [n for n, (now, before) in enumerate(zip(shares, [0.0, *shares], strict=False)) if now > before]
    assert {n + 1 for n in grew} <= set(trace.x) and len(trace.x) <= thin.MAX_STEPS + len(grew)
    assert trace.x[-1] == len(shares) and trace.y[-1] == shares[-1] == max(shares)


def test_every_network_of_the_front_is_a_line_and_of_the_others_so_many(large: Run) -> None:
    drawing, _ = parallel.lines(large, [])
    assert len(drawing.data) == thin.MAX_LINES + len(large.winners)


@given(st.integers(0, 300), st.integers(1, 40))
def test_what_is_left_out_is_evenly_spread(num: int, most: int) -> None:
    kept = thin.evenly(range(num), most)
    assert len(kept) == min(num, most) and kept == sorted(set(kept))
    if num and most > 1:
        assert (kept[0], kept[-1]) == (0, num - 1)
        gaps = [b - a for a, b in itertools.pairwise(kept)]
        assert not gaps or max(gaps) - min(gaps) <= 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1))), st.integers(1, 20))
def test_points_that_stay_apart_are_few_and_there_is_always_one(places: list[tuple[float, float]], most: int) -> None:
    kept = thin.apart(places, most)
    assert len(kept) <= most and bool(kept) == bool(places)
    assert kept == sorted(set(kept)) and all(0 <= n < len(places) for n in kept)


# What may run in a page


class Scripts(HTMLParser):
    """The policy of a page, and the scripts that a browser would take for code."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.policy, self.code, self.handlers = "", list[str](), list[str]()
        self._is_code = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        of = dict(attrs)
        self.handlers += [name for name in of if name.startswith("on")]
        if of.get("http-equiv") == "Content-Security-Policy":
            self.policy = of["content"] or ""
        self._is_code = tag == "script" and of.get("type") not in ("application/json", "application/gzip")

    def handle_data(self, data: str) -> None:
        if self._is_code:
            self.code.append(data)
            self._is_code = False


def hash_of(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def forged(folder: Path, attack: str) -> Run:
    """A run whose numbers are texts, as a record may hold them that somebody else wrote."""
    writer = events_of(folder)
    writer.open()
    first, second = (writer.space.complete({"width": width}) for width in (8, 16))
    trial = writer.propose(first, attack)
    writer.finish(trial, first, Status.OK, {"miou": 0.5}, 1)
    trial = writer.propose(second)
    writer.append(Retried(trial=trial, error=attack))
    writer.finish(trial, second, Status.FAILED, {}, 1, attack)
    return Run.of(writer.uri, [_forge(event, attack) for event in writer.events])


def _forge(event: Event, attack: str) -> Event:
    match event:
        case Opened():
            return replace(event, code_rev=attack)
        case Finished(result=result):
            return replace(event, result=replace(result, epochs=attack))  # type: ignore[arg-type]
    return event


def test_only_our_own_two_scripts_run(tmp_path: Path) -> None:
    from plotly.offline import get_plotlyjs

    found = Scripts(page.html(forged(tmp_path, BAD), [], images=False))
    (rule,) = (part for part in found.policy.split("; ") if part.startswith("script-src "))
    assert len(found.code) == 1 and rule == f"script-src {hash_of(get_plotlyjs())} {hash_of(found.code[0])}"
    assert found.policy.startswith("default-src 'none'; ") and not found.handlers


@pytest.mark.parametrize("attack", [BAD, "</script><script>alert(1)</script>", '" onload="alert(1)', "{run}{0}%s"])
def test_a_number_that_is_a_text_becomes_no_markup(tmp_path: Path, attack: str) -> None:
    pages = []
    for number, text in enumerate(("harmless", attack)):
        (tmp_path / str(number)).mkdir()
        pages.append(page.html(forged(tmp_path / str(number), text), [], images=False))
    assert markup.escape(attack) in pages[1]
    tags = [re.findall(r"<(/?[a-z0-9]+)", html.partition("</head>")[2]) for html in pages]
    assert tags[0] == tags[1]


def test_a_figure_is_data_that_cannot_end_its_script(tmp_path: Path) -> None:
    import plotly.graph_objects as go

    drawing = go.Figure(go.Scatter(x=[1], y=[2], name=f"</script>{BAD}"))
    html = script.figure(drawing, "one")
    (data,) = re.findall(r'<script type="application/json" class="figure">([^<]*)</script>', html)
    assert json.loads(data)["data"][0]["name"] == f"</script>{BAD}"


def test_what_is_no_html_is_escaped_once() -> None:
    inside = markup.fill("<b>{x}</b>", x="<i>&")
    assert inside == "<b>&lt;i&gt;&amp;</b>"
    assert markup.fill("<p>{inside}</p>", inside=inside) == f"<p>{inside}</p>"
    assert markup.join(["<", inside, 3], "<br>") == f"&lt;<br>{inside}<br>3"
