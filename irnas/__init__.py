"""irnas: neural architecture search for infrared small-target detection.

    import irnas

    run = irnas.search("biisnet", objectives=["miou", "ops"], trials=16, epochs=10)
    run.front.to_pandas()                 # the networks of which none is beaten
    run.plot()                            # accuracy against cost
    network = run.load("best")            # torch.nn.Module with its trained weights
    irnas.load("winner.xnor").run(images) # the same as a file, without torch

Functions here do what the commands of that name do, refuse what those refuse in the same words
(irnas.core.errors.SettingsError and its kin), and leave the same record. Nothing heavy is imported until it is used.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from irnas.core.space import Space as Space
    from irnas.workflows.opened_run import Run as Run
    from irnas.workflows.test import Outcome

__all__ = ["Run", "Space", "__version__", "load", "open", "search", "test", "train"]

__version__ = "0.1.0"

_Path = str | PathLike[str]


def search(
    space: _Path,
    *,
    objectives: str | Sequence[str] = ("miou", "ops"),
    dataset: _Path = "synthetic",
    trials: int | None = None,
    epochs: int | None = None,
    run: _Path | None = None,
    workers: int | None = None,
    gpus: float | str = "auto",
    executor: str = "ray",
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train networks of a space and find the front of accuracy against cost, as ``irnas search`` does.

    Args:
        space: a space's name (``irnas spaces`` lists them), or a folder with a space.yaml, whose model.py, if it has
            one, is then run; several names joined by commas share one front.
        objectives: what to optimise: miou, niou, f1, pd, fa, ops, params, macs, bytes, fps, latency_ms and others.
        dataset: a data folder that ``irnas data import`` made, or ``"synthetic"``.
        trials: networks to train; 16 unless told otherwise.
        epochs: of a full training, passes over the training split; 10 unless told otherwise.
        run: the folder or the URI of the record; a new folder of ``runs`` unless told otherwise.
        workers: trials at the same time; one a core unless told otherwise.
        gpus: ``"auto"`` for all GPUs, with as many trials on each as fit; the share of one that each trial takes; 0 for
            the CPU.
        executor: ``"ray"``, or ``"loop"``: one trial after the other in this process.
        progress: tell on standard error how each training ended.
        **settings: any other word of a ``search.yaml``: strategy, budget ("2h"), worth, axes ({"base": [8, 16]}),
            limits ({"ops": "20M"}), require ("fa<=1e-5,pd>=0.9"), warm_start, seed, threads, finalists, seeds, preset,
            input ([1, 256, 256]), device, batch, crop, recipe, grace_period.

    Returns:
        The run, which has ended. ``irnas.open`` opens it again; Ctrl-C loses no finished trial, and
        ``irnas.open(run).resume()`` goes on.

    Raises:
        SettingsError: a setting is wrong, or there is a run in that folder already.
        SpaceError: no such space, axis or value.
        DataError: no such data set.
        TrainingError: too many trainings failed.
    """
    from irnas.workflows import calls
    from irnas.workflows.opened_run import Run

    words = {**settings, "objectives": objectives, "dataset": fspath(dataset), "trials": trials, "epochs": epochs}
    where = {"workers": workers, "gpus": gpus, "executor": executor, "progress": progress}
    return Run(calls.search(fspath(space), words, None if run is None else fspath(run), where))


def train(
    source: _Path,
    networks: str | Sequence[str],
    *,
    dataset: _Path | None = None,
    split: str | None = None,
    recipe: str | Mapping[str, Any] | None = None,
    epochs: int | None = None,
    seeds: int | None = None,
    run: _Path | None = None,
    workers: int | None = None,
    gpus: float | str = "auto",
    executor: str = "ray",
    progress: bool = True,
    **settings: Any,
) -> Run:
    """Train given networks in full, each with several seeds, as ``irnas train`` does.

    Args:
        source: a space's name or folder, or the folder of a run.
        networks: of a space, published names, ``"default"`` or ``"axis=value,..."``; of a run, ``"best"``, ``"knee"``,
            ``"front"`` or keys.
        dataset: a data folder or ``"synthetic"``; that of the run where ``source`` is one.
        split: ``"train"``, all images that the set gives to train on, or ``"fit"``, those without ``val``.
        recipe: ``"irnas"``, ``"paper"``, a file, or the words of a recipe.yaml; the best that is known of the family
            unless told otherwise.
        epochs: passes over the split; the recipe's unless told otherwise.
        seeds: trainings of each network; 3 unless told otherwise.
        run, workers, gpus, executor, progress: as of ``irnas.search``.
        **settings: batch, crop, loss, lr, ema, amp, seed, threads, keep, preset, input; ``{"from": FILE}`` for the
            weights to start from.

    Raises:
        SettingsError: a setting is wrong, or there is no such network.
        TrainingError: a training failed.
    """
    from irnas.workflows import calls
    from irnas.workflows.opened_run import Run

    names = [networks] if isinstance(networks, str) else list(networks)
    words = {**settings, "dataset": None if dataset is None else fspath(dataset), "split": split, "recipe": recipe}
    words |= {"epochs": epochs, "seeds": seeds}
    where = {"workers": workers, "gpus": gpus, "executor": executor, "progress": progress}
    return Run(calls.train(fspath(source), names, words, None if run is None else fspath(run), where))


def test(
    model: _Path | Run,
    key: str = "",
    *,
    split: str = "test",
    dataset: _Path | None = None,
    run: _Path | None = None,
    output: _Path | None = None,
    predictions: bool = True,
) -> Outcome:
    """Judge trained networks on images that no training and no choice has seen, as ``irnas test`` does.

    Every reading of a run's test split goes into its record.

    Args:
        model: a run, its folder, or a file of a network (.safetensors, .xnor, .onnx).
        key: of a run, ``"best"``, ``"knee"``, ``"front"``, ``"all"`` or a key; all networks of a training in full and
            the best of a search unless told otherwise.
        split: the images to judge by.
        dataset: the data folder; the one that was trained on unless told otherwise.
        run: the run that an exported file comes from.
        output: folder for files; ``tests/SPLIT`` in the run unless told otherwise.
        predictions: write maps and masks as pictures.

    Returns:
        The outcome: ``networks``, each with ``statistics(preset)``, metric to mean and deviation over its trainings,
        as fractions; ``document()`` is all of it as plain data.

    Raises:
        SettingsError: no such network or split, or images that were trained on.
        DataError: no such data set.
    """
    from irnas.workflows import calls

    source = fspath(model) if isinstance(model, str | PathLike) else model.uri
    paths = {"dataset": dataset, "run": run, "output": output}
    words = {name: None if path is None else fspath(path) for name, path in paths.items()}
    return calls.test(source, key, split=split, predictions=predictions, **words)


def open(run: _Path) -> Run:
    """The run in a folder or at a URI, also while it is going on.

    Raises:
        SettingsError: there is no run.
        FormatError: its record is damaged, or newer than this program.
    """
    from irnas.workflows.opened_run import Run

    return Run(fspath(run))


def load(path: _Path) -> Any:
    """The network in a file, ready to predict; what it needs is imported only now.

    Of a file of weights (``.safetensors``, or a ``.pt`` of version 0.1) it is a ``torch.nn.Module`` in eval mode on the
    CPU, from float32 [N, C, H, W] in 0..1 to logits [N, 1, H, W]; ``irnas.training.weights.read_weights`` also tells
    what the file says of it, its threshold among that. Of an ``.xnor`` file it is a model of the engine
    (``irnas.runtime.Model``), of an ``.onnx`` file a session of ONNX Runtime. Both have ``facts.threshold``, and
    ``run``, from images uint8 [N, H, W] to probabilities float32 [N, H, W].

    Raises:
        DataError: there is no such file.
        FormatError: it is another file, or a damaged one; nothing in it is executed.
        ExportError: the engine was not built, or ONNX Runtime is not installed.
    """
    from pathlib import Path

    from irnas.core.errors import DataError

    file = Path(path)
    if file.suffix not in (".xnor", ".onnx"):
        from irnas.training.weights import read_weights

        return read_weights(str(path))[0]
    if not file.is_file():
        raise DataError(f"{file}: got no such file; must be an exported network")
    if file.suffix == ".xnor":
        from irnas import runtime

        return runtime.load(file)
    from irnas.runtime import session

    return session.load(file)


_LAZY = {"Run": "irnas.workflows.opened_run", "Space": "irnas.core.space"}


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return getattr(importlib.import_module(_LAZY[name]), name)
    raise AttributeError(f"module 'irnas' has no attribute {name!r}")


class _CallablePackage(ModuleType):
    """The package ``irnas.search``, which answers as the function of that name: importing it replaces the function."""

    __call__ = staticmethod(search)
    __wrapped__ = staticmethod(search)


def _make_callable() -> None:
    try:
        package = importlib.import_module("irnas.search")
    except ModuleNotFoundError:
        # A device has the runtime alone.
        return
    package.__class__ = _CallablePackage
    package.__doc__ = _CallablePackage.__wrapped__.__doc__


_make_callable()
