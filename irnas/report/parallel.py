"""Each trial as a line across its axes and objectives. Plain vectors: WebGL is absent where there is no GPU."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from irnas.core.objective import Objective
from irnas.core.result import Result
from irnas.record.run import Run
from irnas.report import look, thin, unit
from irnas.report.figure import limits, ticks
from irnas.report.network import INACTIVE, choice, colours_of, differing

MAX_AXES = 12
"""More axes than this are unreadable side by side."""

_FAN = 0.06
"""How far the lines of one value are spread, as a share of the axis."""

Scale = tuple[dict[str, float], list[tuple[float, str]]]
"""Trial key to height 0..1, and the marks (height, text)."""


def lines(run: Run, order: Sequence[str]) -> tuple[go.Figure, int]:
    """The figure, and how many axes had no room in it.

    Args:
        run: the run; only trials that were trained to the end are drawn.
        order: the axes by importance; the first ``MAX_AXES`` are shown, in the order of the space.
    """
    done = run.done
    varied = differing([r.genotype for r in done], run.space)
    kept = set([*order, *(a for a in varied if a not in order)][:MAX_AXES])
    axes = [axis for axis in varied if axis in kept]
    scales = [_categories(run, axis) for axis in axes] + [_numbers(done, o) for o in run.objectives]
    titles = [*axes, *(unit.title(o.name) for o in run.objectives)]
    figure = go.Figure(layout=look.layout(height=430, showlegend=False, margin={"l": 40, "r": 70, "t": 76, "b": 20}))
    hidden: dict[str, Any] = {
        "showgrid": False,
        "showticklabels": False,
        "zeroline": False,
        "showline": False,
        "ticks": "",
    }
    figure.update_xaxes(**hidden, range=[-0.25, max(len(scales) - 1, 1) + 0.25])
    figure.update_yaxes(**hidden, range=[-0.06, 1.05])
    _draw_lines(figure, run, scales)
    for place, (title, scale) in enumerate(zip(titles, scales, strict=True)):
        _draw_axis(figure, place, title, scale[1])
    return figure, len(varied) - len(axes)


def _draw_lines(figure: go.Figure, run: Run, scales: Sequence[Scale]) -> None:
    winners = run.winners
    colours = {r.key: c for r, c in zip(winners, colours_of(run), strict=True)}
    rest = thin.evenly([r for r in run.done if r.key not in colours], thin.MAX_LINES)
    # Winners last, so that they lie on top.
    for result in (*rest, *(r for r in run.done if r.key in colours)):
        is_winner = result.key in colours
        line = {"color": colours.get(result.key, look.DOMINATED), "width": 2.4 if is_winner else 1}
        figure.add_trace(
            go.Scatter(
                x=list(range(len(scales))),
                y=[heights[result.key] for heights, _ in scales],
                mode="lines",
                line=line,
                opacity=1.0 if is_winner else 0.5,
                hovertemplate=_text(result, run) + "<extra></extra>",
            )
        )


def _draw_axis(figure: go.Figure, place: int, title: str, marks: Sequence[tuple[float, str]]) -> None:
    line = {"color": look.INK, "width": 1}
    figure.add_shape(type="line", x0=place, x1=place, y0=-_FAN / 2, y1=1 + _FAN / 2, line=line, layer="above")
    figure.add_annotation(
        x=place,
        y=1.0,
        yshift=30,
        xanchor="left",
        xshift=-14,
        textangle=-18,
        showarrow=False,
        text=f"<b>{escape(title)}</b>",
        font={"size": 12},
    )
    for height, text in marks:
        figure.add_annotation(
            x=place,
            y=height,
            text=escape(text),
            showarrow=False,
            xanchor="left",
            xshift=4,
            font={"size": 11},
            bgcolor="rgba(255,255,255,0.78)",
            borderpad=1,
        )


def _categories(run: Run, axis: str) -> Scale:
    """Declared order of the values, an inexistent axis at the foot."""
    values = {choice(r.genotype, axis) for r in run.done}
    declared = [str(v) for p in run.space.params if p.name == axis for v in p.values]
    texts = [INACTIVE] * (INACTIVE in values) + [v for v in declared if v in values]
    texts += sorted(values - set(texts))
    steps = max(len(texts) - 1, 1)
    height = {text: i / steps for i, text in enumerate(texts)}
    # Lines of one value lie side by side instead of on top of each other, in the order of the first objective.
    order = sorted(run.done, key=lambda r: (r.values[run.objectives[0].name], r.key))
    offset = {r.key: _FAN * (i / max(len(order) - 1, 1) - 0.5) for i, r in enumerate(order)}
    heights = {r.key: height[choice(r.genotype, axis)] + offset[r.key] for r in run.done}
    return heights, [(height[t], t) for t in texts]


def _numbers(done: Sequence[Result], objective: Objective) -> Scale:
    """Value upwards, whatever the goal; costs logarithmic."""
    name, is_log = objective.name, objective.is_free
    values = {r.key: r.values[name] * unit.scale(name) for r in done}
    low, high = limits(list(values.values()), is_log=is_log, pad=0.0)

    def height(value: float) -> float:
        if is_log:
            return (math.log10(value) - math.log10(low)) / (math.log10(high) - math.log10(low))
        return (value - low) / (high - low)

    if is_log:
        places, texts = ticks(low, high)
    else:
        places = [low + (high - low) * i / 4 for i in range(5)]
        texts = [f"{p:.3g}" for p in places]
    return {k: height(v) for k, v in values.items()}, [(height(p), t) for p, t in zip(places, texts, strict=True)]


def _text(result: Result, run: Run) -> str:
    parts = [f"{unit.label(o.name)} {unit.quantity(o.name, result.values[o.name])}" for o in run.objectives]
    return f"<b>{result.key}</b> · trial {result.trial}<br>" + " · ".join(parts)
