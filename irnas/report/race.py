"""Strategies side by side on a table of full trainings: how fast each got there, and what its searches attained.

One drawing, as a page that needs no network or as a picture.
"""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from irnas.core.objective import Objective
from irnas.report import look, unit
from irnas.report.figure import step_shape, ticks
from irnas.search.strategy.catalogue import UNCACHED
from irnas.simulation import anytime
from irnas.simulation.simulator import Arena, Trajectory

SHARES = (50, 80, 90, 95, 98, 99)
"""Marks of the axis, in percent of the hypervolume; equal factors of what is missing are equally far apart."""

_LEAST = 0.01
"""What is missing of the hypervolume at the top: there searches end."""
_TOP = 0.0085
_LEVELS = 80
_PAYING = "paid, in mean full trainings"
_BAND = 0.12
"""How opaque a band is."""
_CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A curve and its band, in the units of the axes; a gap is not a number."""

    name: str
    colour: str
    style: str
    """solid, dash or dot, as plotly calls it; a dotted line is drawn without its band."""
    x: Sequence[float]
    band: anytime.Band


@dataclass(frozen=True, slots=True, kw_only=True)
class Race:
    """What is drawn."""

    title: str
    growth: tuple[Line, ...]
    """Missing share of the hypervolume over what was paid."""
    attained: tuple[Line, ...]
    """Value over cost level, that of the whole table last; empty where there is nothing to set a metric against."""
    cost: float
    """At which the second panel is taken."""
    pair: tuple[Objective, Objective] | None


def make_race(
    runs: Mapping[str, Sequence[Trajectory]], arenas: Sequence[Arena], *, rivals: Sequence[str], cost: float, title: str
) -> Race:
    """Compute what a race of strategies draws.

    Args:
        runs: searches of each strategy, one for each of ``arenas``.
        arenas: what they were driven over.
        rivals: the strategies whose attained fronts are drawn.
        cost: in full trainings; what had been attained when so much had been paid.
        title: one line.
    """
    costs = anytime.grid([run for searches in runs.values() for run in searches], 120)
    looks = _looks(list(runs))
    growth = tuple(
        Line(name=name, x=costs, band=_map_band(anytime.regret(searches, costs), _above), **looks[name])
        for name, searches in runs.items()
    )
    objectives = arenas[0].objectives
    free, trained = (next((o for o in objectives if o.is_free is is_free), None) for is_free in (True, False))
    if free is None or trained is None:
        return Race(title=title, growth=growth, attained=(), cost=cost, pair=None)
    pair = (free, trained)
    values = [p.free[free.name] for p in arenas[0].table.points]
    levels = np.geomspace(min(values), max(values), _LEVELS).tolist()
    sign = 1.0 if trained.goal == "max" else -1.0

    def value(gain: float) -> float:
        return sign * gain * unit.scale(trained.name) if math.isfinite(gain) else math.nan

    places = [level * unit.scale(free.name) for level in levels]
    attained = tuple(
        Line(
            name=n, x=places, band=_map_band(anytime.attainment(runs[n], arenas, pair, levels, cost), value), **looks[n]
        )
        for n in rivals
    )
    attainable = _map_band(anytime.attainable(arenas, pair, levels), value)
    limit = Line(name="the whole table", colour=look.INK, style="dot", x=places, band=attainable)
    return Race(title=title, growth=growth, attained=(*attained, limit), cost=cost, pair=pair)


def _above(missing: float) -> float:
    return max(missing, _LEAST)


def _map_band(band: anytime.Band, change: Any) -> anytime.Band:
    low, median, high = (tuple(map(change, values)) for values in (band.low, band.median, band.high))
    return anytime.Band(low=low, median=median, high=high)


def _looks(names: Sequence[str]) -> dict[str, dict[str, str]]:
    """One colour a strategy; the variant that pays for repeats has the same, dashed."""
    kinds = list(dict.fromkeys(n.removesuffix(UNCACHED) for n in names))
    series = (*look.SERIES, look.INK, look.MUTED, look.DOMINATED)
    colours = {kind: series[i % len(series)] for i, kind in enumerate(kinds)}
    return {
        n: {"colour": colours[n.removesuffix(UNCACHED)], "style": "dash" if n.endswith(UNCACHED) else "solid"}
        for n in names
    }


def render_png(race: Race) -> bytes:
    """Draw the race as a PNG at 160 dots per inch."""
    from matplotlib.figure import Figure

    columns = 2 if race.pair else 1
    figure = Figure(figsize=(7.0 * columns, 4.8), dpi=160, layout="constrained")
    panels = figure.subplots(1, columns, squeeze=False).ravel()
    figure.suptitle(race.title.replace("$", r"\$"), fontsize=11)
    for panel in panels:
        panel.grid(color=look.GRID, zorder=0)
        panel.spines[["top", "right"]].set_visible(False)
    growth = panels[0]
    for line in race.growth:
        _draw(growth, line)
    growth.set(yscale="log", ylim=(1.0, _TOP), ylabel="hypervolume (% of the table's own front)")
    growth.set_yticks([1 - share / 100 for share in SHARES], [str(share) for share in SHARES])
    growth.set_yticks([], minor=True)
    _mark_x(growth, _PAYING, [x for line in race.growth for x in line.x])
    if race.pair:
        x, y = race.pair
        for line in race.attained:
            _draw(panels[1], line, "post" if step_shape(race.pair) == "hv" else "pre")
        panels[1].set(ylabel=f"best {unit.title(y.name)} for {race.cost:g} full trainings")
        _mark_x(panels[1], unit.title(x.name), [v for line in race.attained for v in line.x])
    for panel in panels:
        panel.legend(fontsize=8, frameon=False, loc="best")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw(panel: Any, line: Line, step: str | None = None) -> None:
    if line.style != "dot":
        band = {"step": step, "color": line.colour, "alpha": _BAND, "linewidth": 0, "zorder": 2}
        panel.fill_between(line.x, line.band.low, line.band.high, **band)
    panel.plot(
        line.x,
        line.band.median,
        color=line.colour,
        linestyle={"solid": "-", "dash": "--", "dot": ":"}[line.style],
        linewidth=1.8,
        drawstyle=f"steps-{step}" if step else "default",
        label=line.name,
        zorder=3,
    )


def _mark_x(panel: Any, title: str, values: Sequence[float]) -> None:
    low, high = min(values), max(values)
    marks, texts = ticks(low, high)
    panel.set(xscale="log", xlim=(low, high), xlabel=title)
    panel.set_xticks(marks, texts)
    panel.set_xticks([], minor=True)


def render_html(race: Race) -> str:
    """Draw the race as one self-contained page."""
    from plotly.subplots import make_subplots

    figure = make_subplots(rows=1, cols=2 if race.pair else 1, horizontal_spacing=0.1)
    figure.update_layout(look.layout(height=520, hovermode="closest", margin={"l": 70, "r": 24, "t": 90, "b": 56}))
    for line in race.growth:
        _trace(figure, line, 1, "linear")
    marks = {"tickvals": [1 - share / 100 for share in SHARES], "ticktext": [str(share) for share in SHARES]}
    span = [0.0, math.log10(_TOP)]
    title = "hypervolume (% of the table's own front)"
    figure.update_yaxes(**look.axis(title, type="log", range=span, tickmode="array", **marks), col=1)
    figure.update_xaxes(**_log(_PAYING, [x for line in race.growth for x in line.x]), col=1)
    if race.pair:
        x, y = race.pair
        for line in race.attained:
            _trace(figure, line, 2, step_shape(race.pair))
        figure.update_xaxes(**_log(unit.title(x.name), [v for line in race.attained for v in line.x]), col=2)
        figure.update_yaxes(**look.axis(f"best {unit.title(y.name)} for {race.cost:g} full trainings"), col=2)
    drawn: str = figure.to_html(full_html=False, include_plotlyjs=True, config=_CONFIG)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>irnas: {escape(race.title)}</title>'
        f"<style>{look.CSS}</style></head>\n<body><main><header><h1>{escape(race.title)}</h1><p>Lines are medians "
        f"over the searches, bands their quartiles.</p></header>\n<section>{drawn}</section></main></body></html>\n"
    )


def _trace(figure: Any, line: Line, column: int, shape: str) -> None:
    import plotly.graph_objects as go

    # Both panels draw a name; the legend has it once.
    is_first = all(t.name != line.name for t in figure.data)
    shared = {"legendgroup": line.name, "name": line.name, "x": list(line.x)}
    edge = {"width": 0, "shape": shape}
    if line.style != "dot":
        for values, fill in ((line.band.low, None), (line.band.high, "tonexty")):
            figure.add_trace(
                go.Scatter(
                    **shared,
                    y=list(values),
                    mode="lines",
                    line=edge,
                    hoverinfo="skip",
                    showlegend=False,
                    fill=fill,
                    fillcolor=_faint(line.colour),
                ),
                row=1,
                col=column,
            )
    style = {"color": line.colour, "width": 2.2, "shape": shape, "dash": line.style}
    figure.add_trace(
        go.Scatter(**shared, y=list(line.band.median), mode="lines", line=style, showlegend=is_first),
        row=1,
        col=column,
    )


def _faint(colour: str) -> str:
    return f"rgba({int(colour[1:3], 16)},{int(colour[3:5], 16)},{int(colour[5:7], 16)},{_BAND})"


def _log(title: str, values: Sequence[float]) -> dict[str, Any]:
    low, high = min(values), max(values)
    marks, texts = ticks(low, high)
    span = [math.log10(low), math.log10(high)]
    return look.axis(title, type="log", range=span, tickmode="array", tickvals=marks, ticktext=texts)
