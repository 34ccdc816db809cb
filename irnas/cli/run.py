"""``irnas run``: what an exported network finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import finite
from irnas.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    from irnas.data.pictures import Picture
    from irnas.runtime import Model
    from irnas.runtime.session import Session
    from irnas.runtime.value_range import ValueRange


def run(
    model: Annotated[
        Path,
        typer.Argument(metavar="MODEL", help="FILE.xnor, FILE.onnx, zoo:NAME, or FILE.safetensors: a file of weights."),
    ],
    images: Annotated[
        list[Path],
        typer.Argument(
            metavar="IMAGE...", help="Images, folders of them, folders of sequences; zoo:frames: three that come along."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for the masks, one PNG for each image.",
            show_default="needed without --boxes",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            callback=finite,
            help="A target is where the probability exceeds it.",
            show_default="that of the model, which is 0.5 where it has none",
        ),
    ] = None,
    probability: Annotated[bool, typer.Option(help="Write 255 times the probability instead of masks.")] = False,
    boxes: Annotated[
        bool,
        typer.Option(
            help="Print each target as a line of JSON: frame, image, x, y, width, height, area, score (the highest "
            "probability in it)."
        ),
    ] = False,
    value_range: Annotated[
        str | None,
        typer.Option(
            "--range",
            metavar="LOW,HIGH",
            help="Of more than 8 bits: the counts that become 0 and 255, or percentiles P%,Q% of all images given.",
            show_default="as in training, which the model holds; else 0.01%,99.99%",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=256)] = 1,
    kernels: Annotated[str | None, typer.Option(metavar="NAME", show_default="the best")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run an exported model on images and write masks, 255 where there is a target, or print the targets.

    A model of many frames takes the images of a folder as one sequence, in the order of the numbers in their names; its
    window does not reach across a gap in them. Masks of several folders lie in folders of their names where file names
    repeat. The pages of a TIFF are frames.

      irnas run model.xnor images/ -o masks/

      irnas run moving.onnx sequences/ -o masks/

      irnas run moving.onnx monday/cam1 tuesday/cam1 -o masks/

      irnas run model.xnor images/ --boxes

      irnas run zoo:sirst-lit10-bn zoo:frames --boxes
    """
    from irnas.cli.console import progress_bars
    from irnas.core import zoo
    from irnas.data.pictures import list_pictures
    from irnas.data.value_range import measure_files
    from irnas.runtime.boxes import find_boxes
    from irnas.runtime.value_range import parse_choice

    if output is None and not boxes:
        raise SettingsError("--output: got no folder for masks; must be given, or --boxes")
    choice = parse_choice(value_range)
    loaded = _load(model, kernels)
    pictures = list_pictures([zoo.find_images(path) for path in images])
    counts = measure_files([(picture.path, picture.page) for picture in pictures], choice, loaded.facts.counts)
    limit = loaded.facts.threshold if threshold is None else threshold
    if output is not None:
        output.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    with progress_bars() as tell:
        for picture, window in _windows(pictures, getattr(loaded.facts, "frames", 1), counts):
            found_hw = _run(loaded, picture, window, threads)
            rows.append(_facts_of(picture, found_hw, limit))
            if output is not None:
                rows[-1]["mask"] = _write_mask(output / f"{picture.output}.png", found_hw, limit, probability)
            if boxes:
                rows[-1]["boxes"] = [box.document() for box in find_boxes(found_hw, limit)]
                if not as_json:
                    _print_boxes(len(rows) - 1, rows[-1])
            tell("images", len(rows), len(pictures))
    if as_json:
        read_by = {"counts": [counts.low, counts.high]} if counts else {}
        facts = {"model": str(model), "kernels": loaded.facts.kernels, "threshold": limit, **read_by}
        typer.echo(json.dumps({**facts, "images": rows}))
        return
    sources = {
        "threshold": "the model" if threshold is None else "--threshold",
        "counts": "--range" if choice.fixed else "the model" if counts == loaded.facts.counts else "these images",
    }
    for line in _summarize(rows, limit, counts, sources):
        # Beside the lines of JSON, which another program may read.
        typer.echo(line, err=boxes)
    typer.echo(f"{len(rows)} images, kernels {loaded.facts.kernels}", err=boxes)


def _summarize(
    rows: Sequence[dict[str, Any]], limit: float, counts: ValueRange | None, sources: dict[str, str]
) -> Iterator[str]:
    """What is said below the masks: of each image that got one, and what turned images into masks."""
    from irnas.data.files import legible
    from irnas.runtime.format import HALF

    for each in rows:
        if "mask" in each:
            at_half = "" if limit == HALF else f" ({each['pixels_at_half']} at {HALF})"
            pixels = f"{each['pixels']} target pixels{at_half}"
            yield f"{legible(each['mask'])}: {pixels}, highest probability {each['highest']:.4f}"
    if limit != HALF:
        yield f"threshold {limit:g}, that of {sources['threshold']}"
    if counts:
        yield f"counts {counts} read as 0..255, the range of {sources['counts']}"


def _print_boxes(frame: int, facts: dict[str, Any]) -> None:
    """A line of JSON a target, as ``xnor-run --boxes`` prints them."""
    page = {"page": facts["page"]} if facts["page"] else {}
    for box in facts["boxes"]:
        typer.echo(json.dumps({"frame": frame, "image": facts["image"], **page, **box}))


def _windows(pictures: Sequence[Picture], frames: int, counts: ValueRange | None) -> Iterator[tuple[Picture, Any]]:
    """Each image [H, W], or the window [frames, H, W] that it ends; what begins a window stands before itself too."""
    import numpy as np

    from irnas.data.decode import Notes, read_image

    notes = Notes(value_range=counts)
    seen: list[Any] = []
    for picture in pictures:
        image_hw = read_image(picture.path, notes, picture.page)
        if frames == 1:
            yield picture, image_hw
            continue
        if picture.begins or image_hw.shape != seen[-1].shape:
            seen = [image_hw] * frames
        seen = [*seen[1:], image_hw]
        yield picture, np.stack(seen)


def _run(model: Model | Session, picture: Picture, window: Any, threads: int) -> Any:
    """The probability of a target at each pixel [H, W].

    Raises:
        DataError: the maps of the network do not fit into memory for an image of this size.
    """
    try:
        return model.run(window[None], threads)[0]
    except MemoryError as error:
        height, width = window.shape[-2:]
        reason = str(error).removeprefix("image: ").partition(";")[0] or "no memory left"
        got = f"{width}x{height} pixels ({reason})"
        raise DataError(f"image {picture.path}: got {got}; must be smaller, such as tiles of it") from None


def _facts_of(picture: Picture, found_hw: Any, threshold: float) -> dict[str, Any]:
    from irnas.runtime.format import HALF

    return {
        "image": str(picture.path),
        "page": picture.page,
        "pixels": int((found_hw > threshold).sum()),
        "pixels_at_half": int((found_hw > HALF).sum()),
        "highest": float(found_hw.max()),
    }


def _write_mask(target: Path, found_hw: Any, threshold: float, probability: bool) -> str:
    import numpy as np
    from PIL import Image

    from irnas.storage import atomic

    pixels = np.rint(found_hw * 255) if probability else np.where(found_hw > threshold, 255, 0)
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.new_file(target) as part:
        Image.fromarray(pixels.astype(np.uint8)).save(part, "PNG")
    return str(target)


def _load_weights(path: Path) -> Session:
    """A file of weights, which nobody exported yet."""
    from irnas.deploy.export import convert, source

    return convert.open_session(source.from_weights(str(path), None))


def _load(source: Path, kernels: str | None) -> Model | Session:
    from irnas import runtime
    from irnas.core import zoo
    from irnas.core.file_suffix import SUFFIXES
    from irnas.runtime import session

    path = Path(zoo.resolve(str(source), ".xnor", ".onnx", *SUFFIXES))
    try:
        if path.suffix not in (".onnx", *SUFFIXES):
            return runtime.load(path, kernels=kernels)
        if kernels:
            got = f"{kernels!r} with a {path.suffix} file"
            raise SettingsError(f"--kernels: got {got}; must be left out, or the file a .xnor")
        return session.load(path) if path.suffix == ".onnx" else _load_weights(path)
    except OSError as problem:
        raise SettingsError(f"model {path}: got {problem.strerror}; must be a .xnor or .onnx file") from None
