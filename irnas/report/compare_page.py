"""The page about several searches: their fronts over one another, and what differs between them."""

from __future__ import annotations

import itertools

import plotly.graph_objects as go

from irnas.core.objective import Objective
from irnas.report import frame, look, markup, script
from irnas.report.compare import Comparison, Side, describe_lines, figures
from irnas.report.figure import Pair, step_shape
from irnas.report.markup import Markup, fill
from irnas.report.table import table


def html(comparison: Comparison) -> str:
    """The comparison as one page that needs no network."""
    names = " against ".join(side.run.name for side in comparison.sides)
    head, rows = figures(comparison)
    parts = [fill("<section><h2>The runs</h2>{body}{note}</section>", body=_table(head, rows), note=_note(comparison))]
    for number, pair in enumerate(_pairs(comparison.objectives)):
        x, y = pair
        title = f"{y.label} against {x.label}"
        drawing = script.figure(_fronts(comparison, pair), f"fronts-{number}")
        parts.append(fill("<section><h2>{title}</h2>{drawing}</section>", title=title, drawing=drawing))
    settings = [[name, *values] for name, values in comparison.differing.items()]
    body = _table(["setting", *(side.run.name for side in comparison.sides)], settings) if settings else "None."
    parts.append(fill("<section><h2>Settings that differ</h2>{body}</section>", body=body))
    title = fill("<header><h1>{names}</h1></header>", names=names)
    return frame.page(names, markup.join([title, *parts], "\n"))


def _note(comparison: Comparison) -> Markup:
    text = "Hypervolumes are shares of one box, which holds those of all runs."
    if comparison.obstacle:
        text = f"There are no hypervolumes: {comparison.obstacle}."
    lines = f" {described}." if (described := describe_lines(comparison)) else ""
    joint = "The joint front is that of all networks together."
    return fill('<p class="note">{text} {joint}{lines}</p>', text=text, joint=joint, lines=lines)


def _table(head: list[str], rows: list[list[str]]) -> Markup:
    return table([(name, number == 0) for number, name in enumerate(head)], rows)


def _pairs(objectives: tuple[Objective, ...]) -> list[Pair]:
    """Each pair of objectives, costs on the horizontal axis."""
    return [(b, a) if b.is_free and not a.is_free else (a, b) for a, b in itertools.combinations(objectives, 2)]


def _fronts(comparison: Comparison, pair: Pair) -> go.Figure:
    x, y = pair
    drawing = go.Figure(layout=look.layout(height=500, hovermode="closest"))
    for axis, objective in ((drawing.update_xaxes, x), (drawing.update_yaxes, y)):
        axis(**look.axis(objective.title, type="log" if objective.is_free else "linear"))
    for number, side in enumerate(comparison.sides):
        drawing.add_trace(_trace(side, pair, look.SERIES[number % len(look.SERIES)]))
    return drawing


def _trace(side: Side, pair: Pair, colour: str) -> go.Scatter:
    x, y = pair
    along = sorted(side.front, key=lambda result: (result.values[x.name], result.values[y.name]))
    texts = [f"{r.key}<br>{x.quantity(r.values[x.name])}, {y.quantity(r.values[y.name])}" for r in along]
    return go.Scatter(
        x=[result.values[x.name] * x.scale for result in along],
        y=[result.values[y.name] * y.scale for result in along],
        # plotly reads a few tags in texts; a folder may be called anything.
        name=str(markup.escape(side.run.name)),
        mode="lines+markers",
        line={"shape": step_shape(pair), "color": colour, "width": 1.6},
        marker={"size": 9, "color": colour},
        text=texts,
        hoverinfo="text+name",
    )
