"""A run folder as a search would leave it: a ledger of a dozen trials of a toy family. Needs no torch and no ray."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from support import records
from support.opened import REVISION, opened

from irnas.core import catalog
from irnas.core.objective import parse
from irnas.core.proposal import Proposal
from irnas.core.recipe import Budget
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings, trial_seed
from irnas.core.space import Genotype, Space
from irnas.record.events import (
    Closed,
    DataSource,
    Device,
    Event,
    Finished,
    Measured,
    Opened,
    Proposed,
    Repeated,
    Reported,
    Retried,
)
from irnas.record.ledger import Ledger, compact
from irnas.record.run import Run

START = 1_790_000_000.0
"""Unix seconds at which the runs begin."""

SPACE_YAML = """\
name: toy
family: toy
params:
  - {name: width, values: [4, 8, 16, 32], default: 8, search: [4, 8, 16, 32]}
  - {name: depth, values: [1, 2, 3], default: 2, search: [1, 2, 3]}
  - {name: binarizer, values: [sign, scaled, float], default: sign, search: [sign, scaled]}
  - {name: attention, values: [false, true], default: false, search: [false, true]}
  - {name: reduction, values: [2, 4], default: 2, search: [2, 4], when: {attention: [true]}}
  - {name: norm, values: [batch], default: batch}
"""

PUBLISHED_YAML = """\
source: "A. Author et al., A paper about toys, 2025"
rows:
  - name: TOY-8
    values: {width: 8, depth: 2}
    counts: [{input: [3, 512, 512], params: 9000, ops: 3.0e+8}]
    results: {NUDT-SIRST: {miou: 0.71, pd: 0.93, fa: 2.1e-5}, SIRST: {miou: 0.66}}
  - name: TOY-32
    values: {width: 32, depth: 3}
    results: {NUDT-SIRST: {miou: 0.80}}
  - name: OTHER-NET
    about: a network of another family
    counts: [{input: [3, 512, 512], params: 30000, ops: 5.0e+8}]
    results: {NUDT-SIRST: {miou: 0.78}}
"""


def space_folder(parent: Path) -> Path:
    """A folder with the toy space and its published rows."""
    folder = parent / "toy"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text(SPACE_YAML)
    (folder / "published.yaml").write_text(PUBLISHED_YAML)
    return folder


def price(genotype: Genotype, input_chw: tuple[int, int, int]) -> dict[str, float]:
    """Costs of a toy, in the form of irnas.cost.count.price."""
    width, depth = int(genotype.values["width"]), int(genotype.values["depth"])
    bits = 1 if genotype.values["binarizer"] == "float" else 32
    params = 9 * width * width * depth / bits + 40 * width + (30 if genotype.values["attention"] else 0)
    pixels = input_chw[1] * input_chw[2]
    return {
        "ops": params * pixels / 4,
        "params": params,
        "macs": 9.0 * width * width * depth * pixels / 4,
        "elementwise": 6.0 * width * pixels,
        "bytes": 4 * params,
    }


def accuracy(genotype: Genotype, share: float, rng: random.Random) -> dict[str, float]:
    """Plausible metrics after a ``share`` (0..1] of the training."""
    capacity = math.log2(int(genotype.values["width"])) / 5 + int(genotype.values["depth"]) / 12
    miou = (0.32 + 0.42 * capacity + (0.05 if genotype.values["binarizer"] == "scaled" else 0)) * (
        1 - math.exp(-3 * share)
    )
    miou = min(max(miou + rng.gauss(0, 0.008), 0.01), 0.95)
    f1 = 2 * miou / (1 + miou)
    return {
        "miou": miou,
        "niou": miou * 0.97,
        "f1": f1,
        "precision": min(f1 * 1.03, 1.0),
        "recall": f1 * 0.97,
        "pd": min(0.55 + miou / 2, 1.0),
        "fa": 4e-5 * (1.05 - miou),
        "auc": min(0.8 + miou / 5, 1.0),
    }


@dataclass
class Writer:
    """Writes the events of a run, a few seconds of its own clock apart."""

    uri: str
    settings: SearchSettings
    space: Space
    data_name: str = "nudt-sirst"
    now: float = START
    num_trials: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(7))

    def append(self, event: Event, seconds: float = 1.0) -> None:
        self.now += seconds
        self._ledger.append(replace(event, t=self.now))

    def __enter__(self) -> Writer:
        self._ledger = Ledger(self.uri)
        self._held = self._ledger.writing()
        self._held.__enter__()
        return self

    def __exit__(self, *found: object) -> None:
        self._held.__exit__(None, None, None)

    def open(self) -> None:
        self.append(
            opened(
                self.settings,
                run_id=hashlib.sha256(self.uri.encode()).hexdigest()[:16],
                space=self.space,
                data=DataSource(name=self.data_name, revision=REVISION, path="data/absent"),
                versions={
                    "irnas": "0.1.0",
                    "torch": "2.13.0",
                    "ray": "2.60.0",
                    "optuna": "5.0.0",
                    "python": "3.11.2",
                },
                baselines={"all_background": {"miou": 0.0}, "global_threshold": {"miou": 0.21}},
            )
        )

    def propose(self, genotype: Genotype, origin: str = "tpe") -> int:
        trial = self.num_trials
        self.num_trials += 1
        costs = price(genotype, self.settings.cost_input)
        self.append(Proposed(proposal=Proposal(trial=trial, genotype=genotype, costs=costs, origin=origin)))
        return trial

    def report(self, trial: int, genotype: Genotype, epoch: int) -> dict[str, float]:
        values = accuracy(genotype, epoch / self.settings.budget.epochs, self.rng)
        loss = 1 - values["miou"] * 0.9
        self.append(Reported(trial=trial, epoch=epoch, values={**values, "loss": loss}, seconds=4.0, paused=False), 4.0)
        return values

    def finish(
        self, trial: int, genotype: Genotype, status: Status, values: Mapping[str, float], epochs: int, error: str = ""
    ) -> None:
        result = Result(
            trial=trial,
            genotype=genotype,
            status=status,
            epochs=epochs,
            seed=trial_seed(0, genotype.key),
            values={**price(genotype, self.settings.cost_input), **values},
            data_rev=REVISION,
            code_rev="0.1.0",
            seconds=4.2 * epochs,
            error=error,
        )
        self.append(Finished(result=result))

    def train(self, genotype: Genotype, origin: str = "tpe") -> None:
        trial = self.propose(genotype, origin)
        values: dict[str, float] = {}
        for epoch in range(1, self.settings.budget.epochs + 1):
            values = self.report(trial, genotype, epoch)
        self.finish(trial, genotype, Status.OK, values, self.settings.budget.epochs)

    def repeat(self, trial: int, genotype: Genotype, seed: int) -> None:
        """Train a finalist once more."""
        values = accuracy(genotype, 1.0, self.rng)
        self.append(Repeated(trial=trial, key=genotype.key, seed=seed, seconds=4.2, values=values))


def settings_of(space: str, *, objectives: tuple[str, ...] = ("miou", "ops"), epochs: int = 4) -> SearchSettings:
    return SearchSettings(
        space=space, dataset="data/absent", objectives=parse(objectives), trials=12, budget=Budget(epochs=epochs)
    )


def write_run(
    folder: Path,
    space: Path,
    *,
    trials: int = 12,
    objectives: tuple[str, ...] = ("miou", "ops"),
    data_name: str = "nudt-sirst",
    closed: str | None = "all trials are handed out",
    then: Callable[[Writer], None] | None = None,
) -> str:
    """A run at ``folder`` with ``trials`` trained trials, one failed and one rejected; returns its URI.

    ``then`` may write more before the run is closed; ``closed=None`` leaves it open.
    """
    parsed = catalog.load(str(space)).focus()
    settings = settings_of(str(space), objectives=objectives)
    with Writer(uri=str(folder), settings=settings, space=parsed, data_name=data_name) as writer:
        writer.open()
        for number, genotype in enumerate(_distinct(parsed, trials + 2)):
            if number == 3:
                trial = writer.propose(genotype)
                writer.report(trial, genotype, 1)
                writer.append(Retried(trial=trial, error="the worker died"))
                cause = "TrainingError: epoch 2, step 5: got loss nan; must be finite"
                writer.finish(trial, genotype, Status.FAILED, {}, 1, cause)
            elif number == 5:
                writer.finish(writer.propose(genotype), genotype, Status.REJECTED, {}, 0)
            else:
                writer.train(genotype, "published TOY-8" if number == 0 else "tpe")
        if then:
            then(writer)
        if closed:
            writer.append(Closed(reason=closed))
    compact(str(folder), Run.read(str(folder)).outcomes)
    return str(folder)


def _distinct(space: Space, wanted: int) -> list[Genotype]:
    rng, found = random.Random(3), dict[str, Genotype]()
    while len(found) < wanted:
        genotype = space.sample(rng)
        found.setdefault(genotype.key, genotype)
    return list(found.values())


def with_speed(uri: str, *, predicted: bool = False) -> str:
    """The run as if it had been after speed too: values, the device, and, unless predicted, the front measured."""
    device = Device(
        name="a board",
        cpu="a <small> chip",
        kernels="neon",
        threads=1,
        clock="CPU time",
        predicted=predicted,
        revision="abcdefabcdef",
    )
    documents = []
    for event in Ledger(uri).events():
        match event:
            case Opened(settings=settings, bounds=bounds):
                settings = replace(settings, objectives=parse("miou,ops,fps"))
                event = replace(event, settings=settings, bounds={**bounds, "fps": (4000.0, 10.0)}, device=device)
            case Proposed(proposal=proposal):
                event = replace(event, proposal=replace(proposal, costs=_with_speed(proposal.costs)))
            case Finished(result=result):
                event = replace(event, result=replace(result, values=_with_speed(result.values)))
        documents.append(event.document())
    records.rewrite(Path(uri), documents)
    if not predicted:
        ledger, front = Ledger(uri), Run.read(uri).front
        with ledger.writing():
            for result in front.results:
                expected = result.values["latency_ms"]
                ledger.append(_measured(result, expected, expected * 0.8, expected * 0.9, 90))
    return uri


def with_times(uri: str, times_ms: Sequence[float]) -> str:
    """The run after its front was timed though no speed counted in it: these times, from the fewest OPs to the most."""
    ledger, winners = Ledger(uri), Run.read(uri).winners
    with ledger.writing():
        for result, ms in zip(winners, times_ms, strict=False):
            ledger.append(_measured(result, None, ms, ms, 15, "a <small> chip"))
    return uri


def _measured(
    result: Result, expected_ms: float | None, ms_min: float, ms_median: float, runs: int, cpu: str = ""
) -> Measured:
    return Measured(
        t=START + 9000,
        trial=result.trial,
        key=result.key,
        input=(1, 256, 256),
        threads=1,
        expected_ms=expected_ms,
        engine="xnor",
        kernels="neon",
        ms_min=ms_min,
        ms_median=ms_median,
        runs=runs,
        cpu=cpu,
    )


def _with_speed(values: Mapping[str, float]) -> dict[str, float]:
    ms = 0.3 + values["ops"] / 1e6
    return {**values, "latency_ms": ms, "fps": 1000 / ms}
