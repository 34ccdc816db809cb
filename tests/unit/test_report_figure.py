"""The figures of the report, and what they are computed from: importances, published designs, units."""

from __future__ import annotations

import json
import re
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.runs import PUBLISHED_YAML, Writer, price, space_folder, write_run

from irnas.core.objective import OBJECTIVES
from irnas.record.run import Run
from irnas.report import curve, figure, importance, look, page, parallel, published, unit


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


# Seeds


def test_a_network_of_several_seeds_has_an_error_bar_that_fits(tmp_path: Path) -> None:
    def train_again(writer: Writer) -> None:
        best = max(Run.read(writer.uri).done, key=lambda r: r.values["miou"])
        for seed in (1, 2):
            writer.repeat(best.trial, best.genotype, seed)

    run = Run.read(write_run(tmp_path / "one", space_folder(tmp_path), then=train_again))
    (key,) = run.replicates
    deviation = 100 * run.replicates[key]["miou"].deviation
    drawing = figure.front(run, figure.pairs(run)[0], [])
    (points,) = (trace for trace in drawing.data if trace.error_y.array is not None)
    bars = {text[3:15]: bar for text, bar in zip(points.hovertext, points.error_y.array, strict=True)}
    assert bars.pop(key) == pytest.approx(deviation) and deviation > 0 and not any(bars.values())
    top = 100 * next(r for r in run.done if r.key == key).values["miou"] + deviation
    assert drawing.layout.yaxis.range[1] > top
    assert not any(trace.error_x.array is not None for trace in drawing.data)


# Importance of axes


def test_an_axis_that_decides_all_explains_all() -> None:
    assert importance.explained(["a", "b"] * 6, [0.2, 0.8] * 6) == 1.0


def test_an_axis_of_noise_explains_little_however_many_values_it_has() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        found = importance.explained(list(rng.integers(0, 6, 24)), list(rng.normal(size=24)))
        assert found is not None
        shares.append(found)
    # Uncorrected, six groups of 24 would explain 5/23 = 22 % of noise on average.
    assert np.mean(shares) < 0.08


@pytest.mark.parametrize(("groups", "values"), [("aaaa", [1, 2, 3, 4]), ("abcd", [1, 2, 3, 4]), ("aabb", [2, 2, 2, 2])])
def test_where_nothing_can_be_said_nothing_is(groups: str, values: list[float]) -> None:
    assert importance.explained(groups, values) is None


def test_importance_finds_the_planted_axis(run: Run) -> None:
    shares = importance.importances(run)
    assert importance.ranked(shares)[0] == "width"
    assert shares["miou"]["width"] > 0.5 > shares["miou"].get("attention", 0.0)


def test_the_planted_axis_is_beyond_chance_and_noise_is_not(run: Run) -> None:
    shares, threshold = importance.importances(run), importance.chance(run)
    assert shares["miou"]["width"] > threshold > shares["miou"].get("attention", 0.0)
    assert threshold == importance.chance(run)


def test_importance_needs_trials(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "few", space_folder(tmp_path), trials=importance.MIN_TRIALS - 1))
    assert importance.importances(run) == {}
    assert "nothing can be said about single axes" in page.html(run, [], images=False)


# Published designs


@pytest.mark.parametrize(
    ("name", "dataset", "same"),
    [
        ("NUDT-SIRST", "nudt-sirst", True),
        ("NUDT-SIRST", "NUDT_SIRST", True),
        ("IRSTD-1K", "irstd1k", True),
        ("NUAA-SIRST", "SIRST", True),
        ("SIRST", "nudt-sirst", False),
        ("SIRST", "sirst-aug", False),
        ("SIRST", "synthetic", False),
    ],
)
def test_a_data_set_is_recognised_whatever_its_spelling(name: str, dataset: str, same: bool) -> None:
    assert published.matches(name, dataset) is same


def test_members_get_our_cost_and_others_keep_the_printed_one(run: Run) -> None:
    found = {r.name: r for r in published.references(run)[0]}
    member = found["TOY-8"]
    assert member.genotype is not None
    assert member.values["ops"] == price(member.genotype, (1, 256, 256))["ops"] != 3e8
    assert member.values["miou"] == 0.71
    other = found["OTHER-NET"]
    assert (other.values["ops"], other.values["miou"]) == (5e8, 0.78)
    assert (other.foreign, member.foreign) == ("3x512x512", "")
    assert published.Reference(name="BNN (Table 2)", source="").label == "BNN"


def test_an_accuracy_of_another_data_set_is_not_shown(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "one", space_folder(tmp_path), trials=2, data_name="synthetic"))
    found, absent = published.references(run)
    assert not absent
    assert not any("miou" in r.values for r in found)
    html = page.html(run, found, images=False)
    assert "No paper in this space&#x27;s list" in html or "No paper in this space's list" in html
    drawn = figure.front(run, figure.pairs(run)[0], found)
    assert "published, our count" not in [t.name for t in drawn.data]


def test_a_space_that_is_gone_is_said_and_not_raised(tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    run = Run.read(write_run(tmp_path / "one", space, trials=2))
    (space / "space.yaml").rename(space / "moved.yaml")
    found, absent = published.references(run)
    assert found == []
    assert "could not be read" in absent


# Figures


def test_the_front_figure_shows_each_trial_once_and_the_published(run: Run) -> None:
    references, _ = published.references(run)
    drawn = figure.front(run, figure.pairs(run)[0], references)
    traces = {t.name: t for t in drawn.data}
    assert len(traces["dominated"].x) + len(traces["on the front"].x) == 12
    assert list(traces["on the front"].y) == [100 * r.values["miou"] for r in run.winners]
    assert set(traces["published, our count"].text) == {"TOY-8", "TOY-32"}
    assert "published, cost as printed at 3x512x512" not in traces
    assert drawn.layout.xaxis.type == "log"
    assert drawn.layout.yaxis.title.text == "mIoU (%)"


def test_a_cost_at_another_input_is_said_and_not_drawn(tmp_path: Path) -> None:
    run = Run.read(write_run(tmp_path / "one", space_folder(tmp_path)))
    references, _ = published.references(run)
    assert "another input, and not drawn: OTHER-NET (500 M at 3x512x512)." in page.html(run, references, images=False)


def test_a_cost_printed_at_the_run_s_input_is_drawn(tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    (space / "published.yaml").write_text(PUBLISHED_YAML.replace("[3, 512, 512]", "[1, 256, 256]"))
    run = Run.read(write_run(tmp_path / "one", space))
    references, _ = published.references(run)
    traces = {t.name: t for t in figure.front(run, figure.pairs(run)[0], references).data}
    assert set(traces["published, cost as printed at 1x256x256"].text) == {"OTHER-NET"}
    assert "not drawn" not in page.html(run, references, images=False)


def test_published_giants_do_not_dwarf_the_run(tmp_path: Path) -> None:
    space = space_folder(tmp_path)
    giant = PUBLISHED_YAML.replace("ops: 5.0e+8", "ops: 5.0e+11").replace("[3, 512, 512]", "[1, 256, 256]")
    (space / "published.yaml").write_text(giant)
    run = Run.read(write_run(tmp_path / "one", space))
    references, _ = published.references(run)
    dearest = max(r.values["ops"] for r in run.done)
    high = figure.front(run, figure.pairs(run)[0], references).layout.xaxis.range[1]
    assert dearest < 10**high < 2 * figure.REACH * dearest
    assert "far to the right of the axis: OTHER-NET (500 G)." in page.html(run, references, images=False)


def test_pairs_put_costs_across() -> None:
    names = [("miou", "ops"), ("ops", "miou"), ("miou", "pd", "params"), ("miou",), ("params",)]
    expected = [
        [("ops", "miou")],
        [("ops", "miou")],
        [("miou", "pd"), ("params", "miou"), ("params", "pd")],
        [("ops", "miou")],
        [("params", "miou")],
    ]
    for given_names, wanted in zip(names, expected, strict=True):
        stand_in: Any = types.SimpleNamespace(objectives=tuple(OBJECTIVES[n] for n in given_names))
        assert [(x.name, y.name) for x, y in figure.pairs(stand_in)] == wanted


@pytest.mark.parametrize(
    ("x", "y", "shape"),
    [("ops", "miou", "hv"), ("ops", "params", "hv"), ("miou", "pd", "vh"), ("miou", "fa", "vh"), ("fa", "miou", "hv")],
)
def test_a_front_promises_only_what_was_attained(x: str, y: str, shape: str) -> None:
    """Between two of its points, the better of the two in x does not have the other's y."""
    pair = (OBJECTIVES[x], OBJECTIVES[y])
    assert figure.step_shape(pair) == shape
    left, right = 1.0, 2.0
    # On "hv" the value of the left point holds in between; it must be the point that is no worse in x than there.
    holds = left if shape == "hv" else right
    assert pair[0].loss(holds) <= pair[0].loss(1.5)


def test_every_figure_is_valid(run: Run) -> None:
    drawings = [curve.growth(run), curve.learning(run), importance.bars(importance.importances(run), 0.3)]
    for drawn in [*drawings, parallel.lines(run, [])[0]]:
        assert drawn is not None
        assert go.Figure(json.loads(drawn.to_json())).data


def test_parallel_leaves_out_the_least_important_axes(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "MAX_AXES", 2)
    drawn, num_hidden = parallel.lines(run, ["width", "depth"])
    titles = [a.text for a in drawn.layout.annotations if a.text.startswith("<b>")]
    assert titles == ["<b>width</b>", "<b>depth</b>", "<b>mIoU (%)</b>", "<b>OPs</b>"]
    assert num_hidden == 3


@given(st.floats(1e-3, 1e12), st.floats(1.001, 1e6))
def test_ticks_lie_within_the_axis(low: float, ratio: float) -> None:
    marks, texts = figure.ticks(low, low * ratio)
    assert len(marks) == len(texts) == len(set(marks))
    assert all(low <= mark <= low * ratio for mark in marks)
    if ratio > 10:
        assert len(marks) >= 2


@given(st.lists(st.floats(1e-6, 1e12), min_size=1), st.booleans())
def test_limits_hold_all_values(values: list[float], is_log: bool) -> None:
    low, high = figure.limits(values, is_log=is_log)
    assert low < high
    assert low <= min(values) * (1 + 1e-9)
    assert max(values) <= high * (1 + 1e-9)


def test_labels_do_not_cover_each_other() -> None:
    assert figure.with_room([(0.5, 0.5), (0.52, 0.51), (0.52, 0.6), (0.9, 0.5)]) == [True, False, True, True]


@pytest.mark.parametrize(("num", "expected"), [(0, 0), (1, 1), (2, 2), (40, 40)])
def test_winners_have_colours_of_their_own(num: int, expected: int) -> None:
    colours = look.ramp(num)
    assert len(set(colours)) == expected
    assert all(re.fullmatch("#[0-9a-f]{6}", c) for c in colours)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("miou", 0.8288, "82.88 %"),
        ("fa", 2.34e-5, "23.4·10⁻⁶"),
        ("ops", 1.93e8, "193 M"),
        ("params", 10320, "10.32 K"),
        ("bytes", 1352, "1.352 K B"),
        ("miou", None, "-"),
        ("loss", 0.123456, "0.1235"),
        ("params", 999, "999"),
    ],
)
def test_values_as_they_are_shown(name: str, value: float | None, text: str) -> None:
    assert unit.quantity(name, value) == text
