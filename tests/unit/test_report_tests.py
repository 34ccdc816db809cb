"""Tables of tests, and what papers printed beside them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.runs import Writer, space_folder, write_run

from irnas.core import catalog
from irnas.record import tests as records
from irnas.record.events import Tested
from irnas.record.run import Run
from irnas.report import tests

BAD = "<img src=x>"


def metrics(miou: float) -> dict[str, dict[str, float]]:
    return {preset: {"miou": miou, "fa": 1e-5} for preset in ("basicirstd", "dtum")}


def event(run: Run, *, replicate: int, miou: float, reading: int, **changes: Any) -> Tested:
    fields = {
        "trial": 0,
        "key": run.trials[0].key,
        "replicate": replicate,
        "seed": replicate,
        "split": "test",
        "data_rev": "d" * 16,
        "threshold": 0.7,
        "values": metrics(miou),
        "at_half": metrics(miou / 2),
        "reading": reading,
    }
    return Tested(**{**fields, **changes})


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A run of which a network was tested twice with one seed and once with another, and a file once."""

    def then(writer: Writer) -> None:
        before = Run.read(writer.uri)
        writer.append(event(before, replicate=0, miou=0.5, reading=1))
        writer.append(event(before, replicate=0, miou=0.6, reading=2))
        writer.append(event(before, replicate=1, miou=0.4, reading=2))
        writer.append(event(before, replicate=0, miou=0.3, reading=3, threshold=0.5, source=BAD))

    return Run.read(write_run(tmp_path / "run", space_folder(tmp_path), trials=1, then=then))


def test_the_newest_test_of_each_training_counts(run: Run) -> None:
    network, file = records.tested_networks(run)
    assert [values["basicirstd"]["miou"] for values in network.values] == [0.6, 0.4]
    assert (network.num, network.reading, network.name) == (2, 2, run.trials[0].key)
    assert (file.num, file.reading, file.has_own_threshold) == (1, 3, False)


def test_figures_are_mean_and_deviation(run: Run) -> None:
    head, rows = tests.tests_table(records.tested_networks(run), "basicirstd")
    column = head.index("mIoU (%)")
    assert [row[column] for row in rows] == ["50.00 ± 14.14", "25.00 ± 7.07", "30.00"]
    assert [row[head.index("threshold")] for row in rows] == ["0.7", "0.5", "0.5"]
    assert rows[0][head.index("AUC (%)")] == "-"


def test_every_preset_has_its_rows(run: Run) -> None:
    _, rows = tests.presets_table(records.tested_networks(run)[0])
    assert [row[:2] for row in rows] == [["basicirstd", "0.7"], ["", "0.5"], ["dtum", "0.7"], ["", "0.5"]]


def test_thresholds_of_several_trainings_are_a_range() -> None:
    two = (metrics(0.1), metrics(0.2))
    network = records.NetworkTest(name="n", split="test", thresholds=(0.5, 0.83), values=two, at_half=two)
    assert tests.tests_table([network], "dtum")[1][0][3] == "0.5 to 0.83"


def test_the_page_tells_what_was_tested_and_how_often_read(run: Run) -> None:
    section = tests.section(run)
    assert "test: 3" in section and "50.00 ± 14.14" in section
    assert BAD not in section and "&lt;img src=x&gt;" in section


def test_a_run_that_was_never_tested_has_no_section(tmp_path: Path) -> None:
    assert tests.section(Run.read(write_run(tmp_path / "run", space_folder(tmp_path), trials=1))) == ""


def test_a_test_is_no_time_of_searching(tmp_path: Path) -> None:
    space = space_folder(tmp_path)

    def then(writer: Writer) -> None:
        tested = event(Run.read(writer.uri), replicate=0, miou=0.5, reading=1)
        writer.append(tested, seconds=10_000.0)

    plain = Run.read(write_run(tmp_path / "a", space, trials=1))
    tested = Run.read(write_run(tmp_path / "b", space, trials=1, then=then))
    assert tested.seconds() == plain.seconds()


def test_printed_rows_come_with_their_split_the_best_first() -> None:
    rows = tests.printed_accuracies(("data-of-mine", "nudt-sirst"))
    assert [row.name for row in rows[:2]] == ["SD2Net", "RPCANet+/NUDT weights"]
    assert (rows[0].split, rows[1].split) == ("random 80 %/20 %", "663/662")
    mious = [row.values["miou"] for row in rows if "miou" in row.values]
    assert mious == sorted(mious, reverse=True)


def test_a_test_stands_among_the_papers_by_its_miou(run: Run) -> None:
    rows = tests.printed_accuracies(("nudt-sirst",))
    head, cells = tests.beside_papers(records.tested_networks(run)[:1], "basicirstd", "181/214", rows)
    (place,) = (number for number, cell in enumerate(cells) if cell[1] == "this test")
    assert cells[place][2:4] == ["181/214", "50.00 ± 14.14"] and len(cells) == len(rows) + 1
    column = head.index("mIoU (%)")
    assert cells[0][column] == "95.13"
    assert float(cells[place - 1][column]) >= 50 and float(cells[place + 1][column]) <= 50


def test_ablations_are_no_rivals() -> None:
    names = {row.name for row in tests.printed_accuracies(("nudt",))}
    assert "SD2Net" in names and "SD2Net/Haar" not in names
    assert not tests.printed_accuracies(("nowhere",))


@pytest.mark.parametrize("space", catalog.list_names())
def test_each_printed_accuracy_says_its_split(space: str) -> None:
    for row in catalog.load_published(space):
        assert set(row.splits) == set(row.results), row.name
