"""``irnas run``: what an exported network finds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import SettingsError

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
        list[Path], typer.Argument(metavar="IMAGE...", help="Images, folders of them, folders of sequences.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the masks, one PNG for each image.")],
    threshold: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="A target is where the probability exceeds it.",
            show_default="that of the model, which is 0.5 where it has none",
        ),
    ] = None,
    probability: Annotated[bool, typer.Option(help="Write 255 times the probability instead of masks.")] = False,
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
    """Run an exported model on images and write masks: 255 where there is a target.

    A model of many frames takes the images of a folder as one sequence, in the order of the numbers in their names; its
    window does not reach across a gap in them. Masks of several folders lie in folders of their names where file names
    repeat. The pages of a TIFF are frames.

      irnas run model.xnor images/ -o masks/

      irnas run moving.onnx sequences/ -o masks/

      irnas run moving.onnx monday/cam1 tuesday/cam1 -o masks/
    """
    from irnas.cli.console import progress_bars
    from irnas.data.files import legible
    from irnas.data.pictures import list_pictures
    from irnas.data.value_range import measure_files
    from irnas.runtime.format import HALF
    from irnas.runtime.value_range import parse_choice

    choice = parse_choice(value_range)
    loaded = _load(model, kernels)
    pictures = list_pictures(images)
    counts = measure_files([(picture.path, picture.page) for picture in pictures], choice, loaded.facts.counts)
    limit = loaded.facts.threshold if threshold is None else threshold
    output.mkdir(parents=True, exist_ok=True)
    masks: list[dict[str, Any]] = []
    with progress_bars() as tell:
        for picture, window in _windows(pictures, getattr(loaded.facts, "frames", 1), counts):
            masks.append(_run_one(loaded, picture, window, output, limit, probability, threads))
            tell("images", len(masks), len(pictures))
    if as_json:
        read_by = {"counts": [counts.low, counts.high]} if counts else {}
        facts = {"model": str(model), "kernels": loaded.facts.kernels, "threshold": limit, **read_by}
        typer.echo(json.dumps({**facts, "images": masks}))
        return
    for each in masks:
        pixels = f"{each['pixels']} target pixels" + ("" if limit == HALF else f" ({each['pixels_at_half']} at {HALF})")
        typer.echo(f"{legible(each['mask'])}: {pixels}, highest probability {each['highest']:.4f}")
    if limit != HALF:
        typer.echo(f"threshold {limit:g}, that of {'the model' if threshold is None else '--threshold'}")
    if counts:
        source = "--range" if choice.fixed else "the model" if counts == loaded.facts.counts else "these images"
        typer.echo(f"counts {counts} read as 0..255, the range of {source}")
    typer.echo(f"{len(masks)} images, kernels {loaded.facts.kernels}")


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


def _run_one(
    model: Model | Session,
    picture: Picture,
    image: Any,
    output: Path,
    threshold: float,
    probability: bool,
    threads: int,
) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from irnas.runtime.format import HALF
    from irnas.storage import atomic

    found_hw = model.run(image[None], threads)[0]
    hits = found_hw > threshold
    pixels = np.rint(found_hw * 255).astype(np.uint8) if probability else np.where(hits, 255, 0).astype(np.uint8)
    target = output / f"{picture.output}.png"
    target.parent.mkdir(parents=True, exist_ok=True)
    with atomic.new_file(target) as part:
        Image.fromarray(pixels).save(part, "PNG")
    return {
        "image": str(picture.path),
        "page": picture.page,
        "mask": str(target),
        "pixels": int(hits.sum()),
        "pixels_at_half": int((found_hw > HALF).sum()),
        "highest": float(found_hw.max()),
    }


def _load_weights(path: Path) -> Session:
    """A file of weights, which nobody exported yet."""
    from irnas.deploy.export import convert, source

    return convert.open_session(source.from_weights(str(path), None))


def _load(source: Path, kernels: str | None) -> Model | Session:
    from irnas import runtime
    from irnas.core import zoo
    from irnas.runtime import session
    from irnas.training.weights_info import SUFFIXES

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
