"""What can happen in a run: one frozen class for each kind of event, and its document.

This file is the schema of the record. An event is parsed once, where it is read, and from then on is a value with
names and types; nobody else looks into the documents. ``SCHEMA`` is raised when a field changes its meaning or a kind
is added. Records of schema 1, which version 0.1 wrote, and of schema 2 are brought up to date while they are read
(``irnas.record.upgrade``). ``irnas.record.line`` has the form of an event on disk.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, ClassVar

from irnas.core.front import Bounds
from irnas.core.proposal import Proposal
from irnas.core.result import Result
from irnas.core.settings import SearchSettings
from irnas.core.space import Space

SCHEMA = 5
"""Of events; that of the results in them is its own.

3: with ``Tested``, the replicate that a report is of, and the place that data have moved to. 4: with ``Repaired``; each
line has a number and a checksum. 5: what was timed need not have been expected to take any time; a search may require
something of networks, and know some from another run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a run."""

    KIND: ClassVar[str]
    t: float = field(default_factory=time.time)
    """When, in seconds since the epoch."""

    def document(self) -> dict[str, Any]:
        """The event as plain data, ready for JSON."""
        return {"schema": SCHEMA, "t": self.t, "kind": self.KIND, **self._content()}

    def _content(self) -> dict[str, Any]:
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.name != "t"}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Event:
        """The inverse of ``document``."""
        return cls(**{f.name: document[f.name] for f in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """The data set that a run was started on."""

    name: str
    revision: str
    """Hash of its content: the one data revision of the run."""
    path: str
    """Its folder on the machine that began the run."""
    dvc: str | None = None
    """The digest that DVC's lock holds of it; None where DVC does not track it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """The device whose speed counts in a run."""

    name: str
    cpu: str
    kernels: str
    """Kernel set of the engine; empty for another engine."""
    threads: int
    clock: str
    predicted: bool
    """Whether speeds come from a profile, and are not measured."""
    revision: str
    """What tells this device, or this state of its profile, from others."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened(Event):
    """The run began; always its first event."""

    KIND: ClassVar[str] = "opened"
    run_id: str
    """What names the run wherever its folder goes."""
    settings: SearchSettings
    space: Space
    """The space that is searched, narrowed to the axes that vary."""
    data: DataSource
    code_rev: str
    versions: Mapping[str, str] = field(default_factory=dict)
    """Package to version."""
    bounds: Bounds
    device: Device | None = None
    """None where speed does not count."""
    baselines: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """What needs no network: name to metric to value, on the validation split."""
    trains_on: str = ""
    """What its trials are trained on, in words, until it is resumed; empty before records said it."""

    def _content(self) -> dict[str, Any]:
        return {
            "run_id": self.run_id,
            "settings": self.settings.document(),
            "space": self.space.document(),
            "data": asdict(self.data),
            "code_rev": self.code_rev,
            "versions": dict(self.versions),
            "bounds": {name: list(pair) for name, pair in self.bounds.items()},
            "device": asdict(self.device) if self.device else None,
            "baselines": {name: dict(values) for name, values in self.baselines.items()},
            "trains_on": self.trains_on,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Opened:
        """The inverse of ``document``."""
        return cls(
            t=document["t"],
            run_id=document["run_id"],
            settings=SearchSettings.from_document(document["settings"]),
            space=Space.from_document(document["space"]),
            data=DataSource(**document["data"]),
            code_rev=document["code_rev"],
            versions=document["versions"],
            bounds={name: (float(best), float(worst)) for name, (best, worst) in document["bounds"].items()},
            device=Device(**document["device"]) if document["device"] else None,
            baselines=document["baselines"],
            trains_on=document["trains_on"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumed(Event):
    """The run went on after an end."""

    KIND: ClassVar[str] = "resumed"
    trials: int
    """Full trainings that it is to come to from now on."""
    code_rev: str
    data_path: str = ""
    """The folder that its data set has moved to; empty where it lies where it lay before."""
    trains_on: str = ""
    """As of ``Opened``, from now on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposed(Event):
    """The strategy named a network: it was handed out, or refused."""

    KIND: ClassVar[str] = "proposed"
    proposal: Proposal

    def _content(self) -> dict[str, Any]:
        return self.proposal.document()

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Proposed:
        """The inverse of ``document``."""
        return cls(t=document["t"], proposal=Proposal.from_document(document))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported(Event):
    """A trial told its values after an epoch."""

    KIND: ClassVar[str] = "reported"
    trial: int
    epoch: int
    values: Mapping[str, float]
    """Metrics on the validation split, and the training loss."""
    seconds: float
    """Of its training, since it was last started."""
    paused: bool
    """Whether its worker was let go with it."""
    replicate: int = 0
    """Above 0 where a further training of the network, with another seed, tells them."""
    trained_on: str = ""
    """See ``Result.trained_on``."""
    fused: bool | None = None
    """See ``Result.fused``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Continued(Event):
    """A paused trial was handed out again."""

    KIND: ClassVar[str] = "continued"
    trial: int
    belief: Mapping[str, Any] = field(default_factory=dict)
    """What the strategy expected of it; empty where it expects nothing."""
    promoted: bool = False
    """Whether it is trained to its end as a finalist, whatever the strategy says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retried(Event):
    """A trial lost its worker and was started again from its checkpoint."""

    KIND: ClassVar[str] = "retried"
    trial: int
    error: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished(Event):
    """A trial ended: ok, stopped, rejected or failed."""

    KIND: ClassVar[str] = "finished"
    result: Result

    @property
    def trial(self) -> int:
        """The trial's number."""
        return self.result.trial

    def _content(self) -> dict[str, Any]:
        return {"result": self.result.document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Finished:
        """The inverse of ``document``."""
        return cls(t=document["t"], result=Result.from_document(document["result"]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeated(Event):
    """A network was trained to its end once more, with another seed."""

    KIND: ClassVar[str] = "repeated"
    trial: int
    key: str
    seed: int
    replicate: int = 0
    """Which of its trainings it was, from 1; 0 in records of before schema 3, which do not say."""
    seconds: float
    values: Mapping[str, float]
    """Metrics on the validation split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(Event):
    """A network of the front was timed after the search, when nothing ran beside it."""

    KIND: ClassVar[str] = "measured"
    trial: int
    key: str
    input: tuple[int, int, int]
    """Channels, height and width."""
    threads: int
    expected_ms: float | None
    """What the search had counted with; None where speed did not count in it."""
    engine: str
    kernels: str
    ms_min: float
    ms_median: float
    runs: int
    cpu: str = ""
    """The processor, where it is not that of the run's device; empty before records said it."""

    @property
    def deviation(self) -> float:
        """How far the search was off, as a fraction of the time that was measured; 0 where it counted with none."""
        return abs(self.expected_ms / self.ms_min - 1) if self.expected_ms else 0.0

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Measured:
        """The inverse of ``document``."""
        values = {f.name: document[f.name] for f in fields(cls)}
        return cls(**{**values, "input": tuple(document["input"])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested(Event):
    """A network was judged on images that no training and no choice has seen."""

    KIND: ClassVar[str] = "tested"
    trial: int
    key: str
    replicate: int
    """Which of its trainings: 0 is that of the trial itself."""
    seed: int | None
    """Of that training; None where nobody knows."""
    split: str
    data_rev: str
    threshold: float
    """The model's own, from which a probability counts as target."""
    values: Mapping[str, Mapping[str, float]]
    """Preset to metric to value, at the model's own threshold."""
    at_half: Mapping[str, Mapping[str, float]]
    """The same at a threshold of 0.5."""
    reading: int
    """Which reading of this split by this run it was, from 1."""
    source: str = ""
    """The file that was tested; empty for the weights that the run keeps."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Repaired(Event):
    """Stands in a damaged record where events were that no longer can be read."""

    KIND: ClassVar[str] = "repaired"
    num_events: int
    """How many are missing, at least 1."""
    faults: tuple[str, ...]
    """What was found in the record, a sentence each."""
    proposals: tuple[Proposal, ...] = ()
    """Those that were lost of trials whose result is there, made again from it."""
    lost_trials: tuple[int, ...] = ()
    """Trials whose proposal was lost and that have no result: what else is told of them counts for nothing."""

    def _content(self) -> dict[str, Any]:
        return {
            "num_events": self.num_events,
            "faults": list(self.faults),
            "proposals": [proposal.document() for proposal in self.proposals],
            "lost_trials": list(self.lost_trials),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Repaired:
        """The inverse of ``document``."""
        return cls(
            t=document["t"],
            num_events=document["num_events"],
            faults=tuple(document["faults"]),
            proposals=tuple(Proposal.from_document(proposal) for proposal in document["proposals"]),
            lost_trials=tuple(document["lost_trials"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed(Event):
    """The run ended by itself, or knew that it was ended; ``Resumed`` may follow."""

    KIND: ClassVar[str] = "closed"
    reason: str


_OF_TRIALS = (Proposed, Reported, Continued, Retried, Finished, Repeated, Measured, Tested)
KINDS: Mapping[str, type[Event]] = {c.KIND: c for c in (Opened, Resumed, *_OF_TRIALS, Repaired, Closed)}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return list(value) if isinstance(value, tuple) else value
