"""What MLflow should hold of a run, computed from its events: one entry for the search, one for each trial.

A metric's points are only ever added to, each at the time of the event that brought it. So a mirror that followed the
run and one that was made afterwards hold the same, and what MLflow shows as the latest value is the one that counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from irnas.core.front import Front
from irnas.core.objective import parse
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, trial_seed
from irnas.core.space import Genotype
from irnas.record import ledger, replicates
from irnas.record.ledger import Event
from irnas.report import unit

_MAX_ROWS = 20
"""Networks that the description of a run lists; its table of trials has them all."""

_ENDS = {Status.OK: "FINISHED", Status.STOPPED: "KILLED", Status.REJECTED: "KILLED", Status.FAILED: "FAILED"}

StatisticsByKey = Mapping[str, Mapping[str, replicates.ReplicateStatistics]]
"""Key to metric to its spread over several trainings."""

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


def entries(events: Sequence[Event], uri: str, *, is_live: bool = True) -> tuple[Entry, dict[int, Entry]]:
    """The entry of the search, and those of its trials by their number.

    Args:
        events: the ledger of the run; the first is its opening.
        uri: the run.
        is_live: whether a run without an end is still going on; else it was killed.
    """
    opened, last = events[0], events[-1]
    turn = next(e for e in reversed(events) if e["kind"] in ("opened", "resumed", "closed"))
    is_closed = turn["kind"] == "closed"
    reason = str(turn["reason"]) if is_closed else ("running" if is_live else "killed")
    end_ms = _ms(turn) if is_closed else (None if is_live else _ms(last))
    replicate_statistics = replicates.replicate_statistics(events)
    found = replicates.with_replicate_means(ledger.results(events), replicate_statistics)
    settings, data = opened["settings"], opened["data"]
    tags = {
        "irnas.run": identity(opened),
        "irnas.kind": "search",
        "irnas.uri": uri,
        "irnas.status": reason,
        "irnas.space": opened["space"]["name"],
        "irnas.family": opened["space"]["family"],
        "irnas.strategy": SearchSettings.from_document(settings).strategy,
        "irnas.data": data["name"],
        "irnas.data_rev": opened["data_rev"],
        "irnas.code_rev": opened["code_rev"],
        **({"irnas.data_dvc": data["dvc"]} if data.get("dvc") else {}),
        "mlflow.note.content": _note(opened, found, replicate_statistics),
        **{f"irnas.version.{name}": found for name, found in opened.get("versions", {}).items()},
        **{f"irnas.device.{name}": found for name, found in opened.get("device", {}).items()},
    }
    parent = Entry(
        name=uri.rstrip("/").rsplit("/", 1)[-1],
        start_ms=_ms(opened),
        end_ms=end_ms,
        status="RUNNING" if end_ms is None else _end_of(reason),
        tags={k: str(v) for k, v in tags.items()},
        params=_flat(settings),
        points=_growth(events),
    )
    return parent, _children(events, found, replicate_statistics, end_ms)


def _note(opened: Event, found: Sequence[Result], replicate_statistics: StatisticsByKey) -> str:
    """The front as it stands, in Markdown: what MLflow shows as the description of the run."""
    objectives = parse(opened["settings"]["objectives"])
    front = Front.of(found, objectives).results
    first = objectives[0]
    best = sorted(front, key=lambda r: first.loss(r.values[first.name]))[:_MAX_ROWS]
    rows = [[unit.title(o.name) for o in objectives], ["---:"] * len(objectives)]
    rows += [[_figure(r, o.name, replicate_statistics) for o in objectives] for r in best]
    # MLflow's page leaves no room between the columns of a table.
    rows = [rows[0], rows[1], *([f"&emsp;{cell}" for cell in row] for row in rows[2:])]
    names = ["key", "---", *(f"`{r.key}`" for r in best)]
    lines = [f"| {' | '.join((name, *row))} |" for name, row in zip(names, rows, strict=True)]
    trained = sum(r.status is Status.OK for r in found)
    head = f"{len(front)} on the front of {trained} trained networks; report.html is among the artifacts."
    return "\n".join([head, "", *lines] if front else [head])


def _figure(result: Result, name: str, replicate_statistics: StatisticsByKey) -> str:
    shown, found = unit.figure(name, result.values[name]), replicate_statistics.get(result.key, {}).get(name)
    return f"{shown} ± {unit.figure(name, found.deviation)}" if found else shown


def identity(opened: Event) -> str:
    """What names a run wherever its folder goes: 16 hex digits of its opening event."""
    return hashlib.sha256(json.dumps(opened, sort_keys=True).encode()).hexdigest()[:16]


def _children(
    events: Sequence[Event], found: Sequence[Result], replicate_statistics: StatisticsByKey, end_ms: int | None
) -> dict[int, Entry]:
    opened = events[0]
    objectives = parse(opened["settings"]["objectives"])
    members = {r.trial for r in Front.of(found, objectives).results}
    finished = {e["result"]["trial"]: e for e in events if e["kind"] == "finished"}
    proposals: dict[int, Event] = {}
    reports: dict[int, dict[int, Event]] = {}
    for event in events:
        if event["kind"] == "proposed":
            # A search that goes on after a kill may propose a trial again; it began when it was first proposed.
            proposals.setdefault(event["trial"], event)
        elif event["kind"] == "reported":
            # A trial that lost its worker tells of some epochs twice.
            reports.setdefault(event["trial"], {}).setdefault(event["epoch"], event)
    later = _later(events, finished)
    children = {}
    for trial, proposal in proposals.items():
        curve = list(reports.get(trial, {}).values())
        if trial in finished:
            result = Result.from_document(finished[trial]["result"])
            entry = _ended(opened, proposal, curve, result, _ms(finished[trial]), is_member=trial in members)
            tags = {**entry.tags, **_trainings(replicate_statistics.get(result.key, {}), [o.name for o in objectives])}
            entry = replace(entry, tags=tags, points=(*entry.points, *later.get(trial, ())))
        else:
            status, word = ("RUNNING", "running") if end_ms is None else ("KILLED", "unfinished")
            entry = _trial(opened, proposal, _points(proposal, curve), status, end_ms, {"irnas.status": word})
        children[trial] = entry
    return children


def _trainings(known: Mapping[str, replicates.ReplicateStatistics], objectives: Sequence[str]) -> dict[str, str]:
    """How often a network was trained, and how far its trainings lie from each other; nothing after a single one."""
    if not known:
        return {}
    deviations = {f"irnas.deviation.{n}": f"{known[n].deviation:.4g}" for n in objectives if n in known}
    return {"irnas.trainings": str(next(iter(known.values())).num), **deviations}


def _later(events: Sequence[Event], finished: Mapping[int, Event]) -> dict[int, list[Point]]:
    """What a trial's run is told after its end: the mean of its trainings after each further one, its speed alone."""
    points: dict[int, list[Point]] = {}
    trainings: dict[int, list[Event]] = {}
    for event in events:
        if event["kind"] == "repeated":
            first = finished[event["trial"]]
            trainings.setdefault(event["trial"], [first]).append(event)
            (means,) = replicates.replicate_statistics(trainings[event["trial"]]).values()
            epochs = int(first["result"]["epochs"])
            points.setdefault(event["trial"], []).extend((n, s.mean, _ms(event), epochs) for n, s in means.items())
        elif event["kind"] == "measured" and event["trial"] in finished:
            points.setdefault(event["trial"], []).append(("latency_alone_ms", float(event["ms_min"]), _ms(event), 0))
    return points


def _ended(
    opened: Event, proposal: Event, curve: Sequence[Event], result: Result, end_ms: int, *, is_member: bool
) -> Entry:
    """The entry of a trial with a result: its curve, and the values of record where the curve does not end in them."""
    points = _points(proposal, curve)
    known = {(name, value, step) for name, value, _, step in points}
    final = {n: v for n, v in result.values.items() if not known & {(n, v, 0), (n, v, result.epochs)}}
    points += [(name, float(v), end_ms, result.epochs) for name, v in {**final, "seconds": result.seconds}.items()]
    tags = {"irnas.status": str(result.status), "irnas.front": str(is_member).lower()}
    tags |= {f"irnas.{name}": text for name, text in (("error", result.error), ("note", result.note)) if text}
    return _trial(opened, proposal, points, _ENDS[result.status], end_ms, tags)


def _trial(
    opened: Event, proposal: Event, points: Sequence[Point], status: str, end_ms: int | None, tags: Mapping[str, str]
) -> Entry:
    genotype, trial = Genotype.from_document(proposal["genotype"]), proposal["trial"]
    seed = trial_seed(SearchSettings.from_document(opened["settings"]).seed_of_trainings, genotype.key)
    base = {
        "irnas.run": identity(opened),
        "irnas.kind": "trial",
        "irnas.trial": str(trial),
        "irnas.key": genotype.key,
        "irnas.family": genotype.family,
        "irnas.origin": str(proposal.get("origin", "")),
        "irnas.front": "false",
        "irnas.data_rev": str(opened["data_rev"]),
        "irnas.code_rev": str(opened["code_rev"]),
    }
    return Entry(
        name=f"{trial:03d} {genotype.key}",
        start_ms=_ms(proposal),
        end_ms=end_ms,
        status=status,
        tags={**base, **tags},
        params={**{k: str(v) for k, v in genotype.values.items()}, "seed": str(seed)},
        points=points,
    )


def _points(proposal: Event, curve: Sequence[Event]) -> list[Point]:
    costs = [(name, float(value), _ms(proposal), 0) for name, value in proposal["costs"].items()]
    return costs + [(n, float(v), _ms(e), int(e["epoch"])) for e in curve for n, v in e["values"].items()]


def _growth(events: Sequence[Event]) -> list[Point]:
    """Hypervolume and size of the front after each trial that was trained to the end, and the baselines.

    A network that is trained once more moves the front without a further trial, so the last step may have more points
    than one; the latest counts.
    """
    opened = events[0]
    objectives = parse(opened["settings"]["objectives"])
    bounds = {name: (float(best), float(worst)) for name, (best, worst) in opened["bounds"].items()}
    front, done, points = Front.of((), objectives), list[Result](), list[Point]()
    for index, event in enumerate(events):
        if event["kind"] == "finished" and event["result"]["status"] == Status.OK:
            done.append(Result.from_document(event["result"]))
            front = Front.of((*front.results, done[-1]), objectives)
        elif event["kind"] == "repeated":
            front = Front.of(
                replicates.with_replicate_means(done, replicates.replicate_statistics(events[: index + 1])), objectives
            )
        else:
            continue
        points.append(("hypervolume", front.hypervolume(bounds), _ms(event), len(done)))
        points.append(("front_size", float(len(front.results)), _ms(event), len(done)))
    # The slash makes a section of its own of them on MLflow's page, below the two above.
    shown = [o.name for o in objectives if not o.is_free]
    for name, values in opened.get("baselines", {}).items():
        points += [(f"baseline/{n}_{name}", float(values[n]), _ms(opened), 0) for n in shown if n in values]
    return points


def _end_of(reason: str) -> str:
    """MLflow's status for why a search was closed; an exception is recorded as "Name: text"."""
    if reason in ("interrupted", "killed"):
        return "KILLED"
    name, colon, _ = reason.partition(":")
    return "FAILED" if colon and name.isidentifier() else "FINISHED"


def _flat(document: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested settings as parameters: {"budget.epochs": "20"}."""
    found: dict[str, str] = {}
    for name, value in document.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return found


def _ms(event: Event) -> int:
    return int(event["t"] * 1000)
