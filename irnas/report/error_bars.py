"""How far seeds of one network lie apart, as bars of a figure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irnas.core.objective import Objective
from irnas.core.result import Result
from irnas.record.run import Run
from irnas.report import look, unit


def error_bars(results: Sequence[Result], objective: Objective, run: Run) -> dict[str, Any] | None:
    """Bars of a standard deviation over trainings, as plotly has them; None where each network was trained once."""
    statistics = [run.trials[r.trial].statistics.get(objective.name) for r in results]
    if not any(s and s.deviation for s in statistics):
        return None
    bars = [s.deviation * unit.scale(objective.name) if s else 0.0 for s in statistics]
    return {"type": "data", "array": bars, "color": look.MUTED, "thickness": 1.3, "width": 4}


def ends_of_bars(run: Run) -> list[dict[str, float]]:
    """The values at both ends of every bar, for which a figure has room."""
    several = [(r.values, run.trials[r.trial].statistics) for r in run.done]
    return [
        {name: value + sign * s[name].deviation if name in s else value for name, value in values.items()}
        for values, s in several
        if s
        for sign in (-1, 1)
    ]
