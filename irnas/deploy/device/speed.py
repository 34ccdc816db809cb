"""Measuring: a network that nobody trained, as a program of an engine, and the time that it takes.

Times are the least of several runs: what the machine can do when it is left alone. With one thread the clock is the CPU
time of that thread, so that trials running beside it disturb it little.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np

from irnas import models, runtime
from irnas.core.errors import ExportError
from irnas.core.provenance import device_name
from irnas.core.space import Genotype
from irnas.deploy.device.work import Steps, steps
from irnas.deploy.export import onnx
from irnas.deploy.export.draft import rounded
from irnas.deploy.export.lower import lower
from irnas.deploy.export.write import Origin
from irnas.nn import traits
from irnas.runtime import format
from irnas.training.fit import PAD

MIN_RUNS, MAX_RUNS, SECONDS = 5, 30, 0.05
"""A measurement repeats itself this often at least, at most, and for about so long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A network as an engine takes it."""

    engine: str
    """``xnor`` or ``onnx``."""
    content: bytes
    """Of the .xnor or .onnx file."""
    model: format.Model | None
    """What the .xnor file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A program that is ready to go."""

    go: Callable[[], object]
    """Runs on one image."""
    engine: str
    kernels: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long one image took."""

    engine: str
    kernels: str
    ms_min: float
    ms_median: float
    runs: int


def clock_name(threads: int) -> str:
    """How time is told."""
    return "CPU time of the thread" if threads == 1 else "wall clock"


def cpu() -> str:
    """The model name of the processor of this machine."""
    return device_name("cpu")


def program(genotype: Genotype, channels: int) -> Program:
    """The network of a genotype with random weights, for the engine where it can be lowered, else for ONNX Runtime.

    Args:
        genotype: of the network, which is built for images of ``channels`` channels where its family can be.
        channels: of the image.

    Raises:
        ExportError: neither engine takes it, or the packages for the other are absent.
    """
    try:
        return lowered(genotype, channels)
    except ExportError:
        return exported(genotype, channels)


def lowered(genotype: Genotype, channels: int) -> Program:
    """The network for the engine of irnas.runtime.

    Raises:
        ExportError: it has no faithful form there.
    """
    graph = lower(models.build(models.with_channels(genotype, channels)).eval(), channels)
    taken = format.Input(channels=channels, multiple=graph.multiple, pad=PAD)
    side, none = graph.multiple, "0" * 64
    # Nobody repeats the reference run of a file that is not kept.
    run = format.Reference(height=side, width=side, seed=0, input_sha256=none, output_sha256=none)
    model = format.Model(input=taken, ops=rounded(graph.ops), reference=run)
    return Program(engine="xnor", content=format.write(model), model=model)


def exported(genotype: Genotype, channels: int) -> Program:
    """The network for ONNX Runtime; takes seconds.

    Raises:
        ExportError: torch cannot export it, or the packages for that are absent.
    """
    for package in ("onnx", "onnxscript", "onnxruntime"):
        need(package)
    network = models.build(models.with_channels(genotype, channels)).eval()
    # A window of frames takes the place of the image's channels.
    channels = channels if traits.frames(network) == 1 else traits.frames(network)
    proto = onnx.convert(network, onnx.input_of(network, channels), Origin(name=genotype.key))
    return Program(engine="onnx", content=bytes(proto.SerializeToString()), model=None)


def steps_of(found: Program, size: tuple[int, int], kernels: str) -> Steps:
    """What the engine has to do for an image."""
    assert found.model is not None, found.engine
    return steps(found.model.ops, found.model.extents, size, kernels, found.model.input.pad)


def runner(found: Program, size: tuple[int, int], threads: int = 1, kernels: str | None = None) -> Run:
    """A program with its weights loaded and an image before it.

    Raises:
        ExportError: the engine has not been built, or ONNX Runtime is absent.
    """
    if found.engine == "onnx":
        return _onnx(found.content, size, threads)
    image = np.random.default_rng(0).integers(0, 256, (1, *size), dtype=np.uint8)
    model = runtime.Model(found.content, kernels=kernels)
    return Run(go=lambda: model.run(image, threads), engine="xnor", kernels=model.facts.kernels)


def measure(run: Run, threads: int = 1, seconds: float = SECONDS) -> Timing:
    """The time of an image, after one that warms up."""
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    run.go()
    found: list[float] = []
    while len(found) < MIN_RUNS or (len(found) < MAX_RUNS and sum(found) < seconds * 1e3):
        start = clock()
        run.go()
        found.append((clock() - start) / 1e6)
    return Timing(engine=run.engine, kernels=run.kernels, ms_min=min(found), ms_median=median(found), runs=len(found))


def _onnx(content: bytes, size: tuple[int, int], threads: int) -> Run:
    onnxruntime = need("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads, options.log_severity_level = threads, 1, 3
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    multiple = int(session.get_modelmeta().custom_metadata_map["pad"])
    height, width = (-(-side // multiple) * multiple for side in size)
    x_nchw = np.random.default_rng(0).random((1, taken.shape[1], height, width), dtype=np.float32)
    return Run(
        go=lambda: session.run(None, {taken.name: x_nchw}),
        engine="onnx",
        kernels=f"onnxruntime {onnxruntime.__version__}",
    )


def need(package: str) -> Any:
    """A package of the extra ``export``.

    Raises:
        ExportError: it is absent.
    """
    try:
        return importlib.import_module(package)
    except ImportError:
        raise ExportError(
            f"speed: got no package {package} to run what the engine does not; must be installed: "
            "pip install 'irnas[export]'"
        ) from None
