"""What became of every trial of a run, read from its record; and a small search whose results can be compared."""

from __future__ import annotations

import collections
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.command import events

TRIALS, EPOCHS = 4, 24
"""A training takes some seconds, so that something can happen to it."""

SMALL = ("--axis", "base=4,6", "--axis", "stages=2,3", "--crop", "32", "--batch", "4", "--input", "1x64x64")
"""Networks and images so small that an epoch takes a tenth of a second."""


def words(data: Path, run: str | Path, trials: int, epochs: int, *more: str) -> list[str]:
    """A search that proposes the same networks whatever comes back, and in whichever order."""
    options = ["--dataset", str(data), "--run", str(run), "--trials", str(trials), "--epochs", str(epochs)]
    return ["search", *options, *SMALL, "--strategy", "random", *more]


@dataclass(frozen=True)
class Account:
    """Counts of trials of one run; each but ``retried`` and ``again`` is one of distinct trials."""

    proposed: int
    finished: int
    failed: int
    """Finished without a network."""
    lost: int
    """Proposed and not finished."""
    repeated: int
    """Finished more than once, or trained again under another number, or trained on after they had finished."""
    retried: int
    """Times that a trial was started again after its worker had died."""
    again: int
    """Epochs that were trained more than once, and reported each time."""

    @property
    def is_whole(self) -> bool:
        """Whether every trial came to its end, once."""
        return self.lost == self.repeated == self.failed == 0


def account(run: str | Path) -> Account:
    """The account of the run in a folder, or at a URI."""
    record = list(events(run))
    proposed = {e["trial"] for e in record if e["kind"] == "proposed"}
    ends = [e["result"] for e in record if e["kind"] == "finished"]
    trials, keys = (collections.Counter(r[name] for r in ends) for name in ("trial", "key"))
    ended, epochs, late = set[int](), collections.Counter[tuple[int, int]](), set[int]()
    for event in record:
        if event["kind"] == "finished":
            ended.add(event["result"]["trial"])
        elif event["kind"] == "reported":
            epochs[event["trial"], event["epoch"]] += 1
            late |= {event["trial"]} & ended
    return Account(
        proposed=len(proposed),
        finished=len(trials),
        failed=sum(r["status"] == "failed" for r in ends),
        lost=len(proposed - set(trials)),
        retried=sum(e["kind"] == "retried" for e in record),
        repeated=sum(n > 1 for n in trials.values()) + sum(n > 1 for n in keys.values()) + len(late),
        again=sum(n - 1 for n in epochs.values()),
    )


def outcome(run: str | Path) -> dict[str, Mapping[str, Any]]:
    """Network to all that its training came to, without what depends on the machine: time and version."""
    names = ("trial", "key", "status", "values", "genotype", "epochs", "seed", "data_rev", "error", "note")
    ends = [e["result"] for e in events(run, "finished")]
    return {r["key"]: {name: r[name] for name in names} for r in ends}


def until(is_so: Callable[[], bool], what: str, timeout_s: float = 900) -> None:
    """Wait until something is so."""
    end = time.monotonic() + timeout_s
    while not is_so():
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.1)
