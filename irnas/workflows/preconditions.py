"""What must hold before a search begins or goes on: the same space, data and device, and data with targets to find."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING

from irnas.core import catalog
from irnas.core.errors import DataError, SettingsError, SpaceError
from irnas.core.provenance import code_revision
from irnas.core.settings import SearchSettings
from irnas.core.space import Space
from irnas.data import DEFAULT, Dataset, open_dataset
from irnas.record.events import Device, Opened, Resumed
from irnas.record.run import Run

if TYPE_CHECKING:
    from irnas.deploy.device.target import Target


def reopen_dataset(run: Run, moved_to: str | None) -> Dataset:
    """The data set that a run began with, where it lay or where it has moved to.

    Raises:
        SettingsError: it is not there any more, or it is another one.
    """
    data = run.data
    is_default = run.settings.dataset == DEFAULT
    try:
        dataset = open_dataset(moved_to or (DEFAULT if is_default else data.path))
    except DataError as error:
        if moved_to or is_default:
            raise
        moved = f"must be there (--dataset names the place where revision {data.revision} is now)"
        raise SettingsError(f"run {run.uri}: got a data set that cannot be opened ({error}); {moved}") from None
    if dataset.revision != data.revision:
        where = f" at {moved_to}" if moved_to else ""
        raise SettingsError(f"run {run.uri}: got data revision {dataset.revision}{where}; must be {data.revision}")
    return dataset


def warn_of_other_version(run: Run, warn: Callable[[str], None]) -> None:
    """Say so where another irnas than this one began a run, or went on with it last."""
    last = next(event for event in reversed(run.events) if isinstance(event, Opened | Resumed))
    before, now = (revision.removesuffix(".dirty") for revision in (last.code_rev, code_revision()))
    if before != now:
        warn(f"run {run.uri}: its record is of irnas {before}, and this is irnas {now}, which goes on with it")


def place_moved_to(run: Run, dataset: Dataset) -> str:
    """The folder of a run's data set where that is another one than the record names; else nothing."""
    return "" if str(dataset.root) == run.data.path else str(dataset.root)


def require_kind(run: Run, *, is_training: bool) -> None:
    """Refuse to go on with a search as if it were a training, and the other way round."""
    if run.settings.is_training is not is_training:
        kinds = ("search", "training")
        got, must = kinds[run.settings.is_training], kinds[is_training]
        command = "irnas train" if run.settings.is_training else "irnas search"
        raise SettingsError(f"run {run.uri}: got a {got}; must be a {must} ({command} --resume goes on with this one)")


def find_space(run: Run) -> Space:
    """The part of today's space that a run explores: the axes and values that it began with.

    What a search of today would vary may be another part of it.

    Raises:
        SettingsError: the space no longer has all of that.
    """
    today, before = catalog.load(run.settings.space), run.space
    with contextlib.suppress(SpaceError):
        space = today.restrict({param.name: param.values for param in before.params})
        if space.fingerprint == before.fingerprint:
            return space
    raise SettingsError(f"run {run.uri}: got a space {today.name} that has changed; must be the one it began with")


def require_targets(dataset: Dataset, settings: SearchSettings) -> None:
    """Refuse a validation split by which every network is as accurate as the next."""
    accuracies = [objective.name for objective in settings.objectives if objective.kind == "metric"]
    split = settings.validate_on
    if accuracies and split in dataset.splits and not dataset.manifest.counts[split]["targets"]:
        got = f"{len(dataset.manifest.splits[split])} images without any target in {split!r}"
        what = "to validate a training" if settings.is_training else "for a search"
        raise SettingsError(f"data set {dataset.name}: got {got}; must have some {what} by {accuracies[0]}")


def require_same_device(target: Target | None, before: Device | None, uri: str) -> None:
    """Speeds of two devices, or of two profiles of one, do not belong into one front."""
    if target and before and target.revision != before.revision:
        now = Device(**target.document())
        got, must = (f"{d.name} ({d.cpu}, {d.kernels}; {d.revision})" for d in (now, before))
        raise SettingsError(f"run {uri}: got the device {got}; must be the one it began with: {must}")
