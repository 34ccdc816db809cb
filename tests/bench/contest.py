"""Two strategies on real trainings: equal epochs, several seeds, hypervolume after the finalists were trained again.

    python tests/bench/contest.py DATA [--strategies freeze-thaw,nsga2] [--seeds 3] [--trials 12] [--epochs 27]

Each search may spend ``trials`` full trainings' worth of epochs. Then at most ``--finalists`` of its front are trained
again with other seeds, and its front is that of their means, on the validation split. The box of the hypervolume is the
same for all: mIoU 0..1, OPs from the least to the largest of any network that was trained.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from irnas.core.front import Front
from irnas.core.result import Result, Status
from irnas.record.run import Run


def search(arguments: argparse.Namespace, strategy: str, seed: int, uri: str) -> None:
    command = [
        sys.executable,
        "-m",
        "irnas",
        "search",
        "--space=biisnet",
        "--objective=miou,ops",
        f"--dataset={arguments.data}",
        f"--strategy={strategy}",
        f"--trials={arguments.trials}",
        f"--epochs={arguments.epochs}",
        f"--batch={arguments.batch}",
        f"--crop={arguments.crop}",
        f"--seed={seed}",
        f"--finalists={arguments.finalists}",
        "--seeds=3",
        f"--run={uri}",
    ]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def finalists(run: Run) -> list[Result]:
    """The networks that were trained several times, with their means."""
    return [r for r in run.results if r.key in run.replicates and r.status is Status.OK]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--strategies", default="freeze-thaw,nsga2")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=27)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=int, default=32)
    parser.add_argument("--finalists", type=int, default=4)
    parser.add_argument("--keep", help="folder for the runs; what is there already is not run again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="irnas-contest-") as scratch:
        folder = Path(arguments.keep or scratch)
        records: dict[tuple[str, int], Run] = {}
        for seed in range(arguments.seeds):
            for strategy in arguments.strategies.split(","):
                uri = folder / f"{strategy}-{seed}"
                if not (uri / "report.html").exists():
                    search(arguments, strategy, seed, str(uri))
                records[strategy, seed] = Run.read(str(uri))
    ops = [r.values["ops"] for record in records.values() for r in record.results]
    bounds = {"miou": (1.0, 0.0), "ops": (min(ops), max(ops))}
    shares: dict[str, list[float]] = {}
    for (strategy, seed), record in records.items():
        front = Front.of(finalists(record), record.objectives)
        epochs = sum(r.epochs for r in record.results)
        shares.setdefault(strategy, []).append(front.hypervolume(bounds))
        best = max((r.values["miou"] for r in front.results), default=0.0)
        print(
            f"{strategy:<12} seed {seed}: hypervolume {100 * shares[strategy][-1]:5.2f} %, {epochs} epochs on "
            f"{len(record.results)} networks, front of {len(front.results)}, best mIoU {100 * best:.1f} %"
        )
    for strategy, volumes in shares.items():
        mean, least, most = (100 * f(volumes) for f in (statistics.fmean, min, max))
        print(f"{strategy:<12} mean {mean:.2f} %, least {least:.2f}, most {most:.2f}")


if __name__ == "__main__":
    main()
