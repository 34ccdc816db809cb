"""``irnas bench`` and ``irnas run``: how fast an exported network is, and what it finds."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.errors import DataError, SettingsError

if TYPE_CHECKING:
    from irnas.runtime import Model

_RUNNERS = "FILE.xnor (the engine), FILE.onnx (onnxruntime), SPACE:POINT (torch, untrained)"
_WIDE = 160
"""Columns of a table that goes to a file or a pipe."""
_SUFFIXES = (".png", ".bmp", ".jpg", ".jpeg", ".tif", ".tiff", ".pgm")


@dataclass(slots=True, kw_only=True)
class Subject:
    """What is timed."""

    model: str
    engine: str
    kernels: str
    run: Callable[[], object]
    times_ms: list[float] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As --json prints it."""
        return {
            "model": self.model,
            "engine": self.engine,
            "ms_min": min(self.times_ms),
            "ms_median": median(self.times_ms),
            "kernels": self.kernels,
        }


def bench(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help=_RUNNERS)],
    size: Annotated[str, typer.Option("--size", metavar="HxW", help="Height and width of the image.")] = "256x256",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads of every engine.")] = 1,
    seconds: Annotated[float, typer.Option(min=0.0, help="Time to spend, at least; warming up comes on top.")] = 10.0,
    kernels: Annotated[
        str | None, typer.Option(metavar="NAME,...|all", help="Kernel sets for .xnor files.", show_default="the best")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time models on one image, in turn, so that all meet the same disturbances.

    With one thread the clock is the CPU time of that thread: what others do on the machine counts only through caches
    and shared cores. With more it is the wall clock. Ratios are to the first model.

      irnas export biisnet LIT10 -o lit10.xnor; irnas export biisnet LIT10 -o lit10.onnx

      irnas bench lit10.xnor lit10.onnx biisnet:LIT10
    """
    height, width = _parse_size(size)
    subjects = [subject for name in models for subject in _subjects(name, height, width, threads, kernels)]
    measure(subjects, seconds, threads)
    if as_json:
        facts = {"size": [height, width], "threads": threads, "clock": _clock(threads)}
        typer.echo(json.dumps({"models": [subject.document() for subject in subjects], **facts}))
    else:
        _print(subjects, height, width, threads)


def measure(subjects: list[Subject], seconds: float, threads: int) -> None:
    """Time the subjects in turn, at least three times each; fast ones run several times a turn."""
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    turns = [(subject, _turn(subject)) for subject in subjects]
    end, rounds = time.monotonic() + seconds, 0
    while rounds < 3 or time.monotonic() < end:
        rounds += 1
        for subject, count in turns:
            for _ in range(count):
                start = clock()
                subject.run()
                subject.times_ms.append((clock() - start) / 1e6)


def _turn(subject: Subject) -> int:
    """Runs of a turn, so that it takes about 20 ms; warms up the subject meanwhile."""
    best = float("inf")
    for _ in range(4):
        start = time.perf_counter()
        subject.run()
        best = min(best, time.perf_counter() - start)
    return max(1, min(20, int(0.02 / max(best, 1e-6))))


def _parse_size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not cross or not height.isdecimal() or not width.isdecimal() or not int(height) or not int(width):
        raise SettingsError(f"--size: got {text!r}; must be HxW, such as 256x256")
    return int(height), int(width)


def _clock(threads: int) -> str:
    return "CPU time of the thread" if threads == 1 else "wall clock"


def _subjects(name: str, height: int, width: int, threads: int, kernels: str | None) -> list[Subject]:
    if name.endswith(".xnor"):
        return _engine(name, height, width, threads, kernels)
    if name.endswith(".onnx"):
        return [_onnxruntime(name, height, width, threads)]
    if ":" in name:
        return [_torch(name, height, width, threads)]
    raise SettingsError(f"model: got {name!r}; must be one of {_RUNNERS}")


def _engine(name: str, height: int, width: int, threads: int, kernels: str | None) -> list[Subject]:
    import numpy as np

    from irnas import runtime

    image = np.random.default_rng(0).integers(0, 256, (1, height, width), dtype=np.uint8)
    names = runtime.kernels() if kernels == "all" else kernels.split(",") if kernels else [None]
    found = []
    for each in names:
        model = _load(name, each)

        def run(model: Model = model) -> object:
            return model.run(image, threads)

        found.append(Subject(model=name, engine="xnor", kernels=model.facts.kernels, run=run))
    return found


def _load(name: str, kernels: str | None) -> Model:
    from irnas import runtime

    try:
        return runtime.load(name, kernels=kernels)
    except OSError as problem:
        raise SettingsError(f"model {name}: got {problem.strerror}; must be a .xnor file") from None


def _onnxruntime(name: str, height: int, width: int, threads: int) -> Subject:
    import numpy as np

    onnxruntime = _rival("onnxruntime", name)
    if not Path(name).is_file():
        raise SettingsError(f"model {name}: got no such file; must be an .onnx file")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    try:
        session = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
    except Exception as problem:
        raise SettingsError(
            f"model {name}: got {' '.join(str(problem).split())[:200]}; must be an ONNX model"
        ) from None
    taken = session.get_inputs()[0]
    channels = taken.shape[1] if isinstance(taken.shape[1], int) else 1
    x_nchw = np.random.default_rng(0).random((1, channels, height, width), dtype=np.float32)
    return Subject(
        model=name,
        engine=f"onnxruntime {onnxruntime.__version__}",
        kernels="fp32",
        run=lambda: session.run(None, {taken.name: x_nchw}),
    )


def _torch(name: str, height: int, width: int, threads: int) -> Subject:
    torch = _rival("torch", name)
    from irnas import catalog, models

    space, _, point = name.partition(":")
    genotype = catalog.point(space, point)
    torch.manual_seed(0)
    network = models.build(genotype).eval()
    x_nchw = torch.rand(1, int(genotype.values.get("in_ch", 1)), height, width)
    torch.set_num_threads(threads)

    def run() -> object:
        with torch.inference_mode():
            return network(x_nchw).sigmoid()

    return Subject(model=name, engine=f"torch {torch.__version__}", kernels="fp32 eager", run=run)


def _rival(package: str, name: str) -> Any:
    """An engine that need not be installed."""
    if importlib.util.find_spec(package) is None:
        raise SettingsError(f"model {name}: got no package {package}; must be installed to run it")
    return importlib.import_module(package)


def _print(subjects: list[Subject], height: int, width: int, threads: int) -> None:
    from rich.console import Console
    from rich.table import Table

    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    title = f"{height}x{width}, {threads} thread{'s' if threads > 1 else ''}, {_clock(threads)}{load}"
    table = Table(title=title, title_justify="left")
    for column in ("model", "engine", "kernels"):
        table.add_column(column)
    for column in ("ms min", "ms median", "x min", "x median", "runs"):
        table.add_column(column, justify="right")
    first = subjects[0].document()
    for subject in subjects:
        found = subject.document()
        ratios = (found[key] / first[key] for key in ("ms_min", "ms_median"))
        cells = [f"{found['ms_min']:.3f}", f"{found['ms_median']:.3f}", *(f"{ratio:.2f}" for ratio in ratios)]
        table.add_row(subject.model, subject.engine, subject.kernels, *cells, str(len(subject.times_ms)))
    Console(width=None if sys.stdout.isatty() else _WIDE).print(table)


def run(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="FILE.xnor")],
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
    """Run a .xnor model on images and write masks: 255 where there is a target.

    irnas run model.xnor images/ -o masks/
    """
    loaded = _load(str(model), kernels)
    paths = _images(images)
    output.mkdir(parents=True, exist_ok=True)
    found = [_run_one(loaded, path, output, threshold, probability, threads) for path in paths]
    if as_json:
        typer.echo(json.dumps({"model": str(model), "kernels": loaded.facts.kernels, "images": found}))
        return
    for each in found:
        typer.echo(f"{each['mask']}: {each['pixels']} target pixels, highest probability {each['highest']:.4f}")
    typer.echo(f"{len(found)} images, kernels {loaded.facts.kernels}")


def _images(given: list[Path]) -> list[Path]:
    paths: list[Path] = []
    for path in given:
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


def _run_one(
    model: Model, path: Path, output: Path, threshold: float, probability: bool, threads: int
) -> dict[str, Any]:
    import numpy as np
    from PIL import Image

    from irnas.data.decode import Notes, read_image

    found_hw = model.run(read_image(path, Notes())[None], threads)[0]
    hits = found_hw > threshold
    pixels = np.rint(found_hw * 255).astype(np.uint8) if probability else np.where(hits, 255, 0).astype(np.uint8)
    target = output / f"{path.stem}.png"
    half = target.with_suffix(".png.part")
    Image.fromarray(pixels).save(half, "PNG")
    half.replace(target)
    return {"image": str(path), "mask": str(target), "pixels": int(hits.sum()), "highest": float(found_hw.max())}
