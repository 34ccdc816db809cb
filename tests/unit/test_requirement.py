"""What is required of trained networks: how it is written, and who ranks before whom by it, everywhere."""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Mapping
from pathlib import Path

import pytest
from support.opened import opened
from support.results import proposed, result
from support.tables import made_table

from irnas.cli.options import parse_search
from irnas.cli.plan import lines
from irnas.core.errors import SettingsError
from irnas.core.front import Front
from irnas.core.objective import parse
from irnas.core.requirement import Requirement, parse_requirements, violation
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.record.events import Finished
from irnas.record.run import Run
from irnas.report.requirements import describe_requirements
from irnas.report.table import facts
from irnas.search.finalists import choose_finalists
from irnas.search.strategy import Decision, History, Observation, Strategy
from irnas.search.strategy.catalogue import make_strategy
from irnas.search.strategy.feasible_first import FeasibleFirst
from irnas.simulation.simulator import Arena
from irnas.workflows.plan import Plan
from irnas.workflows.search_plan import make_settings, read_settings, to_text

REQUIRED = parse_requirements("fa<=1e-5, pd >= 0.9")
OBJECTIVES = parse("miou,ops")
GOOD, NEAR, FAR = {"fa": 1e-5, "pd": 0.9}, {"fa": 2e-5, "pd": 0.9}, {"fa": 1e-3, "pd": 0.45}


def test_requirements_are_read_and_written() -> None:
    assert REQUIRED == (Requirement(name="fa", bound=1e-5), Requirement(name="pd", bound=0.9))
    assert [str(r) for r in REQUIRED] == ["fa<=1e-05", "pd>=0.9"] and parse_requirements(" ") == ()
    assert [r.phrase for r in REQUIRED] == ["Fa ≤ 10.0·10⁻⁶", "Pd ≥ 90.00 %"]
    assert [violation(REQUIRED, values) for values in (GOOD, NEAR, FAR)] == pytest.approx([0, 0.25, (0.99 + 0.5) / 2])
    assert violation((), {}) == 0.0 and REQUIRED[1].excess({"pd": 0.99}) == pytest.approx(-0.1)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fa>=1e-5", "require: got 'fa>=1e-5'; must be fa<=1e-05, for less is better"),
        ("pd<=0.9", "must be pd>=0.9, for more is better"),
        ("pd=0.9", "require: got 'pd=0.9'; must be a metric and a fraction, such as fa<=1e-5 or pd>=0.9"),
        ("pd>=many", "got 'pd>=many'; must be a metric and a fraction"),
        ("pd>=90", "require pd: got 90; must be above 0 and at most 1, a fraction"),
        ("pd>=nan", "require pd: got nan; must be above 0"),
        ("ops<=1e6", r"require: got 'ops'; one of miou, .*\(--max-ops limits it before any training\)"),
        ("miuo>=0.5", "got 'miuo'; one of miou.*did you mean"),
        ("pd>=0.9,pd>=0.8", "must name each metric once"),
    ],
)
def test_what_is_no_requirement_is_refused_in_a_line(text: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse_requirements(text)


def test_settings_keep_them_through_record_file_and_command_line(tmp_path: Path) -> None:
    settings = SearchSettings(space="biisnet", requirements=REQUIRED)
    assert SearchSettings.from_document(settings.document()) == settings
    before = {name: value for name, value in SearchSettings(space="biisnet").document().items()}
    del before["requirements"]
    assert SearchSettings.from_document(before).requirements == (), "records of before say nothing of it"
    path = tmp_path / "search.yaml"
    path.write_text(to_text(settings))
    assert read_settings(str(path)) == settings
    assert make_settings({"space": "biisnet", "require": ["fa<=1e-5", "pd>=0.9"]}).requirements == REQUIRED
    assert parse_search(["--require", "fa<=1e-5,pd>=0.9"])[0].settings().requirements == REQUIRED
    config = ["--config", str(path)]
    assert parse_search(config)[0].settings().requirements == REQUIRED
    assert parse_search([*config, "--require", "pd>=0.5"])[0].settings().requirements[0].bound == 0.5


def network(trial: int, miou: float, ops: float, more: Mapping[str, float]) -> Result:
    return result(trial, {"miou": miou, "ops": ops, **more})


def test_a_front_is_of_those_that_meet_them_or_else_of_those_that_miss_them_least() -> None:
    box = {"miou": (1.0, 0.0), "ops": (1e5, 1e8)}
    cheap, good, dear = network(0, 0.9, 1e6, NEAR), network(1, 0.5, 1e7, GOOD), network(2, 0.4, 1e8, GOOD)
    front = Front.of([cheap, good, dear], OBJECTIVES, REQUIRED)
    assert [r.trial for r in front.results] == [1] and front.is_feasible
    assert front.hypervolume(box) == Front.of([good], OBJECTIVES).hypervolume(box) > 0
    # Free of requirements the cheap one dominates both.
    assert [r.trial for r in Front.of([cheap, good, dear], OBJECTIVES).results] == [0]
    far = network(3, 0.95, 1e5, FAR)
    front = Front.of([far, cheap], OBJECTIVES, REQUIRED)
    assert [r.trial for r in front.results] == [0] and not front.is_feasible and front.hypervolume(box) == 0.0
    assert choose_finalists([cheap, good, dear, far], OBJECTIVES, box, 2, REQUIRED) == [good]
    with pytest.raises(SettingsError, match="require fa: got no such value"):
        Front.of([network(0, 0.9, 1e6, {})], OBJECTIVES, REQUIRED)


def test_a_run_its_page_and_its_plan_say_what_is_required() -> None:
    settings = SearchSettings(space="biisnet", requirements=REQUIRED)
    run = Run.of("r", [opened(settings), proposed(0), Finished(result=network(0, 0.9, 1e6, NEAR))])
    phrase = "Fa ≤ 10.0·10⁻⁶, Pd ≥ 90.00 %"
    none = "none of 1 trained reaches it: shown is what misses it least"
    assert describe_requirements(run) == f"required: {phrase}; {none}" and run.hypervolume() == 0.0
    for event in (proposed(1), Finished(result=network(1, 0.1, 1e7, GOOD))):
        run.add(event)
    assert [r.trial for r in run.winners] == [1] and run.hypervolume() > 0
    reached = f"{phrase}; 1 of 2 trained reach it, and the front is of those"
    assert describe_requirements(run) == f"required: {reached}" and f"<dt>required</dt><dd>{reached}</dd>" in facts(run)
    without = Run.of("r", [opened(SearchSettings(space="biisnet"))])
    assert describe_requirements(without) == "" and "<dt>required</dt>" not in facts(without)
    plan = Plan(points=9, free={}, refused=0.0, timed=())
    assert f"required  {phrase}: who reaches it ranks before all who do not; known once trained" in lines(
        settings, plan, 1
    )


ARENA = Arena(table=made_table(30, epochs=9), objectives=OBJECTIVES)


def strategy_of(name: str, seed: int = 0) -> Strategy:
    return make_strategy(name, dataclasses.replace(ARENA.problem(seed), num_trials=12, requirements=REQUIRED))


def ended(trial: int, strategy: Strategy, values: Mapping[str, float]) -> Result:
    """Ask for a network and end its training at once with these metrics."""
    proposal = strategy.ask()
    assert proposal and proposal.trial == trial
    end = dataclasses.replace(
        result(trial, {**proposal.costs, **values}), genotype=proposal.genotype, epochs=9, status=Status.OK
    )
    strategy.tell(end)
    return end


@pytest.mark.parametrize("name", ["asha", "moasha"])
def test_halving_goes_on_with_those_that_meet_them(name: str) -> None:
    strategy = strategy_of(name)
    asked = [strategy.ask() for _ in range(6)]
    trials = [p.trial for p in asked if p]
    for trial in trials:
        more, miou = (GOOD, 0.1) if trial == trials[3] else (NEAR if trial == trials[5] else FAR, 0.9)
        assert strategy.observe(trial, 1, {"miou": miou, **more}) is Decision.PAUSE
    raised = [strategy.ask(), strategy.ask()]
    assert [p.trial for p in raised if p] == [trials[3], trials[5]]


@pytest.mark.parametrize(("name", "number"), [("tpe", 14), ("nsga2", 14), ("nsga3", 14), ("gp", 5)])
def test_samplers_take_them_for_constraints_after_a_restart_too(name: str, number: int) -> None:
    rng = random.Random(0)
    strategy, proposals, results = strategy_of(name), [], []
    for trial in range(number):
        proposal = strategy.ask()
        assert proposal and proposal.trial == trial
        proposals.append(proposal)
        values = {**proposal.costs, "miou": rng.random(), **(GOOD, NEAR, FAR)[trial % 3]}
        results.append(dataclasses.replace(result(trial, values), genotype=proposal.genotype))
        strategy.tell(results[-1])
    told = [t.constraints for t in strategy._study.get_trials() if t.values]  # type: ignore[attr-defined]
    assert len(told) >= number and {round(t["fa"], 3) for t in told} == {0.0, 0.5, 0.99}
    restored = strategy_of(name)
    restored.restore(History(proposals=proposals, results=results))
    again = [t.constraints for t in restored._study.get_trials() if t.values]  # type: ignore[attr-defined]
    assert again == told
    first, second = strategy.ask(), restored.ask()
    assert first and second and first.genotype == second.genotype


class Spy:
    """A strategy that keeps what it is told."""

    def __init__(self) -> None:
        self.values: list[Mapping[str, float]] = []

    def ask(self) -> None:
        return None

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        self.values.append(values)
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        self.values.append(result.values)

    def restore(self, history: History) -> None:
        self.values += [each.values for each in (*history.reports, *history.results)]


@pytest.mark.parametrize(("metric", "worst", "step"), [("miou", 0.0, -1.0), ("fa", 1e-3, 1e-3)])
def test_models_are_told_of_a_miss_as_a_value_behind_the_worst(metric: str, worst: float, step: float) -> None:
    spy = Spy()
    problem = dataclasses.replace(ARENA.problem(0), objectives=parse(f"{metric},ops"), requirements=REQUIRED)
    strategy = FeasibleFirst(spy, problem)
    values = [{"miou": 0.7, "ops": 1e6, **more} for more in (GOOD, NEAR, FAR)]
    ends = [result(number, each) for number, each in enumerate(values)]
    for number, each in enumerate(values):
        strategy.observe(number, 1, each)
        strategy.tell(ends[number])
    expected = [values[0][metric], worst + 0.25 * step, worst + 0.745 * step]
    assert [told[metric] for told in spy.values[::2]] == pytest.approx(expected)
    assert [told[metric] for told in spy.values[1::2]] == pytest.approx(expected)
    assert all(told["ops"] == 1e6 for told in spy.values)
    spy.values.clear()
    strategy.restore(History(reports=[Observation(0, 1, values[2])], results=[ends[1]]))
    assert [told[metric] for told in spy.values] == pytest.approx([expected[2], expected[1]])


@pytest.mark.parametrize("name", ["freeze-thaw", "lamarckian"])
def test_strategies_with_a_model_are_told_so(name: str) -> None:
    assert isinstance(strategy_of(name), FeasibleFirst)
    assert not isinstance(make_strategy(name, ARENA.problem(0)), FeasibleFirst)
