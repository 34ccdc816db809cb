"""A front whose order by operations is not that of its measured times says so, in text, JSON and on the page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.runs import space_folder, with_times, write_run
from typer.testing import CliRunner

from irnas.cli.app import app
from irnas.record.run import Run
from irnas.report import table, unit
from irnas.report.order import describe_disagreement, describe_timing

PLACE = "a <small> chip, kernels neon, 1 thread"


@pytest.fixture
def uri(tmp_path: Path) -> str:
    return write_run(tmp_path / "run", space_folder(tmp_path))


def test_times_that_rise_with_ops_need_no_word(uri: str) -> None:
    num = len(Run.read(uri).winners)
    # The first two are within what a measurement may be off by.
    run = Run.read(with_times(uri, [1.9, 1.8, *range(2, num)]))
    assert num >= 3 and describe_disagreement(run) == ""
    assert describe_timing(run) == f"alone: timed after the search with random weights on {PLACE}"


def test_the_worst_pair_out_of_order_is_named(uri: str) -> None:
    num = len(Run.read(uri).winners)
    # All but the last are slower than it, and nothing else is out of order.
    with_times(uri, [*(2.0 + n for n in range(num - 1)), 1.0])
    run = Run.read(uri)
    few, many = run.winners[-2:]
    text = (
        f"OPs and time disagree on the order of {num - 1} of {num * (num - 1) // 2} pairs of the front: "
        f"{few.key} takes {num:.4g} ms with {unit.quantity('ops', few.values['ops'])} OPs, "
        f"{many.key} takes 1 ms with {unit.quantity('ops', many.values['ops'])} OPs"
    )
    assert describe_disagreement(run) == text
    printed = CliRunner().invoke(app, ["front", uri]).output
    assert text in printed and PLACE in printed and unit.title("latency_ms") + " alone" in printed
    page = table.winners(run)
    assert f"{text}." in page and "a &lt;small&gt; chip" in page
    (alone,) = {json.dumps(row["alone"]["cpu"]) for row in json.loads(front_as_json(uri))["front"]}
    assert alone == '"a <small> chip"'


def test_networks_that_were_not_timed_are_counted(uri: str) -> None:
    num = len(Run.read(uri).winners)
    run = Run.read(with_times(uri, [1.0]))
    assert describe_timing(run).endswith(f"{PLACE}; {num - 1} of {num} networks were not timed")
    assert describe_disagreement(run) == ""


def front_as_json(uri: str) -> str:
    return CliRunner().invoke(app, ["front", uri, "--json"]).output
