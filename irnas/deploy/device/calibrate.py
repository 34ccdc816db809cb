"""Making a profile: networks drawn from a space run on this machine, a price for each kind of step that explains their
times (least squares of the relative errors, no price below zero), and the errors on networks left out of the fit.

Everything runs once in each of a few rounds that lie far apart, and its least time counts, so that a slow moment of the
machine spoils no single network.
"""

from __future__ import annotations

import datetime
import itertools
import platform
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from irnas import runtime
from irnas.core import catalog
from irnas.core.errors import ExportError, SettingsError
from irnas.core.provenance import code_revision, device_name
from irnas.core.space import Genotype
from irnas.deploy.device import layer, speed
from irnas.deploy.device.profile import Errors, Profile, Table

Size = tuple[int, int]
Tell = Callable[[str, int, int], None]
"""Is told of progress: (what, done, total)."""

SPACE = "biisnet"
"""The space whose networks the engine runs."""
SIZES: tuple[Size, ...] = ((128, 128), (256, 256), (512, 512))
LARGE = 256
"""Networks of the whole space, of which many are huge, run at sizes up to this alone."""
POINTS, MIN_POINTS = 90, 30
CHECKS = 60
"""Networks that are left out of the fit, to check it."""
ROUNDS = 3
ONNX_SHARE = 2
"""Networks for ONNX Runtime are so many times fewer: each takes seconds to export."""


@dataclass(slots=True, kw_only=True)
class _Sample:
    """A network of the calibration, and what was seen of it."""

    genotype: Genotype
    program: speed.Program
    is_searched: bool = True
    """Whether a search would draw it, or only the whole space has it."""
    steps: dict[Size, Mapping[str, float]] = field(default_factory=dict)
    ms: dict[Size, float] = field(default_factory=dict)


def calibrate(
    name: str,
    *,
    threads: int = 1,
    points: int = POINTS,
    checks: int = CHECKS,
    seed: int = 0,
    sizes: Sequence[Size] = SIZES,
    onnx: str = "",
    tell: Tell = lambda *_: None,
) -> Profile:
    """The profile of this machine.

    Args:
        name: what to call it.
        threads: that the engine shares an image among.
        points: networks to fit on: two thirds of those that a search draws, one third of the whole space.
        checks: networks of those that a search draws to check the fit on, none of them fitted.
        seed: of the draw.
        sizes: of the images.
        onnx: spaces, joined by commas, whose networks are timed on ONNX Runtime too; none by default.
        tell: is told of progress.

    Raises:
        SettingsError: too few points.
        ExportError: the engine has not been built.
    """
    if points < MIN_POINTS:
        raise SettingsError(f"points: got {points}; must be at least {MIN_POINTS}, for so many kinds of steps")
    # Says at once that the engine has not been built.
    runtime.kernels()
    samples = _lowered(points, checks, seed, tell)
    tables = [_table(samples, "xnor", SPACE, points, sizes, threads, tell)]
    if onnx:
        samples = _exported(onnx, points // ONNX_SHARE, checks // ONNX_SHARE, seed, tell)
        # A float network of the largest size takes as long as fifty binary ones.
        few = [size for size in sizes if max(size) <= LARGE] or sizes[:1]
        tables.append(_table(samples, "onnx", onnx, points // ONNX_SHARE, few, threads, tell))
    return Profile(
        name=name,
        cpu=device_name("cpu"),
        machine=platform.machine(),
        threads=threads,
        clock=speed.clock_name(threads),
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        code_rev=code_revision(),
        tables=tuple(tables),
    )


def fit(rows: Sequence[Mapping[str, float]], ms: Sequence[float]) -> dict[str, float]:
    """The price of each kind of step, in ns, that comes closest to the times: relative errors squared, none negative.

    Args:
        rows: millions of steps of each network.
        ms: its time.
    """
    from scipy.optimize import nnls

    kinds = sorted({kind for row in rows for kind in row})
    counts = np.array([[row.get(kind, 0.0) for kind in kinds] for row in rows])
    # Steps of kinds that differ by orders of magnitude in number: each column to its own size first.
    scale = counts.max(0)
    prices, _ = nnls(counts / scale / np.array(ms)[:, None], np.ones(len(ms)))
    return {kind: float(price) for kind, price in zip(kinds, prices / scale, strict=True)}


def measure_errors(what: str, predicted: Sequence[float], measured: Sequence[float]) -> Errors:
    """How far predictions were off."""
    off: npt.NDArray[np.float64] = np.abs(np.array(predicted) / np.array(measured) - 1)
    return Errors(
        of=what, count=len(off), median=float(np.median(off)), p90=float(np.quantile(off, 0.9)), most=float(off.max())
    )


def _table(
    samples: Sequence[_Sample], engine: str, space: str, points: int, sizes: Sequence[Size], threads: int, tell: Tell
) -> Table:
    """Time all samples; fit on the first ``points``, check on the others."""
    kernels = _time(samples, sizes, threads, tell)
    fitted, unseen = samples[:points], samples[points:]
    ns = fit([s.steps[size] for s in fitted for size in s.ms], [s.ms[size] for s in fitted for size in s.ms])
    errors = tuple(_errors(unseen, size, ns) for size in sizes)
    return Table(engine=engine, kernels=kernels, space=space, count=points, sizes=tuple(sizes), ns=ns, errors=errors)


def _lowered(points: int, checks: int, seed: int, tell: Tell) -> list[_Sample]:
    """Networks for the engine, all different: those to fit on, of which each third is of the whole space, then others
    of those that a search would draw."""
    space = catalog.load(SPACE)
    searched, rng, seen = space.focus(), random.Random(seed), set[str]()
    samples: list[_Sample] = []
    while len(samples) < points + checks:
        is_searched = len(samples) >= points or bool(len(samples) % 3)
        genotype = (searched if is_searched else space).sample(rng)
        if genotype.key in seen:
            continue
        seen.add(genotype.key)
        try:
            program = speed.lower_genotype(genotype, 1)
        except ExportError:
            # A point of the whole space that the engine does not take.
            continue
        samples.append(_Sample(genotype=genotype, program=program, is_searched=is_searched))
        tell("building networks", len(samples), points + checks)
    return samples


def _exported(spaces: str, points: int, checks: int, seed: int, tell: Tell) -> list[_Sample]:
    """Networks for ONNX Runtime, all different, from the spaces in turn."""
    drawn = itertools.cycle([catalog.load(name.strip()).focus() for name in spaces.split(",")])
    rng, samples = random.Random(seed), dict[str, _Sample]()
    for space in itertools.islice(drawn, 20 * (points + checks)):
        genotype = space.sample(rng)
        if genotype.key in samples:
            continue
        samples[genotype.key] = _Sample(genotype=genotype, program=speed.export_genotype(genotype, 1))
        tell("exporting networks", len(samples), points + checks)
        if len(samples) == points + checks:
            return list(samples.values())
    raise SettingsError(f"onnx: got {len(samples)} different networks of {spaces}; must be {points + checks}")


def _time(samples: Sequence[_Sample], sizes: Sequence[Size], threads: int, tell: Tell) -> str:
    """Fill in times and steps; returns the kernel set that ran."""
    kernels, total = "", ROUNDS * len(samples)
    for rounds_done in range(ROUNDS):
        for number, sample in enumerate(samples):
            for size in sizes:
                # Many networks of the whole space are huge.
                if sample.is_searched or max(size) <= LARGE:
                    timing = speed.measure(speed.make_runner(sample.program, size, threads), threads, seconds=0.0)
                    sample.ms[size] = min(timing.ms_min, sample.ms.get(size, timing.ms_min))
                    kernels = timing.kernels
            tell("measuring", rounds_done * len(samples) + number + 1, total)
    for sample in samples:
        for size in sample.ms:
            is_ours = sample.program.engine == "xnor"
            sample.steps[size] = (
                speed.count_steps(sample.program, size, kernels)
                if is_ours
                else layer.count_steps(sample.genotype, (1, *size))
            )
    return kernels


def _errors(samples: Sequence[_Sample], size: Size, ns: Mapping[str, float]) -> Errors:
    predicted = [sum(number * ns.get(kind, 0.0) for kind, number in s.steps[size].items()) for s in samples]
    return measure_errors(f"{size[0]}x{size[1]}", predicted, [s.ms[size] for s in samples])
