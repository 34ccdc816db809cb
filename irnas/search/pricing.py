"""The free objectives of a search: counts, its networks' speed where it asks for that, and the box that these span.

Speed is asked for by an objective or a limit of kind ``runtime``; without one a search loads no engine but at its end.
"""

from __future__ import annotations

import contextlib
import math
import random
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from irnas import cost
from irnas.core.errors import ExportError, SettingsError
from irnas.core.front import Bounds
from irnas.core.objective import RUNTIME
from irnas.core.provenance import device_name
from irnas.core.result import Result
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype, Space
from irnas.deploy import price as deployed
from irnas.record.events import Measured
from irnas.record.run import Run
from irnas.search.session import MAX_REFUSED_IN_A_ROW
from irnas.search.strategy import Price

if TYPE_CHECKING:
    from irnas.deploy.device.speed import Timing
    from irnas.deploy.device.target import Call, Chw, Target

POOL = 48
"""Random networks whose costs, with the published ones', span the box of the hypervolume."""

MEASURED_POOL = 16
"""The same where each of them must be measured, which takes seconds in families that run on ONNX Runtime."""

MAX_PRICED_AGAIN = 32
"""Networks of a run that are priced once more before it goes on."""

ALONE_SECONDS, ALONE_ROUNDS = 0.3, 3
"""How long a network of the front is measured in each round, and how often all of them have their turn."""


def target_of(settings: SearchSettings, call: Call | None = None) -> Target | None:
    """The device on which the networks are to be fast; None where the search does not ask for speed.

    Args:
        settings: of the search.
        call: calls a function on the node that is the device, where the device is one.

    Raises:
        SettingsError: the profile is not there, or a node is out of reach.
        FormatError: the profile is none.
    """
    if not settings.is_timed:
        return None
    from irnas.deploy.device.target import open_node, open_target

    if settings.node is not None and call is not None:
        return open_node(settings.node, call)
    return open_target(settings.device)


def counter(settings: SearchSettings, price: Price) -> Price:
    """``price`` for networks that only span the box, and may never be proposed: without the size of their files, which
    takes as long as all else, where the search neither minimises nor limits that, and neither times them."""
    if settings.is_timed or "bytes" in {*settings.limits, *(o.name for o in settings.objectives)}:
        return price
    return lambda genotype: cost.price(genotype, settings.cost_input)


def pricer(settings: SearchSettings, target: Target | None) -> Price:
    """Counts the cost of a network, and times it where there is a device; each network once."""
    known: dict[str, Mapping[str, float]] = {}

    def price(genotype: Genotype) -> Mapping[str, float]:
        if genotype.key not in known:
            costs = deployed.price(genotype, settings.cost_input)
            known[genotype.key] = costs if target is None else {**costs, **_speed(target, genotype, settings)}
        return known[genotype.key]

    return price


def require_same_costs(run: Run, price: Price) -> None:
    """Refuse to go on with a run whose costs were counted by another rule: both kinds would share one front.

    Raises:
        SettingsError: a network of the run has another cost today, of those that the run optimises or limits.
    """
    used = {o.name for o in run.settings.objectives if o.kind == "cost"} | set(run.settings.limits) - RUNTIME
    for proposal in run.proposals[:MAX_PRICED_AGAIN]:
        costs = price(proposal.genotype)
        for name in sorted(used & set(proposal.costs)):
            if not math.isclose(proposal.costs[name], costs[name], rel_tol=1e-9):
                got = f"{name} {proposal.costs[name]:g} of {proposal.key}, as an earlier irnas counted"
                way = "begin a new run (report, front and export take this one as it is)"
                raise SettingsError(f"run {run.uri}: got {got}; must be {costs[name]:g}, as this one counts: {way}")


def pool_size(settings: SearchSettings, target: Target | None) -> int:
    """How many networks a strategy may price before it begins: 20 for each full training, or few that are measured."""
    if target and target.profile is None:
        return 2 * POOL
    return max(200, min(20 * settings.trials, 2000))


def with_progress(price: Price, total: int, tell: Callable[[str, int, int], None]) -> Price:
    """``price``, with ``tell`` hearing of the first ``total`` networks that strategies price at once."""
    known: set[str] = set()

    def price_and_tell(genotype: Genotype) -> Mapping[str, float]:
        known.add(genotype.key)
        if len(known) <= total and len(known) % 10 == 0:
            tell("pricing networks", len(known), total)
        return price(genotype)

    return price_and_tell


def pool(
    space: Space,
    settings: SearchSettings,
    price: Price,
    target: Target | None = None,
    tell: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Mapping[str, float]]:
    """Costs of networks drawn from the space; ``tell`` hears of it where a device times them.

    Raises:
        SettingsError: none of many keeps the limits.
    """
    rng, limits = random.Random(settings.seed), settings.limits
    size = MEASURED_POOL if target and target.profile is None else POOL
    costs = [price(space.default())]
    while len(costs) < MAX_REFUSED_IN_A_ROW:
        costs.append(price(space.sample(rng)))
        if target and len(costs) <= size:
            tell("timing networks", len(costs), size)
        if len(costs) > size and any(all(c[name] <= most for name, most in limits.items()) for c in costs):
            return costs
    least = ", ".join(f"{name} {min(c[name] for c in costs):g}" for name in limits)
    wanted = ", ".join(f"{name} {most:g}" for name, most in limits.items())
    raise SettingsError(f"limits: got {wanted}; must admit some network: the least of {len(costs)} drawn is {least}")


def bounds(settings: SearchSettings, costs: Sequence[Mapping[str, float]]) -> Bounds:
    """The best and the worst value of each objective: of a pool of networks, or, of a metric, at all."""
    box: dict[str, tuple[float, float]] = {}
    for objective in settings.objectives:
        if objective.best is not None and objective.worst is not None:
            box[objective.name] = (objective.best, objective.worst)
            continue
        values = [each[objective.name] for each in costs]
        if objective.goal == "min":
            worst = min(max(values), settings.limits.get(objective.name, max(values)))
            box[objective.name] = (min(min(values), worst / 2), worst)
        else:
            worst = min(values)
            box[objective.name] = (max(max(values), worst * 2), worst)
    return box


def measure_alone(target: Target, settings: SearchSettings, results: Sequence[Result]) -> list[Measured]:
    """The networks of a front on their device, timed in turn and with nothing beside them.

    Raises:
        ExportError: the engine is not here.
    """
    rounds = [
        [target.measure(r.genotype, settings.cost_input, ALONE_SECONDS) for r in results] for _ in range(ALONE_ROUNDS)
    ]
    return [
        _measured(result, timings, settings.cost_input, target.threads)
        for result, timings in zip(results, zip(*rounds, strict=True), strict=True)
    ]


def measure_here(settings: SearchSettings, results: Sequence[Result]) -> list[Measured]:
    """The networks of a front on the engine of this machine, timed in turn with one thread.

    Nothing is timed where no network has binary layers, whose few OPs say little of their time, or where the engine has
    not been built. Networks that it does not run are left out.
    """
    from irnas.deploy.device import speed

    programs: dict[str, speed.Program] = {}
    for result in results:
        with contextlib.suppress(ExportError):
            programs[result.key] = speed.lower_genotype(result.genotype, settings.cost_input[0])
    if not any(program.is_binary for program in programs.values()):
        return []
    try:
        runs = [speed.make_runner(program, settings.cost_input[1:]) for program in programs.values()]
    except ExportError:
        return []
    rounds = [[speed.measure(run) for run in runs] for _ in range(ALONE_ROUNDS)]
    timings = dict(zip(programs, zip(*rounds, strict=True), strict=True))
    cpu = device_name("cpu")
    return [_measured(r, timings[r.key], settings.cost_input, 1, cpu) for r in results if r.key in timings]


def _measured(result: Result, timings: Sequence[Timing], input_chw: Chw, threads: int, cpu: str = "") -> Measured:
    best = min(timings, key=lambda timing: timing.ms_min)
    return Measured(
        trial=result.trial,
        key=result.key,
        input=input_chw,
        threads=threads,
        expected_ms=result.values.get("latency_ms"),
        engine=best.engine,
        kernels=best.kernels,
        ms_min=best.ms_min,
        ms_median=best.ms_median,
        runs=sum(t.runs for t in timings),
        cpu=cpu,
    )


def _speed(target: Target, genotype: Genotype, settings: SearchSettings) -> Mapping[str, float]:
    from irnas.deploy.device.target import measure_or_predict_ms, to_objectives

    return to_objectives(measure_or_predict_ms(target, genotype, settings.cost_input))
