"""``irnas baseline``: what detectors that learn nothing reach on a data set."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import SettingsError
from irnas.core.objective import OBJECTIVES

if TYPE_CHECKING:
    from irnas.baseline import Method
    from irnas.baseline.threshold import Threshold
    from irnas.baseline.trial import Tick
    from irnas.data import Dataset, Split
    from irnas.metrics import Counts, Rules


def baseline(
    name: Annotated[str, typer.Argument(help="One of top-hat, max-median, mpcm, tllcm, ipi, pstnn.")],
    dataset: Annotated[str, typer.Option(help="A data set by name or folder.")] = "synthetic",
    split: Annotated[str, typer.Option(help="The images to judge by.")] = "test",
    threshold: Annotated[
        str,
        typer.Option(
            help="Of each score map: so many deviations above its mean (10sigma), a share of its maximum (0.5max), or "
            "fit: the number of deviations with the best mIoU on the split 'fit'. Never chosen on the images it judges."
        ),
    ] = "10sigma",
    preset: Annotated[str, typer.Option(help="Whose metric definitions to use.")] = "basicirstd",
    images: Annotated[
        int | None, typer.Option(help="Only so many images of a split, evenly spread.", show_default="all")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write the figures to this JSON file.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score a detector that learns nothing: a filter, a local contrast or a low-rank model.

    Most take milliseconds to tenths of a second per image of 256x256 pixels; ipi takes seconds: bound it with --images.
    What is written into the folder baselines of a run, for its data set and the split val, is drawn on its report.

      irnas baseline max-median --dataset data/nudt

      irnas baseline top-hat --dataset data/nudt --split val -o runs/biisnet-20261121-101500/baselines/top-hat.json

      irnas baseline ipi --dataset data/nudt --images 60 -o ipi.json
    """
    from irnas import metrics
    from irnas.baseline import find_method
    from irnas.baseline.threshold import parse
    from irnas.baseline.trial import judge
    from irnas.cli.console import progress_bars
    from irnas.data import open_dataset

    method, rule, rules = find_method(name), parse(threshold), metrics.preset(preset)
    if images is not None and images < 1:
        raise SettingsError(f"--images: got {images}; must be at least 1")
    with progress_bars() as tick:
        opened = open_dataset(dataset, tick)
        judged = opened.split(split, tick)
        rule = rule or _chosen(method, opened, judged, rules, images, tick)
        judgement = judge(method, judged, rule, rules, images=images, tick=tick)
    document = {
        "name": method.name,
        "title": method.title,
        "paper": method.paper,
        "dataset": opened.name,
        "data_rev": opened.revision,
        "split": split,
        "images": len(judgement.counts),
        "images_of_split": len(judged),
        "threshold": str(rule),
        "threshold_from": "the split fit" if threshold == "fit" else "a fixed rule",
        "preset": preset,
        "metrics": judgement.metrics,
        "seconds_per_image": judgement.seconds,
        "cpu_seconds_per_image": judgement.cpu_seconds,
    }
    if output is not None:
        from irnas import storage

        storage.write(str(output), (json.dumps(document, indent=1) + "\n").encode())
    if as_json:
        typer.echo(json.dumps(document))
    else:
        _print(document, judgement.counts)


def _chosen(method: Method, opened: Dataset, judged: Split, rules: Rules, images: int | None, tick: Tick) -> Threshold:
    """The threshold that the split fit prefers.

    Raises:
        SettingsError: the images to judge are among those of fit.
    """
    from irnas.baseline.trial import choose

    fit = opened.split("fit", tick)
    shared = {fit.name(i) for i in range(len(fit))} & {judged.name(i) for i in range(len(judged))}
    if shared:
        raise SettingsError(
            f"--threshold fit: got --split {judged.label}, which shares {len(shared)} images with fit; "
            "must be another split, such as val or test"
        )
    return choose(method, fit, rules, images=images, tick=tick)


def _print(document: dict[str, Any], counts: Counts) -> None:
    from rich.table import Table

    from irnas.cli.console import make_console

    values = document["metrics"]
    notes = {
        "miou": "pooled over all pixels",
        "niou": f"mean of {len(counts)} images",
        "pd": f"{int(counts.hits.sum())} of {int(counts.targets.sum())} targets",
        "fa": f"{values['fa'] * 1e6:.2f} x 1e-6",
        "auc": "each map scaled by its own threshold",
    }
    title = (
        f"{document['title']} ({document['paper']}) on {document['dataset']}/{document['split']}: {document['images']} "
        f"of {document['images_of_split']} images, threshold {document['threshold']}, preset {document['preset']}"
    )
    table = Table(title=title, title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("what it is over")
    for name, value in values.items():
        table.add_row(name, f"{value:.3e}" if name == "fa" else f"{value:.4f}", notes.get(name, OBJECTIVES[name].about))
    table.add_row("seconds", f"{document['seconds_per_image']:.4f}", "per image, median")
    make_console().print(table)
