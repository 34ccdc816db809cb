"""The page of trainings in full: each network's mean and deviation over its seeds, each training, and their curves."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from irnas.core.objective import OBJECTIVES
from irnas.core.result import Status
from irnas.core.text import format_duration
from irnas.record.run import Run
from irnas.record.trainings import Training, trainings_of
from irnas.record.trial import Trial
from irnas.report import look, markup, thin, unit
from irnas.report.markup import Markup, code, fill, wrapped
from irnas.report.published import size_of

METRICS = ("miou", "niou", "f1", "pd", "fa")
COSTS = ("ops", "params", "bytes")
"""What the tables show, where it was measured."""

Table = tuple[Sequence[tuple[str, bool]], Sequence[Sequence[object]]]
"""The heads of the columns, each with whether it is text, and rows of values."""
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")


def networks(run: Run) -> Table:
    """A row for each network: metrics as mean and standard deviation over its trainings, and its costs."""
    head = [
        ("network", True),
        ("key", True),
        *((unit.title(n), False) for n in (*METRICS, *COSTS)),
        ("trainings", False),
    ]
    rows = [
        [
            trial.proposal.origin,
            code(trial.key),
            *(_mean(trial, name) for name in METRICS),
            *(unit.figure(name, trial.proposal.costs.get(name)) for name in COSTS),
            str(sum(t.status is Status.OK for t in trainings_of(run) if t.trial is trial)),
        ]
        for trial in run.trials.values()
    ]
    return head, rows


def each(run: Run) -> Table:
    """A row for each training."""
    trainings = trainings_of(run)
    has_notes = any(t.note or t.error for t in trainings)
    head = [("key", True), ("training", False), ("seed", False), ("status", True)]
    head += [*((unit.title(n), False) for n in METRICS), ("epochs", False), ("time", False)]
    rows = [
        [
            code(t.trial.key),
            f"{t.replicate + 1}/{run.settings.seeds}",
            str(t.seed),
            t.state,
            *(unit.figure(name, t.values.get(name)) for name in METRICS),
            f"{t.epoch}/{run.settings.budget.epochs}",
            format_duration(t.seconds),
            *([wrapped(t.error or t.note)] if has_notes else []),
        ]
        for t in trainings
    ]
    return [*head, *([("note", True)] if has_notes else [])], rows


def cards(run: Run) -> list[tuple[str, str]]:
    """The trainings in a few figures, each with what it is."""
    trainings = trainings_of(run)
    done = [t for t in trainings if t.status is Status.OK]
    figures = [(str(len(run.trials)), "networks"), (f"{len(done)} of {len(trainings)}", "trainings done")]
    for name in ("miou", "pd", "fa"):
        means = [t.statistics[name].mean for t in run.trials.values() if name in t.statistics]
        means = means or [t.values[name] for t in done if name in t.values]
        best = min(means, key=OBJECTIVES[name].loss) if means else None
        word = "best mean" if run.settings.seeds > 1 else "best"
        figures.append((unit.quantity(name, best), f"{word} {unit.label(name)}, {run.settings.validation}"))
    return [*figures, (format_duration(run.seconds()), "of training")]


def facts(run: Run) -> list[tuple[str, str]]:
    """What was trained, on what, with how much, and from which revisions."""
    opened, settings, budget = run.opened, run.settings, run.settings.budget
    kept = "those of the last epoch" if settings.keep == "last" else f"the best on {settings.validate_on}"
    return [
        ("data set", opened.data.name),
        ("data revision", opened.data.revision),
        ("trained on", f"split {settings.fit_on}"),
        ("judged on", settings.validation),
        (
            "budget",
            f"{budget.epochs} epochs of batches of {budget.batch}, crops of {budget.crop} x {budget.crop} pixels",
        ),
        ("trainings", f"{settings.seeds} of each network; seeds derive from {settings.seed_of_trainings} and its key"),
        ("weights kept", kept),
        ("started from", settings.starts_from or "random weights"),
        ("loss", settings.recipe.loss),
        ("learning rate", f"{settings.recipe.lr:g}" if settings.recipe.lr else "the family's own"),
        ("metrics", f"preset {settings.preset}"),
        ("costs", f"at an input of {size_of(settings.cost_input)}"),
        ("code revision", opened.code_rev),
        ("ended", run.end_reason or "not yet, or it was killed"),
        ("versions", ", ".join(f"{n} {v}" for n, v in opened.versions.items())),
    ]


def curves(run: Run) -> go.Figure | None:
    """Validation metric and training loss over the epochs: a colour a network, a line a training; None before any."""
    trainings = [t for t in trainings_of(run) if t.trial.reports_of(t.replicate)]
    if not trainings:
        return None
    figure = make_subplots(rows=1, cols=2, horizontal_spacing=0.1)
    figure.update_layout(look.layout(height=400, hovermode="closest"))
    colours = dict(zip(run.trials, look.ramp(len(run.trials)), strict=True))
    for column, (name, title) in enumerate(
        (("miou", f"{unit.title('miou')}, {run.settings.validate_on}"), ("loss", "training loss")), 1
    ):
        figure.update_xaxes(**look.axis("epoch", tickformat="d"), col=column)
        figure.update_yaxes(**look.axis(title), col=column)
        for training in trainings:
            trace = _line(training, name, colours[training.trial.number], is_named=column == 1)
            figure.add_trace(trace, row=1, col=column)
    return figure


def _line(training: Training, name: str, colour: str, *, is_named: bool) -> go.Scatter:
    # A retried epoch counts once, as it came out last.
    values = {r.epoch: r.values[name] for r in training.trial.reports_of(training.replicate) if name in r.values}
    epochs = thin.evenly(sorted(values), thin.MAX_EPOCHS)
    which = f"{training.trial.key} {training.replicate + 1}"
    return go.Scatter(
        x=epochs,
        y=[values[epoch] * unit.scale(name) for epoch in epochs],
        mode="lines+markers",
        name=which,
        legendgroup=which,
        showlegend=is_named,
        line={"color": colour, "width": 2, "dash": _DASHES[training.replicate % len(_DASHES)]},
        marker={"size": 4},
        hovertemplate=f"{which}<br>epoch %{{x}}: %{{y:.4~g}}<extra></extra>",
    )


def reading(run: Run) -> Markup:
    """How to read the page, in HTML."""
    settings = run.settings
    seen = (
        "The images that judge were also trained on: these figures show that the trainings work, and say nothing of "
        "images that are new to the networks."
        if settings.is_validation_seen
        else "The images that judge were not trained on."
    )
    several = " Values with ± are mean and standard deviation over seeds." if settings.seeds > 1 else ""
    term = "<dt>{title}</dt><dd>{about}</dd>"
    terms = (fill(term, title=unit.title(n), about=OBJECTIVES[n].about) for n in METRICS)
    about = f"{seen}{several} What counts is a test split, which only irnas test reads."
    return fill("<p>{about}</p><dl>{terms}</dl>", about=about, terms=markup.join(terms))


def _mean(trial: Trial, name: str) -> str:
    statistics = trial.statistics.get(name)
    if statistics:
        mean, deviation = unit.figure(name, statistics.mean), unit.figure(name, statistics.deviation)
        return fill("{mean}<br><small>± {deviation}</small>", mean=mean, deviation=deviation)
    return unit.figure(name, trial.finished.result.values.get(name) if trial.finished else None)
