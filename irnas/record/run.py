"""What a record comes to: the one fold of events, from which everything else about a run is read.

A ``Run`` takes events one by one and always stands where the newest of them left it. The search itself, the live view,
the report, MLflow's mirror, tables, the export and the strategy's memory read the same one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from irnas import storage
from irnas.core.errors import FormatError, SettingsError
from irnas.core.front import Bounds, Front
from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.requirement import Requirement
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.space import Space
from irnas.record.events import (
    Closed,
    Continued,
    DataSource,
    Event,
    Finished,
    Measured,
    Opened,
    Proposed,
    Repaired,
    Repeated,
    Reported,
    Resumed,
    Retried,
    Tested,
)
from irnas.record.judged_baseline import FOLDER, read_baseline
from irnas.record.ledger import Ledger
from irnas.record.replicates import ReplicateStatistics, with_replicate_means
from irnas.record.tally import TrainingTally
from irnas.record.trial import Growth, Trial


class Run:
    """A run as its events leave it; see ``add``."""

    def __init__(self, uri: str, opened: Opened) -> None:
        """Begin with the run's first event."""
        self.uri = uri
        self.opened = opened
        self.settings: SearchSettings = opened.settings
        """As the run was begun, or resumed last."""
        self.data: DataSource = opened.data
        """The data set, at the place where the run last found it."""
        self.trains_on = opened.trains_on
        """What its trials are trained on, since it began or was resumed; empty where the record does not say."""
        self.events: list[Event] = [opened]
        self.trials: dict[int, Trial] = {}
        """By number, in the order in which they were proposed."""
        self.paused: dict[int, Trial] = {}
        """The trials that are paused, by number."""
        self.proposals: list[Proposal] = []
        """In order, and again what was proposed again after a kill."""
        self.reports: list[Reported] = []
        """Of all trials, in order."""
        self.outcomes: list[Result] = []
        """The ended trials in the order in which they ended, each as its own training left it; see ``results``."""
        self.tally = TrainingTally()
        """What the trainings have cost, but for those of finalists again."""
        self.front = Front.of((), self.objectives)
        """Of the trials that were trained to the end, networks of several trainings with the means of their metrics."""
        self.growth: list[Growth] = []
        self._num_done = 0
        self._lost_trials: set[int] = set()
        """Whose proposal is lost; see ``Repaired``."""

    @classmethod
    def of(cls, uri: str, events: Iterable[Event]) -> Run:
        """The run that these events make.

        Raises:
            SettingsError: there are none, or the first is not the opening of a run.
            FormatError: an event does not fit those before it.
        """
        ordered = iter(events)
        opened = next(ordered, None)
        if not isinstance(opened, Opened):
            raise SettingsError(f"run: got {uri!r}; must be the folder or URI of an irnas run")
        run = cls(uri, opened)
        for event in ordered:
            try:
                run.add(event)
            except (SettingsError, LookupError) as error:
                got = " ".join(str(error).split())
                must = "must fit the events before it"
                raise FormatError(f"{uri}, event {len(run.events)} ({event.KIND}): got {got}; {must}") from None
        return run

    @classmethod
    def read(cls, uri: str) -> Run:
        """The run at ``uri``.

        Raises:
            SettingsError: there is no run.
            FormatError: its record is damaged, or newer than this program.
        """
        return cls.of(uri, Ledger(uri).events())

    def add(self, event: Event) -> None:
        """Take up the next event.

        Raises:
            FormatError: it tells of a trial that was never proposed or has ended before, or opens the run again.
        """
        self.events.append(event)
        if not isinstance(event, Proposed) and getattr(event, "trial", None) in self._lost_trials:
            return
        match event:
            case Opened():
                raise FormatError(f"{self._where}: got a second opening; must be one run")
            case Repaired():
                self._lost_trials.update(event.lost_trials)
                for proposal in event.proposals:
                    self._propose(Proposed(t=event.t, proposal=proposal))
            case Resumed():
                self.settings = replace(self.settings, trials=event.trials)
                self.data = replace(self.data, path=event.data_path or self.data.path)
                self.trains_on = event.trains_on or self.trains_on
            case Proposed():
                self._propose(event)
            case Reported():
                trial = self._trial(event)
                if event.replicate:
                    trial.replicate_reports.setdefault(event.replicate, []).append(event)
                    return
                trial.reports.append(event)
                self.reports.append(event)
                self.tally.add(event.trial, event.epoch, event.seconds)
                if event.paused:
                    self.paused[event.trial] = trial
            case Continued():
                trial = self._trial(event)
                trial.is_promoted |= event.promoted
                trial.is_trained_on = trial.finished is not None
                self.paused.pop(event.trial, None)
            case Retried():
                self._trial(event).retries.append(event)
            case Finished(result=result):
                trial = self._trial(event)
                if not trial.is_open:
                    raise FormatError(f"{self._where}: got a second end of trial {trial.number}; must be one")
                earlier, trial.finished, trial.is_trained_on = trial.earlier_result, event, False
                self.paused.pop(event.trial, None)
                if earlier:
                    self.outcomes.remove(earlier)
                self.outcomes.append(result)
                if result.status is Status.OK:
                    self._num_done += earlier is None
                    # Of what was trained on the values may have become worse: the front is made anew.
                    results = (*self.front.results, result) if earlier is None else self.results
                    self._grow(event, self._front_of(results))
            case Repeated():
                self._trial(event).replicates.append(event)
                self._grow(event, self._front_of(self.results))
            case Measured():
                self._trial(event).measured = event
            case Tested():
                self._trial(event).tests.append(event)

    def _trial(self, event: Reported | Continued | Retried | Finished | Repeated | Measured | Tested) -> Trial:
        trial = self.trials.get(event.trial)
        if trial is None:
            raise FormatError(f"{self._where}: got {event.KIND} of trial {event.trial}; must be proposed before")
        return trial

    def _propose(self, event: Proposed) -> None:
        self._lost_trials.discard(event.proposal.trial)
        self.proposals.append(event.proposal)
        self.trials.setdefault(event.proposal.trial, Trial(proposed=event))

    @property
    def _where(self) -> str:
        """What messages call the newest event."""
        return f"{self.uri}, event {len(self.events)}"

    def _grow(self, event: Finished | Repeated, front: Front) -> None:
        self.front = front
        is_replicate = isinstance(event, Repeated)
        self.growth.append(Growth(t=event.t, num_done=self.num_done, front=front, is_replicate=is_replicate))

    def _front_of(self, results: Sequence[Result]) -> Front:
        return Front.of(results, self.objectives, self.requirements)

    @property
    def name(self) -> str:
        """The last part of the URI."""
        return self.uri.rstrip("/").rsplit("/", 1)[-1]

    @property
    def run_id(self) -> str:
        """What names the run wherever its folder goes."""
        return self.opened.run_id

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised."""
        return self.opened.settings.objectives

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """What a network must reach to be on the front before those that do not."""
        return self.opened.settings.requirements

    @property
    def space(self) -> Space:
        """The space that is searched."""
        return self.opened.space

    @property
    def bounds(self) -> Bounds:
        """The box in which the run's hypervolumes are measured."""
        return self.opened.bounds

    @property
    def results(self) -> tuple[Result, ...]:
        """The ended trials in the order in which they ended, as they count: with the means over their trainings."""
        return tuple(self._counted(result) for result in self.outcomes)

    def _counted(self, result: Result) -> Result:
        statistics = self.trials[result.trial].statistics
        return with_replicate_means(result, statistics) if statistics and result.status is Status.OK else result

    @property
    def done(self) -> tuple[Result, ...]:
        """The results of trials that were trained to the end; only they can be compared."""
        return tuple(r for r in self.results if r.status is Status.OK)

    @property
    def num_done(self) -> int:
        """Trials that were trained to the end."""
        return self._num_done

    @property
    def num_trained(self) -> int:
        """Ended trials that were trained here, to the end or not."""
        trained = (r for r in self.outcomes if r.status is not Status.REJECTED)
        return sum(not self.trials[r.trial].proposal.is_known for r in trained)

    @property
    def replicates(self) -> dict[str, dict[str, ReplicateStatistics]]:
        """Key to metric to its statistics, of networks that were trained with several seeds."""
        return {t.key: t.statistics for t in self.trials.values() if t.replicates and t.finished}

    @property
    def winners(self) -> tuple[Result, ...]:
        """The front, from the cheapest (or, without a cost, the worst) to the dearest by the first such objective."""
        key = next((o for o in self.objectives if o.is_free), self.objectives[0])
        order = key.loss if key.is_free else float
        return tuple(sorted(self.front.results, key=lambda r: (order(r.values[key.name]), r.key)))

    @property
    def open_trials(self) -> dict[int, Trial]:
        """The trials without a result, by number."""
        return {number: trial for number, trial in self.trials.items() if trial.is_open}

    @property
    def measured(self) -> dict[str, Measured]:
        """Key to its measurement after the search, when nothing ran beside it."""
        return {t.key: t.measured for t in self.trials.values() if t.measured}

    @property
    def speed(self) -> str:
        """The runtime objective in which speeds are told: the run's first, else the latency."""
        return next((o.name for o in self.objectives if o.kind == "runtime"), "latency_ms")

    def measured_speed(self, key: str) -> float | None:
        """The speed of a network with nothing beside it, in the unit of ``speed``; None where it was not measured."""
        measured = self.measured.get(key)
        if measured is None:
            return None
        return 1000 / measured.ms_min if self.speed == "fps" else measured.ms_min

    @property
    def baselines(self) -> dict[str, Mapping[str, float]]:
        """What needs no network: name to metric to value, those that `irnas baseline` left in the run among them.

        Raises:
            FormatError: one of those is damaged.
        """
        metrics = dict(self.opened.baselines)
        folder = Path(self.uri) / FOLDER if storage.is_local(self.uri) else None
        for path in sorted(folder.glob("*.json")) if folder else ():
            judged = read_baseline(path)
            # Figures of other images say nothing beside those of this run.
            if (judged.data_rev, judged.split) == (self.opened.data.revision, self.settings.validate_on):
                metrics[judged.title] = judged.metrics
        return metrics

    @property
    def turning_point(self) -> Opened | Resumed | Closed:
        """The newest of the events that begin or end the search."""
        return next(e for e in reversed(self.events) if isinstance(e, Opened | Resumed | Closed))

    @property
    def end_reason(self) -> str:
        """Why the search ended; empty where it is going on, or was killed."""
        end = self.turning_point
        return end.reason if isinstance(end, Closed) else ""

    def num_readings(self, split: str) -> int:
        """How often networks of this run were judged on a split that only tests read."""
        tests = (test for trial in self.trials.values() for test in trial.tests)
        return max((test.reading for test in tests if test.split == split), default=0)

    def hypervolume(self) -> float:
        """The share, 0..1, of the run's objective box that the front dominates."""
        return self.front.hypervolume(self.bounds)

    def seconds(self) -> float:
        """Wall-clock seconds in which the search was up, without the pauses after an end."""
        total, previous = 0.0, self.opened.t
        for event in self.events[1:]:
            if not isinstance(event, Resumed | Tested):
                total += max(event.t - previous, 0.0)
            previous = event.t
        return total
