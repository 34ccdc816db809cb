"""One training step of a network: with the kernels of irnas/nn/fused.py, and with plain PyTorch modules.

    python tests/bench/step.py [--point LIT10] [--crop 64] [--batch 8] [--rounds 20]

Both networks start alike and see the same batch; steps take turns on one thread, timed in CPU time of that thread.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import time

import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import catalog
from irnas.nn import fused, parameter_groups
from irnas.nn.loss import make_loss


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--point", default="LIT10", help="of the space biisnet")
    parser.add_argument("--crop", type=int, default=64)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=20)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    shape = arguments.batch, 1, arguments.crop, arguments.crop
    x_nchw = torch.rand(shape).to(memory_format=torch.channels_last)
    truth = (torch.rand(shape) > 0.99).float()
    ways = {"plain": fused.off, "fused": contextlib.nullcontext}
    trained = {way: network(arguments.point) for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    losses: dict[str, float] = {}
    for _ in range(arguments.rounds + 2):
        for way, around in ways.items():
            with around():
                losses[way], took = step(*trained[way], x_nchw, truth)
            seconds[way].append(took)
    print(
        f"biisnet {arguments.point}, batch {arguments.batch}, crop {arguments.crop}, kernels built: {fused.is_built()}"
    )
    for way, seconds_of_way in seconds.items():
        kept = seconds_of_way[2:]
        least, middle = 1e3 * min(kept), 1e3 * statistics.median(kept)
        print(f"{way}: {least:.1f} ms min, {middle:.1f} median; loss {losses[way]:.5f}")
    least, middle = (f(seconds["plain"][2:]) / f(seconds["fused"][2:]) for f in (min, statistics.median))
    print(f"plain / fused: {least:.2f} min, {middle:.2f} median")


if __name__ == "__main__":
    main()
