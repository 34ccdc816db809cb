"""Networks that start from the weights of others: in a trial, a session, a whole search, and what is told of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from support.assignments import on_tiny
from support.datasets import tiny
from support.opened import opened

from irnas import storage
from irnas.core import catalog
from irnas.core.errors import FormatError, SettingsError
from irnas.core.front import Front
from irnas.core.heritage import Heritage, Parent
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.record.events import Continued, Event, Finished, Proposed, Repeated, Reported
from irnas.record.line import read_line, to_line
from irnas.record.run import Run
from irnas.report.why import explain
from irnas.search import parents, wire
from irnas.search.assign import Place
from irnas.search.session import Session
from irnas.search.strategy import Decision, History
from irnas.training.first_state import inherited_share
from irnas.training.trial import Assignment, Report, evaluate
from irnas.training.weights import read_weights, weights_uri
from irnas.workflows import execution
from irnas.workflows import search as search_workflow
from irnas.workflows.executor import Executor
from irnas.workflows.search_plan import make_settings, to_text

SMALL = catalog.find_point("biisnet", "base=4,stages=2,n_bot=0")
WIDER = catalog.find_point("biisnet", "base=6,stages=2,n_bot=0")
OTHER = catalog.find_point("biisnet", "base=4,stages=2,n_bot=0,layer2=BC,trans=BC,trans_form=direct,embed=binary")
EPOCHS = 3


def assignment(folder: Path, **changes: Any) -> Assignment:
    usual: dict[str, Any] = {"trial": 0, "genotype": SMALL, "budget": Budget(epochs=EPOCHS, batch=4, crop=32)}
    return on_tiny(folder, **{**usual, **changes})


def train(wanted: Assignment) -> tuple[list[Report], Result]:
    *reports, result = evaluate(wanted)
    assert isinstance(result, Result) and all(isinstance(report, Report) for report in reports)
    return reports, result  # type: ignore[return-value]


def heir(folder: Path, **changes: Any) -> Assignment:
    parent = Parent(key=SMALL.key, epochs=EPOCHS)
    return assignment(folder, **{"genotype": WIDER, "parent": parent, "epochs_of_heirs": 1, **changes})


@pytest.fixture(scope="module")
def family(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with the weights of one trained network."""
    folder = tmp_path_factory.mktemp("family")
    train(assignment(folder))
    return folder


def test_an_heir_trains_shortly_and_says_whose_weights_it_began_with(family: Path) -> None:
    reports, result = train(heir(family))
    assert [report.epoch for report in reports] == [1] and result.epochs == 1
    assert result.heritage == Heritage(parent=SMALL.key, share=1.0, epochs=EPOCHS + 1) and result.line_epochs == 4
    assert not result.note or "scratch" not in result.note


def test_weights_that_are_gone_are_no_failure_and_are_told(family: Path, tmp_path: Path) -> None:
    _, alone = train(assignment(tmp_path / "alone", genotype=WIDER))
    for what, content in (("are gone", None), ("are damaged", b"no weights")):
        folder = tmp_path / what
        if content is not None:
            storage.write(weights_uri(str(folder), SMALL.key), content)
        reports, result = train(heir(folder))
        assert len(reports) == result.epochs == EPOCHS and result.heritage is None
        assert f"the weights of its parent {SMALL.key} {what}: trained from scratch" in result.note
        assert result.values == alone.values


def test_what_has_little_of_its_parent_is_trained_in_full(family: Path) -> None:
    _, result = train(heir(family, genotype=OTHER))
    assert result.heritage and 0 < result.heritage.share < 0.5
    assert result.epochs == EPOCHS and result.line_epochs == 2 * EPOCHS
    # A search knows it beforehand, and its budget with it; random numbers of others stay what they were.
    before = torch.get_rng_state()
    assert inherited_share(OTHER, SMALL) == result.heritage.share and inherited_share(WIDER, SMALL) == 1.0
    assert torch.equal(before, torch.get_rng_state())


def test_a_network_that_is_trained_on_counts_on(family: Path, tmp_path: Path) -> None:
    storage.write(weights_uri(str(tmp_path), SMALL.key), storage.read(weights_uri(str(family), SMALL.key)) or b"")
    before = read_weights(weights_uri(str(tmp_path), SMALL.key))[0].state_dict()
    wanted = heir(tmp_path, genotype=SMALL, epochs_before=EPOCHS, epochs_of_heirs=2)
    reports, result = train(wanted)
    assert [report.epoch for report in reports] == [4, 5] and (result.epochs, result.line_epochs) == (5, 5)
    network, info = read_weights(weights_uri(str(tmp_path), SMALL.key))
    assert info.epochs == 5 and any(not torch.equal(before[n], t) for n, t in network.state_dict().items())
    assert wanted.checkpoint != assignment(tmp_path).checkpoint
    Path(weights_uri(str(tmp_path), SMALL.key)).unlink()
    _, lost = train(replace(wanted, epochs_before=5))
    assert lost.status is Status.FAILED and "are gone; must be there to be trained on" in lost.error


def test_a_parent_crosses_to_another_process(tmp_path: Path) -> None:
    wanted = heir(tmp_path, parent=Parent(key="k", source="zoo:a", epochs=7), epochs_before=2)
    assert wire.decode(wire.encode(wanted)) == wanted


class Scripted:
    """A strategy that proposes what it is told to, and remembers how often it was asked."""

    def __init__(self, *proposals: Proposal) -> None:
        self.rest = list(proposals)
        self.results: list[Result] = []

    def ask(self) -> Proposal | None:
        return self.rest.pop(0) if self.rest else None

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        self.results.append(result)

    def restore(self, history: History) -> None:
        self.rest = self.rest[len(history.proposals) + len(history.continued) :]


FIRST = Proposal(trial=0, genotype=SMALL, costs={"ops": 1e6}, origin="script")
SECOND = Proposal(trial=1, genotype=WIDER, costs={"ops": 2e6}, origin="script")


class Search:
    """A session whose record goes through JSON."""

    def __init__(self, *proposals: Proposal, before: Sequence[Event] = (), **changes: Any) -> None:
        settings = SearchSettings(space="biisnet", trials=9, budget=Budget(epochs=EPOCHS), **changes)
        self.events, self.strategy = list(before), Scripted(*proposals)
        space = catalog.load("biisnet")
        self.start = opened(settings, space=space)
        run = Run.of("r", [self.start, *before])
        place = Place(uri="r", dataset="d", data_rev="rev", code_rev="code")
        self.session = Session(self.strategy, run, place, self.append)

    def append(self, event: Event) -> None:
        self.events.append(read_line(to_line(event, len(self.events) + 1), "made up")[0])

    def next(self) -> Assignment:
        assignment = self.session.next()
        assert assignment
        return assignment

    def end(self, assignment: Assignment, miou: float, status: Status = Status.OK) -> None:
        before, error = assignment.epochs_before, "E: x" if status is Status.FAILED else ""
        parent, epochs = assignment.parent, assignment.epochs_of_heirs or EPOCHS
        if status is Status.OK:
            report = Report(epoch=before + epochs, values={"miou": miou}, seconds=assignment.spent + 1.0)
            self.session.report(assignment.trial, report)
        heritage = Heritage(parent=parent.key, share=1.0, epochs=parent.epochs + epochs) if parent else None
        values = {"miou": miou} if status is Status.OK else {}
        result = assignment.result(status, values, epochs=before + epochs, seconds=1.0, error=error)
        self.session.finish(replace(result, heritage=None if error else heritage))

    @property
    def run(self) -> Run:
        """The run as its record tells it."""
        return Run.of("r", [self.start, *self.events])


def test_a_search_finds_the_nearest_trained_parent_and_records_it() -> None:
    far = Proposal(
        trial=1, genotype=catalog.find_point("biisnet", "base=32,stages=4,bn=true"), costs={"ops": 9e6}, origin="s"
    )
    near = replace(SECOND, trial=2)
    search = Search(FIRST, far, near, inherit="nearest")
    assert search.next().parent is None, "nothing is trained yet"
    search.end(search.session._running[0], 0.4)
    assert search.next().parent == Parent(key=SMALL.key, epochs=EPOCHS)
    search.end(search.session._running[1], 0.6)
    assignment = search.next()
    assert assignment.parent == Parent(key=SMALL.key, epochs=EPOCHS) and assignment.epochs_of_heirs == 1
    # After a crash it is the same one, though a nearer one may have ended since.
    assert Search(before=search.events, inherit="nearest").next() == assignment
    search.end(assignment, 0.5)
    assert [r.epochs for r in search.run.outcomes] == [3, 1, 1], "a front of lines, whatever their epochs"
    assert {r.trial for r in search.run.front.results} == {0, 1, 2}
    assert search.run.tally.epochs == 5


def test_the_zoo_is_another_place_to_look() -> None:
    genotype = catalog.find_point("biisnet", "base=12,bn=true")
    search = Search(Proposal(trial=0, genotype=genotype, costs={"ops": 1e6}, origin="s"), inherit="zoo")
    parent = search.next().parent
    assert parent and parent.source.startswith("zoo:") and parent.epochs > 0
    union = Search(inherit="zoo").session.run
    assert parents.choose_parent(union, catalog.load("sgem_unet").default()) is None


def test_a_trial_that_has_ended_is_trained_on_under_its_number() -> None:
    search = Search(FIRST, FIRST)
    search.end(search.next(), 0.4)
    again = search.next()
    assert (again.trial, again.epochs_before, again.epochs_of_heirs) == (0, EPOCHS, 1)
    assert again.parent == Parent(key=SMALL.key, epochs=EPOCHS) and again.seed != search.run.outcomes[0].seed
    assert search.run.open_trials and [r.values["miou"] for r in search.run.front.results] == [0.4]
    # After a crash in between, it goes on.
    resumed = Search(FIRST, FIRST, before=search.events)
    assert resumed.next() == again
    resumed.end(again, 0.3)
    run = resumed.run
    assert [r.values["miou"] for r in run.front.results] == [0.3], "worse, and what there is now"
    assert (run.num_done, len(run.outcomes), run.tally.epochs, run.outcomes[0].line_epochs) == (1, 1, 4, 4)
    assert [type(e) for e in resumed.events] == [Proposed, Reported, Finished, Continued, Reported, Finished]
    with pytest.raises(FormatError, match="second end"):
        Run.of("r", [resumed.start, *resumed.events, resumed.events[-1]])


def test_a_trial_that_could_not_be_trained_on_keeps_what_it_had() -> None:
    search = Search(FIRST, FIRST)
    search.end(search.next(), 0.4)
    search.end(search.next(), 0.0, Status.FAILED)
    (result,) = search.run.outcomes
    assert (result.status, result.values["miou"], result.epochs) == (Status.OK, 0.4, EPOCHS)
    assert result.note == "could not be trained on: E: x" and not search.run.open_trials


def test_trainings_from_scratch_are_no_replicates_of_a_line() -> None:
    search = Search(FIRST, replace(SECOND, parent=Parent(key=SMALL.key, epochs=EPOCHS)))
    search.end(search.next(), 0.4)
    search.end(search.next(), 0.6)
    search.session.record(Repeated(trial=1, key=WIDER.key, seed=9, replicate=1, seconds=1.0, values={"miou": 0.2}))
    run = search.run
    assert run.trials[1].statistics == {} and [r.seed for r in run.trials[1].from_scratch] == [9]
    assert run.results[1].values["miou"] == 0.6
    story = "\n".join(explain(run, "1"))
    assert f"to start from the weights of {SMALL.key}, trained 3 epochs until then" in story
    assert f"100 % inherited from {SMALL.key}; 4 epochs with its ancestors'" in story
    assert "trained in full from random weights (seed 9): mIoU 20.00" in story


def test_a_story_tells_when_a_network_was_trained_on() -> None:
    search = Search(FIRST, FIRST)
    search.end(search.next(), 0.4)
    search.end(search.next(), 0.5)
    story = "\n".join(explain(search.run, "0"))
    assert "100 % inherited from its own weights; 4 epochs with its ancestors'" in story


def test_results_of_unequal_trainings_from_random_weights_are_still_refused() -> None:
    search = Search(FIRST, SECOND)
    search.end(search.next(), 0.4)
    result = search.run.outcomes[0]
    with pytest.raises(SettingsError, match="more than one number of epochs"):
        Front.of([result, replace(result, trial=1, genotype=WIDER, epochs=1)], parse("miou,ops"))


def test_records_without_parents_are_as_they_were() -> None:
    search = Search(FIRST)
    search.end(search.next(), 0.4)
    text = json.dumps([event.document() for event in search.events])
    assert "parent" not in text and "heritage" not in text


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inherit": "nearst"}, "inherit: got 'nearst'; one of off, nearest, zoo (did you mean nearest|; did you)"),
        (
            {"inherit": "nearest", "strategy": "freeze-thaw"},
            "inherit: got nearest with strategy freeze-thaw; must be off",
        ),
        ({"inherited_epochs": 2}, "inherited_epochs: got 2 where nothing is inherited; must come with --inherit"),
        ({"inherit": "zoo", "inherited_epochs": 11}, "inherited_epochs: got 11; must be at most 10"),
    ],
)
def test_what_does_not_go_together_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError) as caught:
        SearchSettings(space="biisnet", **changes)
    assert str(caught.value).startswith(message.partition(" (did")[0])


def test_a_file_of_settings_says_it_too() -> None:
    settings = SearchSettings(space="biisnet", inherit="nearest", inherited_epochs=2)
    assert "inherit: nearest" in to_text(settings) and "inherit" not in to_text(SearchSettings(space="biisnet"))
    assert make_settings({"space": "biisnet", "inherit": "nearest", "inherited_epochs": 2}) == settings
    # YAML reads off as no.
    assert make_settings({"space": "biisnet", "inherit": False}).inherit == "off"
    assert SearchSettings.from_document(json.loads(json.dumps(settings.document()))) == settings
    assert settings.epochs_of_heirs == 2 and replace(settings, inherited_epochs=None).epochs_of_heirs == 4


@pytest.mark.parametrize(("strategy", "inherit"), [("lamarckian", "off"), ("random", "nearest")])
def test_a_search_inherits_from_end_to_end(
    strategy: str, inherit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "mirrored", lambda *_: contextlib.nullcontext())
    monkeypatch.setattr(execution, "write_report", lambda *_: None)
    settings = SearchSettings(
        space="biisnet",
        dataset=str(tiny().root),
        trials=6,
        strategy=strategy,
        inherit=inherit,
        budget=Budget(epochs=2, batch=8, crop=32),
        axes={"base": (4, 6), "stages": (2,)},
        cost_input=(1, 64, 64),
        inherited_epochs=1,
    )
    listener = execution.Listener(watch=lambda event: None, warn=pytest.fail, progress=lambda *_: None)
    outcome = search_workflow.search(settings, str(tmp_path / "run"), Executor(kind="loop"), listener)
    run = Run.read(outcome.run.uri)
    results = [result for result in run.outcomes if result.status is Status.OK]
    assert len(results) == len(run.outcomes) and not outcome.gave_up
    heirs = [result for result in results if result.heritage]
    assert heirs and {heir.heritage.parent for heir in heirs if heir.heritage} <= {result.key for result in results}
    for heir in heirs:
        assert heir.line_epochs > heir.epochs or (heir.heritage and heir.heritage.parent == heir.key)
    assert run.tally.epochs == sum(result.epochs for result in results)
    assert strategy == "random" or run.tally.epochs <= 12
    assert all(read_weights(weights_uri(run.uri, result.key))[1].epochs == result.epochs for result in results)
