"""``irnas test``: trained networks on images that no training and no choice has seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.cli.arguments import Json
from irnas.cli.completion import complete_keys, complete_runs

if TYPE_CHECKING:
    from rich.console import Console

    from irnas.report.tests import Table
    from irnas.workflows.test import Outcome

_MAX_DETAILED = 4
"""Networks whose figures by every preset are printed."""


def test(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|FILE",
            help="Folder or URI of a run; or FILE.safetensors or FILE.pt of weights, FILE.xnor, FILE.onnx.",
            autocompletion=complete_runs,
        ),
    ],
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY",
            help="Of a run: 'best', 'knee', a network's key or its beginning, a trial's number; 'front' or 'all' for "
            "several. Of a file: nothing.",
            show_default="all networks of a training in full, best of a search",
            autocompletion=complete_keys,
        ),
    ] = "",
    split: Annotated[str, typer.Option(help="The images to judge by.")] = "test",
    dataset: Annotated[
        str | None, typer.Option(help="A data set by name or folder.", show_default="the one that was trained on")
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(
            metavar="RUN",
            help="The run that an exported file comes from: the reading is recorded there.",
            show_default="the run in whose folder the file lies",
        ),
    ] = None,
    output: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Folder for files.", show_default="tests/SPLIT in the run; or none"
        ),
    ] = None,
    predictions: Annotated[bool, typer.Option(help="Write maps, masks and truth as pictures.")] = True,
    as_json: Json = False,
) -> None:
    """Judge trained networks on a test split, by every preset of metrics, beside what papers printed.

    Masks are judged at the network's own threshold, and at 0.5 beside it. Where a network was trained with several
    seeds, each of them is judged, and the mean and the standard deviation are told. Every reading of a split is an
    event in the record of its run, and counted. Images that the run trained on, or chose by, are refused.

    Files: predictions/NETWORK/IMAGE.png (255 times the probability, 8 bits, as BasicIRSTD and its like evaluate),
    masks/NETWORK/IMAGE.png (at the network's own threshold), truth/IMAGE.png, images/NETWORK.csv (counts of each
    image), curves/NETWORK.csv and curves.png (ROC; detections against false alarms). `irnas score predictions/NETWORK
    truth --preset NAME` gives the figures at 0.5 again, but for AUC and for rpcanet, which look closer than 8 bits.

      irnas test runs/train-20261130-101500

      irnas test runs/biisnet-20261121-101500 front --split test

      irnas test winner.xnor --run runs/biisnet-20261121-101500 --dataset data/sirst

      irnas test nudt.safetensors --dataset data/nudt-sirst -o nudt-test
    """
    from irnas.cli.console import progress_bars
    from irnas.workflows.test import test as judge
    from irnas.workflows.testing_plan import Listener, TestSettings

    settings = TestSettings(
        model=model, which=key, split=split, dataset=dataset, run=run, output=output, has_pictures=predictions
    )
    with progress_bars() as progress:
        outcome = judge(settings, Listener(warn=_warn, progress=progress))
    if as_json:
        typer.echo(json.dumps(outcome.document()))
    else:
        _print(outcome)


def _warn(text: str) -> None:
    typer.echo(f"irnas: {text}", err=True)


def _print(outcome: Outcome) -> None:
    from irnas.cli.console import make_console
    from irnas.report.tests import beside_papers, presets_table, tests_table

    console = make_console()
    sizes = f", trained/tested on {outcome.num_trained_on}" if outcome.num_trained_on else ""
    about = f"{outcome.dataset.name}/{outcome.split}: {outcome.num_images} images{sizes}; mean ± standard deviation"
    for network in outcome.networks if len(outcome.networks) <= _MAX_DETAILED else ():
        print_table(console, presets_table(network), f"{network.name} by every preset")
    if outcome.published:
        title = f"among what papers printed for {outcome.dataset.name}: compare the splits before the figures"
        table = beside_papers(outcome.networks, outcome.preset, outcome.num_trained_on, outcome.published)
        print_table(console, table, title)
    print_table(console, tests_table(outcome.networks, outcome.preset), f"{about}; preset {outcome.preset}")
    if outcome.run is not None:
        console.print(
            f"{outcome.split} split read for the {ordinal(outcome.reading)} time by this run", highlight=False
        )
    where = f"files in {outcome.folder}" if outcome.folder else "no files were written (-o DIR writes them)"
    console.print(where, highlight=False, soft_wrap=True)


def print_table(console: Console, table: Table, title: str) -> None:
    """Print a table of texts under a title; all columns but the first two are numbers."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table as Grid

    head, rows = table
    grid = Grid(title=escape(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(head):
        grid.add_column(escape(name), justify="left" if number < 2 else "right", overflow="fold")
    for row in rows:
        grid.add_row(*map(escape, row))
    console.print(grid)


def ordinal(number: int) -> str:
    """Write 1 as 1st, 2 as 2nd, 11 as 11th."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
