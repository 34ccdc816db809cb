"""How much faster the metric kernel is than its oracle, and what an image costs. Run: python tests/bench/metrics.py

Prints, per preset, milliseconds per image of the kernel and the ratio oracle / kernel, on maps of a trained network
(few blobs, a dark background) and on noisy ones. One thread; best of several runs.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

# Only now: threads are counted on import, and the oracles lie beside this folder.
import numpy as np  # noqa: E402
from support import oracles  # noqa: E402

from irnas.metrics import PRESETS, Counts, count, summarize  # noqa: E402


def scene(seed: int, side: int, noise: float) -> tuple[Any, Any]:
    """A map with two or three targets nearly hit, and uniform noise of that height elsewhere."""
    rng = np.random.default_rng(seed)
    map_hw = (rng.random((side, side)) * noise).astype(np.float32)
    truth_hw = np.zeros((side, side), dtype=bool)
    for row, column in rng.integers(4, side - 8, (rng.integers(2, 4), 2)):
        truth_hw[row : row + 4, column : column + 4] = True
        map_hw[row : row + 4, column + 1 : column + 5] = 0.9
    return map_hw, truth_hw


def best_ms(work: Callable[[], object], times: int) -> float:
    """The least wall-clock milliseconds of one call, over ``times`` calls."""
    spent = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        spent.append(time.perf_counter() - start)
    return min(spent) * 1e3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--side", type=int, default=256, help="pixels a side")
    parser.add_argument("--presets", nargs="*", default=list(PRESETS), choices=list(PRESETS))
    arguments = parser.parse_args()
    print(f"{arguments.side}x{arguments.side}  {'preset':12s}{'kernel':>10s}{'oracle':>12s}{'ratio':>8s}")
    for label, noise in (("clean", 0.05), ("noisy", 0.502)):
        map_hw, truth_hw = scene(0, arguments.side, noise)
        for name in arguments.presets:
            rules = PRESETS[name]
            fast = best_ms(partial(count, map_hw, truth_hw, rules), 50)
            slow = best_ms(partial(oracles.count_slowly, map_hw, truth_hw, np.zeros_like(truth_hw), rules), 1)
            print(f"{label:7s}  {name:12s}{fast:7.3f} ms{slow:9.0f} ms{slow / fast:8.0f}")
    split = Counts.concat([count(*scene(seed, arguments.side, 0.05)) for seed in range(100)])
    print(f"summarize 100 images: {best_ms(lambda: summarize(split), 50):.3f} ms")


if __name__ == "__main__":
    main()
