"""What a search and a training in full have in common once they are wired: they are worked through, mirrored, closed
and reported.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from irnas import storage
from irnas.core import catalog, own_code
from irnas.core.errors import ServiceError, StorageError
from irnas.core.front import Bounds
from irnas.core.provenance import code_revision, versions
from irnas.core.redaction import redact_credentials
from irnas.core.settings import SearchSettings
from irnas.core.space import Space
from irnas.data import DEFAULT, Dataset, Split
from irnas.data.sample import Bytes
from irnas.metrics import PRESETS, score_baselines
from irnas.record.events import Closed, DataSource, Device, Event, Opened
from irnas.record.ledger import compact
from irnas.record.run import Run
from irnas.search.assign import Place
from irnas.search.stage import Stage
from irnas.workflows.executor import Executor

JOB = "IRNAS_JOB"
"""Set in the environment of a search that runs as a cluster's job, in a folder that is gone when it ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A search, or a training in full, that ended by itself."""

    run: Run
    stop_reason: str
    gave_up: bool
    """Whether it ended because too many trials failed; of trainings in full, whether one did."""
    report: Path | None
    """The page; None where it could not be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Who hears what while a search runs."""

    watch: Callable[[Event], None]
    """Each event, once it is on disk."""
    warn: Callable[[str], None]
    """What went wrong without ending the search."""
    progress: Callable[[str, int, int], None]
    """The making of a data set: (what, done, total)."""


class Recorder(Protocol):
    """What writes the record of a run while an executor works, as a session does."""

    run: Run

    @property
    def stop_reason(self) -> str:
        """Why nothing more is handed out."""

    @property
    def gave_up(self) -> bool:
        """Whether that is because of failures."""

    def record(self, event: Event) -> None:
        """Write an event to the record, and take it up."""


def work_through(
    recorder: Recorder,
    stages: Iterator[Stage],
    executor: Executor,
    listener: Listener,
    afterwards: Callable[[], None] = lambda: None,
) -> Outcome:
    """Work through the stages of an open run, with MLflow following, and close it, whatever happens.

    Args:
        recorder: writes the record.
        stages: a stage is drawn when the one before it has ended.
        executor: who runs the trials.
        listener: who hears of it.
        afterwards: what is done before the run is closed.

    Raises:
        KeyboardInterrupt: passed on after the record is complete, as every other error is.
    """
    run = recorder.run
    with mirrored(run.uri, listener.warn):
        try:
            executor.run(stages, listener.warn)
            afterwards()
        except BaseException as error:
            interrupted = isinstance(error, KeyboardInterrupt)
            reason = "interrupted" if interrupted else redact_credentials(f"{type(error).__name__}: {error}")
            with contextlib.suppress(StorageError, ServiceError):
                recorder.record(Closed(reason=reason))
                compact(run.uri, run.outcomes)
            raise
        recorder.record(Closed(reason=recorder.stop_reason))
        compact(run.uri, run.outcomes)
        page = write_report(run.uri, listener.warn)
    return Outcome(run=run, stop_reason=recorder.stop_reason, gave_up=recorder.gave_up, report=page)


def opening(
    settings: SearchSettings,
    space: Space,
    dataset: Dataset,
    dvc_digest: str | None,
    bounds: Bounds,
    device: Device | None = None,
) -> Opened:
    """The first event of a new run; what needs no network is judged for it on the validation split."""
    fit, val = _pairs(dataset.split(settings.fit_on)), _pairs(dataset.split(settings.validate_on))
    return Opened(
        run_id=uuid.uuid4().hex[:16],
        settings=settings,
        space=space,
        data=DataSource(name=dataset.name, revision=dataset.revision, path=str(dataset.root), dvc=dvc_digest),
        code_rev=code_revision(),
        versions=versions(),
        bounds=bounds,
        device=device,
        baselines=score_baselines(fit, val, PRESETS[settings.preset]),
    )


def place_of(uri: str, settings: SearchSettings, dataset: Dataset) -> Place:
    """Where workers find the run at ``uri`` and its data set.

    The default data set is made where it is needed, and kept in the node's cache.
    """
    is_default = settings.dataset == DEFAULT == dataset.name
    where = DEFAULT if is_default else str(dataset.root)
    return Place(uri=uri, dataset=where, data_rev=dataset.revision, code_rev=code_revision())


def keep_own_code(uri: str, spaces: str) -> None:
    """Copy the code of a user's own networks, and their space, beside the record, for whoever reads it later.

    Nothing is run from there, unless somebody names that folder as a space.
    """
    for name in spaces.split(","):
        folder = catalog.find_folder(name.strip())
        if own_code.read(folder) is None:
            continue
        for file in (own_code.FILE, catalog.FILE):
            storage.write(storage.join(uri, "space", catalog.load(name).name, file), (folder / file).read_bytes())


def _pairs(split: Split) -> Iterator[tuple[Bytes, Bytes]]:
    return ((split.image(i), split.mask(i)) for i in range(len(split)))


@contextlib.contextmanager
def mirrored(uri: str, warn: Callable[[str], None]) -> Iterator[None]:
    """MLflow follows the record from a thread of its own; whatever happens there, the search goes on."""
    from irnas.tracking import client

    # Before Tune has a chance to import MLflow, which reads it then.
    client.set_environment()
    if os.environ.get(JOB) and not storage.is_local(uri) and not os.environ.get("MLFLOW_TRACKING_URI"):
        warn(
            "MLflow: got no MLFLOW_TRACKING_URI, and the folder of a job does not last; the record does, and "
            f"`irnas track rebuild {uri}` mirrors it from anywhere"
        )
        yield
        return
    client.load_mlflow()
    stop = threading.Event()
    follow = functools.partial(client.follow, uri, stop, warn=warn)
    thread = threading.Thread(target=follow, name="irnas-mlflow", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def write_report(uri: str, warn: Callable[[str], None]) -> Path | None:
    """Write the page of a run that is a local folder; a warning where that fails."""
    if not storage.is_local(uri):
        return None
    from irnas import report

    try:
        return report.write(uri)[0]
    except Exception as error:
        # The record is complete and the page can be made again; a search must not end in an error for its picture.
        warn(f"report: got {type(error).__name__} ({error}); `irnas report {uri}` tries again")
        return None
