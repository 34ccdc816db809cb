"""A search on a cluster whose workers and machines are killed at random, and what became of every trial.

    python tests/bench/soak.py --minutes 30

One head and two machines of one core each, in network namespaces (needs root). Every 20 to 60 s a training process is
killed, a machine loses its power, a network cable is pulled, or the search itself is killed; what was lost comes back
a while later, and the search is resumed. Exits with 1 unless every trial that was proposed is finished once, and came
to what an undisturbed training of it comes to.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import random
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
os.environ.setdefault("OMP_NUM_THREADS", "1")

from support import cluster as machines
from support.account import account, outcome, words
from support.cluster import Cluster
from support.command import events, run
from support.datasets import tiny

NAMES = ("a", "b")
PLENTY = 100_000
"""Trials: more than any soak can train; it is ended by the clock."""


class Trouble:
    """What is done to the workers, and undone."""

    def __init__(self, on: Cluster, seed: int, gap_s: tuple[float, float]) -> None:
        self._on, self._random, self._gap_s = on, random.Random(seed), gap_s
        self.done: collections.Counter[str] = collections.Counter()
        self._next_s = time.monotonic() + self._random.uniform(*gap_s)
        self._repairs: dict[str, float] = {}
        """Machine to the time at which it comes back."""

    def step(self) -> None:
        """Do what is due by now."""
        now = time.monotonic()
        for name in [name for name, due in self._repairs.items() if due <= now]:
            del self._repairs[name]
            self._on.link(name, "up")
        for name in set(NAMES) - set(self._repairs):
            node = self._on.nodes[name]
            if node.process is None or node.process.poll() is not None:
                # One that was cut off for so long that it was given up ends itself when it hears of it.
                node.kill()
                self._on.start_worker(name)
        if now >= self._next_s:
            self._next_s = now + self._random.uniform(*self._gap_s)
            self._strike(now)

    def _strike(self, now: float) -> None:
        well = sorted(set(NAMES) - set(self._repairs))
        if not well:
            return
        name = self._random.choice(well)
        node, what = self._on.nodes[name], self._random.choice(("process", "process", "machine", "cable", "search"))
        if what == "search":
            name = "head"
            if not _signal(self._on, signal.SIGKILL):
                return
        elif what == "process":
            processes = node.trials()
            if not processes:
                return
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._random.choice(processes), signal.SIGKILL)
        elif what == "machine":
            node.kill()
        else:
            self._on.link(name, "down")
        if what in ("machine", "cable"):
            self._repairs[name] = now + self._random.uniform(10, 40)
        self.done[what] += 1
        print(f"{time.strftime('%H:%M:%S')} {what} {name}", file=sys.stderr, flush=True)


def _signal(on: Cluster, number: int) -> bool:
    """Send a signal to the search; False where there is none now."""
    pids = [pid for pid, line in on.head.processes("-m irnas search").items() if line.startswith(sys.executable)]
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
    return bool(pids)


def main() -> int:
    """Soak, resume to the end, and account for every trial."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=30, help="of a training: 30 take some seconds")
    parser.add_argument("--gap", type=float, nargs=2, default=(20, 60), metavar="S", help="seconds between troubles")
    parser.add_argument("--keep", type=Path, help="folder for the run and the logs, instead of a temporary one")
    arguments = parser.parse_args()
    if machines.problem():
        print(f"no cluster here: {machines.problem()}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="irnas-soak-") as folder:
        return _soak(arguments.keep or Path(folder), arguments)


def _soak(folder: Path, arguments: argparse.Namespace) -> int:
    data, record = tiny(12, 32).root, folder / "run"
    folder.mkdir(exist_ok=True)
    with machines.cluster(folder, *NAMES) as on:
        command = words(data, record, PLENTY, arguments.epochs, "--address", on.address)
        search = on.head.start(folder, *command)
        trouble = Trouble(on, arguments.seed, arguments.gap)
        until = time.monotonic() + 60 * arguments.minutes
        by_itself, resumed = None, 0
        while time.monotonic() < until and by_itself is None:
            trouble.step()
            time.sleep(0.5)
            if search.poll() is not None and resumed < trouble.done["search"]:
                resumed += 1
                search = on.head.start(folder, "search", "--resume", str(record), "--address", on.address)
            else:
                by_itself = search.poll()
        _signal(on, signal.SIGINT)
        search.wait(300)
    last = max((e["trial"] for e in events(record, "proposed")), default=-1)
    run(folder, "search", "--resume", str(record), "--trials", str(last + 1), "--executor", "loop", timeout_s=3600)
    return _show(folder, data, arguments.epochs, trouble, by_itself)


def _show(folder: Path, data: Path, epochs: int, trouble: Trouble, by_itself: int | None) -> int:
    counts = account(folder / "run")
    undisturbed = folder / "undisturbed"
    undisturbed.mkdir()
    few = min(counts.finished, 20)
    run(undisturbed, *words(data, undisturbed / "run", few, epochs, "--executor", "loop"), timeout_s=3600)
    got = outcome(folder / "run")
    other = sum(got.get(key) != value for key, value in outcome(undisturbed / "run").items())
    for name, count in [*trouble.done.items(), *asdict(counts).items(), (f"other than undisturbed, of {few}", other)]:
        print(f"{name:24} {count:6}")
    if by_itself is not None:
        print(f"the search ended by itself, with {by_itself}: {(folder / 'out.txt').read_text()[-2000:]}")
    return int(not counts.is_whole or other > 0 or by_itself is not None)


if __name__ == "__main__":
    sys.exit(main())
