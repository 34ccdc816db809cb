"""One training step of networks: with the kernels of irnas/nn/fused*.py, and with plain PyTorch modules.

    python tests/bench/step.py [--point default bn=true] [--crop 64] [--batch 8] [--rounds 20]

All networks start alike and see the same batch; steps take turns on one thread, timed in CPU time of that thread.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import statistics
import time

import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.nn import fused, parameter_groups
from irnas.nn.loss import make_loss

WAYS = {"plain": fused.off, "fused": contextlib.nullcontext}


def network(point: str) -> tuple[nn.Module, torch.optim.Optimizer]:
    torch.manual_seed(0)
    model = models.build(catalog.find_point("biisnet", point)).train()
    return model, torch.optim.AdamW(parameter_groups(model, 1e-3, 1e-4), fused=True)


def step(model: nn.Module, optimizer: torch.optim.Optimizer, x_nchw: Tensor, truth: Tensor) -> tuple[float, float]:
    """Loss, and seconds of CPU time."""
    started = time.thread_time()
    loss = make_loss("softiou+bce")(model(x_nchw), truth)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()
    return loss.item(), time.thread_time() - started


def show(point: str, seconds: dict[str, list[float]], losses: dict[str, float]) -> None:
    """A line a way, and how they compare."""
    for way, taken in seconds.items():
        least, middle = 1e3 * min(taken), 1e3 * statistics.median(taken)
        print(f"{point}, {way}: {least:.1f} ms min, {middle:.1f} median; loss {losses[way]:.5f}")
    least, middle = (f(seconds["plain"]) / f(seconds["fused"]) for f in (min, statistics.median))
    print(f"{point}, plain / fused: {least:.2f} min, {middle:.2f} median")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--point", nargs="+", default=["default", "bn=true"], help="of the space biisnet")
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shape = arguments.batch, 1, arguments.crop, arguments.crop
    x_nchw = torch.rand(shape).to(memory_format=torch.channels_last)
    truth = (torch.rand(shape) > 0.99).float()
    print(f"biisnet, batch {arguments.batch}, crop {arguments.crop}, kernels built: {fused.is_built()}")
    contestants = list(itertools.product(arguments.point, WAYS))
    trained = {contestant: network(contestant[0]) for contestant in contestants}
    seconds: dict[str, dict[str, list[float]]] = {point: {way: [] for way in WAYS} for point in arguments.point}
    losses: dict[str, dict[str, float]] = {point: {} for point in arguments.point}
    for round_ in range(arguments.rounds + 2):
        for point, way in contestants:
            with WAYS[way]():
                losses[point][way], took = step(*trained[point, way], x_nchw, truth)
            # The first steps pay for memory that is kept from then on.
            if round_ >= 2:
                seconds[point][way].append(took)
    for point in arguments.point:
        show(point, seconds[point], losses[point])


if __name__ == "__main__":
    main()
