from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from support.opened import opened
from support.results import tiny_space
from support.runs import settings_of, space_folder, write_run
from support.tables import made_table

from irnas.core.errors import FormatError, SettingsError
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.space import Genotype
from irnas.record.events import DataSource, Event, Finished, Proposed, Reported
from irnas.record.run import Run
from irnas.simulation import table
from irnas.simulation.table import Step

POINTS = list(tiny_space().points())


def run_of(*trainings: Sequence[Event], seed: int = 0, epochs: int = 2, **changes: Any) -> Run:
    """A run of ``tiny_space`` with these trainings."""
    settings = replace(settings_of("tiny", epochs=epochs), seed=seed)
    events = [event for training in trainings for event in training]
    return Run.of("made up", [opened(settings, **{"space": tiny_space(), **changes}), *events])


def trained(trial: int, genotype: Genotype, seconds: Mapping[int, float], status: Status = Status.OK) -> list[Event]:
    """The events of a training that reported so many seconds after these epochs."""
    proposal = Proposal(trial=trial, genotype=genotype, costs={"ops": 1e6}, origin="random")
    reports = [
        Reported(trial=trial, epoch=e, values={"miou": e / 10, "loss": 1.0}, seconds=s, paused=False)
        for e, s in seconds.items()
    ]
    result = Result(
        trial=trial,
        genotype=genotype,
        status=status,
        values={"ops": 1e6, "miou": 0.2},
        epochs=2,
        seed=7,
        data_rev="d",
        code_rev="1",
        seconds=2.0,
    )
    return [Proposed(proposal=proposal), *reports, Finished(result=result)]


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    made = made_table(12)
    table.write(str(tmp_path / "t.parquet"), made)
    assert table.read(str(tmp_path / "t.parquet")) == made
    assert [p.name for p in tmp_path.iterdir()] == ["t.parquet"]
    assert made.synthetic and made.epochs == 27 and made.metrics == {"miou", "fa"}


def test_an_ordinary_run_is_a_table(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "run", space_folder(tmp_path))
    run = Run.read(uri)
    trainings = table.from_runs([run])
    done = {r.key: r for r in run.outcomes if r.status is Status.OK}
    assert {p.key for p in trainings.points} == set(done) and len(done) == 12
    for point in trainings.points:
        (curve,) = point.curves.values()
        assert [s.epoch for s in curve] == [1, 2, 3, 4]
        assert all(curve[-1].values[n] == done[point.key].values[n] for n in ("miou", "pd"))
        assert "loss" not in curve[0].values and point.free["ops"] == done[point.key].values["ops"]
    assert not trainings.synthetic
    table.write(str(tmp_path / "t.parquet"), trainings)
    assert table.read(str(tmp_path / "t.parquet")) == trainings


def test_runs_of_other_seeds_add_curves_to_a_network() -> None:
    runs = [run_of(trained(0, POINTS[seed // 5], {1: 1.0, 2: 2.0}), seed=seed) for seed in (4, 3, 5)]
    points = table.from_runs(runs).points
    assert {p.key: list(p.curves) for p in points} == {POINTS[0].key: [3, 4], POINTS[1].key: [5]}


def test_every_epoch_counts_as_the_fastest_of_its_network() -> None:
    # The first was started again after two epochs and tells its seconds from there.
    slow, quick = {1: 2.0, 2: 4.0, 3: 1.5, 4: 3.5}, {1: 5.0, 2: 9.0, 3: 10.25, 4: 20.0}
    runs = [run_of(trained(0, POINTS[0], s), seed=seed, epochs=4) for seed, s in ((0, slow), (1, quick))]
    curves = table.from_runs(runs[:1]).points[0].curves
    assert [s.seconds for s in curves[0]] == [1.5, 3.0, 4.5, 6.0]
    curves = table.from_runs(runs).points[0].curves
    assert [s.seconds for s in curves[0]] == [s.seconds for s in curves[1]] == [1.25, 2.5, 3.75, 5.0]


def test_stopped_and_unsearched_networks_are_left_out() -> None:
    outside = tiny_space().genotype({"stages": 2, "base": 16, "kind": "BC"})
    small = tiny_space().restrict({"base": (4, 8)})
    run = run_of(
        trained(0, POINTS[0], {1: 1.0, 2: 2.0}),
        trained(1, POINTS[1], {1: 1.0}, Status.STOPPED),
        trained(2, outside, {1: 1.0, 2: 2.0}),
        space=small,
    )
    assert [p.key for p in table.from_runs([run]).points] == [POINTS[0].key]


def test_runs_that_do_not_go_together_are_refused() -> None:
    one = run_of(trained(0, POINTS[0], {1: 1.0, 2: 2.0}))
    with pytest.raises(SettingsError, match=r"^table: got no run"):
        table.from_runs([])
    with pytest.raises(SettingsError, match=r"^table: got runs that differ in conditions; must be of one"):
        table.from_runs([one, run_of(seed=1, epochs=3)])
    with pytest.raises(SettingsError, match=r"^table: got runs that differ in data_rev"):
        table.from_runs([one, run_of(seed=1, data=DataSource(name="d", revision="other", path="p"))])
    with pytest.raises(FormatError, match=rf"^table: got {POINTS[0].key} twice with seed 0"):
        table.from_runs([one, one])
    with pytest.raises(FormatError, match=r"seed 0: got 1 epochs; must be 2"):
        table.from_runs([run_of(trained(0, POINTS[0], {1: 1.0}))])
    with pytest.raises(FormatError, match=r"seed 0: got 0 epochs; must be 2"):
        table.from_runs([run_of(trained(0, POINTS[0], {}))])


def rewrite(path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> str:
    """Write a good table with one thing changed in its columns or its metadata."""
    table.write(str(path), made_table(3, epochs=3))
    parquet = pq.read_table(path)
    columns, shared = parquet.to_pydict(), json.loads(parquet.schema.metadata[b"irnas.table"])
    change(columns, shared)
    pq.write_table(pa.table(columns).replace_schema_metadata({"irnas.table": json.dumps(shared)}), path)
    return str(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c, s: s.update(schema=3), "got schema 3; this irnas reads up to 2"),
        (lambda c, s: s.pop("data_rev"), "got no data_rev; must be there"),
        (lambda c, s: c.pop("seconds"), "got no seconds; must be there"),
        (lambda c, s: c["epoch"].__setitem__(1, None), "got a gap in epoch, row 2; must be whole"),
        (lambda c, s: c["value.miou"].__setitem__(1, float("nan")), "got miou=nan; must be finite"),
        (lambda c, s: c["seconds"].__setitem__(0, 0.0), "got epoch 1 after 0 seconds; must be from 1, and take time"),
        (lambda c, s: c["seconds"].__setitem__(1, 1e-9), "got epoch 2 after 1; must go on, in epochs and time"),
        (lambda c, s: c["epoch"].__setitem__(1, 1), "got epoch 1 after 1; must go on, in epochs and time"),
        (lambda c, s: c["epoch"].__setitem__(2, 2), "got 2 epochs; must be 3, all of them"),
        (lambda c, s: [c["key"].__setitem__(i, "x") for i in range(6)], "row 1: got key x for the network"),
        (lambda c, s: s.update(space={"name": "made"}), "space"),
        (lambda c, s: s.update(conditions={}), "got KeyError"),
    ],
)
def test_a_wrong_file_is_refused_in_one_line(tmp_path: Path, change: Any, message: str) -> None:
    path = rewrite(tmp_path / "t.parquet", change)
    with pytest.raises(FormatError) as error:
        table.read(path)
    text = str(error.value)
    assert text.startswith(f"{path}: ") and message in text and "\n" not in text


def test_other_files_are_refused_by_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="must be an existing file"):
        table.read(str(tmp_path / "absent"))
    (tmp_path / "text").write_text("no")
    with pytest.raises(FormatError, match="got no Parquet"):
        table.read(str(tmp_path / "text"))
    pq.write_table(pa.table({"a": [1]}), tmp_path / "other")
    with pytest.raises(FormatError, match="without a table's metadata"):
        table.read(str(tmp_path / "other"))


def test_a_table_holds_together() -> None:
    made = made_table(3, epochs=2)
    first = made.points[0]
    with pytest.raises(FormatError, match="got no points"):
        replace(made, points=())
    with pytest.raises(FormatError, match="got a point twice"):
        replace(made, points=(first, first))
    with pytest.raises(FormatError, match="got no curve; must have one or more"):
        replace(made, points=(*made.points[1:], replace(first, curves={})))
    with pytest.raises(FormatError, match=r"got free objectives \['ops'\]"):
        replace(made, points=(*made.points[1:], replace(first, free={"ops": 1.0})))
    bare = tuple(Step(epoch=s.epoch, values={"miou": 0.1}, seconds=s.seconds) for s in first.curves[0])
    with pytest.raises(FormatError, match=r"got metrics \['miou'\]"):
        replace(made, points=(*made.points[1:], replace(first, curves={0: bare})))
