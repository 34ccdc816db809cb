"""A method on a split: metrics and time per image, and the choice of a threshold on images that are not judged."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from irnas.baseline import Method
from irnas.baseline.scale import Score
from irnas.baseline.threshold import CHOICES, Threshold
from irnas.core.errors import SettingsError
from irnas.data import Split
from irnas.metrics import Counts, Rules, count_labels, summarize

Tick = Callable[[str, int, int], None]
"""Called as tick(what, done, total) after each image."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a method reached."""

    counts: Counts
    seconds: float
    """Median time of an image."""
    cpu_seconds: float
    """Mean processor time of an image, all threads together."""

    @property
    def metrics(self) -> dict[str, float]:
        """By objective name."""
        return summarize(self.counts)


def judge(
    method: Method, split: Split, threshold: Threshold, rules: Rules, *, images: int | None, tick: Tick
) -> Outcome:
    """The metrics of a method on a split, or on ``images`` of it at even distances.

    Raises:
        SettingsError: no images are asked for.
    """
    rows, passed = [], []
    for index, score_hw, times in _scores(method, split, images, tick):
        rows.append(count_labels(threshold.probability(score_hw), split.mask(index), rules))
        passed.append(times)
    seconds, processor = zip(*passed, strict=True)
    return Outcome(counts=Counts.concat(rows), seconds=float(np.median(seconds)), cpu_seconds=float(np.mean(processor)))


def choose(method: Method, split: Split, rules: Rules, *, images: int | None, tick: Tick) -> Threshold:
    """The number of deviations, of ``CHOICES``, with the greatest mIoU on a split; of equals, the greatest."""
    rules_of = [Threshold(amount=float(amount), unit="sigma") for amount in CHOICES]
    rows: list[list[Counts]] = [[] for _ in rules_of]
    for index, score_hw, _ in _scores(method, split, images, tick):
        for row, rule in zip(rows, rules_of, strict=True):
            row.append(count_labels(rule.probability(score_hw), split.mask(index), rules))
    reached = [summarize(Counts.concat(row))["miou"] for row in rows]
    best = max(range(len(CHOICES)), key=lambda i: (reached[i], CHOICES[i]))
    return rules_of[best]


def choose_evenly(total: int, images: int | None) -> list[int]:
    """Indices of ``images`` of ``total`` at even distances; of all of them where there are no more, or for None.

    Raises:
        SettingsError: fewer than one.
    """
    if images is not None and images < 1:
        raise SettingsError(f"--images: got {images}; must be at least 1")
    num = total if images is None else min(images, total)
    return [i * total // num for i in range(num)]


def _scores(
    method: Method, split: Split, images: int | None, tick: Tick
) -> Iterator[tuple[int, Score, tuple[float, float]]]:
    """Index and score map of each image, and the seconds that it took by the clock and of the processor."""
    indices = choose_evenly(len(split), images)
    for done, index in enumerate(indices, 1):
        image_hw = split.image(index)
        started, started_cpu = time.perf_counter(), time.process_time()
        score_hw = method.score(image_hw)
        yield index, score_hw, (time.perf_counter() - started, time.process_time() - started_cpu)
        tick(split.label, done, len(indices))
