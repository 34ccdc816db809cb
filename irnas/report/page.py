"""The page: sections of HTML around the figures. Whatever comes from a file or a user goes through ``escape``."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from html import escape
from typing import Any

from irnas.record.run import Run
from irnas.report import curve, figure, image, importance, look, parallel, table, tests, training, unit
from irnas.report.published import Reference

# Nothing may be fetched or sent; plotly needs its own inline code and styles, and pictures are inlined.
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)

_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # Plotly's own default is a button that uploads the figure.
    "showSendToCloud": False,
    "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
}


Part = tuple[str, str, str]
"""A section of the page: its name, its heading, and its HTML, which may be empty."""


def html(run: Run, references: Sequence[Reference], absent: str = "", *, images: bool = True) -> str:
    """The whole report as one self-contained page.

    Args:
        run: the run.
        references: published designs to overlay.
        absent: why there are none, as a sentence.
        images: show example detections, for which the winners run again.
    """
    from plotly.offline import get_plotlyjs

    parts_of = _parts_of_training if run.settings.is_training else _parts_of_search
    parts = parts_of(run, references, absent, images=images)
    present = [part for part in parts if part[2]]
    sections = "\n".join(f'<section id="{name}"><h2>{title}</h2>{body}</section>' for name, title, body in present)
    links = "".join(f'<a href="#{name}">{title}</a>' for name, title, _ in present)
    title = escape(f"{run.space.name} on {run.opened.data.name}")
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>irnas: {title}</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{look.CSS}</style>'
        f"<script>{get_plotlyjs()}</script></head>\n<body><main>\n{_head(run, title)}\n<nav>{links}</nav>\n"
        f"{sections}\n</main></body></html>\n"
    )


def _parts_of_search(run: Run, references: Sequence[Reference], absent: str, *, images: bool) -> list[Part]:
    """The sections about a search."""
    return [
        ("front", "Front", _fronts(run, references, absent)),
        ("winners", "The networks on the front", table.winners(run) if run.winners else ""),
        ("tests", "On the test split", tests.section(run)),
        ("detections", "What they see", _detections(run) if images else ""),
        ("progress", "Progress of the search", _progress(run)),
        ("axes", "What mattered", _axes(run)),
        ("failures", "Trials that did not count", table.failures(run)),
        ("reading", "How to read this", _reading(run)),
    ]


def _parts_of_training(run: Run, references: Sequence[Reference], absent: str, *, images: bool) -> list[Part]:
    """The sections about trainings in full."""
    curves = training.curves(run)
    seen = "The images below were trained on." if run.settings.is_validation_seen else ""
    return [
        ("networks", "The networks", table.table(*training.networks(run))),
        ("tests", "On the test split", tests.section(run)),
        ("trainings", "Their trainings", table.table(*training.each(run))),
        ("curves", "Learning curves", _plot(curves, "learning") if curves else ""),
        ("front", "Accuracy against cost", _fronts(run, references, absent) if len(run.done) > 1 else ""),
        ("detections", "What they see", (f"<p>{seen}</p>" if seen else "") + _detections(run) if images else ""),
        ("failures", "Retries and failures", table.failures(run)),
        ("reading", "How to read this", training.reading(run)),
    ]


def _plot(drawing: Any, name: str) -> str:
    markup = drawing.to_html(full_html=False, include_plotlyjs=False, div_id=name, config=_CONFIG, default_width="100%")
    return f'<div class="scroll">{markup}</div>'


def _head(run: Run, title: str) -> str:
    began = datetime.datetime.fromtimestamp(run.opened.t, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    aims = ", ".join(f"{unit.label(o.name)} {'↑' if o.goal == 'max' else '↓'}" for o in run.objectives)
    what = f"Architecture search, run {escape(run.name)}, begun {began}, for {aims}"
    if run.settings.is_training:
        what = f"Training in full, run {escape(run.name)}, begun {began}"
    return (
        f"<header><h1>{title}</h1><p>{what}</p>"
        f"{table.cards(run)}</header>\n<section><h2>The run</h2>{table.facts(run)}</section>"
    )


def _fronts(run: Run, references: Sequence[Reference], absent: str) -> str:
    if not run.done:
        return "<p>No trial was trained to the end.</p>"
    markup = "<p>Numbers run from the cheapest to the dearest network and mean the same network all over this page.</p>"
    for number, pair in enumerate(figure.pairs(run)):
        x, y = pair
        markup += f"<h3>{unit.label(y.name)} against {unit.label(x.name)}</h3>"
        markup += _plot(figure.front(run, pair, references), f"front-{number}")
        markup += _beyond(run, references, pair)
    return markup + f'<p class="note">{_overlay(run, references, absent)}</p>'


def _beyond(run: Run, references: Sequence[Reference], pair: figure.Pair) -> str:
    x, y = pair
    known = figure.comparable(run, pair, references)
    near = figure.within_reach(run, known, x)
    elsewhere = ", ".join(
        f"{r.label} ({unit.quantity(x.name, r.values[x.name])} at {r.foreign})"
        for r in references
        if x.name in r.values and y.name in r.values and r not in known
    )
    far = ", ".join(f"{r.label} ({unit.quantity(x.name, r.values[x.name])})" for r in known if r not in near)
    markup = f'<p class="note">Published and far to the right of the axis: {escape(far)}.</p>' if far else ""
    if elsewhere:
        markup += f'<p class="note">Published with a cost at another input, and not drawn: {escape(elsewhere)}.</p>'
    off = ", ".join(name for name, is_reached in figure.baselines(run, pair, references).items() if not is_reached)
    return markup + (f'<p class="note">Baselines off the axis: {escape(off)}.</p>' if off else "")


def _overlay(run: Run, references: Sequence[Reference], absent: str) -> str:
    if absent:
        return escape(absent)
    name = escape(run.opened.data.name)
    if not any(o.kind == "metric" and o.name in r.values for o in run.objectives for r in references):
        return (
            f"No paper in this space's list printed an accuracy for {name}, so no published accuracy is shown; "
            "ticks on the foot mark what the papers' networks cost by our count."
        )
    return (
        f"Orange marks are accuracies that papers printed for {name}, after full training and on their test split. The "
        f"trials here had {run.settings.budget.epochs} epochs and were measured on the validation split, so this is "
        "no fair race. A filled mark's cost is our own count at this run's input; an open one keeps the cost that "
        "was printed for that input. Sources stand in the hover texts."
    )


def _detections(run: Run) -> str:
    scenes, absent = image.detections(run)
    if not scenes:
        return f"<p>{escape(absent or 'The validation split holds no image with a target.')}</p>"
    words = ((look.HIT, "found"), (look.MISS, "missed"), (look.FALSE_ALARM, "false alarm"))
    legend = " &nbsp; ".join(f"{table.chip(colour, is_round=False)}{word}" for colour, word in words)
    return (
        "<p>Validation images with a target, evenly over the split and not picked by hand. Below each, the framed part "
        f"enlarged. Contrast is stretched, in the enlarged part by its own range.</p><p>{legend}</p>"
        + "".join(_scene(scene) for scene in scenes)
    )


def _scene(scene: image.Scene) -> str:
    height, width = scene.shape
    frame = scene.frame
    box = (
        f"left:{100 * frame.left / width:.2f}%;top:{100 * frame.top / height:.2f}%;"
        f"width:{100 * frame.side / width:.2f}%;height:{100 * frame.side / height:.2f}%"
    )
    cells = "".join(
        f'<div class="cell">{table.chip(c.colour) if c.colour else ""}<b>{escape(c.title)}</b>'
        f'<div class="view"><img alt="" src="{c.full_view}"><i style="{box}"></i></div>'
        f'<div class="view"><img alt="" src="{c.part}"></div>{escape(c.caption)}</div>'
        for c in scene.cells
    )
    return f'<h3>{escape(scene.name)}</h3><div class="scene">{cells}</div>'


def _progress(run: Run) -> str:
    markup = ""
    if run.done:
        box = "; ".join(
            f"{unit.label(o.name)} from {unit.quantity(o.name, run.bounds[o.name][1])} (worst) to "
            f"{unit.quantity(o.name, run.bounds[o.name][0])} (best)"
            for o in run.objectives
        )
        note = f"The box: {escape(box)}; costs count on a logarithmic axis. Large dots joined the front."
        markup += f'<h3>Hypervolume</h3>{_plot(curve.growth(run), "growth")}<p class="note">{note}</p>'
    drawing = curve.learning(run)
    return markup + (f"<h3>Learning curves</h3>{_plot(drawing, 'learning')}" if drawing else "")


def _axes(run: Run) -> str:
    shares = importance.importances(run)
    if importance.ranked(shares):
        note = (
            f"How much of the variance among the {len(run.done)} trained trials the value of one axis explains on "
            "its own: epsilon squared, corrected for the number of values, with costs on a logarithmic axis. The "
            f"{importance.MAX_BARS} strongest are shown; the dotted line is what the luckiest of so many axes reaches "
            "by chance. Interactions between axes do not show, and a search looks harder where it is good, so read it "
            "as a hint."
        )
        drawing = _plot(importance.bars(shares, importance.chance(run)), "importance")
        markup = f'<h3>Importance of the axes</h3>{drawing}<p class="note">{note}</p>'
    else:
        least = importance.MIN_TRIALS
        note = f"With fewer than {least} comparable trials, nothing can be said about single axes."
        markup = f'<p class="note">{note}</p>'
    if not run.done:
        return markup
    lines, num_hidden = parallel.lines(run, importance.ranked(shares))
    more = f" Axes left out because they matter less: {num_hidden}." if num_hidden else ""
    note = f'<p class="note">Each line is a trained trial; those on the front are in colour.{more}</p>'
    return f"{markup}<h3>Trials across axes and objectives</h3>{_plot(lines, 'parallel')}{note}"


def _reading(run: Run) -> str:
    terms = "".join(f"<dt>{unit.title(o.name)}</dt><dd>{escape(o.about)}</dd>" for o in run.objectives)
    return (
        "<p>A network is on the front when no other trained network is at least as good in every objective and better "
        "in one. Validation images choose the front, so its accuracies are a little optimistic; a test split says "
        f"more. {_chance(run)}</p>"
        f"{_speed(run)}<dl>{terms}</dl>"
    )


def _chance(run: Run) -> str:
    luck = "differences of a few tenths of a percent may be chance."
    if not run.replicates:
        return f"Each trial was trained once: {luck}"
    return (
        "Values with ± are the mean, the standard deviation and, in brackets, the number of trainings with different "
        f"seeds; learning curves show the first. All other trials were trained once: {luck}"
    )


def _speed(run: Run) -> str:
    if not run.opened.device:
        return ""
    text = f"Speed is that {table.device_of(run.opened.device)}."
    if run.measured:
        text += " Alone: measured again after the search, on the same machine with no trial beside it."
    elif run.opened.device.predicted:
        text += " The device was not at hand: nothing was measured again."
    return f"<p>{escape(text)}</p>"
