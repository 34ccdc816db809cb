"""The parts of the page that are text: the facts of the run, the table of winners, and what went wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from irnas.core.recipe import DEFAULT, OWN
from irnas.core.result import Status
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype
from irnas.core.text import format_duration, format_si
from irnas.record.events import Device
from irnas.record.run import Run
from irnas.report import markup, order, thin, training, unit
from irnas.report.markup import Markup, code, fill, wrapped
from irnas.report.network import choice, choices, colours_of, differing, families_of, figure_of, grouped, phrases
from irnas.report.published import size_of
from irnas.report.requirements import describe_requirements

_MORE = ("miou", "niou", "f1", "pd", "fa", "ops", "params", "bytes", "fps", "latency_ms")
"""What the table of winners shows beside the objectives, where it was measured."""
_LOSSES = {DEFAULT: "the family's default", OWN: "that of the family's paper"}


def cards(run: Run) -> Markup:
    """The run in a few figures."""
    return _cards(training.cards(run) if run.settings.is_training else _figures(run))


def _cards(figures: Sequence[tuple[str, str]]) -> Markup:
    card = '<div class="card"><b>{value}</b><span>{text}</span></div>'
    boxes = (fill(card, value=value, text=text) for value, text in figures)
    return fill('<div class="cards">{boxes}</div>', boxes=markup.join(boxes))


def _figures(run: Run) -> list[tuple[str, str]]:
    """A search in a few figures, each with what it is."""
    figures = [
        (str(len(run.done)), "trials trained to the end"),
        (str(len(run.winners)), "of them on the front"),
        (_percent(100 * run.hypervolume()), "hypervolume of the box"),
    ]
    for objective in run.objectives:
        values = [r.values[objective.name] for r in run.done]
        best = min(values, key=objective.loss) if values else None
        word = "best" if objective.goal == "max" else "lowest"
        figures.append((unit.quantity(objective.name, best), f"{word} {unit.label(objective.name)}"))
    return [*figures, (format_duration(run.seconds()), "of searching")]


def facts(run: Run) -> Markup:
    """What was done, on what, with how much, and from which revisions."""
    pairs = training.facts(run) if run.settings.is_training else _facts(run)
    pairs += [(f"baseline: {name.replace('_', ' ')}", metrics(values)) for name, values in run.baselines.items()]
    lines = (fill("<dt>{name}</dt><dd>{text}</dd>", name=name, text=text) for name, text in pairs)
    return fill("<dl>{lines}</dl>", lines=markup.join(lines))


def _facts(run: Run) -> list[tuple[str, str]]:
    opened, settings, budget = run.opened, run.settings, run.settings.budget
    varied = sum(len(p.values) > 1 for p in run.space.params)
    limits = ", ".join(f"{unit.label(n)} ≤ {unit.quantity(n, v)}" for n, v in settings.limits.items())
    return [
        ("search space", f"{run.space.name}, family {run.space.family}"),
        ("networks in it", f"{format_si(run.space.count())} over {varied} varied axes"),
        ("data set", opened.data.name),
        ("data revision", opened.data.revision),
        (
            "budget",
            f"{budget.epochs} epochs of batches of {budget.batch}, crops of {budget.crop} x {budget.crop} pixels",
        ),
        ("loss", _LOSSES.get(settings.recipe.loss, settings.recipe.loss)),
        ("learning rate", f"{settings.recipe.lr:g}" if settings.recipe.lr else "the family's own"),
        ("strategy", f"{settings.strategy}, {spending(settings)}"),
        ("run seed", f"{settings.seed}; each trial's derives from {settings.seed_of_trainings} and its key"),
        ("metrics", f"preset {settings.preset}, on the validation split"),
        ("costs", f"at an input of {size_of(settings.cost_input)}"),
        ("limits", limits or "none"),
        *((("required", describe_requirements(run).removeprefix("required: ")),) if run.requirements else ()),
        *((("speed", device_of(run.opened.device)),) if run.opened.device else ()),
        ("code revision", opened.code_rev),
        ("ended", _ending(run)),
        ("versions", ", ".join(f"{n} {v}" for n, v in opened.versions.items())),
    ]


def spending(settings: SearchSettings) -> str:
    """What a search was to spend, in words."""
    what = "full trainings' worth of epochs" if settings.is_multi_fidelity else "networks"
    return f"{settings.trials} {what}" + (
        f", at most {settings.budget_limit} of training" if settings.budget_limit else ""
    )


def device_of(device: Device) -> str:
    """Whose speed counted and how it is known, in a sentence."""
    how = f"predicted from the profile {device.revision}" if device.predicted else "measured during the search"
    threads = f"{device.threads} thread{'s' if device.threads > 1 else ''}"
    return f"of {device.name} ({device.cpu}, kernels {device.kernels or 'none'}, {threads}), {how}"


def metrics(values: Mapping[str, float]) -> str:
    """The usual metrics among ``values`` in a sentence."""
    return ", ".join(f"{unit.label(n)} {unit.quantity(n, values[n])}" for n in _MORE if n in values)


def winners(run: Run) -> Markup:
    """The front as a table: objectives, other metrics, and the axes that differ."""
    results = run.winners
    axes, aims = differing([r.genotype for r in results], run.space), [o.name for o in run.objectives]
    more = [n for n in _MORE if n in results[0].values and n not in aims]
    # The axes of one family are no columns for another.
    groups, measured = {"choices": axes} if families_of(run) else grouped(axes), run.measured
    has_notes = any(r.note for r in results)
    head = [
        ("", True),
        ("key", True),
        *((unit.title(n), False) for n in (*aims, *more)),
        *(((f"{unit.title(run.speed)} alone", False),) if measured else ()),
        ("epochs", False),
        ("time", False),
        ("trial", False),
        ("proposed by", True),
        *((name, True) for name in groups),
        *((("note", True),) if has_notes else ()),
    ]
    rows = []
    numbered = list(enumerate(zip(results, colours_of(run), strict=True), 1))
    for number, (result, colour) in thin.evenly(numbered, thin.MAX_WINNERS):
        rows.append(
            [
                markup.join([chip(colour), number]),
                code(result.key),
                *(_folded(figure_of(run, result, n)) for n in (*aims, *more)),
                *((unit.figure(run.speed, run.measured_speed(result.key)),) if measured else ()),
                result.epochs,
                format_duration(result.seconds),
                result.trial,
                run.trials[result.trial].proposal.origin,
                *_choices(result.genotype, groups, is_mixed=bool(families_of(run))),
                *((result.note,) if has_notes else ()),
            ]
        )
    return markup.join(
        [table(head, rows), _more(len(rows), len(results), "networks"), _timing(run), _shared(run, axes)]
    )


def _timing(run: Run) -> Markup:
    """What the times of networks alone are of, and where their order is not that of their operations."""
    texts = filter(None, (order.describe_timing(run), order.describe_disagreement(run)))
    return markup.join(fill('<p class="note">{text}.</p>', text=text[0].upper() + text[1:]) for text in texts)


def _more(listed: int, total: int, what: str) -> Markup:
    """Where the rest of a list is."""
    if listed == total:
        return Markup()
    text = f"{listed} of {total} {what} are listed; results.parquet and irnas front --all have all of them."
    return fill('<p class="note">{text}</p>', text=text)


def _percent(value: float) -> str:
    return f"{value:.1f} %" if value >= 1 or not value else f"{value:.2g} %"


def _folded(figure: str) -> Markup:
    """A mean with its deviation below it, for a table that has many columns."""
    mean, sign, rest = figure.partition(" ± ")
    return fill("{mean}<br><small>± {rest}</small>", mean=mean, rest=rest) if sign else markup.escape(mean)


def _choices(genotype: Genotype, groups: Mapping[str, Sequence[str]], *, is_mixed: bool) -> list[str]:
    if is_mixed:
        return [" ".join(phrases(genotype, groups["choices"]))]
    return [choices(genotype, members) for members in groups.values()]


def failures(run: Run) -> Markup:
    """How many trials did not count, and why the failed ones failed."""
    counts = {s: sum(r.status is s for r in run.results) for s in Status}
    retried = [retry for trial in run.trials.values() for retry in trial.retries]
    text = (
        f"Rejected for their cost before training: {counts[Status.REJECTED]}. Stopped early: {counts[Status.STOPPED]}. "
        f"Failed: {counts[Status.FAILED]}. Begun without an end: {len(run.open_trials)}. Retries: {len(retried)}."
    )
    if run.settings.is_training:
        text = f"Trainings that failed: {counts[Status.FAILED]}. Retries after a worker was lost: {len(retried)}."
    causes = [(r.trial, r.key, "failed", r.error) for r in run.results if r.status is Status.FAILED]
    causes += [(e.trial, "", "retried", e.error) for e in retried]
    paragraph = fill("<p>{text}</p>", text=text)
    if not causes:
        return paragraph
    listed = thin.evenly(sorted(causes, key=lambda row: (row[0], row[2])), thin.MAX_ROWS)
    rows = [[trial, code(key), what, wrapped(thin.cut(why))] for trial, key, what, why in listed]
    head = [("trial", False), ("key", True), ("what", True), ("why", True)]
    return markup.join([paragraph, table(head, rows), _more(len(rows), len(causes), "of them")])


def chip(colour: str, *, is_round: bool = True) -> Markup:
    """A dot, or a square, of that colour."""
    corner = "" if is_round else ";border-radius:2px"
    return fill('<span class="chip" style="background:{colour}{corner}"></span>', colour=colour, corner=corner)


def table(head: Sequence[tuple[str, bool]], rows: Sequence[Sequence[object]]) -> Markup:
    """A table; ``head`` says of each column its name and whether it is text. Cells are escaped unless they are HTML."""
    kinds = [Markup(' class="text"' if is_text else "") for _, is_text in head]

    def line(tag: str, cells: Sequence[object]) -> Markup:
        cell = f"<{tag}{{kind}}>{{cell}}</{tag}>"
        inside = (fill(cell, kind=kind, cell=each) for kind, each in zip(kinds, cells, strict=True))
        return fill("<tr>{inside}</tr>", inside=markup.join(inside))

    body = markup.join([line("th", [name for name, _ in head]), *(line("td", row) for row in rows)])
    return fill('<div class="scroll"><table>{body}</table></div>', body=body)


def _shared(run: Run, axes: Sequence[str]) -> Markup:
    first = run.winners[0].genotype
    same = ", ".join(f"{axis}={choice(first, axis)}" for axis in run.space.values_of(first) if axis not in axes)
    if not same:
        return Markup()
    return fill("<details><summary>What they have in common</summary><p>{same}</p></details>", same=code(same))


def _ending(run: Run) -> str:
    return run.end_reason or "not yet, or it was killed"
