"""Strategies on real trainings: equal epochs, several seeds, and a judge that no search saw.

    python tests/bench/contest.py DATA --keep FOLDER [--strategies random,nsga2,freeze-thaw,lamarckian] [--seeds 3]
        [--trials 12] [--epochs 18] [--finalists 3]

Tiles are cut of DATA, an imported set: of its fit split for training and validation, of its val split for the judge.
Each search may spend ``trials`` full trainings' worth of epochs, those of ancestors included. Its front, chosen on the
validation tiles, is then judged as it is delivered, with its weights. At most ``--finalists`` of each front are trained
once more in full, from random weights with another seed, and judged again. The box of the hypervolume is the least that
holds those of all runs, which depend on their seeds, and all networks that were trained. What lies in FOLDER already is
not done again, and what was interrupted goes on: all searches of one seed come first, then those of the next, so that a
contest may be ended at any time and its table be printed (--table).
"""

from __future__ import annotations

import argparse
import hashlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from irnas.core.front import Bounds, Front
from irnas.core.result import Result
from irnas.core.strategies import LISTED
from irnas.data import Dataset, Split, open_dataset, shards, tile
from irnas.data.sample import Sample
from irnas.record.events import Finished
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.record.tests import tested_networks
from irnas.search.finalists import choose_finalists
from irnas.workflows import training_plan
from irnas.workflows.networks import Network

JUDGE = "test"
"""The split of the tiles that no search sees."""
SEED_OF_FINALISTS = 1000
"""Plus the search's own: from which the seeds of finalists derive, none of which a search had."""
METRIC = "miou"


def cut_tiles(arguments: argparse.Namespace, folder: Path) -> Path:
    """A data folder of tiles with the splits fit, val and ``JUDGE``."""
    target = folder / "tiles"
    if (target / "manifest.json").exists():
        return target
    with tempfile.TemporaryDirectory(prefix="irnas-contest-") as scratch:
        source, judge = open_dataset(arguments.data), arguments.judge
        every = Path(scratch) / "every"
        tile.write(every, source, size=arguments.crop, fit=arguments.fit + arguments.val, val=judge)
        dataset = open_dataset(str(every))
        names = [dataset.split("fit").name(i) for i in range(arguments.fit + arguments.val)]
        names.sort(key=lambda name: hashlib.sha256(name.encode()).hexdigest())
        judged = [dataset.split("val").name(i) for i in range(judge)]
        shards.write(
            target,
            _samples(dataset),
            total=len(names) + judge,
            format="tiles",
            splits={"fit": names[: arguments.fit], "val": names[arguments.fit :], JUDGE: judged},
            validation={"kind": "tiles", "of": source.revision, "size": arguments.crop},
            warnings=[],
            parameters={"source": source.manifest.format},
            value_range=dataset.manifest.value_range,
        )
    return target


def _samples(dataset: Dataset) -> Iterator[Sample]:
    for name in ("fit", "val"):
        split: Split = dataset.split(name)
        for i in range(len(split)):
            yield Sample(name=split.name(i), image=split.image(i).copy(), mask=split.mask(i).copy())


def irnas(log: Path, *words: str) -> None:
    """Run a command; what it says goes to ``log``."""
    with log.open("a", encoding="utf-8") as out:
        subprocess.run([sys.executable, "-m", "irnas", *words], check=True, stdout=out, stderr=out)


def has_ended(uri: Path) -> bool:
    """Whether there is a run that came to its end, which leaves a page; one that was interrupted leaves none."""
    return (uri / "report.html").exists()


def search(arguments: argparse.Namespace, data: Path, strategy: str, seed: int) -> None:
    """Search, or go on with a search, until it has ended and its networks are judged."""
    uri = uri_of(arguments, strategy, seed)
    log = uri.with_suffix(".log")
    if not has_ended(uri):
        new = [
            "--space=biisnet",
            f"--objective={METRIC},ops",
            f"--dataset={data}",
            f"--strategy={strategy}",
            f"--trials={arguments.trials}",
            f"--epochs={arguments.epochs}",
            f"--batch={arguments.batch}",
            f"--crop={arguments.crop}",
            f"--seed={seed}",
            f"--run={uri}",
        ]
        words = [f"--resume={uri}", f"--trials={arguments.trials}"] if Ledger(str(uri)).exists() else new
        irnas(log, "search", "--executor=loop", *words)
    judge(uri, log)


def judge(uri: Path, log: Path) -> None:
    """Judge the networks of a run, once."""
    run = Run.read(str(uri))
    if len(tested_networks(run)) < len(run.done):
        irnas(log, "test", str(uri), "all", f"--split={JUDGE}", "--no-predictions")


def train_finalists(arguments: argparse.Namespace, strategy: str, seed: int) -> None:
    """Train the best of a front in full, from random weights with another seed, and judge them."""
    uri, again = uri_of(arguments, strategy, seed), uri_of(arguments, strategy, seed, "-again")
    log, run = again.with_suffix(".log"), Run.read(str(uri))
    if not has_ended(again):
        plan = again.with_suffix(".yaml")
        settings = replace(run.settings, strategy=LISTED, seeds=1, seed=SEED_OF_FINALISTS + seed, finalists=0)
        networks = [Network(genotype=r.genotype, origin=r.key) for r in finalists_of(run, arguments.finalists)]
        plan.write_text(training_plan.to_text(training_plan.TrainingPlan(settings=settings, networks=tuple(networks))))
        there = Ledger(str(again)).exists()
        words = [f"--resume={again}"] if there else [f"--config={plan}", f"--run={again}"]
        irnas(log, "train", "--executor=loop", *words)
    judge(again, log)


def uri_of(arguments: argparse.Namespace, strategy: str, seed: int, suffix: str = "") -> Path:
    return Path(arguments.keep) / f"{strategy}-{seed}{suffix}"


def finalists_of(run: Run, number: int) -> list[Result]:
    return choose_finalists(run.outcomes, run.objectives, run.bounds, number)


def judged_values(uri: Path) -> dict[str, float]:
    """Key to the metric on the judge's tiles, at the threshold that each network left its training with."""
    run = Run.read(str(uri))
    return {t.name: t.statistics(run.settings.preset)[METRIC].mean for t in tested_networks(run)}


def box_of(runs: Sequence[Run]) -> Bounds:
    """The least box that holds those of all runs, and all that they trained."""
    box = {}
    for objective in runs[0].objectives:
        ends = [end for run in runs for end in run.bounds[objective.name]]
        ends += [result.values[objective.name] for run in runs for result in run.done]
        box[objective.name] = (min(ends, key=objective.loss), max(ends, key=objective.loss))
    return box


def volume(run: Run, results: Sequence[Result], values: Mapping[str, float], box: Bounds) -> float:
    """Percent of a box that some results dominate with other values of the metric."""
    judged = [replace(r, values={**r.values, METRIC: values[r.key]}) for r in results]
    return 100 * Front.of(judged, run.objectives).hypervolume(box)


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """What a search came to; shares in percent."""

    epochs: int
    networks: int
    seconds: float
    best: float
    """mIoU of the best of the front on the judge's tiles, in percent."""
    validated: float
    """Hypervolume of the front on the tiles by which it was chosen."""
    delivered: float
    """The same on the judge's tiles, with the weights that the search left."""
    finalists: float | None = None
    """The same of the finalists alone."""
    again: float | None = None
    """The same of the finalists when they were trained once more; None where they were not."""

    @classmethod
    def of(cls, arguments: argparse.Namespace, strategy: str, seed: int, box: Bounds) -> Score:
        """Read what a search and its finalists came to."""
        uri, again = uri_of(arguments, strategy, seed), uri_of(arguments, strategy, seed, "-again")
        run, values = Run.read(str(uri)), judged_values(uri)
        front = run.front.results
        chosen = finalists_of(run, arguments.finalists)
        more = judged_values(again) if has_ended(again) else {}
        is_whole = bool(chosen) and all(r.key in more for r in chosen)
        return cls(
            epochs=run.tally.epochs,
            networks=len(run.done),
            seconds=sum(r.seconds for r in run.outcomes),
            best=100 * max(values[r.key] for r in front),
            validated=100 * run.front.hypervolume(box),
            delivered=volume(run, front, values, box),
            finalists=volume(run, chosen, values, box) if chosen else None,
            again=volume(run, chosen, more, box) if is_whole else None,
        )


def growth(uri: Path, box: Bounds) -> list[tuple[int, float]]:
    """Epochs spent and hypervolume in percent on the validation tiles, after each network that was trained."""
    events = Run.read(str(uri)).events
    run, points = Run(str(uri), events[0]), []  # type: ignore[arg-type] # a run begins with its opening
    for event in events[1:]:
        run.add(event)
        if isinstance(event, Finished):
            points.append((run.tally.epochs, 100 * run.front.hypervolume(box)))
    return points


def epochs_to(points: Sequence[tuple[int, float]], target: float) -> int | None:
    """Epochs after which a hypervolume was reached for good; None where it never was."""
    below = [i for i, (_, share) in enumerate(points) if share < target]
    first = below[-1] + 1 if below else 0
    return points[first][0] if first < len(points) else None


def print_table(arguments: argparse.Namespace) -> None:
    """Each search and each strategy, as a table in Markdown."""
    scores: dict[str, dict[int, Score]] = {}
    ended = [
        (strategy, seed)
        for strategy in arguments.strategies.split(",")
        for seed in range(arguments.seeds)
        if has_ended(uri := uri_of(arguments, strategy, seed))
        and judged_values(uri).keys() >= {r.key for r in Run.read(str(uri)).done}
    ]
    box = box_of([Run.read(str(uri_of(arguments, *each))) for each in ended]) if ended else {}
    for strategy, seed in ended:
        scores.setdefault(strategy, {})[seed] = Score.of(arguments, strategy, seed, box)
    print("| search | epochs | networks | s | best mIoU | validated | delivered | finalists | trained again |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for strategy, of_seeds in scores.items():
        for seed, s in of_seeds.items():
            shares = (s.best, s.validated, s.delivered, s.finalists, s.again)
            print(f"| `{strategy}` {seed} | {s.epochs} | {s.networks} | {s.seconds:.0f} | {cells(shares)} |")
    for strategy, of_seeds in scores.items():
        rows = [(s.best, s.validated, s.delivered, s.finalists, s.again) for s in of_seeds.values()]
        means = [None if None in column else statistics.fmean(column) for column in zip(*rows, strict=True)]
        print(f"| `{strategy}`, mean of {len(rows)} | | | | {cells(means)} |")
    print()
    if "nsga2" in scores:
        print_compute(arguments, scores, box)


def cells(shares: Sequence[float | None]) -> str:
    return " | ".join("-" if share is None else f"{share:.1f}" for share in shares)


def print_compute(arguments: argparse.Namespace, scores: Mapping[str, Mapping[int, Score]], box: Bounds) -> None:
    """Epochs after which each search has reached what NSGA-II came to in the mean, on the validation tiles."""
    target = statistics.fmean(s.validated for s in scores["nsga2"].values())
    print(f"epochs to nsga2's mean of {target:.1f} % on the validation tiles, seed by seed:")
    for strategy, of_seeds in scores.items():
        reached = [epochs_to(growth(uri_of(arguments, strategy, seed), box), target) for seed in of_seeds]
        print(f"  {strategy:<12} {', '.join('never' if r is None else str(r) for r in reached)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", help="an imported data set with the splits fit and val")
    parser.add_argument("--keep", required=True, help="folder for tiles and runs")
    parser.add_argument("--strategies", default="random,nsga2,freeze-thaw,lamarckian")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--crop", type=int, default=32, help="side of the tiles, and of the crops")
    parser.add_argument("--fit", type=int, default=300, help="tiles to train on")
    parser.add_argument("--val", type=int, default=130, help="tiles to validate on")
    parser.add_argument("--judge", type=int, default=133, help="tiles that no search sees")
    parser.add_argument("--finalists", type=int, default=3)
    parser.add_argument("--table", action="store_true", help="print what there is, and train nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        Path(arguments.keep).mkdir(parents=True, exist_ok=True)
        data = cut_tiles(arguments, Path(arguments.keep))
        for seed in range(arguments.seeds):
            for strategy in arguments.strategies.split(","):
                search(arguments, data, strategy, seed)
        for seed in range(arguments.seeds) if arguments.finalists else ():
            for strategy in arguments.strategies.split(","):
                train_finalists(arguments, strategy, seed)
    print_table(arguments)


if __name__ == "__main__":
    main()
