"""What decides in a search: the contract of a strategy, and the nouns that it is asked and told in.

A strategy is pure: it reads no file and no clock and starts no process. Two strategies of equal history decide equally.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from irnas.core.objective import Objective
from irnas.core.proposal import Proposal
from irnas.core.requirement import Requirement
from irnas.core.result import Result
from irnas.core.settings import ENDLESS, TotalBudget
from irnas.core.space import Genotype, Space
from irnas.record.events import Continued
from irnas.record.run import Run

Price = Callable[[Genotype], Mapping[str, float]]
"""Computes the free objectives of a network, without training it."""

Share = Callable[[Genotype, Genotype], float]
"""Computes the share, 0..1, of a network's numbers that it would have from another one, its parent."""

MAX_POOL = 2000
"""Networks that a strategy prices in advance and considers; a larger space is sampled."""


class Decision(enum.Enum):
    """What becomes of a training after a report."""

    CONTINUE = "continue"
    """Its worker trains on."""
    PAUSE = "pause"
    """Its worker is let go; the strategy may propose the trial again, and it goes on from its checkpoint."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchProblem:
    """What a strategy is made for: everything that a search asks of it."""

    space: Space
    objectives: Sequence[Objective]
    price: Price
    epochs: int
    """Of a full training."""
    num_trials: int
    """The planned number of full trainings, from which start-up and population sizes follow."""
    seed: int
    """Of all random choices of the strategy."""
    grace_period: int | None = None
    """Epochs before the first pause of a training; None for a ninth of ``epochs``."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """Free objective to its largest value that may be trained."""
    first: Sequence[tuple[str, Genotype]] = ()
    """(origin, genotype) of the networks to begin with; they may lie outside ``space``."""
    pool_size: int = MAX_POOL
    """Networks that may be priced in advance."""
    total_budget: TotalBudget = ENDLESS
    """All the training that the search may pay for."""
    epochs_of_heirs: int | None = None
    """Of a network that starts from another's weights; None for a third of ``epochs``."""
    share: Share | None = None
    """By which it is known beforehand who trains for so few; None where every heir does."""
    requirements: Sequence[Requirement] = ()
    """What a network must reach, once it is trained, to rank before all that do not."""


class Observation(NamedTuple):
    """A trial's values after an epoch, as they were reported."""

    trial: int
    epoch: int
    values: Mapping[str, float]
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What has happened in a search, each kind in order."""

    proposals: Sequence[Proposal] = ()
    results: Sequence[Result] = ()
    reports: Sequence[Observation] = ()
    paused: frozenset[int] = frozenset()
    """The trials that are paused now."""
    promoted: frozenset[int] = frozenset()
    """The trials that went on to their end as finalists."""
    continued: Sequence[int] = ()
    """The trials that were handed out again, as often as they were, in order."""
    trained_on: frozenset[int] = frozenset()
    """The trials that have ended, and are being trained on now."""

    @classmethod
    def of(cls, run: Run) -> History:
        """The history that a run's record tells."""
        return cls(
            proposals=tuple(run.proposals),
            results=tuple(run.outcomes),
            reports=tuple(Observation(r.trial, r.epoch, r.values, r.seconds) for r in run.reports),
            paused=frozenset(run.paused),
            promoted=frozenset(number for number, trial in run.trials.items() if trial.is_promoted),
            continued=tuple(event.trial for event in run.events if isinstance(event, Continued)),
            trained_on=frozenset(number for number, trial in run.trials.items() if trial.is_trained_on),
        )


class Strategy(Protocol):
    """What an executor asks and tells, whichever strategy is behind it.

    A strategy's module has a function ``build(name, problem)`` that makes it, and a row in ``core.strategies``.
    """

    def ask(self) -> Proposal | None:
        """Propose the next network; None when there is none now.

        A network is proposed once. The exceptions are a trial that ``observe`` paused, which goes on where it was, and
        one that has ended ok, which is trained on from its weights: the strategy proposes it again under its number.
        """

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> Decision:
        """Learn a trial's values after an epoch, and decide whether the trial is paused.

        Args:
            trial: its number.
            epoch: how many epochs are trained, from 1.
            values: metric to value, such as {"miou": 0.71}.
            seconds: of its training so far, or since its worker was started again; 0 where nobody measures.
        """

    def tell(self, result: Result) -> None:
        """Learn a trial's end; of one that was trained on, its new end in place of the one before."""

    def restore(self, history: History) -> None:
        """Take up a search with this history: from then on, decide as the strategy that made it would."""
