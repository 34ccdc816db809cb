"""The front, one figure per pair of objectives."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from irnas.core.front import Front
from irnas.core.objective import OBJECTIVES, Objective
from irnas.core.result import Result
from irnas.core.space import Genotype
from irnas.core.text import format_si
from irnas.record.run import Run
from irnas.report import look, thin, unit
from irnas.report.error_bars import ends_of_bars, error_bars
from irnas.report.network import colours_of, differing, families_of, phrases
from irnas.report.published import Reference, size_of

REACH = 20.0
"""How many times the cost of the dearest trial the axis reaches, if there is something to see."""

SHAPES = (("diamond", "D"), ("square", "s"), ("triangle-up", "^"))
"""What marks published designs, one way of counting after the other: as plotly and as matplotlib call it."""

DASHES = ("dot", "dash", "dashdot", "longdash")
"""Lines of baselines, one after the other."""

_OF_ANY_INPUT = ("params", "bytes")
"""Costs that do not depend on the size of the input."""

Pair = tuple[Objective, Objective]
"""The objective on the horizontal axis, and the one on the vertical axis."""


def pairs(run: Run) -> list[Pair]:
    """Each pair of objectives, costs on the horizontal axis; a lone objective is set against OPs (or mIoU)."""
    objectives = run.objectives
    if len(objectives) == 1:
        other = OBJECTIVES["miou" if objectives[0].is_free else "ops"]
        objectives = (*objectives, other)
    return [(b, a) if b.is_free and not a.is_free else (a, b) for a, b in itertools.combinations(objectives, 2)]


def front(run: Run, pair: Pair, references: Sequence[Reference]) -> go.Figure:
    """The trials in the plane of two objectives, with the front's line and the published designs."""
    x, y = pair
    designs = _designs_in_reach(run, pair, references)
    spots = [*(r.values for r in run.done), *ends_of_bars(run), *(r.values for r in designs)]
    figure = go.Figure(layout=look.layout(height=500, hovermode="closest"))
    figure.update_xaxes(**_axis(x, [s[x.name] for s in spots]))
    figure.update_yaxes(**_axis(y, [s[y.name] for s in spots]))
    _draw_trials(figure, run, pair)
    for number, (name, of_kind) in enumerate(by_count(designs).items()):
        figure.add_trace(_published(name, SHAPES[number % len(SHAPES)][0], of_kind, pair, figure))
    _draw_baselines(figure, run, pair, references)
    costs_alone = [r for r in references if x.name in r.values and y.name not in r.values and has_cost_here(run, r, x)]
    _draw_rug(figure, costs_alone, pair)
    return figure


def describe(genotype: Genotype, axes: Sequence[str], width: int = 3) -> str:
    """The values of some axes as hover text, ``width`` to a line; safe to show."""
    parts = [escape(phrase) for phrase in phrases(genotype, axes)]
    lines = [", ".join(parts[i : i + width]) for i in range(0, len(parts), width)]
    return "<br>".join(lines)


def comparable(run: Run, pair: Pair, references: Sequence[Reference]) -> list[Reference]:
    """The published designs with both values of which a cost is that at the run's own input.

    What was printed at another input belongs nowhere among costs that depend on it.
    """
    return [r for r in references if all(o.name in r.values and has_cost_here(run, r, o) for o in pair)]


def has_cost_here(run: Run, reference: Reference, objective: Objective) -> bool:
    """Whether a published design's cost is our count, or was printed at the run's input or for any input."""
    is_anywhere = not objective.is_free or objective.name in _OF_ANY_INPUT
    return is_anywhere or reference.foreign in ("", size_of(run.settings.cost_input))


def within_reach(run: Run, references: Sequence[Reference], x: Objective) -> list[Reference]:
    """The published designs that cost less than ``REACH`` times the dearest trial; the others would dwarf the run."""
    if not x.is_free or not run.done:
        return list(references)
    limit = REACH * max(r.values[x.name] for r in run.done)
    return [r for r in references if r.values[x.name] < limit]


def _designs_in_reach(run: Run, pair: Pair, references: Sequence[Reference]) -> list[Reference]:
    return within_reach(run, comparable(run, pair, references), pair[0])


def by_count(references: Sequence[Reference]) -> dict[str, list[Reference]]:
    """Published designs by how their cost was counted, as a legend says it."""
    groups: dict[str, list[Reference]] = {}
    for reference in references:
        how = f"published, cost as printed at {reference.foreign}" if reference.foreign else "published, our count"
        groups.setdefault(how, []).append(reference)
    return groups


def step_shape(pair: Pair) -> str:
    """How a front's line runs between two points, so that it bounds what is attained and promises nothing more."""
    return "hv" if pair[0].goal == "min" else "vh"


def ticks(low: float, high: float) -> tuple[list[float], list[str]]:
    """Marks of a logarithmic axis between two positive values: 1, 2 and 5 in each decade, more in a short range."""
    digits = (1, 2, 5) if high / low > 4 else (1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9)
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    marks = [digit * 10.0**decade for decade in decades for digit in digits]
    inside = [mark for mark in marks if low <= mark <= high]
    return inside, [format_si(mark) for mark in inside]


def shares(
    places: Mapping[str, Sequence[float]], pair: Pair, ranges: tuple[tuple[float, float], tuple[float, float]]
) -> list[tuple[float, float]]:
    """Places as shares, 0..1, of the axes; ``ranges`` are exponents of ten on a logarithmic axis."""
    moved_axes = []
    for which, objective, (low, high) in zip(("x", "y"), pair, ranges, strict=True):
        moved = [math.log10(max(v, 1e-12)) if objective.is_free else v for v in places[which]]
        moved_axes.append([(v - low) / (high - low) for v in moved])
    return list(zip(*moved_axes, strict=True))


def with_room(spots: Sequence[tuple[float, float]]) -> list[bool]:
    """Which spots can be labelled, in order, without writing over the label of an earlier one."""
    labelled: list[tuple[float, float]] = []
    rooms = []
    for x, y in spots:
        has_room = all(abs(x - other_x) > 0.11 or abs(y - other_y) > 0.035 for other_x, other_y in labelled)
        rooms.append(has_room)
        if has_room:
            labelled.append((x, y))
    return rooms


def limits(values: Sequence[float], *, is_log: bool, pad: float = 0.08) -> tuple[float, float]:
    """The range of an axis that shows all values with some room, in the units of the values."""
    if not values:
        return (1.0, 10.0) if is_log else (0.0, 1.0)
    moved = [math.log10(max(v, 1e-12)) for v in values] if is_log else list(values)
    low, high = min(moved), max(moved)
    room = pad * (high - low) if high > low else (0.15 if is_log else 0.05 * (abs(high) or 20.0))
    low, high = low - room, high + room
    return (10.0**low, 10.0**high) if is_log else (low, high)


def _axis(objective: Objective, values: Sequence[float]) -> dict[str, Any]:
    scaled = [v * unit.scale(objective.name) for v in values]
    low, high = limits(scaled, is_log=objective.is_free)
    title = unit.title(objective.name)
    if not objective.is_free:
        return look.axis(title, range=[low, high])
    marks, texts = ticks(low, high)
    span = [math.log10(low), math.log10(high)]
    return look.axis(title, type="log", range=span, tickmode="array", tickvals=marks, ticktext=texts)


def _draw_trials(figure: go.Figure, run: Run, pair: Pair) -> None:
    winners = run.winners
    winning = {r.key for r in winners}
    axes = differing([r.genotype for r in run.done], run.space)
    rest = [r for r in run.done if r.key not in winning]
    for name, results, colour in _by_family(run, rest, "dominated", look.DOMINATED):
        marker = {"size": 9, "color": colour, "opacity": 0.35 if families_of(run) else 0.85}
        drawn = _apart(results, pair, figure)
        name += thin.of_all(len(drawn), len(results))
        figure.add_trace(_points(drawn, pair, run, axes, name=name, mode="markers", marker=marker))
    edge = Front.of(run.results, pair, run.requirements).results
    # Both lists are sorted along the horizontal axis; the line needs no markers of its own.
    along = sorted(edge, key=lambda r: (r.values[pair[0].name], r.values[pair[1].name]))
    name = "front" if len(run.objectives) <= 2 else "front of these two"
    figure.add_trace(
        go.Scatter(
            **_places([r.values for r in along], pair),
            mode="lines",
            hoverinfo="skip",
            name=name,
            line={"shape": step_shape(pair), "color": look.INK, "width": 1.4},
        )
    )
    place = {r.key: n for n, r in enumerate(winners)}
    for name, results, _ in _by_family(run, winners, "on the front", ""):
        colours = [colours_of(run)[place[r.key]] for r in results]
        marker = {"size": 14, "color": colours, "line": {"color": "#ffffff", "width": 1.5}}
        numbers = [str(place[r.key] + 1) for r in results]
        style = {"mode": "markers+text", "text": numbers, "textposition": "top center", "textfont": {"size": 12}}
        figure.add_trace(_points(results, pair, run, axes, name=name, marker=marker, **style))


def _apart(results: Sequence[Result], pair: Pair, figure: go.Figure) -> list[Result]:
    """As many of the results as a figure shows: those that do not lie on another one."""
    if len(results) <= thin.MAX_POINTS:
        return list(results)
    ranges = (tuple(figure.layout.xaxis.range), tuple(figure.layout.yaxis.range))
    spots = shares(_places([r.values for r in results], pair), pair, ranges)
    return [results[n] for n in thin.apart(spots, thin.MAX_POINTS)]


def _by_family(run: Run, results: Sequence[Result], name: str, colour: str) -> list[tuple[str, Sequence[Result], str]]:
    """(legend, results, colour): one entry, or in a search over several spaces one for each that has results."""
    if not families_of(run):
        return [(name, results, colour)]
    parts = ((f, [r for r in results if r.genotype.space == f], c) for f, c in families_of(run).items())
    return [(f"{family}, {name}", members, colour) for family, members, colour in parts if members]


def _points(results: Sequence[Result], pair: Pair, run: Run, axes: list[str], **style: Any) -> go.Scatter:
    names = [o.name for o in run.objectives]
    texts = [
        f"<b>{r.key}</b> · trial {r.trial}<br>{_values(r.values, names)}<br>{describe(r.genotype, axes)}"
        for r in results
    ]
    places = _places([r.values for r in results], pair)
    bars = {f"error_{which}": error_bars(results, o, run) for which, o in zip(("x", "y"), pair, strict=True)}
    return go.Scatter(**places, **bars, hovertext=texts, hovertemplate="%{hovertext}<extra></extra>", **style)


def _published(name: str, shape: str, designs: Sequence[Reference], pair: Pair, figure: go.Figure) -> go.Scatter:
    names = sorted({n for r in designs for n in r.values}, key=list(OBJECTIVES).index)
    texts = [
        f"<b>{escape(r.name)}</b> · published<br>{_values(r.values, names)}"
        f"<br>cost: {escape(r.counted)}<br>{escape(r.source)}"
        for r in designs
    ]
    places = _places([r.values for r in designs], pair)
    spots = shares(places, pair, (tuple(figure.layout.xaxis.range), tuple(figure.layout.yaxis.range)))
    labels = [escape(r.label) if room else "" for r, room in zip(designs, with_room(spots), strict=True)]
    symbol = f"{shape}-open" if designs[0].foreign else shape
    return go.Scatter(
        **places,
        name=escape(name),
        mode="markers+text",
        hovertext=texts,
        text=labels,
        textposition=["middle left" if x > 0.8 else "middle right" for x, _ in spots],
        textfont={"size": 11, "color": look.ACCENT},
        hovertemplate="%{hovertext}<extra></extra>",
        marker={"size": 10, "color": look.ACCENT, "symbol": symbol, "line": {"width": 1.4, "color": look.ACCENT}},
    )


def baselines(run: Run, pair: Pair, references: Sequence[Reference]) -> dict[str, bool]:
    """Level of each baseline, "global threshold (31.20 %)", and whether the figure reaches it."""
    y = pair[1]
    spots = [*(r.values for r in run.done), *(r.values for r in _designs_in_reach(run, pair, references))]
    low, high = limits([s[y.name] for s in spots], is_log=y.is_free)
    levels = {n: values[y.name] for n, values in run.baselines.items() if y.name in values}
    return {f"{n.replace('_', ' ')} ({unit.quantity(y.name, v)})": low < v < high for n, v in levels.items()}


def _draw_baselines(figure: go.Figure, run: Run, pair: Pair, references: Sequence[Reference]) -> None:
    """Named in the legend: beside the line a name would stand where the points are."""
    x, y = pair
    ends = [10.0**end if x.is_free else end for end in figure.layout.xaxis.range]
    levels = [values[y.name] * unit.scale(y.name) for values in run.baselines.values() if y.name in values]
    baselines_by_name = baselines(run, pair, references).items()
    for number, ((name, is_reached), level) in enumerate(zip(baselines_by_name, levels, strict=True)):
        if not is_reached:
            continue
        line = {"color": look.MUTED, "width": 1.2, "dash": DASHES[number % len(DASHES)]}
        title = escape(f"baseline: {name.rsplit(' (', 1)[0]}")
        hover = {"hoverinfo": "text", "hovertext": escape(f"baseline: {name}")}
        figure.add_trace(go.Scatter(x=ends, y=[level, level], mode="lines", name=title, line=line, **hover))


def _draw_rug(figure: go.Figure, known: Sequence[Reference], pair: Pair) -> None:
    """Mark on the foot of the figure the cost of published designs whose accuracy on this data set nobody printed."""
    x, y = pair
    if not known or not x.is_free or y.is_free:
        return
    (low, high), (foot, top) = figure.layout.xaxis.range, figure.layout.yaxis.range
    inside = [r for r in known if r.genotype and low <= math.log10(r.values[x.name]) <= high]
    if not inside:
        return
    texts = [
        f"<b>{escape(r.name)}</b> · published<br>{unit.label(x.name)} {unit.quantity(x.name, r.values[x.name])}"
        f" ({escape(r.counted)})<br>no accuracy printed for this data set"
        for r in inside
    ]
    figure.add_trace(
        go.Scatter(
            x=[r.values[x.name] for r in inside],
            y=[foot + 0.025 * (top - foot)] * len(inside),
            mode="markers",
            name="cost of published designs",
            cliponaxis=False,
            hovertext=texts,
            hovertemplate="%{hovertext}<extra></extra>",
            marker={"symbol": "line-ns", "size": 16, "line": {"width": 2, "color": look.ACCENT}, "color": look.ACCENT},
        )
    )


def _places(values: Sequence[Mapping[str, float]], pair: Pair) -> dict[str, list[float]]:
    x, y = pair
    return {
        "x": [v[x.name] * unit.scale(x.name) for v in values],
        "y": [v[y.name] * unit.scale(y.name) for v in values],
    }


def _values(values: Mapping[str, float], names: Iterable[str]) -> str:
    return " · ".join(f"{unit.label(n)} {unit.quantity(n, values[n])}" for n in names if n in values)
