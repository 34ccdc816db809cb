from __future__ import annotations

import json
import re
import statistics
from pathlib import Path
from typing import Any

import pytest
import typer
from support.runs import space_folder, write_run
from support.tables import made_table
from typer.testing import CliRunner, Result

from irnas.cli.simulate import simulate
from irnas.core.errors import FormatError, IrnasError, SettingsError
from irnas.core.objective import parse
from irnas.record.run import Run
from irnas.search.strategy.catalogue import make_strategy
from irnas.simulation import comparison, table
from irnas.simulation.simulator import Arena, replay

APP = typer.Typer()
APP.command()(simulate)


def run(*words: Any) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(APP, [str(w) for w in words])


def refused(*words: Any) -> IrnasError:
    result = run(*words)
    assert isinstance(result.exception, IrnasError), result.output
    assert result.stdout == ""
    return result.exception


@pytest.fixture
def bench(tmp_path: Path) -> Path:
    table.write(str(tmp_path / "b.parquet"), made_table(20, epochs=9, noise=0.2))
    return tmp_path / "b.parquet"


def test_it_prints_the_median_cost_of_each_strategy(bench: Path) -> None:
    words = ("--bench", bench, "--strategy", "random, moasha", "--seeds", 3, "--workers", 2, "--json")
    document = json.loads(run(*words).stdout)
    assert set(document["strategies"]) == {"random", "moasha"}
    assert (document["points"], document["epochs"], document["seeds"], document["workers"]) == (20, 9, 3, 2)
    assert document["synthetic"] is True and document["objectives"] == ["miou", "ops"]
    again = json.loads(run(*words).stdout)
    costs = []
    for seed in range(3):
        arena = Arena(table=table.read(str(bench)), objectives=parse("miou,ops"), replica=seed)
        trajectory = replay(make_strategy("random", arena.problem(seed)), arena, workers=2)
        costs.append([trajectory.cost_to(p / 100) for p in (90, 95, 98, 99)])
    billed = document["strategies"]["random"]["cost_to"]
    assert all(billed[p] > document["strategies"]["random"]["training_to"][p] for p in billed)
    for number, percent in enumerate(("90", "95", "98", "99")):
        entry = document["strategies"]["random"]
        middle = statistics.median(c[number] or 0.0 for c in costs)
        assert entry["training_to"][percent] == pytest.approx(middle)
        low, high = entry["interval"][percent]
        assert low <= entry["cost_to"][percent] <= high and entry["reached"][percent] == 1.0
        assert entry["training_to"] == again["strategies"]["random"]["training_to"]


def test_the_table_of_a_run_can_be_searched(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "run", space_folder(tmp_path))
    table.write(str(tmp_path / "b.parquet"), table.from_runs([Run.read(uri)]))
    words = ("--bench", tmp_path / "b.parquet", "--strategy", "random,moasha,freeze-thaw", "--seeds", 2, "--json")
    document = json.loads(run(*words).stdout)
    assert document["points"] == 12 and document["synthetic"] is False
    assert all(0 < entry["training_to"]["99"] <= 12 for entry in document["strategies"].values())


def test_a_share_that_no_search_reached_is_never(bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Silent:
        def ask(self) -> None:
            return None

    monkeypatch.setattr(comparison, "make_strategy", lambda *_, **__: Silent())
    document = json.loads(run("--bench", bench, "--strategy", "random", "--seeds", 2, "--json").stdout)
    entry = document["strategies"]["random"]
    assert entry["cost_to"]["90"] is None is entry["interval"]["90"][1] and entry["reached"]["90"] == 0.0
    assert "never" in run("--bench", bench, "--strategy", "random", "--seeds", 2).stdout


def test_the_printed_table_says_what_it_stands_on(bench: Path) -> None:
    result = run("--bench", bench, "--strategy", "freeze-thaw", "--seeds", 2)
    assert result.exit_code == 0 and "freeze-thaw" in result.stdout and "99 %" in result.stdout
    assert "MADE UP" in result.stdout and "20 networks" in result.stdout


@pytest.mark.parametrize("suffix", ["png", "html"])
def test_curves_are_drawn_and_printed(bench: Path, tmp_path: Path, suffix: str) -> None:
    plot = tmp_path / f"race.{suffix}"
    words = ("--bench", bench, "--strategy", "nsga2-uncached,freeze-thaw", "--seeds", 2, "--at", 6, "--plot", plot)
    document = json.loads(run(*words, "--json").stdout)
    content = plot.read_bytes()
    if suffix == "png":
        assert content.startswith(b"\x89PNG") and len(content) > 20_000
    else:
        text = content.decode()
        assert all(word in text for word in ("freeze-thaw", "the whole table", "for 6 full trainings", "MADE UP"))
        assert not re.search(r'<(script|link|img)[^>]+(src|href)="http', text)
    curves = document["curves"]
    for name in ("regret", "igd_plus"):
        for band in curves[name].values():
            assert len(band["median"]) == len(curves["cost"]) and band["median"] == sorted(band["median"], reverse=True)
            assert all(low <= middle <= high for low, middle, high in zip(*band.values(), strict=True))


def test_a_metric_alone_is_drawn_without_a_second_panel(bench: Path, tmp_path: Path) -> None:
    for suffix in ("png", "html"):
        plot = tmp_path / f"race.{suffix}"
        words = ("--bench", bench, "--strategy", "random", "--seeds", 2, "--objective", "miou", "--plot", plot)
        assert run(*words).exit_code == 0 and plot.stat().st_size > 10_000


def test_wrong_options_are_refused_in_one_line(bench: Path, tmp_path: Path) -> None:
    assert str(refused("--bench", bench, "--strategy", "random,best")).startswith("--strategy: got 'best'; one of tpe")
    assert str(refused("--bench", bench, "--strategy", ",")).startswith("--strategy: got ','; must name one or more")
    assert str(refused("--bench", bench, "--seeds", 0)) == "--seeds: got 0; must be at least 1"
    assert str(refused("--bench", bench, "--workers", 0)) == "--workers: got 0; must be at least 1"
    assert str(refused("--bench", bench, "--jobs", 0)) == "--jobs: got 0; must be at least 1"
    assert str(refused("--bench", bench, "--at", -1)) == "--at: got -1; must be a number of full trainings above 0"
    assert str(refused("--bench", bench, "--plot", "a.pdf")) == "--plot: got a.pdf; must end in .png or .html"
    assert isinstance(refused("--bench", bench, "--objective", "speed"), SettingsError)
    assert isinstance(refused("--bench", tmp_path / "absent"), SettingsError)
    (tmp_path / "text").write_text("no")
    assert isinstance(refused("--bench", tmp_path / "text"), FormatError)
