"""The simulated executor: W workers, a clock of its own, and a table that knows every answer.

It drives a strategy as the real executors do (ask, observe, tell), and goes on with trials that were paused. Equal
strategy, table, workers and replica give an equal trajectory, to the last digit. What a strategy's own decisions cost
in time is therefore not on the simulated clock: it is measured and stands beside the cost, to be added where two
strategies are compared (``Trajectory.billed_to``).
"""

from __future__ import annotations

import heapq
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from irnas.core.errors import SettingsError
from irnas.core.front import Bounds, Front
from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.core.space import Genotype
from irnas.search.strategy import Decision, SearchProblem, Strategy
from irnas.simulation.heir import heir_curve
from irnas.simulation.table import Point, Step, Table
from irnas.simulation.tabular_space import TabularSpace

MARGIN = 0.1
"""Of an axis's range in the table: how far behind its worst value hypervolumes are measured from."""

_Answer = TypeVar("_Answer")


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """A network has been trained to its end."""

    trial: int
    key: str
    seconds: float
    """On the simulated clock."""
    cost: float
    """Worker time billed until then, unfinished trainings included, in mean full trainings of the table."""
    share: float
    """Hypervolume of the front of all networks trained to the end, over that of the whole table."""
    decided: float = field(default=0.0, compare=False)
    """CPU time that the strategy had spent on its decisions until then, in the unit of ``cost`` and not part of it:
    measured, so never twice the same."""

    @property
    def billed(self) -> float:
        """The cost with the decisions paid: one of a worker's seconds for each of the strategy's."""
        return self.cost + self.decided


@dataclass(frozen=True, slots=True, kw_only=True)
class Trajectory:
    """What a search reached, and what it paid."""

    moments: tuple[Moment, ...]
    cost: float
    """Everything billed, in full trainings."""
    seconds: float
    """The simulated clock at the end."""
    started: int
    """Networks that were trained at all."""
    resumed: int
    """Times a paused network went on."""
    decided_seconds: float = field(default=0.0, compare=False)
    """CPU time that the strategy spent on asking, observing and telling, on this machine."""

    def cost_to(self, share: float) -> float | None:
        """The cost at which a share (0..1) of the table's hypervolume was reached; None if never."""
        return next((m.cost for m in self.moments if m.share >= share), None)

    def billed_to(self, share: float) -> float | None:
        """The cost at which a share was reached, with the strategy's own time; None if never."""
        return next((m.billed for m in self.moments if m.share >= share), None)

    def seconds_to(self, share: float) -> float | None:
        """The simulated clock when a share (0..1) of the table's hypervolume was reached; None if never."""
        return next((m.seconds for m in self.moments if m.share >= share), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Arena:
    """A table as one replica of a search sees it: one seed's curves to search on, the others to score."""

    table: Table
    objectives: tuple[Objective, ...]
    replica: int = 0
    space: TabularSpace = field(init=False)
    bounds: Bounds = field(init=False)
    unit: float = field(init=False)
    """Seconds of the mean full training."""
    front: Front = field(init=False, repr=False)
    """The table's own front, of all its networks as they are scored."""
    _points: dict[str, Point] = field(init=False, repr=False)
    _full: float = field(init=False, repr=False)

    def __post_init__(self) -> None:
        known = {*self.table.metrics, *self.table.points[0].free}
        for objective in self.objectives:
            if objective.name not in known:
                raise SettingsError(f"objective: got {objective.name!r}; one of {', '.join(sorted(known))}")
        points = {p.key: p for p in self.table.points}
        listed = tuple(p.genotype for p in self.table.points)
        object.__setattr__(self, "_points", points)
        object.__setattr__(self, "space", TabularSpace.of(self.table.space, listed))
        object.__setattr__(self, "bounds", bounds(self.table, self.objectives))
        object.__setattr__(self, "unit", statistics.fmean(self.visible_curve(k)[-1].seconds for k in points))
        truths = [self.truth(k, trial) for trial, k in enumerate(points)]
        object.__setattr__(self, "front", Front.of(truths, self.objectives))
        object.__setattr__(self, "_full", self.front.hypervolume(self.bounds))

    def problem(self, seed: int) -> SearchProblem:
        """What a strategy of this seed is made for: to search the table, with a plan to train all of it."""
        return SearchProblem(
            space=self.space,
            objectives=self.objectives,
            price=self.price,
            epochs=self.table.epochs,
            num_trials=len(self.table.points),
            seed=seed,
        )

    @property
    def epochs_of_heirs(self) -> int:
        """Epochs of a network that starts from another's weights."""
        return -(-self.table.epochs // 3)

    def price(self, genotype: Genotype) -> Mapping[str, float]:
        """A network's free objectives."""
        return self._points[genotype.key].free

    def visible_curve(self, key: str) -> tuple[Step, ...]:
        """The curve that the search sees."""
        curves = self._points[key].curves
        return curves[sorted(curves)[self.replica % len(curves)]]

    def truth(self, key: str, trial: int) -> Result:
        """What a network is worth: the mean of its final values over the seeds that the search does not see.

        Where there is one seed only, it serves for both.
        """
        point, visible = self._points[key], self.visible_curve(key)
        others = [c[-1].values for c in point.curves.values() if c is not visible] or [visible[-1].values]
        values = {n: statistics.fmean(v[n] for v in others) for n in self.table.metrics}
        return self.result(trial, point.genotype, Status.OK, replace(visible[-1], values=values))

    def result(self, trial: int, genotype: Genotype, status: Status, step: Step | None) -> Result:
        """The result of a trial that ended after ``step``; None where it never began."""
        return Result(
            trial=trial,
            genotype=genotype,
            status=status,
            values={**self.price(genotype), **(step.values if step else {})},
            epochs=step.epoch if step else 0,
            seconds=step.seconds if step else 0.0,
            seed=self.replica,
            data_rev=self.table.data_rev,
            code_rev=self.table.code_rev,
        )

    def share(self, front: Front) -> float:
        """A front's hypervolume over that of the whole table."""
        return front.hypervolume(self.bounds) / self._full


def bounds(table: Table, objectives: Sequence[Objective]) -> dict[str, tuple[float, float]]:
    """The box of the table's hypervolumes: its best final values, and its worst ones with a margin.

    Without the margin the networks at the ends of a front would count for nothing.
    """
    box = {}
    for objective in objectives:
        finals = [{**p.free, **c[-1].values} for p in table.points for c in p.curves.values()]
        values = sorted((f[objective.name] for f in finals), key=objective.position)
        best, worst = objective.position(values[0]), objective.position(values[-1])
        beyond = worst + MARGIN * ((worst - best) or 1.0)
        box[objective.name] = (values[0], _value(objective, beyond))
    return box


def _value(objective: Objective, position: float) -> float:
    """The inverse of ``Objective.position``."""
    signed = position if objective.goal == "min" else -position
    return float(10**signed) if objective.is_free else signed


def replay(
    strategy: Strategy, arena: Arena, *, workers: int = 1, until: float = 1.0, pays_repeats: bool = False
) -> Trajectory:
    """Search a table until the strategy has no more to propose, or the share ``until`` of its hypervolume is reached.

    Args:
        strategy: one that searches ``arena.space`` at the prices of ``arena.price``.
        arena: what it is driven over.
        workers: trials at the same time.
        until: hypervolume share, 0..1.
        pays_repeats: bill what a sampler asked for again as one more training of it, as a platform without a cache of
            results does.

    Raises:
        SettingsError: fewer than one worker.
    """
    if workers < 1:
        raise SettingsError(f"workers: got {workers}; must be at least 1")
    simulation = _Simulation(strategy, arena, workers, pays_repeats)
    while simulation.share < until and simulation.hand_out():
        simulation.advance()
    return Trajectory(
        moments=tuple(simulation.moments),
        cost=simulation.billed / arena.unit,
        seconds=simulation.now,
        started=simulation.started,
        resumed=simulation.resumed,
        decided_seconds=simulation.decided,
    )


class _Simulation:
    """Simulated workers on a clock, and the trials that they train."""

    def __init__(self, strategy: Strategy, arena: Arena, workers: int, pays_repeats: bool) -> None:
        self._strategy, self._arena = strategy, arena
        self._workers, self._pays_repeats = workers, pays_repeats
        self._due: list[tuple[float, int, int]] = []
        """(clock, number of the event, trial): when each busy worker has its next report."""
        self._num_events = 0
        self._proposals: dict[int, Proposal] = {}
        self._curves: dict[int, tuple[Step, ...]] = {}
        """Of each trial that was begun, as it is trained now."""
        self._ends: dict[int, Step] = {}
        """The last step of each trial that ended ok."""
        self._next_step: dict[int, int] = {}
        self._paused: set[int] = set()
        self._front = Front(objectives=arena.objectives, results=())
        self.now = self.billed = self.share = self.decided = 0.0
        self.started = self.resumed = 0
        self.moments: list[Moment] = []

    def hand_out(self) -> bool:
        """Hand out work while a worker is free; return whether any worker has work then."""
        while len(self._due) < self._workers and (proposal := self._measured(self._strategy.ask)) is not None:
            trial = proposal.trial
            if trial in self._paused:
                self._paused.discard(trial)
                self.resumed += 1
                self._schedule(trial, 0.0)
                continue
            if trial in self._ends:
                self._train_on(trial)
                continue
            assert trial not in self._proposals, f"trial {trial} was proposed again and is not paused"
            self._proposals[trial] = proposal
            if proposal.refused:
                self._tell(self._arena.result(trial, proposal.genotype, Status.REJECTED, None))
                continue
            curve = self._arena.visible_curve(proposal.genotype.key)
            self._curves[trial] = heir_curve(curve, self._arena.epochs_of_heirs) if proposal.parent else curve
            self._next_step[trial] = 0
            self.started += 1
            self._schedule(trial, self._seconds_of_repeats(proposal) if self._pays_repeats else 0.0)
        return bool(self._due)

    def advance(self) -> None:
        """Let the clock run to the next report, and do what the strategy decides."""
        due, _, trial = heapq.heappop(self._due)
        self.billed += (due - self.now) * (len(self._due) + 1)
        self.now = due
        proposal = self._proposals[trial]
        curve = self._curves[trial]
        step = curve[self._next_step[trial]]
        self._next_step[trial] += 1
        decision = self._measured(lambda: self._strategy.observe(trial, step.epoch, step.values, step.seconds))
        if self._next_step[trial] == len(curve):
            # As in a session: of a full training only the result is missing.
            self._tell(self._arena.result(trial, proposal.genotype, Status.OK, step))
            if trial not in self._ends:
                self._score(proposal)
            self._ends[trial] = step
        elif decision is Decision.PAUSE:
            self._paused.add(trial)
        else:
            self._schedule(trial, 0.0)

    def _train_on(self, trial: int) -> None:
        """Begin to train a trial that had ended once more."""
        end, key = self._ends[trial], self._proposals[trial].genotype.key
        self._curves[trial] = heir_curve(self._arena.visible_curve(key), self._arena.epochs_of_heirs, end)
        self._next_step[trial] = 0
        self.resumed += 1
        self._schedule(trial, -end.seconds)

    def _tell(self, result: Result) -> None:
        self._measured(lambda: self._strategy.tell(result))

    def _measured(self, decide: Callable[[], _Answer]) -> _Answer:
        """Call the strategy, and note its CPU time, with that of threads it starts."""
        start = time.process_time()
        answer = decide()
        self.decided += time.process_time() - start
        return answer

    def _schedule(self, trial: int, extra: float) -> None:
        curve, number = self._curves[trial], self._next_step[trial]
        seconds = curve[number].seconds - (curve[number - 1].seconds if number else 0.0)
        heapq.heappush(self._due, (self.now + seconds + extra, self._num_events, trial))
        self._num_events += 1

    def _seconds_of_repeats(self, proposal: Proposal) -> float:
        asked = proposal.memory.get("asked", ())
        return sum((self._arena.visible_curve(entry["of"])[-1].seconds for entry in asked if entry["of"]), 0.0)

    def _score(self, proposal: Proposal) -> None:
        truth = self._arena.truth(proposal.genotype.key, proposal.trial)
        # From the front so far: whatever that dominates, it still does.
        self._front = Front.of([*self._front.results, truth], self._arena.objectives)
        self.share = self._arena.share(self._front)
        self.moments.append(
            Moment(
                trial=proposal.trial,
                key=proposal.genotype.key,
                seconds=self.now,
                cost=self.billed / self._arena.unit,
                share=self.share,
                decided=self.decided / self._arena.unit,
            )
        )
