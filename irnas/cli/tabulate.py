"""``irnas tabulate``: pay once for a sample of a space, so that strategies can be compared for nothing."""

from __future__ import annotations

from typing import Annotated

import typer

from irnas.cli.cost import parse_size
from irnas.cli.setting import recipe_of
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.settings import OWN, Budget, SearchSettings

_BUDGET = Budget()
_ALL = "all"


def tabulate(
    output: Annotated[str, typer.Option("--output", "-o", help="The Parquet file to write; runs go to FILE.runs.")],
    space: Annotated[str, typer.Option(help="A space's name, or a folder with a space.yaml.")] = "biisnet",
    axis: Annotated[
        list[str] | None, typer.Option(help="Take these values of an axis: base=8,16 or w_bin=all. Repeatable.")
    ] = None,
    dataset: Annotated[str, typer.Option(help="A data folder, or 'synthetic'.")] = "synthetic",
    objective: Annotated[str, typer.Option(help="What a search on the table may optimise.")] = "miou,ops",
    points: Annotated[str, typer.Option(help="Networks of the sample, or 'all' of the space.")] = "200",
    seeds: Annotated[int, typer.Option(help="Trainings of each network.")] = 2,
    epochs: Annotated[int, typer.Option(help="Passes over the training split.")] = _BUDGET.epochs,
    batch: Annotated[int, typer.Option(help="Crops in a step.")] = _BUDGET.batch,
    crop: Annotated[int, typer.Option(help="Side of a crop in pixels.")] = _BUDGET.crop,
    lr: Annotated[float | None, typer.Option(help="Peak learning rate.", show_default="the family's own")] = None,
    loss: Annotated[str, typer.Option(help="Loss, as `irnas search` takes it.")] = OWN,
    input_size: Annotated[str, typer.Option("--input", help="CxHxW at which costs are counted.")] = "1x256x256",
    device: Annotated[str | None, typer.Option(help="Profile that predicts fps and latency_ms.")] = None,
    workers: Annotated[int | None, typer.Option(help="Trainings at the same time.", show_default="one a core")] = None,
    gpus: Annotated[float, typer.Option(help="Share of a GPU each training takes: 0.1 packs ten on one.")] = 0.0,
    address: Annotated[str | None, typer.Option(help="Ray cluster to join.")] = None,
) -> None:
    """Train a random sample of a space to the end, several seeds each, and keep every learning curve in one file.

    Give the same command again after an interruption, or with more points or seeds: what is trained stays.
    """
    from irnas.cli import live
    from irnas.cluster.resources import Resources
    from irnas.core import catalog
    from irnas.workflows import tabulate as tables
    from irnas.workflows.executor import Executor

    parsed = catalog.load(space)
    axes = dict(catalog.choice(parsed, text) for text in axis or [])
    settings = SearchSettings(
        space=space,
        axes=axes,
        dataset=dataset,
        objectives=parse(objective),
        trials=parsed.focus(axes).count() if points == _ALL else _number(points),
        cost_input=parse_size(input_size),
        device=device,
        budget=Budget(epochs=epochs, batch=batch, crop=crop),
        recipe=recipe_of(loss, lr),
    )
    where = Executor(resources=Resources(address=address, workers=workers, gpus=gpus))
    with live.view(output) as listener:
        found = tables.tabulate(settings, output, seeds, where, listener)
    curves = sum(len(p.curves) for p in found.points)
    typer.echo(f"{output}: {len(found.points)} networks, {curves} trainings of {found.epochs} epochs")


def _number(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise SettingsError(f"--points: got {text!r}; must be a number from 1, or {_ALL}")
    return int(text)
