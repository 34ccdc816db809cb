"""Tests of networks as tables: what a run's networks reach on images that nothing was chosen by, beside the papers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from irnas.core import catalog
from irnas.core.catalog import Published
from irnas.core.objective import OBJECTIVES
from irnas.record.replicates import ReplicateStatistics
from irnas.record.run import Run
from irnas.record.tests import NetworkTest, tested_networks
from irnas.report import table, unit
from irnas.report.markup import Markup, fill
from irnas.report.published import matches

METRICS = ("miou", "niou", "pd", "fa", "f1", "hiou", "auc")
"""The columns of a table."""
PRINTED = ("miou", "niou", "pd", "fa", "f1")
"""Of those, the ones that papers print."""
HALF = "0.5"

Table = tuple[list[str], list[list[str]]]
"""The heads of the columns, and rows of plain text."""


def figure_of(name: str, statistics: ReplicateStatistics | None) -> str:
    """A metric over the trainings of a network: the mean, and the standard deviation where there were several."""
    if statistics is None:
        return "-"
    mean = unit.figure(name, statistics.mean)
    return mean if statistics.num < 2 else f"{mean} ± {unit.figure(name, statistics.deviation)}"


def tests_table(tests: Iterable[NetworkTest], preset: str) -> Table:
    """Networks by a preset: a row at the network's own threshold, and one at 0.5 where that is another."""
    rows = []
    for test in tests:
        start = [test.name, test.split, str(test.num)]
        rows.append([*start, _thresholds(test), *_figures(test.statistics(preset))])
        if test.has_own_threshold:
            rows.append(["", "", "", HALF, *_figures(test.statistics(preset, at_half=True))])
    return ["network", "split", "trainings", "threshold", *map(unit.title, METRICS)], rows


def presets_table(test: NetworkTest) -> Table:
    """One network by all presets, at its own threshold and, where that is another, at 0.5."""
    rows = []
    for preset in test.values[0]:
        rows.append([preset, _thresholds(test), *_figures(test.statistics(preset))])
        if test.has_own_threshold:
            rows.append(["", HALF, *_figures(test.statistics(preset, at_half=True))])
    return ["preset", "threshold", *map(unit.title, METRICS)], rows


def _figures(statistics: Mapping[str, ReplicateStatistics]) -> list[str]:
    return [figure_of(name, statistics.get(name)) for name in METRICS]


def _thresholds(test: NetworkTest) -> str:
    low, high = min(test.thresholds), max(test.thresholds)
    return f"{low:.3g}" if low == high else f"{low:.3g} to {high:.3g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedAccuracy:
    """What a paper printed of a network on a data set."""

    name: str
    space: str
    """Of the family in whose paper it stands."""
    source: str
    """Where in the paper."""
    split: str
    """What was trained and tested on, as far as the paper says it."""
    values: Mapping[str, float] = field(default_factory=dict)
    """Metric to value, fractions."""

    def document(self) -> dict[str, object]:
        """As plain data."""
        return {n: getattr(self, n) for n in ("name", "space", "source", "split")} | {"values": dict(self.values)}


def printed_accuracies(names: Collection[str]) -> list[PrintedAccuracy]:
    """What the papers of all families printed for a data set, the best mIoU first; steps of ablations are left out.

    Args:
        names: what the data set is called; one of them must be the paper's name for it.
    """
    rows = [
        _printed(space, row, dataset)
        for space in catalog.list_names()
        for row in catalog.load_published(space)
        for dataset in row.results
        if ("/" not in row.name or row.is_headline) and any(matches(dataset, name) for name in names)
    ]
    return sorted(rows, key=lambda row: (-row.values.get("miou", -1.0), -row.values.get("niou", -1.0), row.name))


def _printed(space: str, row: Published, dataset: str) -> PrintedAccuracy:
    values = {name: float(value) for name, value in row.results[dataset].items() if name in OBJECTIVES}
    split = row.splits.get(dataset, "")
    return PrintedAccuracy(name=row.name, space=space, source=row.source, split=split, values=values)


def beside_papers(tests: Iterable[NetworkTest], preset: str, sizes: str, rows: Iterable[PrintedAccuracy]) -> Table:
    """What was tested, at its own threshold, among what papers printed, the best mIoU first; each with its split.

    Args:
        tests: networks of ours.
        preset: by which they are shown.
        sizes: the images that they were trained and tested on, such as 181/214.
        rows: of papers.
    """
    ranked = [
        (row.values.get("miou", -1.0), [row.name, row.space, row.split or "not printed"], _printed_figures(row))
        for row in rows
    ]
    for test in tests:
        statistics = test.statistics(preset)
        figures = [figure_of(name, statistics.get(name)) for name in PRINTED]
        ranked.append((statistics["miou"].mean, [test.name, "this test", sizes or "unknown"], figures))
    ordered = sorted(ranked, key=lambda row: -row[0])
    head = ["network", "paper of", "trained/tested on", *map(unit.title, PRINTED)]
    return head, [[*words, *figures] for _, words, figures in ordered]


def _printed_figures(row: PrintedAccuracy) -> list[str]:
    return [unit.figure(name, row.values.get(name)) for name in PRINTED]


def tests_of_run(run: Run) -> Table | None:
    """The tests of a run by its own preset; None where nothing was tested."""
    tests = tested_networks(run)
    return tests_table(tests, run.settings.preset) if tests else None


def section(run: Run) -> Markup:
    """The tests of a run as HTML; empty where nothing was tested."""
    both = tests_of_run(run)
    if both is None:
        return Markup()
    head, rows = both
    splits = dict.fromkeys(test.split for test in tested_networks(run))
    read = ", ".join(f"{split}: {run.num_readings(split)}" for split in splits)
    note = (
        "Images that no training and no choice has seen, by the run's own preset of metrics; mean and standard "
        f"deviation over the trainings. How often this run read them ({read}) says how far they may still be called so."
    )
    columns = [(name, number < 2) for number, name in enumerate(head)]
    return fill("<p>{note}</p>{table}", note=note, table=table.table(columns, rows))
