"""Full training of every proposal, proposals by an Optuna sampler. The only file that imports optuna.

Optuna samples and nothing more: its study lives in memory and can be built again from the ledger. Three things it does
not do are done here. It proposes a point again and again (a search pays for each), so a repeat is answered from the
results at once and never trained. It knows limits only as soft constraints: a point that breaks one is refused here.
Its samplers carry random state, so each ask gets a fresh one, seeded by the run's seed and the number of asks: a
resumed search then decides as the uninterrupted one would.
"""

from __future__ import annotations

import random
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import TrialState, create_trial

from irnas.core.errors import SettingsError, SpaceError
from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.requirement import Requirement
from irnas.core.result import Result, Status
from irnas.core.space import Genotype, Param, Space, Value, is_active
from irnas.search.strategy import Decision, History, Price, SearchProblem, Strategy

MAX_FRUITLESS_ASKS = 10
"""Repeats or refusals in a row after which a sampler is passed over for an even draw."""

_DRAWS = 2000

WINDOW = {"tpe": 500, "gp": 200}
"""Asks, of which a sampler whose cost grows with its study knows the newest, and up to as many before them."""


SAMPLERS = ("tpe", "nsga2", "nsga3", "gp", "random")
"""The samplers that can be asked."""
_POPULATIONS = {"nsga2-20": ("nsga2", 20)}
"""Strategies that are a sampler with a population of its own."""


def build(name: str, problem: SearchProblem) -> Strategy:
    """Make the strategy that trains in full what the sampler ``name`` proposes."""
    sampler, population = _POPULATIONS.get(name, (name, None))
    return SamplerStrategy(
        problem.space,
        problem.objectives,
        problem.price,
        sampler=sampler,
        seed=problem.seed,
        num_trials=problem.num_trials,
        limits=problem.limits,
        first=problem.first,
        population=population,
        requirements=problem.requirements,
    )


class SamplerStrategy:
    """A ``Strategy`` around an Optuna sampler."""

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        price: Price,
        *,
        sampler: str = "tpe",
        seed: int = 0,
        num_trials: int = 100,
        limits: Mapping[str, float] | None = None,
        first: Sequence[tuple[str, Genotype]] = (),
        population: int | None = None,
        requirements: Sequence[Requirement] = (),
    ) -> None:
        """Set up a search of ``space``.

        Args:
            space: the part that is searched.
            objectives: what is optimised, in the order of the Optuna study's directions.
            price: called once for each new genotype.
            sampler: one of ``SAMPLERS``.
            seed: of all random choices.
            num_trials: the planned number, from which start-up and population sizes follow.
            limits: cost name to its largest value.
            first: (origin, genotype) to propose before anything else; may lie outside ``space``.
            population: of the genetic samplers; None for one that fits ``num_trials``, at most Optuna's own 50.
            requirements: what each sampler is told of as constraints.

        Raises:
            SettingsError: no such sampler.
        """
        if sampler not in SAMPLERS:
            raise SettingsError(f"sampler: got {sampler!r}; one of {', '.join(SAMPLERS)}")
        self._space, self._objectives, self._price = space, tuple(objectives), price
        self._sampler, self._seed, self._num_trials = sampler, seed, num_trials
        self._population = population or max(4, min(50, num_trials // 4))
        self._limits, self._first = dict(limits or {}), list(first)
        self._requirements = tuple(requirements)
        self._results: dict[str, Result] = {}
        self._proposed: dict[str, int] = {}
        self._optuna_number: dict[int, int] = {}
        self._fruitless = 0
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._study = self._new_study()
        self._forgotten = 0
        """Asks that are no longer in the study."""
        self._noted: dict[str, Any] = {}
        """What the sampler had written to the study by the last proposal."""

    def ask(self) -> Proposal | None:
        """See ``Strategy.ask``."""
        asked: list[dict[str, Any]] = []
        choice = self._queued() or self._sample(asked) or self._draw()
        if choice is None:
            return None
        origin, genotype = choice
        trial = max(self._proposed.values(), default=-1) + 1
        if not _ends_open(asked):
            self._add(genotype, asked)
        self._note(trial, genotype.key, asked)
        costs = self._price(genotype)
        refused = next((_excess(n, costs[n], most) for n, most in self._limits.items() if costs[n] > most), "")
        self._fruitless = self._fruitless + 1 if refused else 0
        memory = {"asked": asked, "study": self._news()}
        return Proposal(trial=trial, genotype=genotype, costs=costs, origin=origin, refused=refused, memory=memory)

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Let every trial be trained to its end."""
        return Decision.CONTINUE

    def tell(self, result: Result) -> None:
        """See ``Strategy.tell``."""
        self._results[result.key] = result
        number = self._optuna_number.get(result.trial)
        if number is None or number < self._forgotten:
            return
        number -= self._forgotten
        if result.status is Status.OK:
            trial_id = self._study.get_trials(deepcopy=False)[number]._trial_id
            self._constrain(optuna.Trial(self._study, trial_id), result)
            self._study.tell(number, self._values(result))
        else:
            self._study.tell(number, state=TrialState.FAIL)

    def restore(self, history: History) -> None:
        """See ``Strategy.restore``."""
        if self._proposed:
            raise SettingsError("strategy: got a history after its first proposal; must come before")
        by_key = {r.key: r for r in history.results}
        for proposal in history.proposals:
            # A proposal that was made again from its trial's result has no memory.
            asked = list(proposal.memory.get("asked", ()))
            for name, value in proposal.memory.get("study", {}).items():
                # The parents of a generation, for one: chosen once, from the trials that were done by then.
                self._storage.set_study_system_attr(self._study_id, name, value)
            self._noted.update(proposal.memory.get("study", {}))
            for entry in asked:
                self._replay(entry, by_key.get(entry["of"]))
            if proposal.is_known:
                self._add(proposal.genotype, asked)
            self._note(proposal.trial, proposal.genotype.key, asked)
            self._fruitless = self._fruitless + 1 if proposal.refused else 0
        for result in history.results:
            self.tell(result)

    @property
    def _study_id(self) -> int:
        return self._storage.get_study_id_from_name(self._space.name)

    @property
    def _num_asked(self) -> int:
        return self._forgotten + len(self._study.get_trials(deepcopy=False))

    def _new_study(self) -> optuna.Study:
        directions: list[Literal["minimize", "maximize"]] = [
            "maximize" if o.goal == "max" else "minimize" for o in self._objectives
        ]
        self._storage = optuna.storages.InMemoryStorage()
        return optuna.create_study(directions=directions, storage=self._storage, study_name=self._space.name)

    def _news(self) -> dict[str, Any]:
        """What the sampler has written to the study since the last proposal; all of it each time would not end."""
        written = self._storage.get_study_system_attrs(self._study_id)
        news = {name: value for name, value in written.items() if self._noted.get(name) != value}
        self._noted.update(news)
        return news

    def _forget(self) -> None:
        """Let go of the oldest asks. How many are left follows from their number alone, also after a restart."""
        window = WINDOW.get(self._sampler)
        first = max(self._num_asked // window - 1, 0) * window if window else 0
        if first > self._forgotten:
            kept = self._study.get_trials(deepcopy=False)[first - self._forgotten :]
            self._study, self._forgotten = self._new_study(), first
            self._study.add_trials(kept)

    def _queued(self) -> tuple[str, Genotype] | None:
        while self._first:
            origin, genotype = self._first.pop(0)
            if genotype.key not in self._proposed:
                return origin, genotype
        return None

    def _sample(self, asked: list[dict[str, Any]]) -> tuple[str, Genotype] | None:
        """Ask the sampler until it names a new point; what it named on the way goes to ``asked``."""
        if len(self._proposed) >= self._space.count():
            return None
        self._forget()
        for _ in range(MAX_FRUITLESS_ASKS - self._fruitless):
            self._study.sampler = self._new_sampler()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                trial = self._study.ask()
                values = self._suggest(trial)
            genotype = self._space.genotype(values)
            known = self._results.get(genotype.key)
            answered = known is not None and known.status is Status.OK
            attrs = self._study.get_trials(deepcopy=False)[trial.number].system_attrs
            repeat_of = genotype.key if genotype.key in self._proposed else None
            asked.append({"params": dict(trial.params), "attrs": dict(attrs), "of": repeat_of, "answered": answered})
            if repeat_of is None:
                return self._sampler, genotype
            if known is not None and answered:
                self._constrain(trial, known)
                self._study.tell(trial, self._values(known))
            else:
                self._study.tell(trial, state=TrialState.FAIL)
        return None

    def _draw(self) -> tuple[str, Genotype] | None:
        """A new point drawn evenly, or, when nearly all are taken, the first that is not."""
        rng = random.Random(f"{self._seed}:{len(self._proposed)}")
        for _ in range(_DRAWS):
            genotype = self._space.sample(rng)
            if genotype.key not in self._proposed:
                return "random", genotype
        if self._space.count() <= 100 * _DRAWS:
            for genotype in self._space.points():
                if genotype.key not in self._proposed:
                    return "enumeration", genotype
        return None

    def _suggest(self, trial: optuna.Trial) -> dict[str, Value]:
        values: dict[str, Value] = {}
        for param in self._space.params:
            if is_active(param, values):
                distribution = _distribution(param)
                if isinstance(distribution, IntDistribution):
                    values[param.name] = param.values[trial.suggest_int(param.name, 0, distribution.high)]
                else:
                    values[param.name] = cast(Value, trial.suggest_categorical(param.name, param.values))
        return values

    def _add(self, genotype: Genotype, asked: list[dict[str, Any]]) -> None:
        """Tell the study of a pending point that did not come from it, where its space can express the point."""
        values = self._space.values_of(genotype)
        try:
            self._space.genotype(values)
        except SpaceError:
            return
        params: dict[str, Any] = {}
        for name, value in values.items():
            param = self._space[name]
            is_index = isinstance(_distribution(param), IntDistribution)
            params[name] = param.values.index(value) if is_index else value
        entry = {"params": params, "attrs": {}, "of": None, "answered": False}
        asked.append(entry)
        self._replay(entry, None)

    def _note(self, trial: int, key: str, asked: Sequence[Mapping[str, Any]]) -> None:
        self._proposed[key] = trial
        if _ends_open(asked):
            self._optuna_number[trial] = self._num_asked - 1

    def _replay(self, entry: Mapping[str, Any], repeated: Result | None) -> None:
        """Put one earlier ask back into the study: running, or, where it was a repeat, answered."""
        distributions = {name: _distribution(self._space[name]) for name in entry["params"]}
        if entry["of"] is None:
            state, values = TrialState.RUNNING, None
        elif repeated is not None and entry["answered"]:
            state, values = TrialState.COMPLETE, self._values(repeated)
        else:
            state, values = TrialState.FAIL, None
        frozen_trial = create_trial(
            state=state,
            values=values,
            params=dict(entry["params"]),
            distributions=distributions,
            system_attrs=dict(entry["attrs"]),
        )
        if values is not None and repeated is not None:
            self._constrain(frozen_trial, repeated)
        self._study.add_trial(frozen_trial)

    def _constrain(self, trial: optuna.Trial | optuna.trial.FrozenTrial, result: Result) -> None:
        """Say how far a result misses each requirement."""
        for requirement in self._requirements:
            trial.set_constraint(requirement.name, requirement.excess(result.values))

    def _values(self, result: Result) -> list[float]:
        return [result.values[o.name] for o in self._objectives]

    def _new_sampler(self) -> optuna.samplers.BaseSampler:
        seed = random.Random(f"{self._seed}:{self._num_asked}").getrandbits(31)
        samplers = optuna.samplers
        num_startup = max(4, min(10, self._num_trials // 3))
        with warnings.catch_warnings():
            # NSGA-III is marked experimental; that its interface may change is our business, not the user's.
            warnings.simplefilter("ignore")
            if self._sampler == "tpe":
                return samplers.TPESampler(seed=seed, n_startup_trials=num_startup)
            if self._sampler == "nsga2":
                return samplers.NSGAIISampler(seed=seed, population_size=self._population)
            if self._sampler == "nsga3":
                return samplers.NSGAIIISampler(seed=seed, population_size=self._population)
            if self._sampler == "gp":
                return samplers.GPSampler(seed=seed, n_startup_trials=num_startup, warn_independent_sampling=False)
            return samplers.RandomSampler(seed=seed)


def _distribution(param: Param) -> BaseDistribution:
    values = param.values
    is_number = not isinstance(values[0], (bool, str))
    if is_number and len(values) > 2 and list(values) == sorted(values):
        # By index: a sampler that knows the order needs fewer trials than one that sees names.
        return IntDistribution(0, len(values) - 1)
    return CategoricalDistribution(values)


def _ends_open(asked: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the last entry is the proposal itself, not a repeat on the way to it."""
    return bool(asked) and asked[-1]["of"] is None


def _excess(name: str, value: float, most: float) -> str:
    return f"{name}: got {value:g}; must be at most {most:g}"
