"""docs/results.md, and the entries of the model zoo, from the records of trainings that `irnas test` has judged.

    python tests/bench/results.py runs/sirst-lit10 runs/nudt-lit10 -o docs/results.md
    python tests/bench/results.py runs/sirst-lit10 --zoo sirst-lit10=best
    python tests/bench/results.py runs/tuned-0+runs/tuned-1 -o docs/results.md

Runs joined by + are the trainings of one row: each seed was trained on from weights of its own.
Nothing in the page is typed by hand but the words around the tables. Speed is measured anew on this machine, one
thread, least of some runs. A network goes into the zoo with the weights of the first of its trainings: to choose among
them, the test split would have to be asked.
"""

from __future__ import annotations

import argparse
import datetime
import json
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from irnas import models
from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.core.provenance import device_name
from irnas.core.result import Result
from irnas.core.settings import SearchSettings
from irnas.core.text import format_si
from irnas.data import open_dataset
from irnas.deploy.device import speed
from irnas.deploy.export import source
from irnas.deploy.export.convert import convert
from irnas.deploy.price import price
from irnas.record.run import Run
from irnas.record.selection import select_trial
from irnas.record.tests import NetworkTest, tested_networks
from irnas.report import tests as tables
from irnas.report import unit
from irnas.training.weights import read_weights, weights_uri, write_weights

INPUTS = (1, 256, 256), (3, 512, 512)
"""At which costs are counted: ours, and the one of the BiisNet paper."""
SHOWN = ("miou", "niou", "pd", "fa")
RESIZED = "dnanet256"
"""The preset of those who resize every image to 256x256 before it is tested."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A network of a run, and how its trainings were tested."""

    run: Run
    result: Result
    test: NetworkTest
    """Of all of its trainings."""
    more: tuple[Row, ...] = ()
    """Its trainings in further runs."""

    @property
    def name(self) -> str:
        """What the run calls it: a published name, or its key."""
        return self.run.trials[self.result.trial].proposal.origin.removeprefix("published ") or self.result.key


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", help="folders of trainings that were tested")
    parser.add_argument("-o", "--out", type=Path, help="the page to write")
    parser.add_argument("--zoo", action="append", default=[], metavar="NAME=KEY", help="a model of the first run")
    options = parser.parse_args()
    rows = [row for uris in options.runs for row in joined_rows(uris)]
    if options.out:
        options.out.write_text(page(rows), encoding="utf-8")
        print(options.out)
    for pair in options.zoo:
        name, _, key = pair.partition("=")
        print(add_to_zoo(name, options.runs[0], key))


def joined_rows(uris: str) -> list[Row]:
    """The networks of a run, or of several joined by +: a row for each network, with its trainings in all of them."""
    first, *others = [rows_of(Run.read(uri)) for uri in uris.split("+")]
    return [join(row, [other for rows in others for other in rows if is_same(row, other)]) for row in first]


def is_same(row: Row, other: Row) -> bool:
    """Whether it is the same network, on the same split."""
    return (row.result.key, row.test.split) == (other.result.key, other.test.split)


def join(row: Row, others: list[Row]) -> Row:
    """A row of all trainings."""
    tests = [row.test, *(other.test for other in others)]
    test = replace(
        row.test,
        thresholds=tuple(chain.from_iterable(t.thresholds for t in tests)),
        values=tuple(chain.from_iterable(t.values for t in tests)),
        at_half=tuple(chain.from_iterable(t.at_half for t in tests)),
    )
    return replace(row, test=test, more=tuple(others))


def rows_of(run: Run) -> list[Row]:
    """The networks of a run that were tested from its own weights."""
    result_of = {result.key: result for result in run.outcomes}
    return [Row(run=run, result=result_of[t.name], test=t) for t in tested_networks(run) if t.name in result_of]


def page(rows: list[Row]) -> str:
    """The page: a section a data set, networks of ours in the order of their mIoU, and what papers printed."""
    lines = [
        "# Results on official test splits",
        "",
        "Trained in full by `irnas train`, tested by `irnas test`; mean and deviation over the seeds. No epoch",
        "and no threshold was chosen by the test split. The recipe of biisnet goes back to trials by hand that had",
        "looked at test images of SIRST ([recipes.md](recipes.md)). Made from the records by",
        "`python tests/bench/results.py`",
        f"({datetime.date.today()}, {device_name('cpu')}).",
    ]
    for data in dict.fromkeys(row.run.opened.data.name for row in rows):
        lines += ["", f"## {data}", "", *section([row for row in rows if row.run.opened.data.name == data])]
    return "\n".join(lines) + "\n"


def section(rows: list[Row]) -> list[str]:
    run = rows[0].run
    dataset = open_dataset(run.opened.data.path)
    head = [
        "network",
        "record",
        "params",
        "OPs 1x256x256",
        "OPs 3x512x512",
        "ms",
        "epochs",
        "seeds",
        *map(unit.title, SHOWN),
        "mIoU at 256 (%)",
        "min",
    ]
    ordered = sorted(rows, key=lambda row: -row.test.statistics(row.run.settings.preset)["miou"].mean)
    sizes = f"{len(dataset.split(run.settings.fit_on))}/{len(dataset.split(rows[0].test.split))}"
    papers = tables.printed_accuracies({run.opened.data.name})
    printed_head, printed = tables.beside_papers([], run.settings.preset, "", papers)
    return [
        "The record of a training holds its recipe: `docs/bench/runs/RECORD`; `irnas train --config` trains it again.",
        "",
        f"Trained and tested on {sizes} images (data revision `{run.opened.data.revision}`), preset",
        f"`{run.settings.preset}`. ms: one thread of this machine, one 256x256 image. mIoU at 256: images and",
        f"masks are resized to 256x256 first, as DNANet and RPCANet do (`{RESIZED}`). min: a training by the clock,",
        f"on {machines_of(rows)} with other work beside it, commit {', '.join({r.result.code_rev: 0 for r in rows})}.",
        "",
        *markdown(head, [cells(row) for row in ordered]),
        "",
        "What papers printed, with what they say they trained and tested on:",
        "",
        *markdown(printed_head, printed),
    ]


def machines_of(rows: list[Row]) -> str:
    return ", ".join(dict.fromkeys(row.result.trained_on for row in rows))


def cells(row: Row) -> list[str]:
    costs = [price(models.with_channels(row.result.genotype, chw[0]), chw) for chw in INPUTS]
    statistics = row.test.statistics(row.run.settings.preset)
    seconds = [s for part in (row, *row.more) for s in seconds_of(part)]
    is_longer = bool(row.run.settings.starts_from)
    return [
        row.name,
        ", ".join(Path(part.run.uri).name for part in (row, *row.more)),
        format_si(costs[0]["params"]),
        *(format_si(cost["ops"]) for cost in costs),
        milliseconds(row.result),
        f"{row.result.epochs} more" if is_longer else str(row.result.epochs),
        str(row.test.num),
        *(tables.figure_of(name, statistics[name]) for name in SHOWN),
        tables.figure_of("miou", row.test.statistics(RESIZED)["miou"]),
        f"{sum(seconds) / len(seconds) / 60:.0f}",
    ]


def seconds_of(row: Row) -> list[float]:
    """Of each training of a row's own run."""
    return [row.result.seconds, *(r.seconds for r in row.run.trials[row.result.trial].replicates)]


def milliseconds(result: Result) -> str:
    program = speed.make_program(result.genotype, 1)
    timing = speed.measure(speed.make_runner(program, (256, 256)), seconds=1.0)
    return f"{timing.ms_min:.2f} ({timing.engine}, {timing.kernels})"


def markdown(head: list[str], rows: list[list[str]]) -> list[str]:
    return [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]


def add_to_zoo(name: str, uris: str, key: str) -> Path:
    """Write the three files of a model, of the first of its runs; the card says what the records say."""
    run = Run.read(uris.partition("+")[0])
    trial = select_trial(run, key)
    (row,) = [row for row in joined_rows(uris) if row.result.trial == trial.number]
    folder = catalog.find_folder(row.result.genotype.space) / "zoo"
    folder.mkdir(exist_ok=True)
    network, info = read_weights(weights_uri(run.uri, row.result.key))
    assert info.data is not None
    # Where the data lay on the machine that trained it is nobody's business.
    write_weights(
        str(folder / f"{name}.safetensors"),
        network,
        replace(info, data=replace(info.data, path=f"data/{info.data.name}")),
    )
    try:
        exported = convert(source.from_run(run.uri, row.result.key, None), ".xnor", 1, 64)
        (folder / f"{name}.xnor").write_bytes(exported.content)
    except ExportError as error:
        print(f"{name}: no .xnor ({error})")
    (folder / f"{name}.json").write_text(json.dumps(card(row), indent=1) + "\n", encoding="utf-8")
    return folder / f"{name}.json"


def card(row: Row) -> dict[str, Any]:
    run, settings, costs = row.run, row.run.settings, price(row.result.genotype, INPUTS[0])
    statistics = row.test.statistics(settings.preset)
    return {
        "about": f"{row.name} of {row.result.genotype.space}",
        "key": row.result.key,
        "params": costs["params"],
        "ops": costs["ops"],
        "input": list(INPUTS[0]),
        "trained": {**trained(settings), "data": run.opened.data.name, "revision": run.opened.data.revision},
        "tested": {
            "split": row.test.split,
            "preset": settings.preset,
            "trainings": row.test.num,
            **{metric: statistics[metric].mean for metric in SHOWN},
            "deviation": {metric: statistics[metric].deviation for metric in SHOWN},
        },
        "code": row.result.code_rev,
    }


def trained(settings: SearchSettings) -> dict[str, Any]:
    document = settings.document()
    # A file of a run: RUN/weights/KEY.safetensors.
    start = {"from": "/".join(Path(settings.starts_from).parts[-3:])} if settings.starts_from else {}
    return {"split": settings.fit_on, **start, "budget": document["budget"], "recipe": document["recipe"]}


if __name__ == "__main__":
    main()
