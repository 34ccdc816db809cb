"""Measuring: a network that nobody trained, as a program of an engine, and the time that it takes.

Times are the least of several runs: what the machine can do when it is left alone. With one thread the clock is the CPU
time of that thread, so that trials running beside it disturb it little.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median

import numpy as np

from irnas import models, runtime
from irnas.core.errors import ExportError
from irnas.core.space import Genotype
from irnas.deploy.device import work
from irnas.deploy.export import onnx
from irnas.deploy.export.draft import round_constants
from irnas.deploy.export.lower import lower
from irnas.deploy.export.write import Origin
from irnas.nn import traits
from irnas.runtime import format, session

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

    @property
    def is_binary(self) -> bool:
        """Whether the engine has layers of one bit to run in it."""
        return self.model is not None and any(op.kind == "binary_block" for op in self.model.ops)


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
    """Which clock measures times on so many threads."""
    return "CPU time of the thread" if threads == 1 else "wall clock"


def make_program(genotype: Genotype, channels: int) -> Program:
    """The network of a genotype with random weights, for the engine where it can be lowered, else for ONNX Runtime.

    Args:
        genotype: of the network, which is built for images of ``channels`` channels where its family can be.
        channels: of the image.

    Raises:
        ExportError: neither engine takes it, or the packages for the other are absent.
    """
    try:
        return lower_genotype(genotype, channels)
    except ExportError:
        return export_genotype(genotype, channels)


def lower_genotype(genotype: Genotype, channels: int) -> Program:
    """The network for the engine of irnas.runtime.

    Raises:
        ExportError: it has no faithful form there.
    """
    graph = lower(models.build(models.with_channels(genotype, channels)).eval(), channels)
    accepted = graph.accept(channels)
    side, none = graph.multiple, "0" * 64
    # Nobody repeats the reference run of a file that is not kept.
    run = format.Reference(height=side, width=side, seed=0, input_sha256=none, output_sha256=none)
    model = format.Model(input=accepted, ops=round_constants(graph.ops), reference=run)
    return Program(engine="xnor", content=format.write(model), model=model)


def export_genotype(genotype: Genotype, channels: int) -> Program:
    """The network for ONNX Runtime; takes seconds.

    Raises:
        ExportError: torch cannot export it, or the packages for that are absent.
    """
    # Says at once that ONNX Runtime is absent, rather than after the seconds of an export.
    session.onnx_engine()
    network = models.build(models.with_channels(genotype, channels)).eval()
    # A window of frames takes the place of the image's channels.
    channels = channels if traits.frames(network) == 1 else traits.frames(network)
    proto = onnx.convert(network, onnx.input_of(network, channels), Origin(name=genotype.key))
    return Program(engine="onnx", content=bytes(proto.SerializeToString()), model=None)


def count_steps(program: Program, size: tuple[int, int], kernels: str) -> work.Steps:
    """What the engine has to do for an image."""
    assert program.model is not None, program.engine
    return work.count_steps(program.model.ops, program.model.extents, size, kernels, program.model.input.pad)


def make_runner(program: Program, size: tuple[int, int], threads: int = 1, kernels: str | None = None) -> Run:
    """A program with its weights loaded and an image before it.

    Raises:
        ExportError: the engine has not been built, or ONNX Runtime is absent.
    """
    if program.engine == "onnx":
        return _onnx(program.content, size, threads)
    image = np.random.default_rng(0).integers(0, 256, (1, *size), dtype=np.uint8)
    model = runtime.Model(program.content, kernels=kernels)
    return Run(go=lambda: model.run(image, threads), engine="xnor", kernels=model.facts.kernels)


def measure(run: Run, threads: int = 1, seconds: float = SECONDS) -> Timing:
    """The time of an image, after one that warms up."""
    clock = time.thread_time_ns if threads == 1 else time.perf_counter_ns
    run.go()
    times_ms: list[float] = []
    while len(times_ms) < MIN_RUNS or (len(times_ms) < MAX_RUNS and sum(times_ms) < seconds * 1e3):
        start = clock()
        run.go()
        times_ms.append((clock() - start) / 1e6)
    return Timing(
        engine=run.engine, kernels=run.kernels, ms_min=min(times_ms), ms_median=median(times_ms), runs=len(times_ms)
    )


def _onnx(content: bytes, size: tuple[int, int], threads: int) -> Run:
    loaded = session.onnx_session(content, threads)
    model_input = loaded.get_inputs()[0]
    multiple = int(loaded.get_modelmeta().custom_metadata_map["pad"])
    height, width = (-(-side // multiple) * multiple for side in size)
    x_nchw = np.random.default_rng(0).random((1, model_input.shape[1], height, width), dtype=np.float32)
    return Run(go=lambda: loaded.run(None, {model_input.name: x_nchw}), engine="onnx", kernels=session.onnx_engine())
