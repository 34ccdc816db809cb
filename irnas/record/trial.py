"""One network's way through a run, and a step of its front: what ``Run`` folds events into."""

from __future__ import annotations

from dataclasses import dataclass, field

from irnas.core.front import Front
from irnas.core.proposal import Proposal
from irnas.core.result import Result, Status
from irnas.record.events import Finished, Measured, Proposed, Repeated, Reported, Retried, Tested
from irnas.record.replicates import ReplicateStatistics, statistics_of


@dataclass(slots=True, kw_only=True)
class Trial:
    """One network's way through a run."""

    proposed: Proposed
    """Of a trial that was proposed again after a kill, the first time."""
    reports: list[Reported] = field(default_factory=list)
    """As they came; a trial that lost its worker tells of some epochs twice."""
    retries: list[Retried] = field(default_factory=list)
    is_promoted: bool = False
    """Whether it is trained to its end as a finalist, whatever the strategy says."""
    finished: Finished | None = None
    """Its end, or the last one so far."""
    is_trained_on: bool = False
    """Whether it was handed out again after an end, and has not come to the next one."""
    replicates: list[Repeated] = field(default_factory=list)
    replicate_reports: dict[int, list[Reported]] = field(default_factory=dict)
    """What its further trainings told, by their number, from 1."""
    tests: list[Tested] = field(default_factory=list)
    """How its trainings were judged on splits that only tests read, in order."""
    measured: Measured | None = None

    @property
    def number(self) -> int:
        """Number of the trial in its run, from 0."""
        return self.proposal.trial

    @property
    def key(self) -> str:
        """The genotype's key."""
        return self.proposal.key

    @property
    def proposal(self) -> Proposal:
        """The network, its costs, and who asked for it."""
        return self.proposed.proposal

    @property
    def epoch(self) -> int:
        """The epoch of its newest report; 0 before any."""
        return self.reports[-1].epoch if self.reports else 0

    @property
    def is_open(self) -> bool:
        """Whether it has no result yet, or is trained on."""
        return self.finished is None or self.is_trained_on

    @property
    def earlier_result(self) -> Result | None:
        """What it had come to before it was handed out again to be trained on; None where it was not."""
        return self.finished.result if self.finished and self.is_trained_on else None

    def is_unfinished(self, replicate: int) -> bool:
        """Whether a training of it, 0 for the first, has not come to its end."""
        if replicate:
            return all(repeated.replicate != replicate for repeated in self.replicates)
        return self.is_open

    def reports_of(self, replicate: int) -> list[Reported]:
        """What a training of it told, 0 for the first; as they came."""
        return self.replicate_reports.get(replicate, []) if replicate else self.reports

    @property
    def curve(self) -> dict[int, Reported]:
        """Epoch to report. A retried epoch counts once, as it came out last."""
        return {report.epoch: report for report in self.reports}

    @property
    def statistics(self) -> dict[str, ReplicateStatistics]:
        """Metric to its statistics over all trainings; empty where there was one, or the first of them failed.

        Of a network that started from another's weights it is empty too: its other trainings began with random ones,
        and tell of something else (``from_scratch``).
        """
        if not self.replicates or self.finished is None or self.finished.result.status is not Status.OK:
            return {}
        if self.finished.result.heritage:
            return {}
        return statistics_of([self.finished.result.values, *(r.values for r in self.replicates)])

    @property
    def from_scratch(self) -> list[Repeated]:
        """The trainings in full, from random weights, of a network whose own training began with another's."""
        return self.replicates if self.finished and self.finished.result.heritage else []


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """How far the front had got at a time."""

    t: float
    num_done: int
    """Trials that were trained to the end until then."""
    front: Front
    is_replicate: bool
    """Whether it moved because a network of it was trained once more, and not by a further trial."""
