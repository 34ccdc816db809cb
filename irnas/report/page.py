"""The page: sections of HTML around the figures. Whatever comes from a file or a user goes through ``markup``."""

from __future__ import annotations

import datetime
from collections.abc import Sequence

from irnas.record.run import Run
from irnas.report import (
    curve,
    detection_curve,
    figure,
    frame,
    image,
    importance,
    look,
    markup,
    parallel,
    script,
    table,
    tests,
    thin,
    training,
    trials,
    unit,
)
from irnas.report.markup import Markup, fill
from irnas.report.published import Reference

Part = tuple[str, str, Markup]
"""A section of the page: its name, its heading, and its HTML, which may be empty."""

_NOTHING = Markup()


def html(run: Run, references: Sequence[Reference], absent: str = "", *, images: bool = True) -> str:
    """The whole report as one self-contained page.

    Args:
        run: the run.
        references: published designs to overlay.
        absent: why there are none, as a sentence.
        images: show example detections, for which the winners run again.
    """
    parts_of = _parts_of_training if run.settings.is_training else _parts_of_search
    parts = parts_of(run, references, absent, images=images)
    present = [part for part in parts if part[2]]
    section = '<section id="{name}"><h2>{title}</h2>{body}</section>'
    sections = (fill(section, name=name, title=title, body=body) for name, title, body in present)
    links = (fill('<a href="#{name}">{title}</a>', name=name, title=title) for name, title, _ in present)
    title = f"{run.space.name} on {run.opened.data.name}"
    body = fill(
        "\n{head}\n<nav>{links}</nav>\n{sections}\n",
        head=_head(run, title),
        links=markup.join(links),
        sections=markup.join(sections, "\n"),
    )
    return frame.page(title, body)


def _parts_of_search(run: Run, references: Sequence[Reference], absent: str, *, images: bool) -> list[Part]:
    """The sections about a search."""
    return [
        ("front", "Front", _fronts(run, references, absent)),
        ("winners", "The networks on the front", table.winners(run) if run.winners else _NOTHING),
        ("tests", "On the test split", tests.section(run)),
        ("detections", "What they see", _detections(run) if images else _NOTHING),
        ("trials", "All trials", trials.section(run)),
        ("progress", "Progress of the search", _progress(run)),
        ("axes", "What mattered", _axes(run)),
        ("run", "The run", table.facts(run)),
        ("failures", "Trials that did not count", table.failures(run)),
        ("reading", "How to read this", _reading(run)),
    ]


def _parts_of_training(run: Run, references: Sequence[Reference], absent: str, *, images: bool) -> list[Part]:
    """The sections about trainings in full."""
    curves = training.curves(run)
    seen = Markup("<p>The images below were trained on.</p>") if run.settings.is_validation_seen else _NOTHING
    return [
        ("networks", "The networks", table.table(*training.networks(run))),
        ("tests", "On the test split", tests.section(run)),
        ("trainings", "Their trainings", table.table(*training.each(run))),
        ("curves", "Learning curves", script.figure(curves, "learning") if curves else _NOTHING),
        ("front", "Accuracy against cost", _fronts(run, references, absent) if len(run.done) > 1 else _NOTHING),
        ("detections", "What they see", markup.join([seen, _detections(run)]) if images else _NOTHING),
        ("run", "The run", table.facts(run)),
        ("failures", "Retries and failures", table.failures(run)),
        ("reading", "How to read this", training.reading(run)),
    ]


def _head(run: Run, title: str) -> Markup:
    began = datetime.datetime.fromtimestamp(run.opened.t, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    aims = ", ".join(f"{unit.label(o.name)} {'↑' if o.goal == 'max' else '↓'}" for o in run.objectives)
    what = f"Architecture search, run {run.name}, begun {began}, for {aims}"
    if run.settings.is_training:
        what = f"Training in full, run {run.name}, begun {began}"
    return fill(
        "<header><h1>{title}</h1><p>{what}</p>{cards}</header>",
        title=title,
        what=what,
        cards=table.cards(run),
    )


def _note(text: str) -> Markup:
    return fill('<p class="note">{text}</p>', text=text) if text else _NOTHING


def _fronts(run: Run, references: Sequence[Reference], absent: str) -> Markup:
    if not run.done:
        return Markup("<p>No trial was trained to the end.</p>")
    about = "Numbers run from the cheapest to the dearest network and mean the same network all over this page."
    parts: list[Markup] = []
    for number, pair in enumerate(figure.pairs(run)):
        x, y = pair
        parts.append(fill("<h3>{y} against {x}</h3>", y=unit.label(y.name), x=unit.label(x.name)))
        parts.append(script.figure(figure.front(run, pair, references), f"front-{number}"))
        parts.append(_beyond(run, references, pair))
    return markup.join([*parts, _note(about), _note(_overlay(run, references, absent))])


def _beyond(run: Run, references: Sequence[Reference], pair: figure.Pair) -> Markup:
    x, y = pair
    known = figure.comparable(run, pair, references)
    near = figure.within_reach(run, known, x)
    elsewhere = ", ".join(
        f"{r.label} ({unit.quantity(x.name, r.values[x.name])} at {r.foreign})"
        for r in references
        if x.name in r.values and y.name in r.values and r not in known
    )
    far = ", ".join(f"{r.label} ({unit.quantity(x.name, r.values[x.name])})" for r in known if r not in near)
    off = ", ".join(name for name, is_reached in figure.baselines(run, pair, references).items() if not is_reached)
    notes = (
        f"Published and far to the right of the axis: {far}." if far else "",
        f"Published with a cost at another input, and not drawn: {elsewhere}." if elsewhere else "",
        f"Baselines off the axis: {off}." if off else "",
    )
    return markup.join(map(_note, notes))


def _overlay(run: Run, references: Sequence[Reference], absent: str) -> str:
    if absent:
        return absent
    name = run.opened.data.name
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


def _detections(run: Run) -> Markup:
    seen = image.detections(run)
    if not seen.scenes:
        return fill("<p>{why}</p>", why=seen.absent or "The validation split holds no image with a target.")
    words = ((look.HIT, "found"), (look.MISS, "missed"), (look.FALSE_ALARM, "false alarm"))
    legend = [fill("{chip}{word}", chip=table.chip(colour, is_round=False), word=word) for colour, word in words]
    about = (
        "Validation images with a target, evenly over the split and not picked by hand. Boxes are around objects, and "
        "below each image the framed part is enlarged, with the outlines of pixels. Contrast is stretched, in the "
        "enlarged part by its own range."
    )
    head = fill("<p>{about}</p><p>{legend}</p>", about=about, legend=markup.join(legend, " &nbsp; "))
    return markup.join([head, *map(_scene, seen.scenes), _curves(run, seen)])


def _curves(run: Run, seen: image.Detections) -> Markup:
    num = f"all {seen.num_images}" if seen.num_judged == seen.num_images else f"{seen.num_judged} of {seen.num_images}"
    note = (
        f"Over {num} validation images, by the run's preset, thresholds from 0.001 to 0.999; the large mark is 0.5. "
        "Where there is no false pixel, there is no mark."
    )
    drawing = script.figure(detection_curve.detection_curves(run, seen.curves), "detection-curves")
    return markup.join([Markup("<h3>Pd against Fa</h3>"), drawing, _note(note)])


def _scene(scene: image.Scene) -> Markup:
    height, width = scene.shape
    frame = scene.frame
    box = (
        f"left:{100 * frame.left / width:.2f}%;top:{100 * frame.top / height:.2f}%;"
        f"width:{100 * frame.side / width:.2f}%;height:{100 * frame.side / height:.2f}%"
    )
    cells = (
        fill(
            '<div class="cell">{chip}<b>{title}</b>'
            '<div class="view whole"><img alt="" src="{boxes}"><i style="{box}"></i></div>'
            '<div class="view part"><img alt="" src="{outlines}"></div>{caption}</div>',
            chip=table.chip(cell.colour) if cell.colour else _NOTHING,
            title=cell.title,
            boxes=cell.boxes,
            box=box,
            outlines=cell.outlines,
            caption=cell.caption,
        )
        for cell in scene.cells
    )
    return fill(
        '<h3>{name}</h3><div class="scene" style="--whole:url({whole});--part:url({part})">{cells}</div>',
        name=scene.name,
        whole=scene.full_view,
        part=scene.part,
        cells=markup.join(cells),
    )


def _progress(run: Run) -> Markup:
    parts = []
    if run.done:
        box = "; ".join(
            f"{unit.label(o.name)} from {unit.quantity(o.name, run.bounds[o.name][1])} (worst) to "
            f"{unit.quantity(o.name, run.bounds[o.name][0])} (best)"
            for o in run.objectives
        )
        parts = [
            Markup("<h3>Hypervolume</h3>"),
            script.figure(curve.growth(run), "growth"),
            _note(f"The box: {box}; costs count on a logarithmic axis. Large dots joined the front."),
        ]
    if drawing := curve.learning(run):
        parts += [Markup("<h3>Learning curves</h3>"), script.figure(drawing, "learning")]
    return markup.join(parts)


def _axes(run: Run) -> Markup:
    shares = importance.importances(run)
    if importance.ranked(shares):
        note = (
            f"How much of the variance among the {len(run.done)} trained trials the value of one axis explains on "
            "its own: epsilon squared, corrected for the number of values, with costs on a logarithmic axis. The "
            f"{importance.MAX_BARS} strongest are shown; the dotted line is what the luckiest of so many axes reaches "
            "by chance. Interactions between axes do not show, and a search looks harder where it is good, so read it "
            "as a hint."
        )
        bars = script.figure(importance.bars(shares, importance.chance(run)), "importance")
        parts = [Markup("<h3>Importance of the axes</h3>"), bars, _note(note)]
    else:
        least = importance.MIN_TRIALS
        parts = [_note(f"With fewer than {least} comparable trials, nothing can be said about single axes.")]
    if not run.done:
        return markup.join(parts)
    lines, num_hidden = parallel.lines(run, importance.ranked(shares))
    more = f" Axes left out because they matter less: {num_hidden}." if num_hidden else ""
    num_rest = len(run.done) - len(run.winners)
    if num_rest > thin.MAX_LINES:
        more += f" Of the {num_rest} others, {thin.MAX_LINES} are drawn, evenly over the search."
    note = f"Each line is a trained trial; those on the front are in colour.{more}"
    head = Markup("<h3>Trials across axes and objectives</h3>")
    return markup.join([*parts, head, script.figure(lines, "parallel"), _note(note)])


def _reading(run: Run) -> Markup:
    term = "<dt>{title}</dt><dd>{about}</dd>"
    about = (
        "A network is on the front when no other trained network is at least as good in every objective and better "
        "in one. Validation images choose the front, so its accuracies are a little optimistic; a test split says "
        f"more. {_chance(run)}"
    )
    terms = markup.join(fill(term, title=unit.title(o.name), about=o.about) for o in run.objectives)
    return fill("<p>{about}</p>{speed}<dl>{terms}</dl>", about=about, speed=_speed(run), terms=terms)


def _chance(run: Run) -> str:
    luck = "differences of a few tenths of a percent may be chance."
    if not run.replicates:
        return f"Each trial was trained once: {luck}"
    return (
        "Values with ± are the mean, the standard deviation and, in brackets, the number of trainings with different "
        f"seeds; learning curves show the first. All other trials were trained once: {luck}"
    )


def _speed(run: Run) -> Markup:
    if not run.opened.device:
        return _NOTHING
    text = f"Speed is that {table.device_of(run.opened.device)}."
    if run.measured:
        text += " Alone: measured again after the search, on the same machine with no trial beside it."
    elif run.opened.device.predicted:
        text += " The device was not at hand: nothing was measured again."
    return fill("<p>{text}</p>", text=text)
