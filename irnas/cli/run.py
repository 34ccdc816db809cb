"""``irnas run``: what an exported network finds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.core.errors import DataError, SettingsError

if TYPE_CHECKING:
    from irnas.runtime import Model
    from irnas.runtime.session import Session

_SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm")


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="FILE.xnor or FILE.onnx")],
    images: Annotated[list[Path], typer.Argument(metavar="IMAGE...", help="Images, or folders of them.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the masks, one PNG for each image.")],
    threshold: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="A target is where the probability exceeds it.")
    ] = 0.5,
    probability: Annotated[bool, typer.Option(help="Write 255 times the probability instead of masks.")] = False,
    threads: Annotated[int, typer.Option(min=1, max=256)] = 1,
    kernels: Annotated[str | None, typer.Option(metavar="NAME", show_default="the best")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Run an exported model on images and write masks: 255 where there is a target.

    A model of many frames takes the images of a folder, in the order of their names, as one sequence.

      irnas run model.xnor images/ -o masks/

      irnas run moving.onnx sequence/ -o masks/
    """
    from irnas.cli.console import progress_bars

    loaded = _load(model, kernels)
    paths = _images(images)
    output.mkdir(parents=True, exist_ok=True)
    masks: list[dict[str, Any]] = []
    with progress_bars() as tell:
        for path, window in _windows(paths, getattr(loaded.facts, "frames", 1)):
            masks.append(_run_one(loaded, path, window, output, threshold, probability, threads))
            tell("images", len(masks), len(paths))
    if as_json:
        typer.echo(json.dumps({"model": str(model), "kernels": loaded.facts.kernels, "images": masks}))
        return
    for each in masks:
        typer.echo(f"{each['mask']}: {each['pixels']} target pixels, highest probability {each['highest']:.4f}")
    typer.echo(f"{len(masks)} images, kernels {loaded.facts.kernels}")


def _images(arguments: list[Path]) -> list[Path]:
    paths: list[Path] = []
    for path in arguments:
        if not path.exists():
            raise DataError(f"image {path}: got no such file or folder; must be there")
        inside = sorted(p for p in path.iterdir() if p.suffix.lower() in _SUFFIXES) if path.is_dir() else [path]
        if not inside:
            raise DataError(f"folder {path}: got no images; must hold some ({', '.join(_SUFFIXES)})")
        paths += inside
    stems = [path.stem for path in paths]
    for path in paths:
        if stems.count(path.stem) > 1:
            raise DataError(f"image {path}: got a name twice; must differ, for each mask bears its image's name")
    return paths


def _windows(paths: list[Path], frames: int) -> Iterator[tuple[Path, Any]]:
    """Each image [H, W], or the window [frames, H, W] that it ends; before a folder's first image stands that image."""
    import numpy as np

    from irnas.data.decode import Notes, read_image

    seen: list[Any] = []
    folder = None
    for path in paths:
        image_hw = read_image(path, Notes())
        if frames == 1:
            yield path, image_hw
            continue
        if path.parent != folder or image_hw.shape != seen[-1].shape:
            folder, seen = path.parent, [image_hw] * frames
        seen = [*seen[1:], image_hw]
        yield path, np.stack(seen)


def _run_one(
    model: Model | Session, path: Path, image: Any, output: Path, threshold: float, probability: bool, threads: int
) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from irnas.storage import atomic

    found_hw = model.run(image[None], threads)[0]
    hits = found_hw > threshold
    pixels = np.rint(found_hw * 255).astype(np.uint8) if probability else np.where(hits, 255, 0).astype(np.uint8)
    target = output / f"{path.stem}.png"
    with atomic.new_file(target) as part:
        Image.fromarray(pixels).save(part, "PNG")
    return {"image": str(path), "mask": str(target), "pixels": int(hits.sum()), "highest": float(found_hw.max())}


def _load(path: Path, kernels: str | None) -> Model | Session:
    from irnas import runtime
    from irnas.runtime import session

    try:
        if path.suffix != ".onnx":
            return runtime.load(path, kernels=kernels)
        if kernels:
            raise SettingsError(f"--kernels: got {kernels!r} with an .onnx file; must be left out, or the file a .xnor")
        return session.load(path)
    except OSError as problem:
        raise SettingsError(f"model {path}: got {problem.strerror}; must be a .xnor or .onnx file") from None
