"""A test: trained networks judged on images that no training and no choice has seen, and the record of that reading.

Figures of a run go into its record before they are printed, so that nobody can look often and tell of once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.data import Dataset, Split, open_dataset
from irnas.metrics import HALF, Curve, DetectionCurve, Judge, Metrics
from irnas.record.events import Tested
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.record.tests import NetworkTest
from irnas.report.tests import PrintedAccuracy, printed_accuracies
from irnas.workflows import evidence, subjects
from irnas.workflows.preconditions import reopen_dataset
from irnas.workflows.subjects import Predictor, Subject

FOLDER = "tests"
"""Of a run: what its tests leave, by split."""
_PRESET = "basicirstd"
"""Of a file that says nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TestSettings:
    """What a user asks for."""

    model: str
    """A run, or a file of one of ``subjects.FILES``."""
    which: str = ""
    """Of a run: see ``subjects.of_run``."""
    split: str = "test"
    dataset: str | None = None
    """A data set by name or folder; None for the one that the networks were trained on."""
    run: str | None = None
    """The run that a file comes from; None for the one in whose folder it lies, if any."""
    output: str | None = None
    """Where files go; None for the folder ``tests`` of the run, and for no files without a run."""
    has_pictures: bool = True
    """Whether maps and masks are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who hears what while a test runs."""

    warn: Callable[[str], None]
    progress: Callable[[str, int, int], None]
    """(what, done, total)."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """What is judged, on what, for whom."""

    settings: TestSettings
    run: Run | None
    dataset: Dataset
    split: Split
    label: str
    subjects: Sequence[Subject]
    preset: str
    folder: str | None
    listener: Listener = field(repr=False)


def test(settings: TestSettings, listener: Listener) -> Outcome:
    """Judge networks on a split, and record it in the run that they belong to.

    Raises:
        SettingsError: no such model, network or split; images that were trained on; or a run that is being written to.
        DataError: no such data set, or a network that yields no probabilities.
    """
    plan = _plan(settings, listener)
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


def _plan(settings: TestSettings, listener: Listener) -> _Plan:
    run, wanted = _find_subjects(settings, listener)
    if run is not None:
        _require_ended(run)
    dataset = _find_dataset(settings, run, wanted[0], listener)
    split = dataset.split(settings.split, listener.progress)
    is_own = run is None or dataset.revision == run.opened.data.revision
    _require_unseen(_splits_seen(run, wanted[0], dataset), split)
    label = split.label if is_own else f"{dataset.name}/{split.label}"
    folder = storage.join(run.uri, FOLDER, label) if run is not None else None
    return _Plan(
        settings=settings,
        run=run,
        dataset=dataset,
        split=split,
        label=label,
        subjects=wanted,
        preset=_preset(run, wanted[0]),
        folder=settings.output or folder,
        listener=listener,
    )


def _find_subjects(settings: TestSettings, listener: Listener) -> tuple[Run | None, list[Subject]]:
    """The run that is tested, if any, and its networks or the one of a file."""
    model = settings.model
    if not model.endswith(subjects.FILES):
        if settings.run is not None:
            raise SettingsError(f"--run: got {settings.run!r} with the run {model!r}; must go with a file of a network")
        if not Ledger(model).exists():
            must = f"must be the folder or URI of a run, or a file that ends in {', '.join(subjects.FILES)}"
            raise SettingsError(f"model: got {model!r}; {must}")
        run = Run.read(model)
        return run, subjects.of_run(run, settings.which or subjects.default_of(run), listener.warn)
    if settings.which:
        raise SettingsError(f"key: got {settings.which!r} with a file of one network; must be left out")
    subject = subjects.of_file(Path(model))
    uri = settings.run or subjects.owner_of(Path(model))
    if uri is None:
        return None, [subject]
    run = Run.read(uri)
    return run, [subjects.place_in_run(subject, run, listener.warn)]


def _require_ended(run: Run) -> None:
    """On an object store whoever writes takes a run over, and would end a search that is going on."""
    if not storage.is_local(run.uri) and not run.end_reason:
        must = "must have ended (irnas search --resume), or be fetched (irnas fetch)"
        raise SettingsError(f"run {run.uri}: got a search that has not ended; {must}")


def _find_dataset(settings: TestSettings, run: Run | None, subject: Subject, listener: Listener) -> Dataset:
    """The data set that is named, or the one that was trained on."""
    if settings.dataset is not None:
        return open_dataset(settings.dataset, listener.progress)
    if run is not None:
        return reopen_dataset(run, None)
    source = subject.info.data if subject.info else None
    if source is None:
        raise SettingsError("--dataset: got none; must be named for a file that does not say what it was trained on")
    dataset = open_dataset(source.path)
    if dataset.revision != source.revision:
        must = f"must be {source.revision}, on which the network was trained (--dataset names another)"
        raise SettingsError(f"data set {source.path}: got revision {dataset.revision}; {must}")
    return dataset


def _preset(run: Run | None, subject: Subject) -> str:
    if run is not None:
        return run.settings.preset
    return subject.info.preset if subject.info else _PRESET


def _splits_seen(run: Run | None, subject: Subject, dataset: Dataset) -> dict[str, tuple[str, ...]]:
    """The splits of a data set that networks were trained on or chosen by, as far as anybody knows, with their images.

    What was trained on comes first.
    """
    if run is not None:
        revision, names = run.opened.data.revision, subjects.splits_seen(run)
    elif subject.info and subject.info.data:
        revision, names = subject.info.data.revision, (subject.info.split, "val")
    else:
        return {}
    splits = dataset.manifest.splits if revision == dataset.revision else {}
    return {name: splits[name] for name in names if name in splits}


def _require_unseen(seen: Mapping[str, Sequence[str]], split: Split) -> None:
    """Refuse a split with images of splits that were trained on or chosen by."""
    members = {split.name(i) for i in range(len(split))}
    for name, images in seen.items():
        if shared := members & set(images):
            got = f"{split.label}, which shares {len(shared)} images with {name}, on which was trained or chosen"
            raise SettingsError(f"--split: got {got}; must be one that no training and no choice has seen: test")


def _judge(plan: _Plan, subject: Subject) -> TrainingTest:
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


def _maps(plan: _Plan, subject: Subject, predictor: Predictor) -> Iterator[tuple[int, subjects.Map]]:
    for index, probability_hw in enumerate(predictor.maps(plan.split)):
        yield index, probability_hw
        plan.listener.progress(subject.name, index + 1, len(plan.split))


def _event(plan: _Plan, training: TrainingTest, reading: int) -> Tested:
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


def _finish(plan: _Plan, trainings: Sequence[TrainingTest], reading: int) -> Outcome:
    outcome = Outcome(
        dataset=plan.dataset,
        split=plan.label,
        num_images=len(plan.split),
        num_trained_on=_sizes(plan),
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


def _networks(plan: _Plan, trainings: Sequence[TrainingTest], reading: int) -> list[NetworkTest]:
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


def _write(plan: _Plan, outcome: Outcome, folder: str) -> None:
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


def _sizes(plan: _Plan) -> str:
    """Images trained on and tested on, as papers write a split."""
    seen = _splits_seen(plan.run, plan.subjects[0], plan.dataset)
    return f"{len(next(iter(seen.values())))}/{len(plan.split)}" if seen else ""
