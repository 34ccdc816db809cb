"""The front as a PNG, for papers and for places that show no HTML."""

from __future__ import annotations

import io
import math
import warnings
from collections.abc import Sequence
from typing import Any

from irnas.core.front import Front
from irnas.core.objective import Objective
from irnas.record.run import Run
from irnas.report import look, unit
from irnas.report.figure import (
    SHAPES,
    Pair,
    by_count,
    comparable,
    limits,
    shares,
    step_shape,
    ticks,
    with_room,
    within_reach,
)
from irnas.report.network import colours_of, families_of
from irnas.report.published import Reference


def picture(run: Run, pairs: Sequence[Pair], references: Sequence[Reference]) -> bytes:
    """One panel per pair of objectives, three to a row, as a PNG at 160 dots per inch."""
    # The figure class draws with Agg by itself; pyplot would keep state and look for a display.
    from matplotlib.figure import Figure

    columns = min(len(pairs), 3)
    rows = -(-len(pairs) // columns)
    figure = Figure(figsize=(6.4 * columns, 4.6 * rows), dpi=160, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, pair in zip(panels, pairs, strict=False):
        _draw(panel, run, pair, references)
    for panel in panels[len(pairs) :]:
        panel.set_axis_off()
    data = run.opened.data
    # A dollar sign would start a formula.
    title = f"{run.space.name} on {data.name}".replace("$", r"\$")
    what = f"{len(run.done)} networks trained in full" if run.settings.is_training else ""
    figure.suptitle(f"{title}: {what or f'{len(run.winners)} of {len(run.done)} trials on the front'}", fontsize=11)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that no font here has shows as boxes; the page is drawn with the reader's fonts.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from")
        figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _draw(panel: Any, run: Run, pair: Pair, references: Sequence[Reference]) -> None:
    x, y = pair
    winners = run.winners
    designs = within_reach(run, comparable(run, pair, references), x)
    _dress(panel, pair, [*(r.values for r in run.done), *(r.values for r in designs)])
    winning = {r.key for r in winners}
    rest = [r for r in run.done if r.key not in winning]
    panel.scatter(*_xy([r.values for r in rest], pair), s=22, color=look.DOMINATED, label="dominated", zorder=2)
    edge = Front.of(run.results, pair, run.requirements).results
    along = sorted(edge, key=lambda r: (r.values[x.name], r.values[y.name]))
    style = "steps-post" if step_shape(pair) == "hv" else "steps-pre"
    panel.plot(*_xy([r.values for r in along], pair), color=look.INK, linewidth=1, drawstyle=style, zorder=3)
    colours = colours_of(run)
    places = _xy([r.values for r in winners], pair)
    panel.scatter(
        *places, s=64, c=colours, edgecolors="white", label=None if families_of(run) else "on the front", zorder=4
    )
    for family, colour in families_of(run).items():
        theirs = [r.values for r in rest if r.genotype.space == family]
        panel.scatter(*_xy(theirs, pair), s=22, facecolors="white", edgecolors=colour, linewidths=1, zorder=2)
        panel.scatter([], [], s=64, c=colour, edgecolors="white", label=family)
    for number, place in enumerate(zip(*places, strict=True), 1):
        panel.annotate(str(number), place, xytext=(0, 6), textcoords="offset points", fontsize=8, ha="center", zorder=6)
    for number, (name, of_kind) in enumerate(by_count(designs).items()):
        _draw_published(panel, name, SHAPES[number % len(SHAPES)][1], of_kind, pair)
    panel.legend(fontsize=8, frameon=False, loc="best")


def _draw_published(panel: Any, legend: str, shape: str, designs: Sequence[Reference], pair: Pair) -> None:
    colour = "white" if designs[0].foreign else look.ACCENT
    places = _xy([r.values for r in designs], pair)
    panel.scatter(*places, s=36, marker=shape, color=colour, edgecolors=look.ACCENT, label=legend, zorder=3)
    ends = (_ends(panel.get_xlim(), pair[0]), _ends(panel.get_ylim(), pair[1]))
    spots = shares({"x": places[0], "y": places[1]}, pair, ends)
    style = {"textcoords": "offset points", "fontsize": 7, "color": look.ACCENT, "zorder": 5}
    for reference, place, spot, room in zip(designs, zip(*places, strict=True), spots, with_room(spots), strict=True):
        if room:
            name = reference.label.replace("$", r"\$")
            side = {"xytext": (-6, -3), "ha": "right"} if spot[0] > 0.8 else {"xytext": (6, -3)}
            panel.annotate(name, place, **side, **style)


def _ends(limit: tuple[float, float], objective: Objective) -> tuple[float, float]:
    return (math.log10(limit[0]), math.log10(limit[1])) if objective.is_free else limit


def _dress(panel: Any, pair: Pair, values: Sequence[Any]) -> None:
    panel.grid(color=look.GRID, zorder=0)
    panel.spines[["top", "right"]].set_visible(False)
    for objective, which in zip(pair, ("x", "y"), strict=True):
        scaled = [v[objective.name] * unit.scale(objective.name) for v in values]
        low, high = limits(scaled, is_log=objective.is_free, pad=0.1)
        panel.set(**{f"{which}label": unit.title(objective.name)})
        axis = panel.xaxis if which == "x" else panel.yaxis
        if objective.is_free:
            panel.set(**{f"{which}scale": "log"})
            marks, texts = ticks(low, high)
            axis.set_ticks(marks, texts)
            axis.set_ticks([], minor=True)
        panel.set(**{f"{which}lim": (low, high)})


def _xy(values: Sequence[Any], pair: Pair) -> tuple[list[float], list[float]]:
    x, y = pair
    return (
        [v[x.name] * unit.scale(x.name) for v in values],
        [v[y.name] * unit.scale(y.name) for v in values],
    )
