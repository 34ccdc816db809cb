"""The fold of a record, and which trial of it a user means."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.opened import opened
from support.results import proposed, result

from irnas.core.errors import FormatError, SettingsError
from irnas.core.objective import parse
from irnas.core.result import Status
from irnas.core.settings import SearchSettings
from irnas.record.events import Closed, Continued, Event, Finished, Reported, Resumed, Retried, Tested
from irnas.record.run import Run
from irnas.record.selection import select_trial


def reported(trial: int, epoch: int, *, paused: bool = False, miou: float = 0.3) -> Reported:
    return Reported(trial=trial, epoch=epoch, values={"miou": miou}, seconds=float(epoch), paused=paused)


def trained(trial: int, miou: float, ops: float) -> list[Event]:
    return [proposed(trial), Finished(result=result(trial, {"miou": miou, "ops": ops}))]


def run_of(*events: Event) -> Run:
    return Run.of("runs/one", [opened(), *events])


def test_a_paused_trial_is_paused_until_it_goes_on_or_ends() -> None:
    run = run_of(proposed(0), reported(0, 1, paused=True), proposed(1), reported(1, 1, paused=True))
    assert list(run.paused) == [0, 1]
    run.add(Continued(trial=1, promoted=True))
    assert list(run.paused) == [0] and run.trials[1].is_promoted and not run.trials[0].is_promoted
    run.add(Finished(result=result(0, {"miou": 0.3, "ops": 1.0}, status=Status.STOPPED)))
    assert not run.paused and list(run.open_trials) == [1]


def test_a_retried_epoch_counts_once_as_it_came_last() -> None:
    run = run_of(proposed(0), reported(0, 1), reported(0, 2, miou=0.4))
    run.add(Retried(trial=0, error="its worker died"))
    run.add(reported(0, 2, miou=0.6))
    assert {e: r.values["miou"] for e, r in run.trials[0].curve.items()} == {1: 0.3, 2: 0.6}
    assert run.tally.epochs == 2 and len(run.trials[0].reports) == 3 and len(run.trials[0].retries) == 1


def test_a_resumed_run_has_the_trials_of_its_resumption() -> None:
    run = run_of(Closed(reason="interrupted", t=20.0))
    assert run.end_reason == "interrupted"
    run.add(Resumed(trials=99, code_rev="c", t=1e9))
    assert run.settings.trials == 99 and run.opened.settings.trials == 16 and run.end_reason == ""


def test_data_lie_where_the_last_resumption_found_them() -> None:
    run = run_of()
    for found, now in (("", run.opened.data.path), ("moved/data", "moved/data"), ("", "moved/data")):
        run.add(Resumed(trials=16, code_rev="c", data_path=found))
        assert run.data == replace(run.opened.data, path=now)


def test_the_front_is_that_of_all_that_ended() -> None:
    run = run_of(*trained(0, 0.5, 4e7), *trained(1, 0.6, 8e7), *trained(2, 0.4, 9e7))
    assert [r.trial for r in run.winners] == [0, 1] and run.num_done == run.num_trained == 3
    shares = [step.front.hypervolume(run.bounds) for step in run.growth]
    assert shares == sorted(shares) and shares[-1] == run.hypervolume() and shares[1] == shares[2]


@pytest.mark.parametrize("event", [reported(3, 1), Continued(trial=3), Finished(result=result(3, {"ops": 1.0}))])
def test_an_event_of_an_unknown_trial_is_refused(event: Event) -> None:
    with pytest.raises(FormatError, match=rf"got {event.KIND} of trial 3; must be proposed before"):
        run_of(event)


def test_a_run_begins_with_its_opening_and_only_there() -> None:
    with pytest.raises(SettingsError, match="must be the folder or URI of an irnas run"):
        Run.of("runs/one", [proposed(0)])
    with pytest.raises(FormatError, match="got a second opening"):
        run_of(opened())


FRONT = [*trained(0, 0.2, 1e6), *trained(1, 0.55, 2e6), *trained(2, 0.6, 1e9), *trained(3, 0.6, 9e8)]


def test_best_is_of_the_front() -> None:
    # The second has its mIoU too, at a higher cost.
    assert select_trial(run_of(*FRONT), "best").number == 3


@pytest.mark.parametrize("cheaper", [0, 1])
def test_of_two_that_are_best_the_next_objective_decides(cheaper: int) -> None:
    run = Run("runs/one", opened(SearchSettings(space="tiny", objectives=parse("miou,ops,params"))))
    for number in (0, 1):
        ops, params = (1e7, 9e3) if number == cheaper else (2e7, 1e3)
        run.add(proposed(number))
        run.add(Finished(result=result(number, {"miou": 0.6, "ops": ops, "params": params})))
    assert len(run.front.results) == 2 and select_trial(run, "best").number == cheaper


def test_the_knee_is_where_both_are_good() -> None:
    assert select_trial(run_of(*FRONT), "knee").number == 1


def test_a_trial_is_named_by_its_number_or_its_key() -> None:
    run = run_of(*FRONT, proposed(4))
    key = run.trials[4].key
    assert select_trial(run, "4").number == 4
    assert select_trial(run, key).number == select_trial(run, key[:9]).number == 4


@pytest.mark.parametrize(
    ("text", "got"), [("zz", "no such network"), ("", "no such network"), ("99999", "no such network")]
)
def test_what_names_no_trial_is_refused(text: str, got: str) -> None:
    with pytest.raises(SettingsError, match=rf"^key '{text}' of runs/one: got {got}.*must be a key \(.*best or knee$"):
        select_trial(run_of(*FRONT), text)


def test_without_a_front_there_is_no_best() -> None:
    with pytest.raises(SettingsError, match="got no network that was trained to the end; must have one"):
        select_trial(run_of(proposed(0)), "best")


def test_a_beginning_that_fits_several_keys_is_refused() -> None:
    run = run_of(*(event for n in range(20) for event in trained(n, 0.5, 1e7 + n)))
    letters = [trial.key[0] for trial in run.trials.values()]
    shared = next(c for c in letters if letters.count(c) > 1 and not c.isdigit())
    with pytest.raises(SettingsError, match=r"got \d+ networks whose keys begin so"):
        select_trial(run, shared)


def test_what_a_further_training_tells_is_kept_apart() -> None:
    further = Reported(trial=0, epoch=1, values={"miou": 0.1}, seconds=9.0, paused=False, replicate=2)
    run = run_of(proposed(0), reported(0, 1, miou=0.5), further)
    trial = run.trials[0]
    assert trial.curve[1].values == {"miou": 0.5} and run.tally.seconds == 1.0
    assert trial.replicate_reports == {2: [further]}


def test_readings_are_counted_by_split() -> None:
    def tested(split: str, reading: int) -> Tested:
        return Tested(
            trial=0,
            key="k",
            replicate=0,
            seed=1,
            split=split,
            data_rev="5eed",
            threshold=0.5,
            values={},
            at_half={},
            reading=reading,
        )

    run = run_of(proposed(0), tested("test", 1), tested("test", 2), tested("other", 1))
    assert (run.num_readings("test"), run.num_readings("other"), run.num_readings("val")) == (2, 1, 0)
    assert len(run.trials[0].tests) == 3
