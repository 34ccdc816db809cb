"""Where a threshold may be put: the ROC curve of pixels, and detections against false alarms, as a PNG."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from irnas.metrics import Curve, DetectionCurve
from irnas.report import look, unit

_MAX_NAMED = 10
"""Networks that a legend has room for."""


def picture(curves: Mapping[str, tuple[Curve, DetectionCurve]], title: str) -> bytes:
    """Both curves of some trainings, two panels side by side, as a PNG at 160 dots per inch.

    Args:
        curves: name of a training to its curves.
        title: what all of them are of.
    """
    # The figure class draws with Agg by itself; pyplot would keep state and look for a display.
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12.0, 4.6), dpi=160, layout="constrained")
    left, right = figure.subplots(1, 2)
    colours = look.ramp(len(curves)) if len(curves) > len(look.SERIES) else look.SERIES
    fa = unit.scale("fa")
    for colour, (name, (roc, detections)) in zip(colours, curves.items(), strict=False):
        line = {"color": colour, "linewidth": 1.4, "label": name.replace("$", r"\$")}
        left.plot(*_positive(roc.false_rate, roc.true_rate), **line)
        right.plot(*_positive(detections.fa * fa, detections.pd), marker=".", **line)
    _dress(left, "false-positive rate", "true-positive rate")
    _dress(right, unit.title("fa"), "Pd")
    if len(curves) <= _MAX_NAMED:
        right.legend(fontsize=8, frameon=False, loc="lower right")
    figure.suptitle(title.replace("$", r"\$"), fontsize=11)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def _positive(x: Any, y: Any) -> tuple[Any, Any]:
    """The points that a logarithmic axis can show."""
    return x[x > 0], y[x > 0]


def _dress(panel: Any, x: str, y: str) -> None:
    panel.grid(color=look.GRID, zorder=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.set(xlabel=x, ylabel=y, ylim=(-0.02, 1.02))
    panel.set_xscale("log")
