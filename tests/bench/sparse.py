"""How much faster ADSNet is when it skips patches. Run: python tests/bench/sparse.py

Prints milliseconds (least and median) of the network in evaluation with its activation blocks computed over all
positions and masked, and with inactive patches skipped, in turn, on random images; then of the two blocks alone. The
outputs agree. With --onnx, the same networks in ONNX Runtime. Beside each ratio stands what the count of
multiply-accumulates lets one expect. One process; CPU time of all its threads or, with --wall, time on the wall; random
weights, which cost what trained ones cost.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

import torch  # noqa: E402
from torch import nn  # noqa: E402

from irnas import cost, models  # noqa: E402
from irnas.core import catalog  # noqa: E402
from irnas.nn.patch import PatchActivation, upsample_mask  # noqa: E402


def interleaved(works: Sequence[Callable[[], object]], rounds: int, clock: Callable[[], float]) -> list[list[float]]:
    """Milliseconds of each, one after the other in every round."""
    spent: list[list[float]] = [[] for _ in works]
    for work in works:
        work()
    for _ in range(rounds):
        for times, work in zip(spent, works, strict=True):
            start = clock()
            work()
            times.append((clock() - start) * 1e3)
    return spent


def set_skipping(network: nn.Module, skips: bool) -> None:
    """Whether patches are skipped or masked."""
    for part in network.modules():
        if isinstance(part, PatchActivation):
            part.skips = skips


def run(network: nn.Module, x_nchw: torch.Tensor, skips: bool) -> torch.Tensor:
    """One pass."""
    set_skipping(network, skips)
    y_nchw: torch.Tensor = network(x_nchw)
    return y_nchw


def line(label: str, dense: list[float], sparse: list[float], expected: float) -> None:
    """Print one comparison."""
    low, middle = min(sparse) / min(dense), statistics.median(sparse) / statistics.median(dense)
    cells = [f"{min(t):8.2f} {statistics.median(t):8.2f}" for t in (dense, sparse)]
    print(f"{label:24s} {cells[0]}  {cells[1]}   {low:.3f} {middle:.3f}   {expected:.3f}", flush=True)


@torch.no_grad()
def measure(point: str, side: int, batch: int, rounds: int, clock: Callable[[], float]) -> None:
    """Compare the network, then its blocks at levels 3 and 2, on one size."""
    torch.manual_seed(0)
    network, x_nchw = models.build(catalog.find_point("adsnet", point)).eval(), torch.rand(batch, 1, side, side)
    torch.testing.assert_close(run(network, x_nchw, True), run(network, x_nchw, False), rtol=1e-5, atol=1e-5)
    of = cost.survey(catalog.find_point("adsnet", point), (1, side, side))
    all_macs = cost.survey(catalog.find_point("adsnet", f"{point},drop=0/0"), (1, side, side)).total.macs
    times = interleaved([partial(run, network, x_nchw, skips) for skips in (False, True)], rounds, clock)
    line(f"{point} {side}x{side} network", times[0], times[1], of.total.macs / all_macs)
    for name, stride in (("act3", 8), ("act2", 4)):
        block = network.get_submodule(name)
        assert isinstance(block, PatchActivation)
        rows = side // stride
        map_nchw = torch.rand(batch, len(block.fuse[1].weight), rows, rows)  # type: ignore[arg-type]
        map_nchw = map_nchw.contiguous(memory_format=torch.channels_last)
        share, cells = 1 - block.dropped / 100, rows // block.side
        order = torch.rand(batch, cells * cells).argsort(1).argsort(1)
        active = (order < share * cells * cells).float().view(batch, 1, cells, cells)
        mask = upsample_mask(active, block.side, map_nchw)
        block.skips = True
        works = [partial(block.masked, map_nchw, mask), partial(block, map_nchw, active)]
        times = interleaved(works, rounds, clock)
        line(f"  {name}", times[0], times[1], share)


def session(network: nn.Module, skips: bool) -> Callable[[torch.Tensor], object]:
    """The network as ONNX Runtime runs it."""
    import onnxruntime

    from irnas.deploy.export import onnx
    from irnas.deploy.export.write import Origin

    set_skipping(network, skips)
    proto = onnx.convert(network, onnx.input_of(network, 1), Origin(name="sparse"))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = torch.get_num_threads(), 3
    loaded = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x_nchw: loaded.run(None, {onnx.INPUT: x_nchw.numpy()})


def measure_onnx(point: str, sides: list[int], rounds: int, clock: Callable[[], float]) -> None:
    """Compare the two exports of a network."""
    torch.manual_seed(0)
    network = models.build(catalog.find_point("adsnet", point)).eval()
    sessions = [session(network, skips) for skips in (False, True)]
    for side in sides:
        x_nchw = torch.rand(1, 1, side, side)
        times = interleaved([partial(run, x_nchw) for run in sessions], rounds, clock)
        macs = [
            cost.survey(catalog.find_point("adsnet", which), (1, side, side)).total.macs
            for which in (point, f"{point},drop=0/0")
        ]
        line(f"{point} {side}x{side} onnx", times[0], times[1], macs[0] / macs[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", nargs="*", type=int, default=[256, 512], help="pixels a side")
    parser.add_argument("--d", nargs="*", type=int, default=[64, 128, 256], help="pyramid widths")
    parser.add_argument("--drop", default="0.25/0.5")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--wall", action="store_true", help="wall-clock time instead of CPU time")
    parser.add_argument("--onnx", action="store_true", help="in ONNX Runtime; images one by one")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    clock = time.perf_counter if arguments.wall else time.process_time
    print(f"{arguments.threads} threads, batch {arguments.batch}, drop {arguments.drop}; milliseconds: least median")
    print(f"{'':24s} {'masked':>17s}  {'skipped':>17s}   ratio        MACs")
    for depth in arguments.d if arguments.onnx else ():
        measure_onnx(f"d={depth},drop={arguments.drop}", arguments.sides, arguments.rounds, clock)
    for side in () if arguments.onnx else arguments.sides:
        for depth in arguments.d:
            measure(f"d={depth},drop={arguments.drop}", side, arguments.batch, arguments.rounds, clock)


if __name__ == "__main__":
    main()
