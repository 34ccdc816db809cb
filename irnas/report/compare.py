"""Several searches against each other: their fronts in one box, what each holds of the joint front, what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irnas.core.errors import SettingsError
from irnas.core.front import Bounds, Front
from irnas.core.objective import Objective
from irnas.core.result import Result
from irnas.core.text import format_duration
from irnas.record.run import Run

ABSENT = "-"
"""Stands for a setting that a run does not have."""
_OF_VALUES = ("data revision", "validate_on", "preset", "cost_input")
"""Where these differ, equal values do not mean the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One of the runs, by the objectives that all of them have."""

    run: Run
    front: tuple[Result, ...]
    """By those objectives; from the best to the worst by the first cost."""
    num_joint: int
    """How many of it no network of any run beats."""
    hypervolume: float | None
    """The share, 0..1, of the common box that it dominates; None where the runs' values do not mean the same."""

    @property
    def best(self) -> dict[str, float]:
        """The best value of each metric on the front."""
        metrics = [objective for objective in self.run.objectives if not objective.is_free]
        return {o.name: min((r.values[o.name] for r in self.front), key=o.loss) for o in metrics if self.front}

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "run": self.run.uri,
            "trained": len(self.run.done),
            "front": [{"key": result.key, "values": dict(result.values)} for result in self.front],
            "on_joint_front": self.num_joint,
            "hypervolume": self.hypervolume,
            "best": self.best,
            "epochs": self.run.tally.epochs,
            "seconds": self.run.seconds(),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two or more searches beside each other."""

    objectives: tuple[Objective, ...]
    """Those that all runs have."""
    box: Bounds
    """What spans the boxes of all runs, and all of their fronts."""
    sides: tuple[Side, ...]
    differing: Mapping[str, tuple[str, ...]]
    """Setting to its value in each run, where they are not all alike."""
    obstacle: str
    """Why the hypervolumes cannot be compared; empty where they can."""

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {
            "objectives": [objective.name for objective in self.objectives],
            "box": {name: list(ends) for name, ends in self.box.items()},
            "runs": [side.document() for side in self.sides],
            "differing": {name: list(values) for name, values in self.differing.items()},
            "obstacle": self.obstacle,
        }


def compare(runs: Sequence[Run]) -> Comparison:
    """Set searches beside each other.

    Raises:
        SettingsError: fewer than two, twice the same, a training among them, or no objective that all of them have.
    """
    _require_searches(runs)
    shared = [o for o in runs[0].objectives if all(o in run.objectives for run in runs)]
    if not shared:
        names = "; ".join(", ".join(o.name for o in run.objectives) for run in runs)
        raise SettingsError(f"compare: got runs for {names}; must have an objective in common")
    differing = _differing(runs)
    obstacle = _obstacle(differing)
    fronts = [Front.of(run.done, shared, run.requirements) for run in runs]
    box = _box(runs, fronts, shared)
    everybody = [_losses(result, shared) for front in fronts for result in front.results]
    key = next((o for o in shared if o.is_free), shared[0])
    sides = tuple(
        Side(
            run=run,
            front=tuple(sorted(front.results, key=lambda r: (key.loss(r.values[key.name]), r.key))),
            num_joint=sum(not _is_beaten(_losses(result, shared), everybody) for result in front.results),
            hypervolume=None if obstacle else front.hypervolume(box),
        )
        for run, front in zip(runs, fronts, strict=True)
    )
    return Comparison(objectives=tuple(shared), box=box, sides=sides, differing=differing, obstacle=obstacle)


def figures(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The comparison as a table of texts: its head, and a row a run."""
    metrics = [objective for objective in comparison.objectives if not objective.is_free]
    head = ["run", "trained", "front", "on the joint front", "hypervolume %"]
    head += [f"best {objective.title}" for objective in metrics] + ["epochs", "time"]
    rows = []
    for side in comparison.sides:
        run, volume = side.run, side.hypervolume
        row = [run.name, str(len(run.done)), str(len(side.front)), str(side.num_joint)]
        row.append(ABSENT if volume is None else f"{100 * volume:.1f}")
        row += [objective.figure(side.best.get(objective.name)) for objective in metrics]
        rows.append([*row, str(run.tally.epochs), format_duration(run.seconds())])
    return head, rows


def describe_lines(comparison: Comparison) -> str:
    """Which fronts hold lines of trainings, and how long these are: they are no equals of full trainings."""
    parts = []
    for side in comparison.sides:
        heirs = [result for result in side.front if result.heritage]
        if heirs:
            count = f"{len(heirs)} of {len(side.front)} on the front began with trained weights"
            longest = max(result.line_epochs for result in heirs)
            full = f"{longest} epochs where a full training has {side.run.settings.budget.epochs}"
            parts.append(f"{side.run.name}: {count}, the longest line is {full}")
    return "; ".join(parts)


def _require_searches(runs: Sequence[Run]) -> None:
    if len(runs) < 2:
        raise SettingsError(f"compare: got {len(runs)} run; must be two or more")
    for number, run in enumerate(runs):
        if run.settings.is_training:
            raise SettingsError(f"compare: got {run.uri}, a training; must be searches (irnas test compares trainings)")
        if run.run_id in {other.run_id for other in runs[:number]}:
            raise SettingsError(f"compare: got {run.uri} twice; must be different runs")


def _obstacle(differing: Mapping[str, tuple[str, ...]]) -> str:
    names = [name for name in _OF_VALUES if name in differing]
    verb = "differs" if len(names) == 1 else "differ"
    return f"{' and '.join(names)} {verb}, so equal values do not mean the same" if names else ""


def _box(runs: Sequence[Run], fronts: Sequence[Front], objectives: Sequence[Objective]) -> Bounds:
    """The least box that holds the runs' own, so that each front counts in full."""
    box = {}
    for objective in objectives:
        ends = [end for run in runs for end in run.bounds[objective.name]]
        ends += [result.values[objective.name] for front in fronts for result in front.results]
        box[objective.name] = (min(ends, key=objective.loss), max(ends, key=objective.loss))
    return box


def _losses(result: Result, objectives: Sequence[Objective]) -> tuple[float, ...]:
    return tuple(objective.loss(result.values[objective.name]) for objective in objectives)


def _is_beaten(losses: tuple[float, ...], others: Sequence[tuple[float, ...]]) -> bool:
    return any(other != losses and all(a <= b for a, b in zip(other, losses, strict=True)) for other in others)


def _differing(runs: Sequence[Run]) -> dict[str, tuple[str, ...]]:
    """The settings in which runs differ, each as text."""
    flat = [_flat(run) for run in runs]
    names = dict.fromkeys(name for settings in flat for name in settings)
    rows = {name: tuple(settings.get(name, ABSENT) for settings in flat) for name in names}
    return {name: values for name, values in rows.items() if len(set(values)) > 1}


def _flat(run: Run) -> dict[str, str]:
    """What decided about a run, by name: ``recipe.lr`` and the like."""
    settings: dict[str, str] = {}
    for name, value in run.settings.document().items():
        if isinstance(value, Mapping):
            settings |= {f"{name}.{part}": str(each) for part, each in value.items()}
        else:
            settings[name] = ABSENT if value in (None, "") else str(value)
    device = run.opened.device
    return {
        **settings,
        "data revision": run.data.revision,
        "code": run.opened.code_rev,
        **({"device": f"{device.name} ({device.revision})"} if device else {}),
        **{f"version of {package}": version for package, version in run.opened.versions.items()},
    }
