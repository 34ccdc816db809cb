"""What a test will do: which networks it judges, on which split, for which run, and what it refuses beforehand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.data import Dataset, Split, open_dataset
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.workflows import subjects
from irnas.workflows.preconditions import reopen_dataset
from irnas.workflows.subjects import Subject

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
class Plan:
    """What is judged, on what, for whom."""

    settings: TestSettings
    run: Run | None
    dataset: Dataset
    split: Split
    label: str
    """Of the split in record and folder: its name, behind that of a data set that is not the run's own."""
    subjects: Sequence[Subject]
    """One or more."""
    preset: str
    """By which networks are shown, and detections are counted."""
    folder: str | None
    """Where files go; None for nowhere."""
    listener: Listener = field(repr=False)

    @property
    def sizes(self) -> str:
        """Images trained on and tested on, as papers write a split; empty where nobody knows."""
        seen = _splits_seen(self.run, self.subjects[0], self.dataset)
        return f"{len(next(iter(seen.values())))}/{len(self.split)}" if seen else ""


def make_plan(settings: TestSettings, listener: Listener) -> Plan:
    """Find networks and split, and check that they may meet; nothing is judged or written.

    Raises:
        SettingsError: no such model, network or split, or images that were trained on.
        DataError: no such data set.
    """
    run, wanted = _find_subjects(settings, listener)
    if run is not None:
        _require_ended(run)
    dataset = _find_dataset(settings, run, wanted[0], listener)
    split = dataset.split(settings.split, listener.progress)
    is_own = run is None or dataset.revision == run.opened.data.revision
    _require_unseen(_splits_seen(run, wanted[0], dataset), split)
    label = split.label if is_own else f"{dataset.name}/{split.label}"
    folder = storage.join(run.uri, FOLDER, label) if run is not None else None
    return Plan(
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
    subject = subjects.of_file(model)
    uri = settings.run or subjects.owner_of(model)
    if uri is None:
        return None, [subject]
    run = Run.read(uri)
    return run, [subjects.place_in_run(subject, run)]


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
