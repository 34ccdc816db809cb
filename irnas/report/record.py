"""A run as a report reads it: everything here is derived from the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnas import storage
from irnas.core.front import Bounds, Front
from irnas.core.objective import Objective
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.space import MEMBER, Genotype, Space, Value
from irnas.record import ledger, replicates
from irnas.record.ledger import Event
from irnas.record.replicates import ReplicateStatistics
from irnas.report import look, unit

BASELINES = "baselines"
"""The folder of a run for what `irnas baseline -o` writes."""

INACTIVE = "-"
"""Stands for the value of an axis that does not exist in a genotype."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One run: its opening, its trials and its front."""

    uri: str
    opened: Event
    events: Sequence[Event]
    settings: SearchSettings
    objectives: tuple[Objective, ...]
    space: Space
    """The space that was searched."""
    results: tuple[Result, ...]
    """Finished trials in the order in which they finished."""
    front: Front
    bounds: Bounds
    replicate_statistics: Mapping[str, Mapping[str, ReplicateStatistics]]
    """Key to metric to its spread, of networks that were trained with several seeds; ``results`` hold the means."""

    @classmethod
    def read(cls, uri: str) -> Record:
        """The run at ``uri``.

        Raises:
            SettingsError: there is no run.
            FormatError: its ledger is damaged, or newer than this program.
        """
        opened, events = ledger.opening(uri)
        settings = SearchSettings.from_document(opened["settings"])
        objectives = settings.objectives
        found = replicates.replicate_statistics(events)
        results = tuple(replicates.with_replicate_means(ledger.results(events), found))
        return cls(
            uri=uri,
            opened=opened,
            events=tuple(events),
            settings=settings,
            objectives=objectives,
            space=Space.from_document(opened["space"]),
            results=results,
            front=Front.of(results, objectives),
            replicate_statistics=found,
            bounds={name: (float(best), float(worst)) for name, (best, worst) in opened["bounds"].items()},
        )

    def figure(self, result: Result, name: str) -> str:
        """A value of a result as people read it, with its deviation where the network was trained several times."""
        shown, found = (
            unit.figure(name, result.values.get(name)),
            self.replicate_statistics.get(result.key, {}).get(name),
        )
        return f"{shown} ± {unit.figure(name, found.deviation)} ({found.num})" if found else shown

    @property
    def name(self) -> str:
        """The last part of the URI."""
        return self.uri.rstrip("/").rsplit("/", 1)[-1]

    @property
    def done(self) -> tuple[Result, ...]:
        """The trials that were trained to the end; only they can be compared."""
        return tuple(r for r in self.results if r.status is Status.OK)

    @property
    def winners(self) -> tuple[Result, ...]:
        """The front, from the cheapest (or, without a cost, the worst) to the dearest by the first such objective."""
        key = next((o for o in self.objectives if o.is_free), self.objectives[0])
        order = key.loss if key.is_free else float
        return tuple(sorted(self.front.results, key=lambda r: (order(r.values[key.name]), r.key)))

    @property
    def families(self) -> dict[str, str]:
        """Name of each space of a search over several, to its colour; empty for a search of one."""
        return {member.name: look.SERIES[i % len(look.SERIES)] for i, member in enumerate(self.space.members)}

    @property
    def colours(self) -> list[str]:
        """A colour for each of the winners: that of its family, or, in a search of one, from dark to light by cost."""
        families, winners = self.families, self.winners
        return [families[r.genotype.space] for r in winners] if families else look.ramp(len(winners))

    @property
    def device(self) -> Mapping[str, Any] | None:
        """The device whose speed counted, as ``irnas.deploy.device`` describes it; None where speed did not count."""
        return self.opened.get("device")

    @property
    def alone(self) -> dict[str, Event]:
        """Key to the event of its measurement after the search, when nothing ran beside it."""
        return {e["key"]: e for e in self.events if e["kind"] == "measured"}

    @property
    def speed(self) -> str:
        """The runtime objective in which speeds are told: the run's first, else the latency."""
        return next((o.name for o in self.objectives if o.kind == "runtime"), "latency_ms")

    def speed_alone(self, key: str) -> float | None:
        """The speed of a network with nothing beside it, in the unit of ``speed``; None where it was not measured."""
        if key not in self.alone:
            return None
        ms = float(self.alone[key]["ms_min"])
        return 1000 / ms if self.speed == "fps" else ms

    @property
    def baselines(self) -> Mapping[str, Mapping[str, float]]:
        """What needs no network: name to metric to value, those that `irnas baseline` left in the run among them."""
        found: dict[str, Mapping[str, float]] = dict(self.opened.get("baselines", {}))
        folder = Path(self.uri) / BASELINES if storage.is_local(self.uri) else None
        for path in sorted(folder.glob("*.json")) if folder else ():
            judged = json.loads(path.read_text(encoding="utf-8"))
            # Figures of other images say nothing beside those of this run.
            if (judged["data_rev"], judged["split"]) == (self.opened["data_rev"], "val"):
                found[judged["title"]] = judged["metrics"]
        return found

    def hypervolume(self) -> float:
        """The share, 0..1, of the run's objective box that the front dominates."""
        return self.front.hypervolume(self.bounds)

    def growth(self) -> list[float]:
        """The hypervolume after each trial that was trained to the end."""
        front, shares = Front.of((), self.objectives), list[float]()
        for result in self.done:
            # The front of a front and one more point is the front of all.
            front = Front.of((*front.results, result), self.objectives)
            shares.append(front.hypervolume(self.bounds))
        return shares

    def seconds(self) -> float:
        """Wall-clock seconds in which the search was up, without the pauses between an end and a resumption."""
        total, previous = 0.0, None
        for event in self.events:
            if previous is not None and event["kind"] != "resumed":
                total += max(event["t"] - previous, 0.0)
            previous = event["t"]
        return total

    def unfinished(self) -> dict[int, Event]:
        """The proposals without a result, by trial."""
        finished = {r.trial for r in self.results}
        return {e["trial"]: e for e in self.events if e["kind"] == "proposed" and e["trial"] not in finished}

    def curves(self) -> dict[int, dict[int, Mapping[str, float]]]:
        """Trial to epoch to values. A retried epoch counts once, as it came out last."""
        found: dict[int, dict[int, Mapping[str, float]]] = {}
        for event in self.events:
            if event["kind"] == "reported":
                found.setdefault(event["trial"], {})[event["epoch"]] = event["values"]
        return found

    def origins(self) -> dict[int, str]:
        """Trial to who proposed it: a sampler, or a published design."""
        return {e["trial"]: str(e.get("origin", "")) for e in self.events if e["kind"] == "proposed"}


def differing(genotypes: Sequence[Genotype], space: Space) -> list[str]:
    """The axes, in the space's order, on which the genotypes do not all agree."""
    points = [space.values_of(g) for g in genotypes]
    known = [p.name for p in space.params]
    # A published design may use an axis that the search held out.
    known += sorted({axis for values in points for axis in values} - set(known))
    held = {p.name for p in space.params if len(p.values) == 1}

    def differs(axis: str) -> bool:
        marks = {_mark(values[axis]) for values in points if axis in values}
        # Where an axis that a search holds exists or not follows from its parent, which is shown.
        is_partial = axis not in held and any(axis not in values for values in points)
        return len(marks) > 1 or (bool(marks) and is_partial)

    return [axis for axis in known if differs(axis)]


def choice(genotype: Genotype, axis: str) -> str:
    """The value of an axis as text; a dash where the axis does not exist. ``biisnet.base`` is the base of biisnet."""
    member, _, name = axis.rpartition(".")
    if axis == MEMBER:
        return genotype.space
    is_there = name in genotype.values and member in ("", genotype.space)
    return str(genotype.values[name]) if is_there else INACTIVE


def grouped(axes: Sequence[str]) -> dict[str, list[str]]:
    """Axes by what they are called together: ``growth0``, ``growth1`` and ``growth2`` are ``growth``."""
    stems: dict[str, list[str]] = {}
    for axis in axes:
        stems.setdefault(axis.rstrip("0123456789"), []).append(axis)
    # An axis that merely ends in a digit keeps its name.
    return {stem if len(members) > 1 else members[0]: members for stem, members in stems.items()}


def choices(genotype: Genotype, axes: Sequence[str]) -> str:
    """The values of axes that are shown together: ``2/2/1``."""
    return "/".join(choice(genotype, axis) for axis in axes)


def phrases(genotype: Genotype, axes: Sequence[str]) -> list[str]:
    """The axes that exist in the genotype with their values: ``["base=8", "growth=2/2/1"]``."""
    names = grouped(axes).items()
    there = ((name, m) for name, m in names if any(choice(genotype, axis) != INACTIVE for axis in m))
    return [f"{name.rpartition('.')[2]}={choices(genotype, m)}" for name, m in there]


def _mark(value: Value) -> tuple[str, Value]:
    # True is not 1.
    return type(value).__name__, value
