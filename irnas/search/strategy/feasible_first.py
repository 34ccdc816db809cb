"""What is required of trained networks, for strategies that model one uncertain axis: a miss is a value below all.

The strategy inside is told, in place of a metric that comes with a miss, a value behind the metric's worst one: as far
behind as the requirements are missed. So it ranks networks that meet them by the metric, before all others, and those
by how little they miss.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.requirement import violation
from irnas.core.result import Result, Status
from irnas.search.strategy import Decision, History, SearchProblem, Strategy


def feasible_first(strategy: Strategy, problem: SearchProblem) -> Strategy:
    """The strategy, or, where the problem requires something, the strategy that is told of misses as such."""
    return FeasibleFirst(strategy, problem) if problem.requirements else strategy


class FeasibleFirst:
    """A ``Strategy`` around another one, whose metrics it changes where requirements are missed."""

    def __init__(self, inner: Strategy, problem: SearchProblem) -> None:
        """Tell ``inner`` of the problem's requirements."""
        self._inner, self._requirements = inner, tuple(problem.requirements)
        self._metrics = [o for o in problem.objectives if not o.is_free]

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        return self._inner.ask()

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """See ``Strategy.observe``."""
        return self._inner.observe(trial, epoch, self._with_miss(values), seconds)

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._inner.tell(self._result_with_miss(result))

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        reports = [report._replace(values=self._with_miss(report.values)) for report in history.reports]
        results = [self._result_with_miss(result) for result in history.results]
        self._inner.restore(replace(history, reports=reports, results=results))

    def _result_with_miss(self, result: Result) -> Result:
        return replace(result, values=self._with_miss(result.values)) if result.status is Status.OK else result

    def _with_miss(self, values: Mapping[str, float]) -> Mapping[str, float]:
        missed = violation(self._requirements, values)
        return {**values, **{o.name: _behind_worst(o, missed) for o in self._metrics}} if missed else values


def _behind_worst(metric: Objective, missed: float) -> float:
    """A value behind a metric's worst, by a share of the range from worst to best."""
    assert metric.worst is not None and metric.best is not None, "a metric has both"
    return metric.worst + missed * (metric.worst - metric.best)
