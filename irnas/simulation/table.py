"""A table of full trainings: what a search space holds, once somebody has paid for all of it.

A sample of a space is trained to the end, each network with one or more seeds, and every epoch that was validated is
kept. Any strategy can then be replayed on it in seconds (``simulator``). Ordinary runs with full training are
such a sample already: ``from_runs`` reads their records.

On disk it is one Parquet file: a row per (key, seed, epoch) with the columns ``key``, ``genotype`` (JSON), ``seed``,
``epoch``, ``seconds``, ``value.NAME`` for each metric and ``free.NAME`` for each free objective; what all rows share
stands as JSON in the metadata ``irnas.table``.
"""

from __future__ import annotations

import io
import itertools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from irnas import storage
from irnas.core.errors import FormatError, SettingsError, SpaceError
from irnas.core.objective import OBJECTIVES
from irnas.core.recipe import DEFAULT, OWN
from irnas.core.result import Status
from irnas.core.space import Genotype, Space
from irnas.record.events import Reported
from irnas.record.run import Run

SCHEMA = 2
"""Raised when something changes its meaning; a newer one is refused by name. 2: the loss ``own`` is the paper's."""

_METADATA = b"irnas.table"
_PLAIN = ("key", "genotype", "seed", "epoch", "seconds")
_CONDITIONS = ("budget", "recipe", "preset", "cost_input")
_SHARED = ("schema", "space", "data_rev", "code_rev", "conditions", "synthetic")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A network after a validated epoch."""

    epoch: int
    """From 1."""
    values: Mapping[str, float]
    """Metric name to value."""
    seconds: float
    """Spent on the training since its beginning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A network of the sample."""

    genotype: Genotype
    free: Mapping[str, float]
    """Free objective to value."""
    curves: Mapping[int, tuple[Step, ...]]
    """Seed to learning curve, each to the last epoch."""

    @property
    def key(self) -> str:
        """The genotype's key."""
        return self.genotype.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A fully trained sample of a space.

    Raises:
        FormatError: a curve that is empty, goes back or ends early, points of different objectives, a value that is
            not finite, or twice the same point.
    """

    space: Space
    points: tuple[Point, ...]
    conditions: Mapping[str, Any]
    """How all were trained and counted: the documents of budget and recipe, the preset, the cost input, and the device
    whose speed counts, if any does."""
    data_rev: str
    code_rev: str
    synthetic: bool = False
    """Whether the curves are made up: good for tests of the machinery, never for a claim."""

    def __post_init__(self) -> None:
        if not self.points:
            raise FormatError("table: got no points; must hold one or more")
        if len({p.key for p in self.points}) < len(self.points):
            raise FormatError("table: got a point twice; must be one each")
        metrics, free = self.metrics, set(self.points[0].free)
        for point in self.points:
            if set(point.free) != free:
                raise FormatError(f"{point.key}: got free objectives {sorted(point.free)}; must be {sorted(free)}")
            _require_finite(point.key, point.free)
            if not point.curves:
                raise FormatError(f"{point.key}: got no curve; must have one or more")
            for seed, curve in point.curves.items():
                _require_complete(f"{point.key}, seed {seed}", curve, self.epochs, metrics)

    @property
    def epochs(self) -> int:
        """Epochs of a full training."""
        return int(self.conditions["budget"]["epochs"])

    @property
    def metrics(self) -> set[str]:
        """The metrics that every epoch has."""
        curves = self.points[0].curves.values()
        return set(next(iter(curves))[-1].values) if curves and all(curves) else set()


def _require_finite(where: str, values: Mapping[str, float]) -> None:
    for name, value in values.items():
        if not math.isfinite(value):
            raise FormatError(f"{where}: got {name}={value}; must be finite")


def _require_complete(where: str, curve: Sequence[Step], epochs: int, metrics: set[str]) -> None:
    if not curve or curve[-1].epoch != epochs:
        raise FormatError(f"{where}: got {curve[-1].epoch if curve else 0} epochs; must be {epochs}, all of them")
    if curve[0].epoch < 1 or not curve[0].seconds > 0:
        raise FormatError(
            f"{where}: got epoch {curve[0].epoch} after {curve[0].seconds:g} seconds; must be from 1, and take time"
        )
    for before, after in itertools.pairwise(curve):
        if after.epoch <= before.epoch or after.seconds < before.seconds:
            raise FormatError(f"{where}: got epoch {after.epoch} after {before.epoch}; must go on, in epochs and time")
    for step in curve:
        if set(step.values) != metrics:
            raise FormatError(f"{where}: got metrics {sorted(step.values)}; must be {sorted(metrics)}")
        _require_finite(f"{where}, epoch {step.epoch}", {**step.values, "seconds": step.seconds})


def from_runs(runs: Iterable[Run]) -> Table:
    """The table of all networks that these runs trained to the end.

    The seed of a row is that of the run's trainings, so that a network that two runs of different seeds trained is one
    point with two curves. Every epoch of a network counts as long as the fastest of all its epochs: they do equal work,
    and what else the machine did is no cost of the network. A network outside the searched part of the space, such as a
    published one, is left out, and so is one that started from another's weights: its training is no full one.

    Raises:
        SettingsError: no run, or runs that differ in space, data, budget or recipe.
        FormatError: a training without its last report, or twice the same network and seed.
    """
    shared: dict[str, Any] = {}
    codes: set[str] = set()
    genotypes: dict[str, tuple[Genotype, Mapping[str, float]]] = {}
    curves: dict[str, dict[int, tuple[Step, ...]]] = {}
    for run in runs:
        shared = _same(shared, run)
        codes.add(run.opened.code_rev)
        seed = run.settings.seed_of_trainings
        for result in run.outcomes:
            if result.status is not Status.OK or result.heritage or not _is_inside(run.space, result.genotype):
                continue
            curves_by_seed = curves.setdefault(result.key, {})
            if seed in curves_by_seed:
                raise FormatError(f"table: got {result.key} twice with seed {seed}; must be one each")
            curves_by_seed[seed] = _curve(run.trials[result.trial].reports)
            free = {n: v for n, v in result.values.items() if OBJECTIVES[n].is_free}
            genotypes.setdefault(result.key, (result.genotype, free))
    if not shared:
        raise SettingsError("table: got no run; must be one or more")
    points = tuple(
        Point(genotype=genotypes[key][0], free=genotypes[key][1], curves=_even(curves[key])) for key in sorted(curves)
    )
    return Table(points=points, code_rev=",".join(sorted(codes)), **shared)


def _same(shared: Mapping[str, Any], run: Run) -> dict[str, Any]:
    """What a run shares with those before it."""
    settings, device = run.settings.document(), run.opened.device
    conditions = {name: settings[name] for name in _CONDITIONS}
    facts = {
        "space": run.space,
        "data_rev": run.opened.data.revision,
        "conditions": {**conditions, "device": asdict(device) if device else None},
    }
    for name, value in shared.items():
        if facts[name] != value:
            raise SettingsError(f"table: got runs that differ in {name}; must be of one")
    return facts


def _is_inside(space: Space, genotype: Genotype) -> bool:
    try:
        return space.genotype(space.values_of(genotype)).key == genotype.key
    except SpaceError:
        return False


def _curve(reports: Iterable[Reported]) -> tuple[Step, ...]:
    """The curve behind a trial's reports; one that was started again tells its seconds from there."""
    took: dict[int, tuple[float, Mapping[str, float]]] = {}
    last = 0.0
    for report in reports:
        seconds = report.seconds
        took[report.epoch] = (seconds - last if seconds >= last else seconds, report.values)
        last = seconds
    steps, total = [], 0.0
    for epoch, (seconds, values) in sorted(took.items()):
        total += seconds
        metrics = {n: v for n, v in values.items() if n in OBJECTIVES and not OBJECTIVES[n].is_free}
        steps.append(Step(epoch=epoch, values=metrics, seconds=total))
    return tuple(steps)


def _even(curves: Mapping[int, tuple[Step, ...]]) -> dict[int, tuple[Step, ...]]:
    """The curves with epochs of equal length: that of the fastest one in any of them."""
    start = Step(epoch=0, values={}, seconds=0.0)
    steps = [pair for curve in curves.values() for pair in itertools.pairwise((start, *curve))]
    paces = [(b.seconds - a.seconds) / (b.epoch - a.epoch) for a, b in steps]
    pace = min((p for p in paces if p > 0), default=0.0)
    return {seed: tuple(replace(s, seconds=pace * s.epoch) for s in curve) for seed, curve in sorted(curves.items())}


def write(uri: str, table: Table) -> None:
    """Write the table as one Parquet file, whole or not at all."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [(p, seed, step) for p in table.points for seed, curve in p.curves.items() for step in curve]
    columns: dict[str, Any] = {
        "key": [p.key for p, _, _ in rows],
        "genotype": [json.dumps(p.genotype.document(), sort_keys=True) for p, _, _ in rows],
        "seed": pa.array([seed for _, seed, _ in rows], pa.int64()),
        "epoch": pa.array([step.epoch for _, _, step in rows], pa.int32()),
        "seconds": pa.array([step.seconds for _, _, step in rows], pa.float64()),
    }
    for name in sorted(table.metrics):
        columns[f"value.{name}"] = pa.array([step.values[name] for _, _, step in rows], pa.float64())
    for name in sorted(table.points[0].free):
        columns[f"free.{name}"] = pa.array([p.free[name] for p, _, _ in rows], pa.float64())
    shared = {
        "schema": SCHEMA,
        "space": table.space.document(),
        "data_rev": table.data_rev,
        "code_rev": table.code_rev,
        "conditions": dict(table.conditions),
        "synthetic": table.synthetic,
    }
    sink = io.BytesIO()
    metadata = {_METADATA: json.dumps(shared, sort_keys=True).encode()}
    pq.write_table(pa.table(columns).replace_schema_metadata(metadata), sink, compression="zstd")
    storage.write(uri, sink.getvalue())


def read(uri: str) -> Table:
    """The table in a file.

    Raises:
        SettingsError: there is no such file.
        FormatError: it is no table of this program, a newer one, or one that does not hold together.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    content = storage.read(uri)
    if content is None:
        raise SettingsError(f"table: got {uri!r}; must be an existing file")
    try:
        parquet = pq.read_table(pa.BufferReader(content))
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise FormatError(f"{uri}: got no Parquet ({reason}); must be a table of trainings") from None
    try:
        shared = json.loads((parquet.schema.metadata or {}).get(_METADATA, b"null"))
        return _parse(shared, parquet.to_pydict())
    except (FormatError, SpaceError) as error:
        raise FormatError(f"{uri}: {error}") from None
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError) as error:
        raise FormatError(f"{uri}: got {error!r} while reading; must be a table of trainings") from None


def _parse(shared: Any, columns: Mapping[str, list[Any]]) -> Table:
    if not isinstance(shared, dict):
        raise FormatError("got Parquet without a table's metadata; must be a table of trainings")
    if shared.get("schema", 0) > SCHEMA:
        raise FormatError(f"got schema {shared['schema']}; this irnas reads up to {SCHEMA}")
    missing = [n for n in _SHARED if n not in shared] + [n for n in _PLAIN if n not in columns]
    if missing:
        raise FormatError(f"got no {', '.join(missing)}; must be there")
    for name, column in columns.items():
        if None in column:
            raise FormatError(f"got a gap in {name}, row {column.index(None) + 1}; must be whole")
    return Table(
        space=Space.from_document(shared["space"]),
        points=_points(columns),
        conditions=_conditions(shared),
        data_rev=shared["data_rev"],
        code_rev=shared["code_rev"],
        synthetic=shared["synthetic"],
    )


def _conditions(shared: Mapping[str, Any]) -> Mapping[str, Any]:
    """The conditions of a table; what a table of schema 1 calls the family's own loss is the default one."""
    conditions: dict[str, Any] = dict(shared["conditions"])
    if shared["schema"] == 1 and conditions["recipe"]["loss"] == OWN:
        conditions["recipe"] = {**conditions["recipe"], "loss": DEFAULT}
    return conditions


def _points(columns: Mapping[str, list[Any]]) -> tuple[Point, ...]:
    free = [n for n in columns if n.startswith("free.")]
    metrics = [n for n in columns if n.startswith("value.")]
    firsts: dict[str, int] = {}
    curves: dict[str, dict[int, list[Step]]] = {}
    for row, key in enumerate(columns["key"]):
        firsts.setdefault(key, row)
        values = {n.removeprefix("value."): columns[n][row] for n in metrics}
        step = Step(epoch=columns["epoch"][row], values=values, seconds=columns["seconds"][row])
        curves.setdefault(key, {}).setdefault(columns["seed"][row], []).append(step)
    points = []
    for key, row in firsts.items():
        genotype = Genotype.from_document(json.loads(columns["genotype"][row]))
        if genotype.key != key:
            raise FormatError(f"row {row + 1}: got key {key} for the network {genotype.key}; must agree")
        costs = {n.removeprefix("free."): columns[n][row] for n in free}
        points.append(
            Point(genotype=genotype, free=costs, curves={seed: tuple(steps) for seed, steps in curves[key].items()})
        )
    return tuple(points)
