"""Trains given networks in full, each with several seeds: a search without a search.

What a search has, a training has too: the record, the workers, checkpoints, resumption, MLflow and the report. What it
is to do stands in its folder as ``train.yaml``, from which `irnas train --config` does it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from irnas import storage
from irnas.core import catalog
from irnas.core.errors import DataError, SettingsError
from irnas.core.proposal import Proposal
from irnas.core.provenance import code_revision
from irnas.core.settings import SearchSettings
from irnas.data import Dataset, lock, open_dataset
from irnas.record.events import Event, Resumed
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.search import pricing
from irnas.search.assign import start_uri
from irnas.search.trainings import Trainings
from irnas.training.crop_check import crops_of, require_crop, require_images_for_crops
from irnas.training.weights import read_weights
from irnas.workflows.execution import Listener, Outcome, keep_own_code, opening, place_of, work_through
from irnas.workflows.executor import Executor
from irnas.workflows.preconditions import (
    place_moved_to,
    reopen_dataset,
    require_kind,
    require_targets,
    warn_of_other_version,
)
from irnas.workflows.training_plan import TrainingPlan, read_plan, to_text

CONFIG = "train.yaml"
"""What a training in full is to do, in its folder."""
OFFICIAL = "train"
"""The split of all images that a published data set gives to train on, whatever it calls it there."""
_OFFICIAL_NAMES = ("train", "trainval")


def train(plan: TrainingPlan, uri: str, executor: Executor, listener: Listener) -> Outcome:
    """Train the networks of a plan, each ``settings.seeds`` times; the record is kept at ``uri``.

    Which split validates, and whether its images are trained on, follows from the data set.

    Raises:
        SettingsError: there is a run at ``uri`` already, or the settings cannot be met.
        DataError: no such data set, or one without the split.
        KeyboardInterrupt: passed on after the record is complete.
    """
    ledger = Ledger(uri)
    if ledger.exists():
        raise SettingsError(f"run {uri}: got a folder that holds a run; must be new, or be given to --resume")
    executor = executor.for_settings(plan.settings)
    executor.require_gpus()
    start = _read_start(plan)
    dataset = open_dataset(plan.settings.dataset, progress=listener.progress)
    settings = with_splits(replace(plan.settings, trials=len(plan.networks)), dataset)
    require_targets(dataset, settings)
    require_images_for_crops(dataset, settings)
    dvc_digest = lock.dvc_digest_or_raise(dataset.root)
    for network in plan.networks:
        for crop in crops_of(settings.budget, settings.recipe):
            require_crop(network.genotype, crop)
    proposals = _proposals(plan)
    bounds = pricing.bounds(settings, [proposal.costs for proposal in proposals])
    opened = opening(settings, catalog.load(settings.space), dataset, dvc_digest, bounds)
    with executor.joined() as executor, ledger.writing():
        opened = replace(opened, trains_on=executor.trains_on)
        # Before the record says that there is a run: what it is to do, and what it starts from.
        storage.write(storage.join(uri, CONFIG), to_text(plan).encode())
        keep_own_code(uri, settings.space)
        if start:
            storage.write(start_uri(uri), start)
        ledger.append(opened)
        listener.watch(opened)
        return _run(Run(uri, opened), dataset, ledger, executor, listener, proposals)


def resume(uri: str, executor: Executor, listener: Listener, dataset_at: str | None = None) -> Outcome:
    """Go on with the training recorded at ``uri``: what has not ended goes on from its checkpoint.

    Its data set may have moved to ``dataset_at``, as long as it is the same one.

    Raises:
        SettingsError: there is no training at ``uri``, or its data set is no longer the one it began with.
    """
    executor.require_gpus()
    before = Run.read(uri)
    require_kind(before, is_training=True)
    executor = executor.for_settings(before.settings)
    dataset = reopen_dataset(before, dataset_at)
    # Files may change below a manifest that does not.
    lock.dvc_digest_or_raise(dataset.root)
    ledger = Ledger(uri)
    with executor.joined() as executor, ledger.writing():
        # Another process may have gone on with it until now.
        run = Run.of(uri, ledger.events())
        warn_of_other_version(run, listener.warn)
        moved_to = place_moved_to(run, dataset)
        resumed = Resumed(
            trials=run.settings.trials,
            code_rev=code_revision(),
            data_path=moved_to,
            trains_on=executor.trains_on,
        )
        ledger.append(resumed)
        run.add(resumed)
        for event in run.events:
            listener.watch(event)
        # Killed before each network was on record: the others stand in the plan.
        is_whole = len(run.trials) == run.settings.trials
        proposals = [] if is_whole else _proposals(read_plan(storage.join(uri, CONFIG)))
        return _run(run, dataset, ledger, executor, listener, proposals)


def _proposals(plan: TrainingPlan) -> list[Proposal]:
    price = pricing.pricer(plan.settings, None)
    return [
        Proposal(trial=number, genotype=each.genotype, costs=price(each.genotype), origin=each.origin)
        for number, each in enumerate(plan.networks)
    ]


def _read_start(plan: TrainingPlan) -> bytes:
    """The file whose weights the training starts from, once it is known to be one of its networks; empty for none.

    Raises:
        SettingsError: it is not there, or is of another network.
        FormatError: it holds no weights.
    """
    path = plan.settings.starts_from
    if not path:
        return b""
    content = storage.read(path)
    if content is None:
        raise SettingsError(f"--from: got {path!r}, which is not there; must be a file of weights")
    key = read_weights(path)[1].genotype.key
    keys = {network.genotype.key for network in plan.networks}
    if keys != {key}:
        raise SettingsError(f"--from: got the weights of {key} for {', '.join(sorted(keys))}; must be of one network")
    return content


def with_splits(settings: SearchSettings, dataset: Dataset) -> SearchSettings:
    """The settings with the splits that a data set has for them.

    ``val`` validates, or, where the set has none, the images that are trained on. Where the training split holds
    images of the other, the settings say so.

    Raises:
        DataError: the data set has no such split to train on.
        SettingsError: the split is one to test on, or the best epoch is to be kept by images that are trained on.
    """
    fit_on = settings.fit_on
    if fit_on == OFFICIAL:
        fit_on = next((name for name in _OFFICIAL_NAMES if name in dataset.splits), OFFICIAL)
    if fit_on not in dataset.splits:
        trainable = [name for name in dataset.splits if not name.rpartition("/")[2].startswith(("test", "val"))]
        raise DataError(f"split of {dataset.name}: got {settings.fit_on!r}; one of {', '.join(trainable)}")
    validate_on = settings.validate_on if settings.validate_on in dataset.splits else fit_on
    members = dataset.manifest.splits
    is_seen = not set(members[fit_on]).isdisjoint(members[validate_on])
    return replace(settings, fit_on=fit_on, validate_on=validate_on, is_validation_seen=is_seen)


def _run(
    run: Run,
    dataset: Dataset,
    ledger: Ledger,
    executor: Executor,
    listener: Listener,
    proposals: Sequence[Proposal],
) -> Outcome:
    def append(event: Event) -> None:
        ledger.append(event)
        listener.watch(event)

    trainings = Trainings(run, place_of(run.uri, run.settings, dataset), append, proposals)
    return work_through(trainings, iter([trainings]), executor, listener)
