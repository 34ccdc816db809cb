"""A test: trained networks judged on images that no training and no choice has seen, and the record of that reading.

Figures of a run go into its record before they are printed, so that nobody can look often and tell of once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from irnas import storage
from irnas.data import Dataset
from irnas.metrics import HALF, Curve, DetectionCurve, Judge, Metrics
from irnas.record.events import Tested
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.record.tests import NetworkTest
from irnas.report.tests import PrintedAccuracy, printed_accuracies
from irnas.workflows import evidence
from irnas.workflows.subjects import Map, Predictor, Subject
from irnas.workflows.testing_plan import Listener, Plan, TestSettings, make_plan


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingTest:
    """How one training did."""

    subject: Subject
    threshold: float
    engine: str
    values: Metrics
    at_half: Metrics
    curves: Mapping[str, Curve]
    detections: DetectionCurve
    num_targets: int

    def document(self) -> dict[str, Any]:
        """As plain data, without the curves."""
        names = ("name", "key", "trial", "replicate", "seed", "source")
        return {
            **{name: getattr(self.subject, name) for name in names},
            "threshold": self.threshold,
            "engine": self.engine,
            "values": self.values,
            "at_half": self.at_half,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A test that ended."""

    dataset: Dataset
    split: str
    """Its name, behind that of the data set where this is not the run's own."""
    num_images: int
    num_trained_on: str
    """How many images were trained on and tested on, as papers write it; empty where nobody knows."""
    preset: str
    """Of the run, or the usual one."""
    trainings: Sequence[TrainingTest]
    networks: Sequence[NetworkTest]
    published: Sequence[PrintedAccuracy]
    run: str | None = None
    reading: int = 0
    """Which reading of the split by the run it was; 0 without a run."""
    folder: str | None = None
    """Where its files are; None where it left none."""

    def document(self) -> dict[str, Any]:
        """As --json prints it, and as it lies beside the files."""
        return {
            "run": self.run,
            "reading": self.reading,
            "folder": self.folder,
            "dataset": self.dataset.name,
            "data_rev": self.dataset.revision,
            "split": self.split,
            "images": self.num_images,
            "targets": self.trainings[0].num_targets,
            "preset": self.preset,
            "networks": [network.document() for network in self.networks],
            "trainings": [training.document() for training in self.trainings],
            "published": [row.document() for row in self.published],
        }


def test(settings: TestSettings, listener: Listener) -> Outcome:
    """Judge networks on a split, and record it in the run that they belong to.

    Raises:
        SettingsError: no such model, network or split; images that were trained on; or a run that is being written to.
        DataError: no such data set, or a network that yields no probabilities.
    """
    plan = make_plan(settings, listener)
    if plan.run is None:
        return _finish(plan, [_judge(plan, subject) for subject in plan.subjects], reading=0)
    ledger = Ledger(plan.run.uri)
    with ledger.writing():
        # Another process may have tested until now.
        reading = Run.of(plan.run.uri, ledger.events()).num_readings(plan.label) + 1
        trainings = []
        for subject in plan.subjects:
            training = _judge(plan, subject)
            ledger.append(_event(plan, training, reading))
            trainings.append(training)
    return _finish(plan, trainings, reading)


def _judge(plan: Plan, subject: Subject) -> TrainingTest:
    """Judge one training; its files are written along the way."""
    predictor = subject.open()
    judge = Judge((predictor.threshold, HALF), plan.preset)
    with contextlib.ExitStack() as stack:
        writer = None
        if plan.folder is not None:
            writer = stack.enter_context(
                evidence.network_evidence(plan.folder, subject.name, has_pictures=plan.settings.has_pictures)
            )
        for index, probability_hw in _maps(plan, subject, predictor):
            rows = judge.add(probability_hw, plan.split.mask(index))
            if writer is not None:
                writer.add(plan.split.name(index), probability_hw, predictor.threshold, rows)
    return TrainingTest(
        subject=subject,
        threshold=predictor.threshold,
        engine=predictor.engine,
        values=judge.metrics(predictor.threshold),
        at_half=judge.metrics(HALF),
        curves=judge.curves(),
        detections=judge.detections(),
        num_targets=judge.num_targets(plan.preset),
    )


def _maps(plan: Plan, subject: Subject, predictor: Predictor) -> Iterator[tuple[int, Map]]:
    for index, probability_hw in enumerate(predictor.maps(plan.split)):
        yield index, probability_hw
        plan.listener.progress(subject.name, index + 1, len(plan.split))


def _event(plan: Plan, training: TrainingTest, reading: int) -> Tested:
    subject = training.subject
    assert subject.trial is not None, "a network of a run"
    return Tested(
        trial=subject.trial,
        key=subject.key,
        replicate=subject.replicate,
        seed=subject.seed,
        split=plan.label,
        data_rev=plan.dataset.revision,
        threshold=training.threshold,
        values=training.values,
        at_half=training.at_half,
        reading=reading,
        source=subject.source,
    )


def _finish(plan: Plan, trainings: Sequence[TrainingTest], reading: int) -> Outcome:
    outcome = Outcome(
        dataset=plan.dataset,
        split=plan.label,
        num_images=len(plan.split),
        num_trained_on=plan.sizes,
        preset=plan.preset,
        trainings=trainings,
        networks=_networks(plan, trainings, reading),
        published=printed_accuracies((plan.dataset.name, plan.dataset.manifest.format)),
        run=plan.run.uri if plan.run is not None else None,
        reading=reading,
        folder=plan.folder,
    )
    if plan.folder is not None:
        _write(plan, outcome, plan.folder)
    return outcome


def _networks(plan: Plan, trainings: Sequence[TrainingTest], reading: int) -> list[NetworkTest]:
    """The trainings by network: one key is one network, whatever its seeds."""
    groups: dict[str, list[TrainingTest]] = {}
    for training in trainings:
        subject = training.subject
        groups.setdefault(subject.source or subject.key, []).append(training)
    return [
        NetworkTest(
            name=name,
            split=plan.label,
            thresholds=tuple(t.threshold for t in group),
            values=tuple(t.values for t in group),
            at_half=tuple(t.at_half for t in group),
            reading=reading,
        )
        for name, group in groups.items()
    ]


def _write(plan: Plan, outcome: Outcome, folder: str) -> None:
    from irnas.report import operating_curves

    for training in outcome.trainings:
        evidence.write_curves(folder, training.subject.name, plan.preset, training.curves, training.detections)
    lines = {t.subject.name: (t.curves[plan.preset], t.detections) for t in outcome.trainings}
    title = f"{plan.dataset.name}/{plan.split.label}, {len(plan.split)} images, preset {plan.preset}"
    storage.write(storage.join(folder, "curves.png"), operating_curves.picture(lines, title))
    if plan.settings.has_pictures:
        for index in range(len(plan.split)):
            evidence.write_truth(folder, plan.split.name(index), plan.split.mask(index))
    name = f"reading-{outcome.reading}.json" if outcome.reading else "results.json"
    content = json.dumps(outcome.document(), indent=1, allow_nan=False) + "\n"
    storage.write(storage.join(folder, name), content.encode())
