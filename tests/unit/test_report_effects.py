"""What `irnas report --axes` says: shares of variance by a second formula, at equal cost, beside chance and noise."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import pytest
import typer
from support.runs import space_folder, write_run
from typer.testing import CliRunner

from irnas.cli import report
from irnas.core.errors import SettingsError
from irnas.core.objective import OBJECTIVES
from irnas.core.space import Param, Space
from irnas.record.run import Run
from irnas.report.effects import Sample, effects_of, sample_of_run, sample_of_table
from irnas.report.importance import explained
from irnas.simulation import table

APP = typer.Typer()
APP.command()(report.report)
TABLE = Path(__file__).parents[2] / "docs" / "bench" / "biisnet-nudt-bits.parquet"
SPACE = Space(
    name="made",
    family="made",
    params=tuple(
        Param(name=name, values=values, default=values[0], search=values)
        for name, values in (("size", (1, 2, 4, 8)), ("good", (False, True)), ("idle", ("a", "b", "c")))
    ),
)


def made(repeats: int = 1) -> Sample:
    """Networks that are better where they are dearer, and where ``good``; ``idle`` does nothing."""
    rng, genotypes, miou, ops, trainings = random.Random(0), list(SPACE.points()) * 4, [], [], []
    for genotype in genotypes:
        size, is_good = int(genotype.values["size"]), bool(genotype.values["good"])
        mean = 0.3 + 0.1 * math.log2(size) + 0.04 * is_good
        trainings.append([mean + rng.gauss(0, 0.02) for _ in range(repeats)])
        miou.append(sum(trainings[-1]) / repeats)
        ops.append(1e6 * size)
    return Sample(
        space=SPACE,
        genotypes=genotypes,
        values={"miou": miou, "ops": ops},
        repeats=trainings if repeats > 1 else [],
        metric=OBJECTIVES["miou"],
        costs=[OBJECTIVES["ops"]],
    )


def test_an_axis_that_only_costs_more_stands_below_one_that_is_better_at_equal_cost() -> None:
    effects = effects_of(made())
    shares = {effect.axis: effect for effect in effects.axes}
    assert effects.axes[0].axis == "good"
    assert shares["size"].share > 0.8 > 0.2 > shares["size"].share_at_cost
    assert shares["size"].share_of_cost == pytest.approx(1.0) and shares["good"].share_of_cost == 0
    assert shares["good"].share < effects.chance * 2 and shares["good"].share_at_cost > 0.3
    assert shares["idle"].share <= effects.chance and shares["idle"].share_at_cost <= effects.chance_at_cost
    assert 0 < effects.chance < 0.2 and effects.deviation is None and effects.explainable is None


def test_shares_are_those_of_the_formula_written_out() -> None:
    sample = made()
    for effect in effects_of(sample).axes:
        groups = [str(genotype.values[effect.axis]) for genotype in sample.genotypes]
        assert effect.share == pytest.approx(explained(groups, sample.values["miou"]))


def test_the_noise_is_that_between_trainings_of_one_network() -> None:
    effects = effects_of(made(repeats=3))
    assert effects.deviation == pytest.approx(0.02, rel=0.1)
    assert effects.explainable and 0.95 < effects.explainable < 1


def test_levels_are_means_with_their_errors_in_order() -> None:
    (size,) = (effect for effect in effects_of(made()).axes if effect.axis == "size")
    assert [level.value for level in size.levels] == ["1", "2", "4", "8"]
    assert [level.num for level in size.levels] == [24] * 4
    for level, mean in zip(size.levels, (0.32, 0.42, 0.52, 0.62), strict=True):
        assert level.mean == pytest.approx(mean, abs=0.02) and 0.003 < level.error < 0.012


def test_too_few_networks_say_nothing() -> None:
    sample = made()
    few = replace(sample, genotypes=sample.genotypes[:7], values={n: v[:7] for n, v in sample.values.items()})
    with pytest.raises(SettingsError, match="axes: got 7 trained networks; must be at least 8"):
        effects_of(few)


def test_the_shipped_table_tells_what_matters_and_its_noise() -> None:
    effects = effects_of(sample_of_table(table.read(str(TABLE))))
    above = {effect.axis for effect in effects.axes if effect.share_at_cost > effects.chance_at_cost}
    assert "bn" in above
    assert effects.deviation and 0 < effects.deviation < 0.1 and effects.explainable and effects.explainable > 0.5
    with pytest.raises(SettingsError, match="metric: got 'nonsense'; one of"):
        sample_of_table(table.read(str(TABLE)), "nonsense")
    document = json.loads(CliRunner().invoke(APP, [str(TABLE), "--axes", "--json"]).stdout)
    assert [axis["axis"] for axis in document["axes"]] == [effect.axis for effect in effects.axes]
    text = CliRunner().invoke(APP, [str(TABLE), "--axes"]).stdout
    text = " ".join(text.split())
    assert "in 19 of 20 cases, and at equal cost to" in text and "noise: mIoU deviates by 5.67" in text


def test_a_run_is_told_by_its_own_objectives(tmp_path: Path) -> None:
    uri = write_run(tmp_path / "run", space_folder(tmp_path))
    sample = sample_of_run(Run.read(uri))
    assert len(sample.genotypes) == len(sample.values["miou"]) == len(Run.read(uri).done)
    error = CliRunner().invoke(APP, [uri, "--json"]).exception
    assert isinstance(error, SettingsError) and str(error) == "--json: got it without --axes; must come with it"
