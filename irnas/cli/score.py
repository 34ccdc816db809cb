"""``irnas score``: the metrics of two folders of maps, whichever tool made them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from irnas.cli.console import make_console, progress_bars
from irnas.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from irnas.metrics import Counts, Rules


def score(
    predictions: Annotated[Path, typer.Argument(help="Folder of 8-bit PNG maps: probability x 255.")],
    truth: Annotated[Path, typer.Argument(help="Folder of PNG masks of the same names: 0 and 255, or 0 and 1.")],
    preset: Annotated[str, typer.Option(help="Whose metric definitions to use.")] = "basicirstd",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Score predicted maps against masks of the same file names.

    Colour and palette images are read as grey. A map is always read as probability x 255. A mask whose largest value
    is 0 or 1 is read as holding 0 and 1; any other as holding 0..255.
    """
    from irnas import metrics

    rules = metrics.preset(preset)
    names = _pairs(predictions, truth)
    counts = _counts(predictions, truth, names, rules)
    values = metrics.summarize(counts)
    if as_json:
        typer.echo(json.dumps({**values, "preset": preset, "images": len(counts)}))
    else:
        _print(values, counts, preset)


def _pairs(predictions: Path, truth: Path) -> list[str]:
    """The file names that both folders hold, sorted.

    Raises:
        SettingsError: a folder that is not there.
        DataError: a folder without PNGs, or names that only one folder holds.
    """
    names_of_folders = []
    for folder in (predictions, truth):
        if not folder.is_dir():
            raise SettingsError(f"{folder}: got no such folder; must be a folder of PNG maps")
        names_of_folders.append({p.name for p in folder.iterdir() if p.suffix.lower() == ".png" and p.is_file()})
        if not names_of_folders[-1]:
            raise DataError(f"{folder}: got no PNG files; must hold one or more")
    of_predictions, of_truth = names_of_folders
    lonely = [
        f"{len(names)} of {folder} ({', '.join(sorted(names)[:3])}{', ...' if len(names) > 3 else ''}) not in {other}"
        for names, folder, other in (
            (of_predictions - of_truth, predictions, truth),
            (of_truth - of_predictions, truth, predictions),
        )
        if names
    ]
    if lonely:
        raise DataError(f"score: got {' and '.join(lonely)}; must be the same file names in both")
    return sorted(of_predictions)


def _counts(predictions: Path, truth: Path, names: Sequence[str], rules: Rules) -> Counts:
    import numpy as np

    from irnas.metrics import Counts, count

    rows, brightest, faint = [], 0, []
    with progress_bars() as progress:
        for done, name in enumerate(names, 1):
            level_hw, truth_hw = _grey(predictions / name), _grey(truth / name)
            if level_hw.shape != truth_hw.shape:
                sizes = " and ".join(f"{x.shape[1]}x{x.shape[0]}" for x in (level_hw, truth_hw))
                raise DataError(f"{name}: got a map and a mask of {sizes} pixels; must be equal")
            brightest = max(brightest, int(level_hw.max()))
            if 1 < truth_hw.max() < 255:
                faint.append(name)
            rows.append(count(level_hw / np.float32(255), truth_hw, rules))
            progress("scoring", done, len(names))
    if brightest == 1:
        typer.echo(f"irnas: no map of {predictions} exceeds 1 of 255; if these are 0/1 masks, scale them", err=True)
    if faint:
        typer.echo(f"irnas: {len(faint)} masks hold greys but no 255, so no target (first: {faint[0]})", err=True)
    return Counts.concat(rows)


def _grey(path: Path) -> NDArray[np.uint8]:
    """The image as uint8 [H, W].

    Raises:
        DataError: not a readable image, or one of more than 8 bits.
    """
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            if image.mode.startswith(("I", "F")):
                raise DataError(f"{path}: got a PNG of more than 8 bits; must be 8-bit")
            return np.asarray(image.convert("L"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(f"{path}: got a file that is no readable image ({error}); must be an 8-bit PNG") from None


def _print(values: dict[str, float], counts: Counts, preset: str) -> None:
    from rich.table import Table

    num_wrong, area = int(counts.false_alarm_pixels.sum()), int(counts.false_alarm_area.sum())
    over = "background pixels" if counts.rules.false_alarm == "background" else "pixels"
    notes = {
        "miou": "pooled over all pixels",
        "niou": f"mean of {len(counts)} images",
        "pd": f"{int(counts.hits.sum())} of {int(counts.targets.sum())} targets",
        "fa": f"{values['fa'] * 1e6:.2f} x 1e-6: {num_wrong} of {area} {over}",
        "auc": f"{counts.rules.roc} curve",
    }
    table = Table(title=f"{len(counts)} images, preset {preset}", title_justify="left")
    table.add_column("metric")
    table.add_column("value", justify="right")
    table.add_column("what it is over")
    for name, value in values.items():
        table.add_row(name, f"{value:.3e}" if name == "fa" else f"{value:.4f}", notes.get(name, "pixels, pooled"))
    make_console().print(table)
