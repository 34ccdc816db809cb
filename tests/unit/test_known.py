"""A search that begins with the results of an earlier run: what it takes over, and that it pays nothing for it."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.datasets import tiny
from support.tables import made_table

from irnas.cli.options import parse_search
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.proposal import KNOWN_FROM, Proposal
from irnas.core.recipe import Budget, Recipe
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.search.strategy import History
from irnas.search.strategy.catalogue import make_strategy
from irnas.simulation.simulator import Arena
from irnas.training.weights import read_weights, weights_uri
from irnas.workflows import execution
from irnas.workflows import search as search_workflow
from irnas.workflows.executor import Executor
from irnas.workflows.search_plan import read_settings, to_text


def settings(**changes: Any) -> SearchSettings:
    fields: dict[str, Any] = {
        "space": "biisnet",
        "dataset": str(tiny().root),
        "trials": 3,
        "strategy": "random",
        "budget": Budget(epochs=1, batch=4, crop=32),
        "axes": {"base": (4, 6), "stages": (2,), "bn": (True, False)},
        "cost_input": (1, 64, 64),
    }
    return SearchSettings(**{**fields, **changes})


def search(uri: Path, told: list[str], **changes: Any) -> Run:
    listener = execution.Listener(watch=lambda event: None, warn=told.append, progress=lambda *_: None)
    return search_workflow.search(settings(**changes), str(uri), Executor(kind="loop"), listener).run


@pytest.fixture(scope="module")
def earlier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """A search of three networks, with neither mirror nor page."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
        patch.setattr(execution, "write_report", lambda *_: None)
        yield search(tmp_path_factory.mktemp("known") / "earlier", [])


@pytest.mark.parametrize("strategy", ["tpe", "lamarckian"])
def test_what_an_earlier_run_knows_costs_nothing_and_is_not_trained_again(
    strategy: str, earlier: Run, tmp_path: Path
) -> None:
    told: list[str] = []
    bound = {"base": (4, 6), "stages": (2,), "bn": (earlier.outcomes[0].genotype.values["bn"],)}
    kept = [r for r in earlier.outcomes if r.genotype.values["bn"] == bound["bn"][0]]
    changes = {"known_from": earlier.uri, "axes": bound, "cost_input": (1, 32, 32), "strategy": strategy}
    run = search(tmp_path / "run", told, **changes)
    first = [run.trials[number] for number in range(len(kept))]
    assert [t.key for t in first] == [r.key for r in kept] and all(t.proposal.is_known for t in first)
    assert first[0].proposal.origin == f"known from {earlier.uri}" and not first[0].reports
    # Figures are those of the earlier run, costs those of this one.
    was, now = kept[0], run.outcomes[0]
    assert now.values["miou"] == was.values["miou"] and now.values["ops"] < was.values["ops"]
    trained = run.outcomes[len(kept) :]
    assert not {r.key for r in trained} & {r.key for r in kept}
    assert run.tally.epochs == sum(r.epochs for r in trained) and run.num_trained == len(trained) >= 2
    assert strategy != "tpe" or len(trained) == 3
    left_out = len(earlier.outcomes) - len(kept)
    assert len(told) == (left_out > 0) and all(f"{left_out} of 3 networks are not of the space" in t for t in told)
    # The new run is whole without the old one, and comes back from its record.
    for result in kept:
        assert read_weights(weights_uri(run.uri, result.key))[1].genotype.key == result.key
    assert [r.key for r in Run.read(run.uri).outcomes] == [r.key for r in run.outcomes]


def test_a_search_goes_on_with_what_it_knew(earlier: Run, tmp_path: Path) -> None:
    run = search(tmp_path / "run", [], known_from=earlier.uri, trials=1, strategy="tpe")
    assert run.num_trained == 1 and len(run.outcomes) == 4
    listener = execution.Listener(watch=lambda event: None, warn=pytest.fail, progress=lambda *_: None)
    more = search_workflow.resume(run.uri, 2, Executor(kind="loop"), listener).run
    assert more.num_trained == 2 and len(more.outcomes) == 5 and len({r.key for r in more.outcomes}) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"budget": Budget(epochs=2, batch=4, crop=32)},
            r"got another budget \(.*epochs=1.*must be that of the search",
        ),
        ({"recipe": Recipe(lr=1e-3)}, "got another recipe"),
        ({"preset": "rpcanet"}, r"got another preset \(basicirstd\); must be that of the search \(rpcanet\)"),
        ({"dataset": "other"}, "got another data revision"),
        ({"known_from": "nowhere"}, "run: got 'nowhere'; must be the folder or URI"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_leaves_no_run(
    changes: dict[str, Any], message: str, earlier: Run, tmp_path: Path
) -> None:
    changes = {name: str(tiny(8).root) if value == "other" else value for name, value in changes.items()}
    with pytest.raises(SettingsError, match=message):
        search(tmp_path / "run", [], **{"known_from": earlier.uri, **changes})
    assert not Ledger(str(tmp_path / "run")).exists()


def test_settings_keep_it_through_record_file_and_command_line(tmp_path: Path) -> None:
    kept = SearchSettings(space="biisnet", known_from="runs/a")
    assert SearchSettings.from_document(kept.document()) == kept
    path = tmp_path / "search.yaml"
    path.write_text(to_text(kept))
    assert read_settings(str(path)) == kept
    assert parse_search(["--from", "runs/a"])[0].settings() == kept
    assert parse_search(["--config", str(path), "--from", "runs/b"])[0].settings().known_from == "runs/b"


ARENA = Arena(table=made_table(30, epochs=9), objectives=parse("miou,ops"))


def known(number: int) -> History:
    points = ARENA.table.points[:number]
    proposals = [
        Proposal(trial=n, genotype=p.genotype, costs=p.free, origin=f"{KNOWN_FROM}r") for n, p in enumerate(points)
    ]
    results = [
        Result(
            trial=p.trial,
            genotype=p.genotype,
            status=Status.OK,
            values={**p.costs, "miou": 0.5},
            epochs=9,
            seed=0,
            data_rev="d",
            code_rev="c",
            seconds=1.0,
        )
        for p in proposals
    ]
    return History(proposals=proposals, results=results)


@pytest.mark.parametrize("name", ["tpe", "nsga2", "freeze-thaw", "moasha", "lamarckian"])
def test_strategies_never_propose_what_is_known(name: str) -> None:
    history = known(28)
    first = [(p.origin, p.genotype) for p in history.proposals]
    strategy = make_strategy(name, dataclasses.replace(ARENA.problem(0), num_trials=8, first=first))
    strategy.restore(history)
    proposals = [strategy.ask(), strategy.ask()]
    assert {p.trial for p in proposals if p} == {28, 29}
    assert {p.key for p in proposals if p}.isdisjoint(p.key for p in history.proposals)


def test_samplers_learn_from_what_is_known_and_lines_are_not_trained_on() -> None:
    history = known(6)
    strategy = make_strategy("tpe", dataclasses.replace(ARENA.problem(0), num_trials=8))
    strategy.restore(history)
    values = [trial.values[0] for trial in strategy._study.get_trials() if trial.values]  # type: ignore[attr-defined]
    assert values == [0.5] * 6
    lamarckian = make_strategy("lamarckian", dataclasses.replace(ARENA.problem(0), num_trials=8))
    lamarckian.restore(history)
    lineage = lamarckian._lineage  # type: ignore[attr-defined]
    assert not any(map(lineage.can_be_trained_on, lineage.trained)) and len(lineage.trained) == 6
