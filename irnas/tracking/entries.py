"""What MLflow should hold of a run: one entry for the search, one for each trial.

A metric's points are only ever added to, each at the time of the event that brought it. So a mirror that followed the
run and one that was made afterwards hold the same, and what MLflow shows as the latest value is the one that counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from irnas.core.result import Result, Status
from irnas.core.settings import trial_seed
from irnas.record.events import Closed, Event, Reported
from irnas.record.replicates import ReplicateStatistics, statistics_of
from irnas.record.run import Run
from irnas.record.trial import Trial
from irnas.report import unit

_MAX_ROWS = 20
"""Networks that the description of a run lists; its table of trials has them all."""

_ENDS = {Status.OK: "FINISHED", Status.STOPPED: "KILLED", Status.REJECTED: "KILLED", Status.FAILED: "FAILED"}

Point = tuple[str, float, int, int]
"""A metric: name, value, milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What one MLflow run should hold."""

    name: str
    start_ms: int
    end_ms: int | None
    status: str
    """RUNNING, FINISHED, FAILED or KILLED."""
    tags: Mapping[str, str]
    params: Mapping[str, str]
    points: Sequence[Point]


def entries(run: Run, *, is_live: bool = True) -> tuple[Entry, dict[int, Entry]]:
    """The entry of the search, and those of its trials by their number.

    Args:
        run: the run, as far as it has got.
        is_live: whether a run without an end is still going on; else it was killed.
    """
    end = run.turning_point
    end_ms: int | None
    if isinstance(end, Closed):
        reason, end_ms = end.reason, _ms(end)
    else:
        reason, end_ms = ("running", None) if is_live else ("killed", _ms(run.events[-1]))
    members = {r.trial for r in run.front.results}
    children = {number: _child(run, trial, end_ms, is_member=number in members) for number, trial in run.trials.items()}
    return _parent(run, reason, end_ms), children


def _parent(run: Run, reason: str, end_ms: int | None) -> Entry:
    opened = run.opened
    device = asdict(opened.device) if opened.device else {}
    tags = {
        "irnas.run": run.run_id,
        "irnas.kind": "training" if run.settings.is_training else "search",
        "irnas.uri": run.uri,
        "irnas.status": reason,
        "irnas.space": run.space.name,
        "irnas.family": run.space.family,
        "irnas.strategy": run.settings.strategy,
        "irnas.data": opened.data.name,
        "irnas.data_rev": opened.data.revision,
        "irnas.code_rev": opened.code_rev,
        **({"irnas.data_dvc": opened.data.dvc} if opened.data.dvc else {}),
        "mlflow.note.content": _note(run),
        **{f"irnas.version.{name}": text for name, text in opened.versions.items()},
        **{f"irnas.device.{name}": text for name, text in device.items()},
    }
    return Entry(
        name=run.name,
        start_ms=_ms(opened),
        end_ms=end_ms,
        status="RUNNING" if end_ms is None else _end_of(reason),
        tags={k: str(v) for k, v in tags.items()},
        params=_flat(opened.settings.document()),
        points=_growth(run),
    )


def _note(run: Run) -> str:
    """The front as it stands, in Markdown: what MLflow shows as the description of the run."""
    objectives, front = run.objectives, run.front.results
    first = objectives[0]
    best = sorted(front, key=lambda r: first.loss(r.values[first.name]))[:_MAX_ROWS]
    rows = [[o.title for o in objectives], ["---:"] * len(objectives)]
    rows += [[_figure(run, r, o.name) for o in objectives] for r in best]
    # MLflow's page leaves no room between the columns of a table.
    rows = [rows[0], rows[1], *([f"&emsp;{cell}" for cell in row] for row in rows[2:])]
    names = ["key", "---", *(f"`{r.key}`" for r in best)]
    lines = [f"| {' | '.join((name, *row))} |" for name, row in zip(names, rows, strict=True)]
    head = f"{len(front)} on the front of {run.num_done} trained networks; report.html is among the artifacts."
    if run.settings.is_training:
        head = (
            f"{run.num_done} of {len(run.trials)} networks trained in full, {run.settings.seeds} seeds each, on "
            f"{run.settings.fit_on}; figures are those on {run.settings.validation}. Below, the best of them."
        )
    return "\n".join([head, "", *lines] if front else [head])


def _figure(run: Run, result: Result, name: str) -> str:
    text, statistics = unit.figure(name, result.values[name]), run.trials[result.trial].statistics.get(name)
    return f"{text} ± {unit.figure(name, statistics.deviation)}" if statistics else text


def _child(run: Run, trial: Trial, end_ms: int | None, *, is_member: bool) -> Entry:
    tags: dict[str, str]
    if trial.finished is None:
        status, word = ("RUNNING", "running") if end_ms is None else ("KILLED", "unfinished")
        points, tags = _points(trial), {"irnas.status": word}
    else:
        result, end_ms = trial.finished.result, _ms(trial.finished)
        status = _ENDS[result.status]
        points = [*_points(trial), *_final_points(trial, result, end_ms), *_later_points(trial, end_ms)]
        tags = {"irnas.status": str(result.status), "irnas.front": str(is_member).lower()}
        tags |= {f"irnas.{name}": text for name, text in (("error", result.error), ("note", result.note)) if text}
        tags |= _trainings(trial.statistics, [o.name for o in run.objectives])
    genotype = trial.proposal.genotype
    seed = trial_seed(run.settings.seed_of_trainings, genotype.key)
    base = {
        "irnas.run": run.run_id,
        "irnas.kind": "trial",
        "irnas.trial": str(trial.number),
        "irnas.key": genotype.key,
        "irnas.family": genotype.family,
        "irnas.origin": trial.proposal.origin,
        "irnas.front": "false",
        "irnas.data_rev": run.opened.data.revision,
        "irnas.code_rev": run.opened.code_rev,
    }
    return Entry(
        name=f"{trial.number:03d} {genotype.key}",
        start_ms=_ms(trial.proposed),
        end_ms=end_ms,
        status=status,
        tags={**base, **tags},
        params={**{k: str(v) for k, v in genotype.values.items()}, "seed": str(seed)},
        points=points,
    )


def _trainings(statistics: Mapping[str, ReplicateStatistics], objectives: Sequence[str]) -> dict[str, str]:
    """How often a network was trained, and how far its trainings lie from each other; nothing after a single one."""
    if not statistics:
        return {}
    deviations = {f"irnas.deviation.{n}": f"{statistics[n].deviation:.4g}" for n in objectives if n in statistics}
    return {"irnas.trainings": str(next(iter(statistics.values())).num), **deviations}


def _points(trial: Trial) -> list[Point]:
    """The costs of a trial's network and its learning curve; of an epoch that was trained twice, as it came first."""
    points = [(name, float(value), _ms(trial.proposed), 0) for name, value in trial.proposal.costs.items()]
    for replicate in (0, *trial.replicate_reports):
        first: dict[int, Reported] = {}
        for report in trial.reports_of(replicate):
            first.setdefault(report.epoch, report)
        # The slash makes a section of its own of a further training on MLflow's page.
        section = f"training_{replicate + 1}/" if replicate else ""
        points += [(section + n, float(v), _ms(e), e.epoch) for e in first.values() for n, v in e.values.items()]
    return points


def _final_points(trial: Trial, result: Result, end_ms: int) -> list[Point]:
    """The values of record, where the curve does not end in them."""
    known = {(name, value, step) for name, value, _, step in _points(trial)}
    final = {n: v for n, v in result.values.items() if not known & {(n, v, 0), (n, v, result.epochs)}}
    return [(name, float(v), end_ms, result.epochs) for name, v in {**final, "seconds": result.seconds}.items()]


def _later_points(trial: Trial, end_ms: int) -> list[Point]:
    """What a trial's run is told after its end: the mean of its trainings after each further one, its speed alone.

    A further training may have ended before the first; its mean is nevertheless the later point, and the one to show.
    """
    assert trial.finished is not None
    result, points = trial.finished.result, list[Point]()
    trainings = [result.values]
    # From random weights, those of a network with heritage are no trainings like its own.
    is_alike = result.status is Status.OK and result.heritage is None
    for number, repeated in enumerate(trial.replicates if is_alike else (), 1):
        trainings.append(repeated.values)
        at_ms = max(_ms(repeated), end_ms + number)
        points += [(n, s.mean, at_ms, result.epochs) for n, s in statistics_of(trainings).items()]
    if trial.measured:
        points.append(("latency_alone_ms", trial.measured.ms_min, _ms(trial.measured), 0))
    return points


def _growth(run: Run) -> list[Point]:
    """Hypervolume and size of the front after each trial that was trained to the end, and the baselines.

    A network that is trained once more moves the front without a further trial, so the last step may have more points
    than one; the latest counts.
    """
    points: list[Point] = []
    for step in () if run.settings.is_training else run.growth:
        at_ms = int(step.t * 1000)
        points.append(("hypervolume", step.front.hypervolume(run.bounds), at_ms, step.num_done))
        points.append(("front_size", float(len(step.front.results)), at_ms, step.num_done))
    # The slash makes a section of its own of them on MLflow's page, below the two above.
    metrics = [o.name for o in run.objectives if not o.is_free]
    for name, values in run.opened.baselines.items():
        points += [(f"baseline/{n}_{name}", float(values[n]), _ms(run.opened), 0) for n in metrics if n in values]
    return points


def _end_of(reason: str) -> str:
    """MLflow's status for why a search was closed; an exception is recorded as "Name: text"."""
    if reason in ("interrupted", "killed"):
        return "KILLED"
    name, colon, _ = reason.partition(":")
    return "FAILED" if colon and name.isidentifier() else "FINISHED"


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as parameters: {"budget.epochs": "20"}."""
    params: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            params |= _flat(value, f"{prefix}{name}.")
        else:
            params[prefix + name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return params


def _ms(event: Event) -> int:
    return int(event.t * 1000)
