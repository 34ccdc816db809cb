"""What a trained neighbour's weights are worth to a network, beside its own first epochs; and what a supernet is.

    python tests/bench/inherit.py DATA [pairs|chain|supernet] [--keep FILE]

All is trained as in docs/bench/biisnet-nudt.parquet and compared with its full trainings, two of each network. DATA are
the tiles that the table was made from; their revision must agree. One process; FILE holds what was trained, so that a
stopped run goes on.

pairs: networks drawn at random are trained to the end; neighbours of them, one axis away, are trained 9 and 3 epochs,
each with a schedule of its own, from their own first weights and from the trained network's. chain: searches that draw
networks in the same random order and train 9 epochs each, from first weights or from those of the nearest one before;
what their fronts are worth by the table, beside a third as many networks trained in full. supernet: one set of weights
of which every network of the table is a part, trained by turns; how well it ranks them.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path[:0] = [str(Path(__file__).parents[2])]

import numpy as np  # noqa: E402
import torch  # noqa: E402
from scipy.stats import spearmanr  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from irnas import models  # noqa: E402
from irnas.core.recipe import Budget, Recipe  # noqa: E402
from irnas.core.settings import trial_seed  # noqa: E402
from irnas.data import open_dataset  # noqa: E402
from irnas.data.loader import batches  # noqa: E402
from irnas.metrics import PRESETS  # noqa: E402
from irnas.nn.loss import make_loss  # noqa: E402
from irnas.nn.traits import LEARNING_RATE  # noqa: E402
from irnas.search.strategy.feature import features  # noqa: E402
from irnas.simulation import table  # noqa: E402
from irnas.training.fit import fit  # noqa: E402
from irnas.training.prediction import validate  # noqa: E402

TABLE = Path(__file__).parents[2] / "docs" / "bench" / "biisnet-nudt.parquet"
AXES = ("base", "stages", "n_enc0", "n_dec0", "trans")
NOISE = 0.1
"""Of the deviation of a weight; without it, copies of a channel would stay copies."""
FIRST = 2
"""Seed of the trainings here; the table's are 0 and 1."""

Values = Mapping[str, Any]
State = Mapping[str, Tensor]


def place(name: str, values: Values) -> str:
    """A parameter's place in any network of the family: a bottom is a level's blocks, transitions differ in kind."""
    head, _, rest = name.partition(".")
    if head == "bottom":
        return f"enc.{values['stages']}.{rest}"
    return f"{values['trans']}.{name}" if head in ("down", "up", "fuse") else name


def channels(size: int, of: int, base: int, of_base: int) -> Tensor:
    """For each of ``size`` channels, the one of ``of`` that it comes from.

    Concatenation makes the channels of a level groups as wide as the base; of a narrower base each group gives its
    first channels, and to a wider one all of them again and again.
    """
    if size == of:
        return torch.arange(size)
    group, index = torch.arange(size) // base, torch.arange(size) % base
    return group * of_base + index % of_base


def part(source: Tensor, shape: Sequence[int], base: int, of_base: int) -> Tensor:
    """The entries of a weight that a network of another base has in that place."""
    for axis, size in enumerate(shape):
        if size != source.shape[axis]:
            source = source.index_select(axis, channels(size, source.shape[axis], base, of_base))
    return source


@torch.no_grad()
def inherit(child: nn.Module, mine: Values, state: State, theirs: Values) -> float:
    """Give a network the weights of a trained one where it has the same layer; the share of its weights that have one.

    Where a channel is there twice, what reads it weighs half; with twice the base, the outputs are equal but for noise.
    """
    known = {place(name, theirs): tensor for name, tensor in state.items()}
    base, of_base, num_inherited, total = int(mine["base"]), int(theirs["base"]), 0, 0
    for name, tensor in child.state_dict().items():
        total += tensor.numel()
        source = known.get(place(name, mine))
        if source is None:
            continue
        tensor_of_parent = part(source, tensor.shape, base, of_base)
        if tensor.ndim == 4 and base > of_base:
            if tensor.shape[1] != source.shape[1]:
                tensor_of_parent = tensor_of_parent * (of_base / base)
            tensor_of_parent = tensor_of_parent + NOISE * tensor_of_parent.std(unbiased=False) * torch.randn_like(
                tensor_of_parent
            )
        tensor.copy_(tensor_of_parent)
        num_inherited += tensor.numel()
    return num_inherited / total


class Bench:
    """The table, the data, and what was trained already."""

    def __init__(self, data: str, keep: str | None) -> None:
        self.table = table.read(str(TABLE))
        dataset = open_dataset(data)
        if dataset.revision != self.table.data_rev:
            sys.exit(f"{data}: got revision {dataset.revision}; must be {self.table.data_rev}, that of the table")
        self.fit, self.val = dataset.split("fit"), dataset.split("val")
        self.budget, self.recipe = Budget(**self.table.conditions["budget"]), Recipe(**self.table.conditions["recipe"])
        self.rules = PRESETS[self.table.conditions["preset"]]
        self.points = {p.key: p for p in self.table.points}
        self.at = {self.values(key): key for key in self.points}
        self.keep = Path(keep) if keep else None
        self.done: dict[str, float] = {}
        if self.keep and self.keep.exists():
            self.done = dict(json.loads(line) for line in self.keep.read_text().splitlines())
        self.states: dict[str, State] = {}

    def values(self, key: str) -> tuple[Any, ...]:
        """The network's values of the axes that the table varies."""
        return tuple(self.points[key].genotype.values[axis] for axis in AXES)

    def full(self, key: str, seed: int | None = None, epoch: int = 0) -> float:
        """mIoU by the table: of a seed, or the mean of both, at the end or after an epoch."""
        curves = self.points[key].curves
        return statistics.fmean(c[epoch - 1].values["miou"] for s, c in curves.items() if seed in (None, s))

    def ops(self, key: str) -> float:
        """Logarithm of the operations."""
        return math.log(self.points[key].free["ops"])

    def train(self, name: str, key: str, epochs: int, *, seed: int = FIRST, parent: str = "") -> float:
        """mIoU after a training of so many epochs, from the weights kept under ``parent``; keeps its own under name."""
        path = self.keep.with_name(f"{name}.pt") if self.keep else None
        if name in self.done:
            self.states.setdefault(name, torch.load(path) if path and path.exists() else {})
            return self.done[name]
        started, genotype = time.process_time(), self.points[key].genotype
        number = trial_seed(seed, key)
        torch.manual_seed(number)
        model = models.build(genotype)
        if parent:
            inherit(model, genotype.values, self.states[parent], self.points[parent.split("_")[1]].genotype.values)
        for epoch in fit(model, self.fit, replace(self.budget, epochs=epochs), self.recipe, seed=number):
            model = epoch.model
        self.done[name] = validate(model, self.val, self.rules)[0]["miou"]
        self.states[name] = {n: t.clone() for n, t in model.state_dict().items()}
        if self.keep and path:
            torch.save(self.states[name], path)
            with self.keep.open("a") as file:
                file.write(json.dumps([name, self.done[name]]) + "\n")
        took = time.process_time() - started
        print(f"  {name} {self.values(key)}: {self.done[name]:.3f} in {took:.1f} s", file=sys.stderr, flush=True)
        return self.done[name]


def neighbours(bench: Bench, key: str) -> Iterator[tuple[str, str]]:
    """The networks one axis away, and what changes."""
    mine = bench.values(key)
    for other, of in bench.at.items():
        differ = [axis for axis, (a, b) in enumerate(zip(mine, other, strict=True)) if a != b]
        if len(differ) == 1:
            a, b = mine[differ[0]], other[differ[0]]
            sign = "" if isinstance(a, str) else " up" if b > a else " down"
            yield of, AXES[differ[0]] + sign


def drawn(bench: Bench, arguments: argparse.Namespace) -> Iterator[tuple[str, str, str]]:
    """Parents, children and what changes between them: every kind of change as often as the draw allows."""
    rng = random.Random(0)
    used: dict[str, int] = {}
    children: set[str] = set()
    cheap = sorted(k for k, p in bench.points.items() if p.curves[0][-1].seconds <= arguments.most)
    rng.shuffle(cheap)
    for parent in cheap[: arguments.parents]:
        choice = [c for c in neighbours(bench, parent) if c[0] in cheap and c[0] not in children]
        for _ in range(arguments.children):
            if not choice:
                break
            rng.shuffle(choice)
            child, change = min(choice, key=lambda c: used.get(c[1], 0))
            choice = [c for c in choice if c[1] != change]
            used[change] = used.get(change, 0) + 1
            children.add(child)
            yield parent, child, change


def pairs(bench: Bench, arguments: argparse.Namespace) -> None:
    """Print the means of each arm, their paired differences, and what each says of the rank."""
    rows = [
        (*row, {"parent": bench.full(row[0]), "full": bench.full(row[1])}, number)
        for number, row in enumerate(drawn(bench, arguments))
    ]
    for epochs in (9, 3, bench.budget.epochs):
        for parent, child, _, arms, number in rows:
            name = f"full_{parent}"
            mine, said = bench.train(name, parent, bench.budget.epochs, seed=0), bench.full(parent, 0)
            if not math.isclose(mine, said, abs_tol=1e-6):
                print(f"{parent}: got {mine:.4f}, the table has {said:.4f}: another machine", file=sys.stderr)
            if epochs == 9:
                arms["fresh 9"] = bench.train(f"fresh9_{child}", child, 9)
            # The longest ones are dear, and tell least.
            if epochs < bench.budget.epochs or number % arguments.children == 0:
                name = f"inherit{epochs}-{parent}_{child}"
                arms[f"inherited {epochs}"] = bench.train(name, child, epochs, parent=f"full_{parent}")
        tell(bench, [row[:4] for row in rows])


def tell(bench: Bench, rows: Sequence[tuple[str, str, str, dict[str, float]]]) -> None:
    """The summary of ``pairs``; errors are those of means over parents, whose children share a training."""
    for _, child, change, arms in rows:
        print(f"{change:12s}", *bench.values(child), *(f"{k} {v:.3f};" for k, v in arms.items()))
    print(f"\n{'':16s} mIoU   minus full training   minus fresh 9        Spearman with full, without the trend of OPs")
    for arm in ("parent", "fresh 9", "inherited 3", "inherited 9", "inherited 27"):
        rows_of_arm = [r for r in rows if arm in r[3]]
        if len({r[0] for r in rows_of_arm}) < 2:
            continue
        cells = []
        for other in ("full", "fresh 9"):
            by_parent: dict[str, list[float]] = {}
            for parent, _, _, arms in rows_of_arm:
                by_parent.setdefault(parent, []).append(arms[arm] - arms[other])
            means = [statistics.fmean(gaps) for gaps in by_parent.values()]
            cells.append(f"{statistics.fmean(means):+.3f} +- {statistics.stdev(means) / math.sqrt(len(means)):.3f}")
        rank = ranks(
            bench, [r[1] for r in rows_of_arm], [r[3][arm] for r in rows_of_arm], [r[3]["full"] for r in rows_of_arm]
        )
        mean = statistics.fmean(r[3][arm] for r in rows_of_arm)
        print(f"{arm:16s} {mean:.3f}  {cells[0]:20s}  {cells[1]:20s} {rank}  ({len(rows_of_arm)})")
    print("by change: inherited 9 minus full, minus fresh 9")
    for change in sorted({r[2] for r in rows}):
        mine = [r[3] for r in rows if r[2] == change]
        gaps = [statistics.fmean(a["inherited 9"] - a[other] for a in mine) for other in ("full", "fresh 9")]
        print(f"{change:12s} {gaps[0]:+.3f} {gaps[1]:+.3f} ({len(mine)})")


def ranks(bench: Bench, keys: Sequence[str], guess: Sequence[float], truth: Sequence[float]) -> str:
    """Spearman of two lists as they are, and of what their trends over log(OPs) leave."""
    ops = np.array([bench.ops(k) for k in keys])

    def rest(values: Sequence[float]) -> Any:
        return np.array(values) - np.polyval(np.polyfit(ops, values, 1), ops)

    return f"{spearmanr(guess, truth)[0]:+.2f} {spearmanr(rest(guess), rest(truth))[0]:+.2f}"


def worth(bench: Bench, seen: Mapping[str, float], seed: int) -> float:
    """Share of the table's hypervolume, by a seed's trainings, of the front of what was seen."""
    order = sorted(seen, key=lambda k: (bench.points[k].free["ops"], -seen[k]))
    front: list[str] = []
    for key in order:
        if not front or seen[key] > seen[front[-1]]:
            front.append(key)
    return volume(bench, front, seed) / volume(bench, sorted(bench.points, key=bench.ops), seed)


def volume(bench: Bench, keys: Sequence[str], seed: int) -> float:
    """Hypervolume of networks in order of OPs, on log(OPs) and mIoU above 0."""
    most = max(bench.ops(k) for k in bench.points)
    best = total = 0.0
    for key in keys:
        gain = bench.full(key, seed) - best
        if gain > 0:
            total += gain * (most - bench.ops(key))
            best += gain
    return total


def chain(bench: Bench, arguments: argparse.Namespace) -> None:
    """Print the worth of fronts at equal epochs."""
    space = bench.table.space
    spots = {k: np.array(features(space, p.genotype)) for k, p in bench.points.items()}
    epochs = bench.budget.epochs // 3
    shares_of_arm: dict[str, list[list[float]]] = {}
    for search in range(arguments.searches):
        order = random.Random(search).sample(sorted(bench.points), arguments.networks)
        fresh: dict[str, float] = {}
        heirs: dict[str, float] = {}
        for key in order:
            fresh[key] = bench.train(f"fresh{epochs}_{key}", key, epochs)
            nearest = min(heirs, key=lambda k: float(np.linalg.norm(spots[k] - spots[key])), default="")
            parent = f"chain{search}_{nearest}" if nearest else ""
            heirs[key] = bench.train(f"chain{search}_{key}", key, epochs, parent=parent)
            if len(heirs) % max(arguments.networks // 3, 1):
                continue
            for arm, seen in (("fresh", fresh), ("inherited", heirs)):
                shares_of_arm.setdefault(f"{arm} {epochs}, {len(heirs)} networks", []).append(
                    [worth(bench, seen, seed) for seed in (0, 1)]
                )
            full = order[: len(heirs) // 3]
            shares = [worth(bench, {k: bench.full(k, seed) for k in full}, 1 - seed) for seed in (0, 1)]
            shares_of_arm.setdefault(f"full, {len(full)} networks", []).append(shares)
        truth = [bench.full(k) for k in order]
        print(f"search {search}: mean mIoU in full {statistics.fmean(truth):.3f}")
        for arm, seen in (("fresh", fresh), ("inherited", heirs)):
            rank = ranks(bench, order, [seen[k] for k in order], truth)
            print(f"  {arm} {statistics.fmean(seen.values()):.3f}, Spearman with full {rank}", flush=True)
    for arm, shares in sorted(shares_of_arm.items()):
        cells = [statistics.fmean(pair) for pair in shares]
        print(f"{arm:28s} {statistics.fmean(cells):.3f} of the table's hypervolume", [round(c, 3) for c in cells])


def supernet(bench: Bench, arguments: argparse.Namespace) -> None:
    """Print how the parts of one set of weights rank networks of the table, beside early epochs."""
    torch.manual_seed(0)
    nets = {key: models.build(p.genotype) for key, p in bench.points.items()}
    values = {key: p.genotype.values for key, p in bench.points.items()}
    base = max(int(v["base"]) for v in values.values())
    shared: dict[str, nn.Parameter] = {}
    for key in (k for k in nets if values[k]["base"] == base):
        for name, tensor in nets[key].named_parameters():
            shared.setdefault(place(name, values[key]), nn.Parameter(tensor.detach().clone()))

    def view(key: str) -> dict[str, Tensor]:
        mine = values[key]
        own = nets[key].named_parameters()
        return {n: part(shared[place(n, mine)], t.shape, int(mine["base"]), base) for n, t in own}

    sharp = [t for n, t in shared.items() if n.endswith("log_k")]
    rest = [t for n, t in shared.items() if not n.endswith("log_k")]
    rate = LEARNING_RATE
    optimizer = torch.optim.AdamW([{"params": rest}, {"params": sharp, "lr": 10 * rate}], lr=rate, weight_decay=0.0)
    steps = arguments.rounds * math.ceil(len(bench.fit) / bench.budget.batch)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    loss_of, rng, started = make_loss("softiou+bce"), random.Random(0), time.process_time()
    keys = sorted(nets, key=bench.ops)
    for epoch in range(1, arguments.rounds + 1):
        order = batches(
            bench.fit,
            batch=bench.budget.batch,
            crop=bench.budget.crop,
            seed=0,
            epoch=epoch,
            target_share=bench.recipe.target_share,
            flips="flips" in bench.recipe.augment,
            brightness="brightness" in bench.recipe.augment,
        )
        for x_nchw, truth_n1hw in order:
            x, truth = torch.from_numpy(x_nchw), torch.from_numpy(truth_n1hw).float()
            optimizer.zero_grad(set_to_none=True)
            # The sandwich of slimmable networks: the least, one of the largest, and some between.
            for key in (keys[0], rng.choice(keys[-4:]), *rng.sample(keys, 2)):
                loss_of(torch.func.functional_call(nets[key].train(), view(key), (x,)), truth).backward()
            optimizer.step()
            schedule.step()
    took, guess = time.process_time() - started, []
    keys = rng.sample(keys, min(arguments.judged, len(keys)))
    for key in keys:
        with torch.no_grad():
            nets[key].load_state_dict(view(key), strict=False)
        guess.append(validate(nets[key], bench.val, bench.rules)[0]["miou"])
    mean = statistics.fmean(guess)
    print(f"supernet: {arguments.rounds} epochs of 4 networks in {took:.0f} s, mean mIoU of its parts {mean:.3f}")
    print(f"Spearman with the full training of a seed, without the trend of OPs ({len(keys)} networks):")
    guesses = {"supernet": lambda key, seed: guess[keys.index(key)]}
    for epoch in (1, 3, 9, bench.budget.epochs):
        guesses[f"epoch {epoch} of another seed"] = lambda key, seed, epoch=epoch: bench.full(key, 1 - seed, epoch)
    for name, of in guesses.items():
        both = [ranks(bench, keys, [of(k, s) for k in keys], [bench.full(k, s) for k in keys]) for s in (0, 1)]
        print(f"  {name:24s} {both[0]} | {both[1]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("what", nargs="?", choices=("pairs", "chain", "supernet"), default="pairs")
    parser.add_argument("--keep", help="file of what was trained; weights lie beside it")
    parser.add_argument("--parents", type=int, default=6)
    parser.add_argument("--children", type=int, default=4, help="of each parent")
    parser.add_argument("--most", type=float, default=12.0, help="seconds of a full training in the table")
    parser.add_argument("--searches", type=int, default=2)
    parser.add_argument("--networks", type=int, default=36, help="of each search")
    parser.add_argument("--rounds", type=int, default=27, help="epochs of the supernet")
    parser.add_argument("--judged", type=int, default=72, help="networks that the supernet ranks")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    what: dict[str, Callable[[Bench, argparse.Namespace], None]] = {
        "pairs": pairs,
        "chain": chain,
        "supernet": supernet,
    }
    what[arguments.what](Bench(arguments.data, arguments.keep), arguments)


if __name__ == "__main__":
    main()
