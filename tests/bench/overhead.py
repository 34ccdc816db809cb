"""How much of the workers' time a search takes for itself.

    python tests/bench/overhead.py [--trials 4] [--seconds 30] [--workers 2]

Trains the same network size with as many epochs as make a trial of about that length, on Ray, and compares the seconds
that trials report with the seconds that the workers were held: from the first proposal to the last result, times the
workers. Starting Ray and making the page come before and after, once a search, and are printed apart.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from irnas import models
from irnas.core import catalog
from irnas.core.recipe import Budget, Recipe
from irnas.data import open_dataset, synthetic
from irnas.record.run import Run
from irnas.training.fit import pace

AXES = ("base=4,6,8", "stages=2", "n_enc0=1", "n_enc1=1", "n_bot=1", "n_dec0=1", "n_dec1=1", "layer2=DB", "trans=DB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=30.0, help="about, of a trial")
    parser.add_argument("--workers", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="irnas-overhead-") as folder:
        data = Path(folder) / "data"
        synthetic.write(data, replace(synthetic.DEFAULT, images=100, size=64))
        network = models.build(catalog.find_point("biisnet", "base=6,stages=2"))
        epoch = pace(network, open_dataset(str(data)).split("fit"), Budget(), Recipe())
        epochs = max(1, round(arguments.seconds / epoch))
        words = [f"--axis={axis}" for axis in AXES]
        command = [
            sys.executable,
            "-m",
            "irnas",
            "search",
            *words,
            f"--dataset={data}",
            f"--trials={arguments.trials}",
            f"--epochs={epochs}",
            f"--workers={arguments.workers}",
            f"--run={folder}/run",
            "--strategy=random",
        ]
        started = time.time()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        total = time.time() - started
        run = Run.read(f"{folder}/run")
    ended = sorted(trial.finished.t for trial in run.trials.values() if trial.finished)
    first, last = run.trials[0].proposed.t, ended[-1]
    trained = sum(r.seconds for r in run.outcomes)
    held = arguments.workers * (last - first)
    # Without this the last worker's wait for the others would count against the platform.
    idle = sum(last - t for t in ended[-arguments.workers :])
    each = trained / arguments.trials
    print(f"{arguments.trials} trials of {epochs} epochs, {each:.1f} s each, {arguments.workers} workers")
    print(f"held {held:.1f} worker seconds, {idle:.1f} of them after a worker's last trial, trained {trained:.1f}")
    print(f"not spent in trials: {100 * (1 - trained / (held - idle)):.1f} %")
    print(f"before the first proposal and after the last result: {total - (last - first):.1f} s of {total:.1f}")


if __name__ == "__main__":
    main()
