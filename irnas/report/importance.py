"""Which axes mattered: the share of an objective's variance that one axis explains on its own.

Trials are grouped by their value of the axis; epsilon squared is 1 - (variance left within the groups) / (variance in
all), both with their degrees of freedom, so that an axis of many values is not credited with what chance alone explains
(T. L. Kelley, An unbiased correlation ratio measure, PNAS 21, 1935). It needs no surrogate and no seed; it sees no
interaction between axes.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
import plotly.graph_objects as go

from irnas.core.objective import Objective
from irnas.record.run import Run
from irnas.report import look, unit
from irnas.report.groups import Groups
from irnas.report.network import choice, differing

MIN_TRIALS = 8
"""Fewer trials than this say nothing about an axis."""


MAX_BARS = 12

_SHUFFLES = 100


def explained(groups: Sequence[Hashable], values: Sequence[float]) -> float | None:
    """Epsilon squared of ``values`` under ``groups``, cut to 0..1.

    None where it is not defined: a single group, as many groups as values, or values that are all equal.
    """
    members: dict[Hashable, list[float]] = defaultdict(list)
    for group, value in zip(groups, values, strict=True):
        members[group].append(value)
    count, num_groups = len(values), len(members)
    total = _variation(values)
    if num_groups < 2 or num_groups >= count or total <= 0:
        return None
    within = sum(_variation(group) for group in members.values())
    return min(max(1 - (within / (count - num_groups)) / (total / (count - 1)), 0.0), 1.0)


def importances(run: Run) -> dict[str, dict[str, float]]:
    """Objective to axis to share, 0..1; empty below ``MIN_TRIALS`` trained trials."""
    done = run.done
    if len(done) < MIN_TRIALS:
        return {}
    axes = differing([r.genotype for r in done], run.space)
    return {o.name: _of(o, run, axes) for o in run.objectives}


def ranked(shares: dict[str, dict[str, float]]) -> list[str]:
    """The axes that explain anything, most important first: by their largest share over the objectives."""
    axes = {axis for share_of in shares.values() for axis, share in share_of.items() if share > 0}
    return sorted(axes, key=lambda axis: (-max(share_of.get(axis, 0.0) for share_of in shares.values()), axis))


def chance(run: Run) -> float:
    """What the luckiest axis explains in 19 of 20 cases where none has anything to do with the objective.

    The values of the first objective are dealt out to the trials at random, again and again, by a fixed seed.
    """
    done, rng = run.done, random.Random(0)
    genotypes = [r.genotype for r in done]
    columns = [Groups([choice(g, axis) for g in genotypes]) for axis in differing(genotypes, run.space)]
    positions = [run.objectives[0].position(r.values[run.objectives[0].name]) for r in done]
    luckiest = []
    for _ in range(_SHUFFLES):
        rng.shuffle(positions)
        centred = np.array(positions) - np.mean(positions)
        luckiest.append(max((column.explained(centred) for column in columns), default=0.0))
    return sorted(luckiest)[int(0.95 * _SHUFFLES)]


def bars(shares: dict[str, dict[str, float]], threshold: float) -> go.Figure:
    """The importances of the ``MAX_BARS`` most important axes as bars, the most important on top.

    Args:
        shares: objective to axis to share, 0..1.
        threshold: where chance ends, 0..1; see ``chance``.
    """
    axes = ranked(shares)[:MAX_BARS][::-1]
    figure = go.Figure(layout=look.layout(height=110 + 34 * max(len(axes), 2), barmode="group", bargap=0.3))
    # The largest bar of a group should be that of the first objective, read from above.
    for number, (objective, share_of) in reversed(list(enumerate(shares.items()))):
        figure.add_trace(
            go.Bar(
                y=axes,
                x=[100 * share_of.get(axis, 0.0) for axis in axes],
                orientation="h",
                name=unit.label(objective),
                marker={"color": look.SERIES[number % len(look.SERIES)]},
                hovertemplate="%{y}: %{x:.0f} %<extra>" + unit.label(objective) + "</extra>",
            )
        )
    figure.update_layout(legend_traceorder="reversed")
    figure.add_vline(x=100 * threshold, line={"color": look.MUTED, "width": 1.2, "dash": "dot"})
    figure.update_xaxes(**look.axis("share of the variance explained (%)", range=[0, 100]))
    figure.update_yaxes(**look.axis(ticks="", showgrid=False))
    return figure


def _of(objective: Objective, run: Run, axes: Sequence[str]) -> dict[str, float]:
    done = run.done
    positions = [objective.position(r.values[objective.name]) for r in done]
    share_of = {axis: explained([choice(r.genotype, axis) for r in done], positions) for axis in axes}
    return {axis: share for axis, share in share_of.items() if share is not None}


def _variation(values: Sequence[float]) -> float:
    mean = sum(values) / len(values)
    return sum((v - mean) ** 2 for v in values)
