"""What decides in a search. A strategy is pure: no files, no clock, no processes; equal history, equal decisions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from irnas.core.result import Result
from irnas.core.space import Genotype

Price = Callable[[Genotype], Mapping[str, float]]
"""The free objectives of a network, known without training."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """A network that the strategy wants to see trained, or wants to be seen to refuse."""

    trial: int
    genotype: Genotype
    costs: Mapping[str, float]
    origin: str
    """Who proposed it: a sampler's name, ``random``, or ``published NAME``."""
    refused: str = ""
    """The limit that it breaks; such a proposal is recorded and never trained."""
    memory: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy must be given back to continue after a restart, as plain data."""

    def document(self) -> dict[str, Any]:
        """The proposal as plain data."""
        return {
            "trial": self.trial,
            "key": self.genotype.key,
            "genotype": self.genotype.document(),
            "costs": dict(self.costs),
            "origin": self.origin,
            "refused": self.refused,
            "memory": dict(self.memory),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Proposal:
        """The inverse of ``document``."""
        names = ("trial", "costs", "origin", "refused", "memory")
        genotype = Genotype.from_document(document["genotype"])
        return cls(genotype=genotype, **{name: document[name] for name in names})


def next_percent(belief: Mapping[str, float]) -> float:
    """Seconds of training for one more percent of hypervolume, at the rate of the action that this is believed of."""
    return 0.01 * belief["seconds"] / belief["gain"] if belief["gain"] > 0 else math.inf


class Seen(NamedTuple):
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
    reports: Sequence[Seen] = ()
    paused: frozenset[int] = frozenset()
    """The trials that are paused now."""
    promoted: frozenset[int] = frozenset()
    """The trials that went on to their end as finalists."""

    @classmethod
    def of(cls, events: Sequence[Mapping[str, Any]]) -> History:
        """The history in the events of a record."""
        paused: set[int] = set()
        promoted: set[int] = set()
        for event in events:
            if event["kind"] == "reported" and event.get("paused"):
                paused.add(event["trial"])
            elif event["kind"] == "continued":
                paused.discard(event["trial"])
                promoted |= {event["trial"]} if event.get("promoted") else set()
        results = [Result.from_document(e["result"]) for e in events if e["kind"] == "finished"]
        names = ("trial", "epoch", "values", "seconds")
        return cls(
            proposals=[Proposal.from_document(e) for e in events if e["kind"] == "proposed"],
            results=results,
            reports=[Seen(**{n: e[n] for n in names}) for e in events if e["kind"] == "reported"],
            paused=frozenset(paused - {r.trial for r in results}),
            promoted=frozenset(promoted),
        )


class Strategy(Protocol):
    """The one face of every strategy."""

    def ask(self) -> Proposal | None:
        """The next network; None when there is none now.

        Never one that was proposed before, but for a trial that ``observe`` paused: that one, proposed again under its
        number, goes on where it was.
        """

    def observe(self, trial: int, epoch: int, values: Mapping[str, float], seconds: float = 0.0) -> bool:
        """Take note of a trial's values after an epoch; whether the trial is paused.

        ``seconds`` are those of its training so far, or since it was last started; 0 where nobody tells. The worker of
        a paused trial is let go, and ``ask`` may name the trial again.
        """

    def tell(self, result: Result) -> None:
        """Take note of a trial's end."""

    def restore(self, history: History) -> None:
        """Become the strategy whose history this is."""
