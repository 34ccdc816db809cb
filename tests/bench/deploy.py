"""How much faster networks run in ONNX Runtime once deployed: ratios of thread CPU time, one thread, in turns.

    python tests/bench/deploy.py SPACE POINT... [--side 256] [--rounds 15]

"plain" is the network as it is trained, less what only its loss asks for. Weights are random; no step depends on them.
"""

from __future__ import annotations

import argparse
import time
from statistics import median

import numpy as np
import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.models.rpcanet_plus import RPCANetPlus


def main() -> None:
    """Print a line for each point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("space")
    parser.add_argument("points", nargs="+")
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    torch.set_num_threads(1)
    image = np.random.default_rng(0).integers(0, 256, (given.side, given.side), dtype=np.uint8)
    for point in given.points:
        network = models.build(catalog.find_point(given.space, point)).eval()
        plain = network.trim() if isinstance(network, RPCANetPlus) else network
        taken = onnx.input_of(network, 1)
        runs = []
        # Export deploys what can be deployed; inside a sequence it cannot.
        for each in (nn.Sequential(plain).eval(), network):
            run, name = onnx.make_runner(onnx.convert(each, taken, Origin(name=point)))
            runs.append((run, []))
        for _ in range(given.rounds):
            for run, seconds in runs:
                started = time.thread_time()
                run(image)
                seconds.append(time.thread_time() - started)
        before, after = (seconds for _, seconds in runs)
        print(
            f"{point:20} {name}, {given.side}x{given.side}: plain / deployed = {min(before) / min(after):.2f} (least), "
            f"{median(before) / median(after):.2f} (median); deployed {min(after) * 1e3:.1f} ms"
        )


if __name__ == "__main__":
    main()
