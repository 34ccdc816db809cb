"""Detections against false alarms as the threshold rises, of the networks whose detections a page shows."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go

from irnas.metrics import HALF, DetectionCurve
from irnas.record.run import Run
from irnas.report import look, unit
from irnas.report.network import colours_of


def detection_curves(run: Run, curves: Mapping[int, DetectionCurve]) -> go.Figure:
    """Pd against Fa, one line a network; the larger mark is 0.5. Thresholds without a false pixel have no place.

    Args:
        run: the run.
        curves: place of a winner to its curve.
    """
    figure = go.Figure(layout=look.layout(height=380, hovermode="closest"))
    figure.update_xaxes(**look.axis(unit.title("fa"), type="log", dtick=1))
    figure.update_yaxes(**look.axis(unit.title("pd")))
    winners, colours = run.winners, colours_of(run)
    for place, curve in curves.items():
        points = [p for p in zip(curve.threshold, curve.fa, curve.pd, strict=True) if p[1] > 0]
        figure.add_trace(
            go.Scatter(
                x=[fa * unit.scale("fa") for _, fa, _ in points],
                y=[pd * unit.scale("pd") for _, _, pd in points],
                mode="lines+markers",
                name=f"{place + 1} · {winners[place].key[:8]}",
                hovertext=[f"{place + 1} · {winners[place].key}<br>threshold {t:g}" for t, _, _ in points],
                hovertemplate="%{hovertext}<br>Pd %{y:.4~g} %, Fa %{x:.4~g}·10⁻⁶<extra></extra>",
                line={"color": colours[place], "width": 2},
                marker={"size": [11 if t == HALF else 5 for t, _, _ in points], "color": colours[place]},
            )
        )
    return figure
