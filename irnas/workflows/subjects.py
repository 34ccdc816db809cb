"""What can be tested: trained networks of a run, files of weights, and exported files.

A subject says what it is before it is opened, so that many networks are not in memory at once, and a mistake in the
command is found before anything is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas import runtime, storage
from irnas.core.errors import SettingsError
from irnas.core.result import TRAINED, Result
from irnas.data import Split
from irnas.metrics import HALF
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.record.selection import BEST, select_trial
from irnas.record.trial import Trial
from irnas.runtime import session
from irnas.training.prediction import Windows, predictions, windows
from irnas.training.weights import WeightsInfo, find_weights, read_weights
from irnas.training.weights_info import SUFFIXES

FRONT, ALL = "front", "all"
"""Several networks of a run: those of its front, and all that were trained to the end."""
FILES = (*SUFFIXES, ".xnor", ".onnx")
"""How files end that hold a network."""


Map = npt.NDArray[np.float32]
"""The probability of a target at each pixel, [H, W]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Predictor:
    """A network that is ready to be asked."""

    maps: Callable[[Split], Iterator[Map]]
    """The map of each image of a split, in order, made when it is asked for."""
    engine: str
    """What computes it."""
    threshold: float = HALF
    """Above which a probability counts as target: the model's own, or 0.5 where nobody chose one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """One training of a network, in a run or in a file."""

    name: str
    """What its files are called: the key, with the replicate where that is above 0, or the stem of the file."""
    key: str
    """Of its genotype; empty for a file that does not say."""
    open: Callable[[], Predictor]
    trial: int | None = None
    """Its number in the run that it belongs to."""
    replicate: int = 0
    seed: int | None = None
    source: str = ""
    """The file; empty for the weights that a run keeps."""
    info: WeightsInfo | None = None
    """What a file of weights says of itself."""


def default_of(run: Run) -> str:
    """What is tested of a run where nobody says it: all networks of a training in full, and the best of a search."""
    return ALL if run.settings.is_training else BEST


def splits_seen(run: Run) -> tuple[str, ...]:
    """The splits that a run trained on, which come first, and chose by."""
    return tuple(name for name in (run.settings.fit_on, run.settings.validate_on) if name)


def of_run(run: Run, which: str, warn: Callable[[str], None]) -> list[Subject]:
    """The trainings of the networks of a run that a text names.

    Args:
        run: where they were trained.
        which: ``front``, ``all``, or what ``select_trial`` takes.
        warn: is told which trainings left no weights.

    Raises:
        SettingsError: no such network, or one that was not trained to an end.
    """
    if which in (FRONT, ALL):
        results = run.winners if which == FRONT else run.done
        trials = [run.trials[result.trial] for result in results]
        if not trials:
            raise SettingsError(f"run {run.uri}: got no network that was trained to the end; must have one")
    else:
        trials = [select_trial(run, which)]
    kept = {Path(name).stem for name in storage.names(storage.join(run.uri, "weights"))}
    return [subject for trial in trials for subject in _of_trial(run, trial, kept, warn)]


def _of_trial(run: Run, trial: Trial, kept: set[str], warn: Callable[[str], None]) -> list[Subject]:
    """The first training of a network, and the others whose weights were kept."""
    if trial.finished is None or trial.finished.result.status not in TRAINED:
        must = "must be one whose training has ended"
        raise SettingsError(f"run {run.uri}: got trial {trial.number} ({trial.key}); {must}")
    result = trial.finished.result
    subjects = [_of_training(run, result, 0, result.seed)]
    for repeated in trial.replicates:
        name = training_name(trial.key, repeated.replicate)
        if repeated.replicate and name in kept:
            subjects.append(_of_training(run, result, repeated.replicate, repeated.seed))
        else:
            warn(f"{trial.key}: the training with seed {repeated.seed} left no weights, and is not tested")
    return subjects


def training_name(key: str, replicate: int) -> str:
    """What the files of a training are called."""
    return f"{key}-{replicate}" if replicate else key


def _of_training(run: Run, result: Result, replicate: int, seed: int) -> Subject:
    def open_it() -> Predictor:
        network, info = find_weights(run, result, replicate)
        return _of_network(network, info.threshold)

    name = training_name(result.key, replicate)
    return Subject(name=name, key=result.key, open=open_it, trial=result.trial, replicate=replicate, seed=seed)


def of_file(name: str) -> Subject:
    """The network in a file of weights, which may be a URI, or in an exported file.

    Raises:
        SettingsError, DataError: there is no such file.
        FormatError: it holds no network.
        ExportError: what runs it is not installed.
    """
    if name.endswith(SUFFIXES):
        return _of_weights(name)
    try:
        return _of_xnor(Path(name)) if name.endswith(".xnor") else _of_onnx(Path(name))
    except OSError as problem:
        raise SettingsError(f"model {name}: got {problem.strerror}; must be a file of a network") from None


def _of_weights(name: str) -> Subject:
    network, info = read_weights(name)
    predictor = _of_network(network, info.threshold)
    return Subject(
        name=Path(name).stem,
        key=info.genotype.key,
        open=lambda: predictor,
        replicate=info.replicate,
        seed=info.seed,
        source=name,
        info=info,
    )


def _of_network(network: Any, threshold: float) -> Predictor:
    def maps(split: Split) -> Iterator[Map]:
        return predictions(network, windows(network, split, range(len(split))))

    return Predictor(maps=maps, engine="torch", threshold=threshold)


def _of_xnor(path: Path) -> Subject:
    model = runtime.load(path)
    facts = model.facts
    predictor = _of_engine(model, 1, f"xnor {facts.kernels}", facts.threshold)
    return Subject(name=path.stem, key=facts.metadata.get("trial", ""), open=lambda: predictor, source=str(path))


def _of_onnx(path: Path) -> Subject:
    model = session.load(path)
    facts = model.facts
    predictor = _of_engine(model, facts.frames, facts.kernels, facts.threshold)
    return Subject(name=path.stem, key=facts.trial, open=lambda: predictor, source=str(path))


def _of_engine(model: Any, frames: int, engine: str, threshold: float) -> Predictor:
    def maps(split: Split) -> Iterator[Map]:
        images = Windows(split, range(len(split)), frames)
        return (model.run(images[i][None])[0] for i in range(len(images)))

    return Predictor(maps=maps, engine=engine, threshold=threshold)


def owner_of(name: str) -> str | None:
    """The run of this machine in whose folder a file lies, directly or one folder below; None where there is none."""
    if not storage.is_local(name):
        return None
    folders = list(storage.local(name).parents)[:2]
    return next((str(folder) for folder in folders if Ledger(str(folder)).exists()), None)


def place_in_run(subject: Subject, run: Run) -> Subject:
    """The network of a file as a training of the run that it comes from.

    Raises:
        SettingsError: the run has no such network.
    """
    trials = [trial for trial in run.trials.values() if trial.key == subject.key and trial.finished]
    if not trials:
        what = f"of a network {subject.key}" if subject.key else "which names no network"
        raise SettingsError(f"run {run.uri}: got {subject.source}, {what}; must be a file of one of its networks")
    if _is_kept_in(subject.source, run):
        for training in _of_trial(run, trials[0], {subject.name}, warn=lambda _: None):
            if training.name == subject.name:
                return training
    return replace(subject, trial=trials[0].number)


def _is_kept_in(source: str, run: Run) -> bool:
    """Whether a file is one of the weights that a run keeps."""
    folder = storage.join(run.uri, "weights")
    if storage.is_local(source) and storage.is_local(folder):
        return storage.local(source).parent == storage.local(folder)
    return source.startswith(f"{folder}/")
