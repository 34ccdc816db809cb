"""How much faster SGEM U-Net runs in ONNX Runtime once it is deployed: ratios of thread CPU time, one thread, in turns.

    python tests/bench/sgem_deploy.py [SIDE] [ROUNDS]

Weights are random; no step depends on them.
"""

from __future__ import annotations

import sys
import time
from statistics import median

import numpy as np
import torch
from torch import nn

from irnas import catalog, models
from irnas.export import onnx
from irnas.export.write import Origin

POINTS = ("c=8", "c=16", "default", "c=8,sgem=false")


def main(side: int = 256, rounds: int = 15) -> None:
    """Print a line for each point."""
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (side, side), dtype=np.uint8)
    for point in POINTS:
        network = models.build(catalog.point("sgem_unet", point)).eval()
        taken = onnx.input_of(network, 1)
        runs = []
        # Export deploys what can be deployed; inside a sequence it cannot.
        for each in (nn.Sequential(network), network):
            run, name = onnx.runner(onnx.convert(each, taken, Origin(name=point)), taken)
            runs.append((run, []))
        for _ in range(rounds):
            for run, seconds in runs:
                started = time.thread_time()
                run(image)
                seconds.append(time.thread_time() - started)
        plain, deployed = (seconds for _, seconds in runs)
        print(
            f"{point:16} {name}, {side}x{side}: plain / deployed = {min(plain) / min(deployed):.2f} (least), "
            f"{median(plain) / median(deployed):.2f} (median); deployed {min(deployed) * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:3]))
