"""The report of a search over several families."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from support.runs import space_folder, write_run

from irnas.record.run import Run
from irnas.report import figure, page, table
from irnas.report.network import choice, colours_of, differing, families_of, phrases
from irnas.report.published import references


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("union")
    toy, other = space_folder(folder / "a"), space_folder(folder / "b")
    text = (other / "space.yaml").read_text()
    (other / "space.yaml").write_text(text.replace("name: toy", "name: gadget"))
    return Run.read(write_run(folder / "run", Path(f"{toy},{other}"), trials=16))


def test_winners_have_the_colour_of_their_family(run: Run) -> None:
    assert list(families_of(run)) == ["toy", "gadget"] and len(set(families_of(run).values())) == 2
    spaces = [r.genotype.space for r in run.winners]
    assert set(spaces) == {"toy", "gadget"}
    assert colours_of(run) == [families_of(run)[space] for space in spaces]
    drawn = figure.front(run, figure.pairs(run)[0], [])
    names = [trace.name for trace in drawn.data]
    assert {"toy, on the front", "gadget, on the front", "toy, dominated"} <= set(names)
    winners = [trace for trace in drawn.data if "on the front" in str(trace.name)]
    assert sum(len(trace.x) for trace in winners) == len(run.winners)


def test_an_axis_belongs_to_its_family(run: Run) -> None:
    axes = differing([r.genotype for r in run.done], run.space)
    assert axes[0] == "space" and {"toy.width", "gadget.width"} <= set(axes)
    point = next(r.genotype for r in run.done if r.genotype.space == "gadget")
    assert choice(point, "space") == "gadget" and choice(point, "toy.width") == "-"
    found = phrases(point, axes)
    assert found[0] == "space=gadget" and f"width={point.values['width']}" in found
    assert not any("toy" in phrase for phrase in found)
    assert "gadget" in table.winners(run)


def test_the_designs_of_all_papers_are_its_references(run: Run) -> None:
    found, why = references(run, lambda genotype, size: {"ops": 1e7})
    assert not why
    assert {"LIT10", "RPCANet+", "ADSNet"} <= {reference.name for reference in found}


def test_baselines_that_were_judged_on_its_images_are_drawn(run: Run) -> None:
    folder, level = Path(run.uri) / "baselines", run.done[0].values["miou"]
    folder.mkdir()
    for name, split, revision in (
        ("a", "val", run.opened.data.revision),
        ("b", "test", run.opened.data.revision),
        ("c", "val", "0"),
    ):
        judged = {"title": name, "split": split, "data_rev": revision, "metrics": {"miou": level}}
        (folder / f"{name}.json").write_text(json.dumps(judged))
    assert run.baselines["a"] == {"miou": level} and not {"b", "c"} & set(run.baselines)
    drawn = figure.front(run, figure.pairs(run)[0], [])
    assert "baseline: a" in {trace.name for trace in drawn.data}


def test_a_baseline_off_the_axis_is_told_instead(run: Run) -> None:
    (Path(run.uri) / "baselines").mkdir(exist_ok=True)
    judged = {"title": "far", "split": "val", "data_rev": run.opened.data.revision, "metrics": {"miou": 0.999}}
    (Path(run.uri) / "baselines" / "far.json").write_text(json.dumps(judged))
    drawn = figure.front(run, figure.pairs(run)[0], [])
    assert "baseline: far" not in {trace.name for trace in drawn.data}
    assert "Baselines off the axis: " in (found := page.html(run, [], images=False)) and "far (99.90 %)" in found
