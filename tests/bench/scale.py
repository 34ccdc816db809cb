"""What a strategy's decisions cost as a search grows. Run: python tests/bench/scale.py

Replays searches with 1,000 simulated workers on made-up trainings of a large space and prints, for each strategy, the
milliseconds of its CPU time for each network that it started, around the 100th, the 1,000th and the 10,000th: asking,
observing and telling, nothing else. Flat is good. With --plot FILE.png, a picture of all in between. A strategy that
has taken --patience seconds is stopped where it is.
"""

from __future__ import annotations

import argparse
import math
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2])]

from irnas.core.heritage import Heritage  # noqa: E402
from irnas.core.objective import parse  # noqa: E402
from irnas.core.proposal import Proposal  # noqa: E402
from irnas.core.result import Result, Status  # noqa: E402
from irnas.core.space import Genotype, Param, Space  # noqa: E402
from irnas.search.strategy import Decision, SearchProblem, Strategy  # noqa: E402
from irnas.search.strategy.catalogue import make_strategy  # noqa: E402

EPOCHS = 27
EPOCHS_OF_HEIRS = 9
"""Of a network that starts from another's weights, and by which one is trained on."""
NAMES = ("random", "tpe", "nsga2", "moasha", "freeze-thaw", "lamarckian")
OBJECTIVES = parse("miou,ops")


def large_space() -> Space:
    """A space of 9 ** 8 networks."""
    steps = tuple(range(1, 10))
    params = tuple(Param(name=f"x{i}", values=steps, default=1, search=steps) for i in range(8))
    return Space(name="large", family="made", params=params)


def price(genotype: Genotype) -> Mapping[str, float]:
    """Costs from 100 K to 50 M."""
    return {"ops": 1e5 * math.prod(float(v) for v in list(genotype.values.values())[:3])}


def training(genotype: Genotype) -> list[float]:
    """The metric after each epoch: it rises with the cost, and a network has a luck of its own."""
    rng = random.Random(genotype.key)
    rest = sum(float(v) for v in list(genotype.values.values())[3:]) / 45
    final = 0.1 + 0.15 * math.log10(price(genotype)["ops"] / 1e5) + 0.2 * rest + rng.gauss(0, 0.03)
    pace = rng.uniform(2, 5)
    return [final * (1 - math.exp(-pace * e / EPOCHS)) + rng.gauss(0, 0.005) for e in range(1, EPOCHS + 1)]


class Watch:
    """The CPU seconds that a strategy has spent."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __enter__(self) -> None:
        self._start = time.thread_time()

    def __exit__(self, *_: object) -> None:
        self.seconds += time.thread_time() - self._start


@dataclass
class _Training:
    """A made-up training: how far it is, and how far it goes."""

    proposal: Proposal
    values: list[float]
    end: int
    epoch: int = 0

    @property
    def has_ended(self) -> bool:
        return self.epoch >= self.end

    @property
    def value(self) -> float:
        return self.values[min(self.epoch, EPOCHS) - 1]

    @property
    def seconds(self) -> float:
        return math.sqrt(self.proposal.costs["ops"]) * self.epoch


def drive(strategy: Strategy, trials: int, workers: int, patience: float) -> list[float]:
    """The strategy's CPU seconds when each network was started.

    Workers take turns, an epoch each, which no real search would do, but decisions come in the same mixture.
    """
    watch, began = Watch(), time.perf_counter()
    spent: list[float] = []
    busy: list[int] = []
    known: dict[int, _Training] = {}
    while time.perf_counter() - began < patience:
        while len(busy) < workers and len(spent) < trials and time.perf_counter() - began < patience:
            with watch:
                proposal = strategy.ask()
            if proposal is None:
                return spent
            if proposal.trial not in known:
                end = EPOCHS_OF_HEIRS if proposal.parent else EPOCHS
                known[proposal.trial] = _Training(proposal, training(proposal.genotype), end)
                spent.append(watch.seconds)
            elif known[proposal.trial].has_ended:
                known[proposal.trial].end += EPOCHS_OF_HEIRS
            busy.append(proposal.trial)
        if len(spent) >= trials:
            return spent
        busy = [trial for trial in busy if _step(strategy, watch, known, trial)]
    return spent


def _step(strategy: Strategy, watch: Watch, known: dict[int, _Training], trial: int) -> bool:
    """Train a trial for an epoch; return whether its worker stays at it."""
    state = known[trial]
    state.epoch += 1
    with watch:
        decision = strategy.observe(trial, state.epoch, {"miou": state.value}, state.seconds)
    if not state.has_ended:
        return decision is Decision.CONTINUE
    proposal = state.proposal
    line = state.epoch + (proposal.parent.epochs if proposal.parent else 0)
    key = proposal.parent.key if proposal.parent else proposal.key
    heritage = Heritage(parent=key, share=1.0, epochs=line) if line != EPOCHS else None
    result = Result(
        trial=trial,
        genotype=proposal.genotype,
        status=Status.OK,
        values={**proposal.costs, "miou": state.value},
        epochs=state.epoch,
        seed=0,
        data_rev="made up",
        code_rev="none",
        seconds=state.seconds,
        heritage=heritage,
    )
    with watch:
        strategy.tell(result)
    return False


def around(spent: Sequence[float], number: int) -> float:
    """Milliseconds a network, over the later half of all up to ``number``; not a number if it never got there."""
    first = number // 2
    return 1e3 * (spent[number - 1] - spent[first - 1]) / (number - first) if len(spent) >= number else math.nan


def draw(path: Path, seconds_of: Mapping[str, Sequence[float]], workers: int) -> None:
    """Milliseconds a network over networks started, both logarithmic."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.8, 4.4), dpi=160, layout="constrained")
    panel = figure.subplots()
    for name, spent in seconds_of.items():
        marks = [n for n in (round(50 * 10 ** (i / 8)) for i in range(40)) if n <= len(spent)]
        panel.plot(marks, [around(spent, n) for n in marks], label=name, linewidth=1.8)
    panel.set(xscale="log", yscale="log", xlabel="networks started", ylabel="strategy's CPU time for one (ms)")
    panel.set_title(f"{workers:,} simulated workers", fontsize=10)
    panel.grid(alpha=0.3)
    panel.legend(fontsize=8, frameon=False)
    figure.savefig(path)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=1000)
    parser.add_argument("--strategies", default=",".join(NAMES))
    parser.add_argument("--patience", type=float, default=600.0, help="seconds for each strategy")
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    marks = [n for n in (100, 1000, 10_000, arguments.trials) if n <= arguments.trials]
    marks = list(dict.fromkeys(marks))
    print(f"{arguments.workers} workers; milliseconds of CPU time for each network, around the")
    print(f"{'':16s}" + "".join(f"{n:>10,}th" for n in marks) + "   started", flush=True)
    seconds_of = {}
    for name in arguments.strategies.split(","):
        problem = SearchProblem(
            space=large_space(),
            objectives=OBJECTIVES,
            price=price,
            epochs=EPOCHS,
            num_trials=arguments.trials,
            seed=0,
        )
        strategy = make_strategy(name, problem)
        spent = seconds_of[name] = drive(strategy, arguments.trials, arguments.workers, arguments.patience)
        cells = [f"{around(spent, n):.2f}".replace("nan", "-") for n in marks]
        print(f"{name:16s}" + "".join(f"{c:>12s}" for c in cells) + f"{len(spent):10,d}", flush=True)
    if arguments.plot:
        draw(arguments.plot, seconds_of, arguments.workers)


if __name__ == "__main__":
    main()
