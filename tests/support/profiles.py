"""Device profiles without a device: times that follow from made-up prices of steps."""

from __future__ import annotations

import functools
import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from irnas.deploy.device import calibrate, speed
from irnas.deploy.device.profile import Profile, save

KERNELS = "avx512"
SIZES = ((32, 32), (64, 48))


def price(kind: str) -> float:
    """The made-up price of a kind of step, 1..7 ns."""
    return 1.0 + zlib.crc32(kind.encode()) % 7


def make_runner(program: speed.Program, size: tuple[int, int], threads: int = 1) -> speed.Run:
    """Stands in for speed.make_runner: what runs says itself how long it takes."""
    steps = speed.count_steps(program, size, KERNELS)
    return speed.Run(go=lambda: sum(n * price(kind) for kind, n in steps.items()), engine="xnor", kernels=KERNELS)


def measure(run: speed.Run, threads: int = 1, seconds: float = 0.0) -> speed.Timing:
    """Stands in for speed.measure."""
    ms = run.go()
    assert isinstance(ms, float)
    return speed.Timing(engine=run.engine, kernels=run.kernels, ms_min=ms, ms_median=1.5 * ms, runs=5)


@functools.cache
def profile() -> Profile:
    """A calibration against those times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(speed, "make_runner", make_runner)
        patch.setattr(speed, "measure", measure)
        patch.setattr("irnas.runtime.kernels", lambda: [KERNELS])
        return calibrate.calibrate("a board", points=45, checks=10, sizes=SIZES)


def written(folder: Path, name: str = "board.json", **changes: Any) -> str:
    """The file of that profile, with other fields where told."""
    path = str(folder / name)
    save(replace(profile(), **changes), path)
    return path


def document(**changes: Any) -> dict[str, Any]:
    """That profile as plain data that went through JSON."""
    profile_document: dict[str, Any] = json.loads(json.dumps(profile().document()))
    return {**profile_document, **changes}
