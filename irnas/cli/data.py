"""irnas data: import published sets, make synthetic ones, cut tiles, check and describe them."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.console import make_console, progress_bars
from irnas.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    from irnas.data.manifest import Manifest

app = typer.Typer(help="Import, make, check and describe data sets.", no_args_is_help=True)

Output = Annotated[Path, typer.Option("--output", "-o", help="The data folder to write, for example data/NAME.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Fraction = Annotated[float, typer.Option(help="Share of train that becomes val; 0 for no val.")]


@app.command("import")
def import_(
    source: Annotated[Path, typer.Argument(help="A folder in a published layout.")],
    output: Output,
    format: Annotated[
        str, typer.Option(help="Name of the layout, or auto to look for it; an unknown name lists all.")
    ] = "auto",
    protocol: Annotated[
        str, typer.Option(help="Which split lists lead, by their folder or by what their names end in, such as v1.")
    ] = "",
    images: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder of the images, in SOURCE or from its top; with --masks.")
    ] = None,
    masks: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder of the masks; with --images.")] = None,
    mask_suffix: Annotated[
        str | None, typer.Option(metavar="TEXT", help="What a mask's name has after its image's, such as _gt.")
    ] = None,
    skip_broken: Annotated[
        bool, typer.Option("--skip-broken", help="Leave out what cannot be read; the manifest names it.")
    ] = False,
    allow_large_targets: Annotated[
        bool, typer.Option("--allow-large-targets", help="Import even if over 20 % of all pixels are target.")
    ] = False,
    val_fraction: Fraction = 0.2,
    val_seed: Annotated[int, typer.Option(help="Seed of that cut.")] = 0,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW,HIGH",
            help="Of more than 8 bits: the counts that become 0 and 255, or percentiles P%,Q% of the set.",
            show_default="0.01%,99.99%",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Read a published data set, or one's own, and write it as Parquet shards with a manifest.

      irnas data import SIRST -o data/sirst

      irnas data import own -o data/own --images infrared --masks truth --mask-suffix _gt

    In a mask 0 is background. Where its brightest value is 255, values above 127 are target; else its values are
    numbers and every other one is target. A colour palette counts by index, 255 meaning that nobody cares.
    """
    from irnas.data.importer import import_folder
    from irnas.data.layouts import Folders
    from irnas.runtime.value_range import parse_choice

    if (images is None) != (masks is None) or (mask_suffix is not None and images is None):
        raise SettingsError("import: got a part of --images, --masks and --mask-suffix; must be both folders, or none")
    folders = Folders(images=images, masks=masks, suffix=mask_suffix) if images and masks else None
    with progress_bars() as progress:
        manifest = import_folder(
            source,
            output,
            format=format,
            protocol=protocol,
            folders=folders,
            skip_broken=skip_broken,
            allow_large_targets=allow_large_targets,
            val_fraction=val_fraction,
            val_seed=val_seed,
            range_choice=parse_choice(value_range),
            progress=progress,
        )
    _print_manifest(output, manifest, as_json)


@app.command("synth")
def synth(
    output: Output,
    images: Annotated[int | None, typer.Option(help="Single images.  [default: 400]")] = None,
    size: Annotated[int, typer.Option(help="Side of the square images, in pixels.")] = 256,
    sequences: Annotated[int, typer.Option(help="Sequences, instead of single images.")] = 0,
    frames: Annotated[int, typer.Option(help="Frames per sequence.")] = 20,
    seed: Annotated[int, typer.Option(help="Seed of every scene.")] = 0,
    hard: Annotated[bool, typer.Option("--hard", help="Dimmer targets, more clutter.")] = False,
    as_json: Json = False,
) -> None:
    """Make a synthetic data set; the last fifth is its test split."""
    from irnas.data.synthetic import make_settings, write

    if images is not None and sequences:
        raise DataError(f"synth: got {images} images and {sequences} sequences; must be one of the two")
    settings = make_settings(
        images=0 if sequences else 400 if images is None else images,
        size=size,
        sequences=sequences,
        frames=frames,
        seed=seed,
        hard=hard,
    )
    with progress_bars() as progress:
        manifest = write(output, settings, progress=progress)
    _print_manifest(output, manifest, as_json)


@app.command("tile")
def tile(
    source: Annotated[str, typer.Argument(help="A data folder, or the name of a data set.")],
    output: Output,
    size: Annotated[int, typer.Option(help="Side of the square tiles, in pixels.")] = 64,
    fit: Annotated[int, typer.Option(help="Tiles to train on, an image each.")] = 256,
    val: Annotated[int, typer.Option(help="Tiles to validate on.")] = 128,
    seed: Annotated[int, typer.Option(help="Seed of the choice of images and places.")] = 0,
    as_json: Json = False,
) -> None:
    """Cut a small data set of tiles around targets out of the training part of a larger one.

    For many short trainings, such as those of `irnas tabulate`. No image of a test split is touched.
    """
    from irnas.data import open_dataset
    from irnas.data import tile as tiles

    with progress_bars() as progress:
        manifest = tiles.write(
            output, open_dataset(source, progress), size=size, fit=fit, val=val, seed=seed, progress=progress
        )
    _print_manifest(output, manifest, as_json)


@app.command("check")
def check(path: Annotated[Path, typer.Argument(help="A data folder.")], as_json: Json = False) -> None:
    """Compare every byte of a data folder with its manifest."""
    from irnas.data.check import verify

    with progress_bars() as progress:
        manifest = verify(path, progress)
    _print_manifest(path, manifest, as_json)


@app.command("stats")
def stats(
    name: Annotated[str, typer.Argument(metavar="PATH", help="A data folder or the name of a data set.")],
    as_json: Json = False,
) -> None:
    """Describe images and targets: counts, sizes, areas, contrasts, per split."""
    from irnas.data import open_dataset, statistics

    with progress_bars() as progress:
        figures = statistics.describe_dataset(open_dataset(name, progress), progress)
    if as_json:
        print(json.dumps(figures, indent=1))
    else:
        _print_stats(figures)


def _print_manifest(path: Path, manifest: Manifest, as_json: bool) -> None:
    if as_json:
        document = manifest.document()
        print(json.dumps({k: v for k, v in document.items() if k not in ("splits", "parameters")}, indent=1))
        return
    low, high = (f"{w}x{h}" for w, h in zip(manifest.width, manifest.height, strict=True))
    sizes = low if low == high else f"{low} to {high}"
    print(f"{path}: {manifest.images} images of {sizes} pixels, {manifest.targets} targets")
    if manifest.sequences:
        print(f"  sequences {manifest.sequences}")
    for split, counts in manifest.counts.items():
        print(f"  {split:<22} {counts['images']:>6} images {counts['targets']:>7} targets")
    print(f"  revision {manifest.revision} (format {manifest.format})")
    for warning in manifest.warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _print_stats(figures: Mapping[str, Any]) -> None:
    from rich.table import Table

    table = Table(
        title=f"{figures['name']}  revision {figures['revision']}  format {figures['format']}", title_justify="left"
    )
    table.add_column("split")
    for column in ("images", "targets", "empty", "sizes", "mean DN", "std DN"):
        table.add_column(column, justify="right")
    percentiles = ("area", "scr", "contrast")
    for column in ("area px", "SCR", "contrast DN"):
        table.add_column(f"{column}\n5/25/50/75/95 %", justify="right")
    for name, row in {"all": figures["all"], **figures["splits"]}.items():
        cells = ["/".join(f"{v:.3g}" for v in row[p].values()) for p in percentiles]
        counts = [str(row[k]) for k in ("images", "targets", "empty", "sizes")]
        table.add_row(name, *counts, f"{row['mean']:.3f}", f"{row['std']:.3f}", *cells)
    make_console().print(table)
