"""What went on over time: the hypervolume after each trial, and the learning curve of each."""

from __future__ import annotations

from collections.abc import Mapping

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irnas.core.result import Result
from irnas.record.run import Run
from irnas.report import look, thin, unit
from irnas.report.network import colours_of

Curve = Mapping[int, Mapping[str, float]]
"""Epoch to values."""


def growth(run: Run) -> go.Figure:
    """The hypervolume after each trial that was trained to the end."""
    shares = _hypervolumes(run)
    done = run.done
    figure = go.Figure(layout=look.layout(height=330, showlegend=False))
    figure.update_xaxes(**look.axis("trials trained", range=[0.5, max(len(done), 1) + 0.5], tickformat="d"))
    figure.update_yaxes(**look.axis("hypervolume (% of the box)", rangemode="tozero"))
    steps = [now > before for now, before in zip(shares, [0.0, *shares], strict=False)]
    # Between two steps the line is flat, so a place that is left out lies on it.
    drawn = sorted({*(n for n, s in enumerate(steps) if s), *thin.evenly(range(len(done)), thin.MAX_STEPS)})
    texts = [
        f"trial {done[n].trial} · {done[n].key}<br>{100 * shares[n]:.2f} %"
        + (" · joined the front" if steps[n] else "")
        for n in drawn
    ]
    figure.add_trace(
        go.Scatter(
            x=[n + 1 for n in drawn],
            y=[100 * shares[n] for n in drawn],
            mode="lines+markers",
            hovertext=texts,
            hovertemplate="%{hovertext}<extra></extra>",
            line={"shape": "hv", "color": look.SERIES[0], "width": 2},
            marker={"size": [9 if steps[n] else 4 for n in drawn], "color": look.SERIES[0]},
        )
    )
    return figure


def _hypervolumes(run: Run) -> list[float]:
    """The hypervolume after each trial that was trained to the end; computed anew where the front has changed."""
    shares, before, share = list[float](), None, 0.0
    for growth in run.growth:
        if growth.is_replicate:
            continue
        members = [id(r) for r in growth.front.results]
        if members != before:
            before, share = members, growth.front.hypervolume(run.bounds)
        shares.append(share)
    return shares


def metric_of(run: Run) -> str:
    """The metric that stands for quality: the first among the objectives, else mIoU."""
    return next((o.name for o in run.objectives if not o.is_free), "miou")


def learning(run: Run) -> go.Figure | None:
    """Validation metric and training loss over the epochs, the front in colour; None where nothing was reported."""
    curves = {n: {e: r.values for e, r in t.curve.items()} for n, t in run.trials.items() if t.reports}
    if not curves:
        return None
    metric = metric_of(run)
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    figure.update_layout(look.layout(height=400, hovermode="closest"))
    winners = run.winners
    rest = {trial: curve for trial, curve in curves.items() if trial not in {r.trial for r in winners}}
    for column, name in enumerate((metric, "loss"), 1):
        title = f"validation {unit.title(name)}" if column == 1 else "training loss"
        figure.update_xaxes(**look.axis("epoch", tickformat="d"), col=column)
        figure.update_yaxes(**look.axis(title), col=column)
        figure.add_trace(_others(rest, name, is_named=column == 1), row=1, col=column)
        numbered = list(enumerate(zip(winners, colours_of(run), strict=True), 1))
        for number, (result, colour) in thin.evenly(numbered, thin.MAX_WINNERS):
            trace = _winner(result, curves.get(result.trial, {}), name, number, colour, is_named=column == 1)
            figure.add_trace(trace, row=1, col=column)
    return figure


def _winner(result: Result, curve: Curve, name: str, number: int, colour: str, *, is_named: bool) -> go.Scatter:
    epochs = _epochs(curve, name)
    return go.Scatter(
        x=epochs,
        y=[curve[e][name] * unit.scale(name) for e in epochs],
        mode="lines+markers",
        name=str(number),
        legendgroup=result.key,
        showlegend=is_named,
        line={"color": colour, "width": 2.2},
        marker={"size": 5},
        hovertemplate=f"{number} · {result.key}<br>epoch %{{x}}: %{{y:.4~g}}<extra></extra>",
    )


def _epochs(curve: Curve, name: str) -> list[int]:
    """The epochs at which a curve is drawn."""
    return thin.evenly([e for e in sorted(curve) if name in curve[e]], thin.MAX_EPOCHS)


def _others(curves: Mapping[int, Curve], name: str, *, is_named: bool) -> go.Scatter:
    """All other trials as one line with gaps, which a browser draws faster than hundreds of lines."""
    x: list[int | None] = []
    y: list[float | None] = []
    texts: list[str] = []
    drawn = thin.evenly(sorted(curves.items()), thin.MAX_CURVES)
    for trial, curve in drawn:
        epochs = _epochs(curve, name)
        x += [*epochs, None]
        y += [*(curve[e][name] * unit.scale(name) for e in epochs), None]
        texts += [f"trial {trial}, epoch {e}" for e in epochs] + [""]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines+markers",
        name=f"other trials{thin.of_all(len(drawn), len(curves))}",
        legendgroup="others",
        showlegend=is_named,
        hovertext=texts,
        hovertemplate="%{hovertext}: %{y:.4~g}<extra></extra>",
        line={"color": look.DOMINATED, "width": 1},
        marker={"size": 3},
        opacity=0.6,
        connectgaps=False,
    )
