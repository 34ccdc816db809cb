"""``irnas score``: the metrics of two folders of maps, whichever tool made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.cli.console import make_console, progress_bars
from irnas.core.errors import DataError, SettingsError
from irnas.core.objective import OBJECTIVES
from irnas.core.text import parse_si

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irnas.data.layout import Entry
    from irnas.metrics import Counts, Rules


def score(
    predictions: Annotated[
        Path, typer.Argument(help="Folder of maps: probability x 255 in 8 bits, x 65535 in 16, or 0..1 as floats.")
    ],
    truth: Annotated[Path, typer.Argument(help="Folder of masks, as `irnas data import` reads them.")],
    preset: Annotated[
        str, typer.Option(help="Whose metric definitions to use; limitirstd adds that contest's score.")
    ] = "basicirstd",
    params: Annotated[
        str | None, typer.Option(help="For limitirstd: parameters of the network, such as 28.8K.")
    ] = None,
    flops: Annotated[
        str | None, typer.Option(help="For limitirstd: multiply-accumulates of an image, such as 42.6M.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predicted maps against masks of the same file names.

    Files and masks are read as `irnas data import` reads them: PNG, BMP, JPEG, TIFF and PGM, masks called as their
    images or with an ending such as _pixels0, of 0 and 255, 0 and 1, or one number an object, in 8 bits or 16. What
    had to be decided on the way is printed.

      irnas score maps masks

      irnas score maps masks --preset limitirstd --params 28.8K --flops 42.6M
    """
    from irnas import metrics

    rules = metrics.preset(preset)
    costs = _costs(preset, params, flops)
    counts = _counts(predictions, _pairs(predictions, truth), rules)
    values = metrics.summarize(counts)
    points = {}
    if preset == metrics.LIMITIRSTD:
        name = "score" if costs else "score_before_costs"
        points[name] = metrics.contest_score(values, **(costs or {"params": 0, "flops": 0}))
    if as_json:
        typer.echo(json.dumps({**values, **points, "preset": preset, "images": len(counts)}))
    else:
        _print(values, counts, preset, points)


def _costs(preset: str, params: str | None, flops: str | None) -> dict[str, float] | None:
    """What the network costs, for the contest's score; None where nothing was said.

    Raises:
        SettingsError: one of two is missing, no amount, or of no use with the preset.
    """
    from irnas.metrics import LIMITIRSTD

    if params is None and flops is None:
        return None
    if preset != LIMITIRSTD:
        raise SettingsError(f"--params, --flops: got one with preset {preset}; must be with --preset {LIMITIRSTD}")
    if params is None or flops is None:
        missing = "--params" if params is None else "--flops"
        raise SettingsError(f"{missing}: got none; must be given too, for the contest's score takes both")
    costs = {"params": parse_si("--params", params), "flops": parse_si("--flops", flops)}
    if negative := [name for name, value in costs.items() if value < 0]:
        raise SettingsError(f"--{negative[0]}: got {costs[negative[0]]:g}; must be at least 0")
    return costs


def _pairs(predictions: Path, truth: Path) -> list[Entry]:
    """The maps, each with its mask, by name.

    Raises:
        SettingsError: a folder that is not there.
        DataError: a folder without images, or files that only one folder holds.
    """
    from irnas.data import files, folders

    for folder in (predictions, truth):
        if not folder.is_dir():
            raise SettingsError(f"{folder}: got no such folder; must be a folder of maps or masks")
        if not files.image_files(folder):
            raise DataError(f"{folder}: got no image files; must hold one or more")
    return sorted(folders.pair_files(predictions, truth), key=lambda entry: entry.name)


def _counts(predictions: Path, entries: Sequence[Entry], rules: Rules) -> Counts:
    from irnas.data.mask import MaskNotes, read_mask
    from irnas.metrics import Counts, count_labels

    rows, highest, notes = [], 0.0, MaskNotes()
    with progress_bars() as progress:
        for done, entry in enumerate(entries, 1):
            probability_hw = _read_map(entry)
            assert entry.mask is not None, "paired"
            height, width = probability_hw.shape
            label_hw = read_mask(entry.mask, (height, width), notes, entry.mask_page)
            highest = max(highest, float(probability_hw.max()))
            rows.append(count_labels(probability_hw, label_hw, rules))
            progress("scoring", done, len(entries))
    if 0 < highest < 1.5 / 255:
        text = f"no map of {predictions} exceeds 1 of 255 (257 of 65535)"
        typer.echo(f"irnas: {text}; if these are 0/1 masks, scale them", err=True)
    notes.empty = 0  # A mask without targets is no decision.
    for sentence in notes.sentences():
        typer.echo(f"irnas: {sentence}", err=True)
    try:
        notes.refuse_large_share()
    except DataError as error:
        # Maps of anything may be scored; the remark may still save an hour.
        typer.echo(f"irnas: {str(error).partition(' (--allow')[0]}", err=True)
    return Counts.concat(rows)


def _read_map(entry: Entry) -> NDArray[np.floating]:
    """The probabilities of a map, float [H, W] in 0..1.

    Raises:
        DataError: not a readable image, or floats beyond 0..1.
    """
    import numpy as np

    from irnas.data.decode import open_image

    with open_image(entry.image, entry.page) as file:
        is_deep = file.mode.startswith(("I", "F"))
        values = np.asarray(file if is_deep else file.convert("L"))
    if values.dtype.kind == "f":
        if not (values.min() >= 0 and values.max() <= 1):
            got = f"{values.min():g}..{values.max():g}"
            raise DataError(f"map {entry.image}: got floats of {got}; must be probabilities in 0..1")
        return values
    most = 65535 if is_deep else 255
    if values.min() < 0 or values.max() > most:
        raise DataError(f"map {entry.image}: got values {values.min()}..{values.max()}; must be in 0..{most}")
    return values / np.float32(most)


def _print(values: dict[str, float], counts: Counts, preset: str, points: dict[str, float]) -> None:
    from rich.table import Table

    num_wrong, area = int(counts.false_alarm_pixels.sum()), int(counts.false_alarm_area.sum())
    over = "background pixels" if counts.rules.false_alarm == "background" else "pixels"
    notes = {
        "miou": "pooled over all pixels",
        "niou": f"mean of {len(counts)} images",
        "pd": f"{int(counts.hits.sum())} of {int(counts.targets.sum())} targets",
        "fa": f"{values['fa'] * 1e6:.2f} x 1e-6: {num_wrong} of {area} {over}",
        "hiou": f"{int(counts.pairs.sum())} pairs of {int(counts.objects.sum())} objects, by overlap, then by distance",
        "auc": f"{counts.rules.roc} curve",
    }
    table = Table(title=f"{len(counts)} images, preset {preset}", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("what it is over")
    for name, value in values.items():
        table.add_row(name, f"{value:.3e}" if name == "fa" else f"{value:.4f}", notes.get(name, OBJECTIVES[name].about))
    for name, value in points.items():
        less = "11.237 Params[M] - 1.990 GFLOPs" if name == "score" else "the network's costs (--params, --flops)"
        table.add_row(name, f"{value:.2f}", f"(IoU + Pd)/4 + 50 - {less}; our fit of the leaderboard")
    make_console().print(table)
