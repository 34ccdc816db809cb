"""A search from settings to front: wires strategy, session, record, executor, mirror and report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from irnas import storage
from irnas.core import catalog
from irnas.core.errors import ExportError, SettingsError
from irnas.core.proposal import Proposal
from irnas.core.provenance import code_revision
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype, Space
from irnas.data import Dataset, lock, open_dataset
from irnas.record.events import Device, Event, Opened, Resumed
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.search import pricing
from irnas.search.finalists import Finals, choose_finalists
from irnas.search.session import Session
from irnas.search.stage import Stage
from irnas.search.strategy import Price, SearchProblem, Strategy
from irnas.search.strategy.catalogue import make_strategy
from irnas.training.crop_check import require_fitting_crop, require_images_for_crops
from irnas.training.first_state import inherited_share
from irnas.training.space_check import require_buildable
from irnas.workflows.execution import Listener, Outcome, keep_own_code, opening, place_of, work_through
from irnas.workflows.executor import Executor
from irnas.workflows.known import begin_with, find_known
from irnas.workflows.preconditions import (
    find_space,
    place_moved_to,
    reopen_dataset,
    require_kind,
    require_same_device,
    require_targets,
    warn_of_other_version,
)
from irnas.workflows.search_plan import CONFIG, to_text

if TYPE_CHECKING:
    from irnas.deploy.device.target import Target


DOUBTFUL_DEVIATION = 0.2
"""Error of a prediction, as a fraction, from which a profile is doubted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    """A search that is ready to run."""

    settings: SearchSettings
    space: Space
    dataset: Dataset
    target: Target | None
    """The device whose speed counts, where speed does."""
    price: Price
    ledger: Ledger


def search(settings: SearchSettings, uri: str, executor: Executor, listener: Listener) -> Outcome:
    """Run a new search whose record is kept at ``uri``.

    Raises:
        SettingsError: there is a run at ``uri`` already, or the settings cannot be met.
        DataError: no such data set, or one without the splits ``fit`` and ``val``.
        KeyboardInterrupt: passed on after the record is complete.
    """
    ledger = Ledger(uri)
    if ledger.exists():
        raise SettingsError(f"run {uri}: got a folder that holds a run; must be new, or be given to --resume")
    executor = executor.for_settings(settings)
    executor.require_gpus()
    space = catalog.load(settings.space).focus(settings.axes)
    require_buildable(settings.space)
    with executor.reaching(settings) as target:
        dataset = open_dataset(settings.dataset, progress=listener.progress)
        # Before anything is priced: refused are a set that cannot tell accuracy, and files other than DVC's lock names.
        require_targets(dataset, settings)
        dvc_digest = lock.dvc_digest_or_raise(dataset.root)
        work = _work(settings, space, dataset, ledger, target)
        require_images_for_crops(dataset, settings)
        require_fitting_crop(space, settings)
        known = find_known(settings, space, dataset.revision, work.price, listener.warn)
        opened = _opening(work, listener, dvc_digest)
        # A strategy that cannot search for these objectives says so here, and there is no run yet.
        strategy = _strategy(work, listener, [proposal for proposal, _ in known])
        # Joined first: a cluster that is not there, or has no room, leaves no folder behind.
        with executor.joined() as executor, ledger.writing():
            opened = replace(opened, trains_on=executor.trains_on)
            # Before the record says that there is a run: what it is to do.
            storage.write(storage.join(uri, CONFIG), to_text(settings).encode())
            keep_own_code(uri, settings.space)
            ledger.append(opened)
            listener.watch(opened)
            run = Run(uri, opened)
            for event in begin_with(known, settings, uri):
                ledger.append(event)
                run.add(event)
                listener.watch(event)
            return _run(work, strategy, executor, listener, run)


def resume(
    uri: str, trials: int | None, executor: Executor, listener: Listener, dataset_at: str | None = None
) -> Outcome:
    """Go on with the search recorded at ``uri``; with ``trials``, up to that many trained networks.

    Its data set may have moved to ``dataset_at``, as long as it is the same one.

    Raises:
        SettingsError: there is no run at ``uri``, or its space or data set is no longer the one it began with.
    """
    executor.require_gpus()
    before = Run.read(uri)
    require_kind(before, is_training=False)
    settings = before.settings if trials is None else replace(before.settings, trials=trials)
    executor = executor.for_settings(settings)
    space = find_space(before)
    dataset = reopen_dataset(before, dataset_at)
    # Files may change below a manifest that does not.
    lock.dvc_digest_or_raise(dataset.root)
    ledger = Ledger(uri)
    with executor.reaching(settings) as target:
        require_same_device(target, before.opened.device, uri)
        work = _work(settings, space, dataset, ledger, target)
        with executor.joined() as executor, ledger.writing():
            # Another search may have gone on with it until now.
            run = Run.of(uri, ledger.events())
            warn_of_other_version(run, listener.warn)
            pricing.require_same_costs(run, work.price)
            resumed = Resumed(
                trials=settings.trials,
                code_rev=code_revision(),
                data_path=place_moved_to(run, dataset),
                trains_on=executor.trains_on,
            )
            ledger.append(resumed)
            run.add(resumed)
            for event in run.events:
                listener.watch(event)
            known = [trial.proposal for trial in run.trials.values() if trial.proposal.is_known]
            return _run(work, _strategy(work, listener, known), executor, listener, run)


def _work(settings: SearchSettings, space: Space, dataset: Dataset, ledger: Ledger, target: Target | None) -> _Work:
    pricer = pricing.pricer(settings, target)
    return _Work(settings=settings, space=space, dataset=dataset, target=target, price=pricer, ledger=ledger)


def _run(work: _Work, strategy: Strategy, executor: Executor, listener: Listener, run: Run) -> Outcome:
    def append(event: Event) -> None:
        work.ledger.append(event)
        listener.watch(event)

    session = Session(strategy, run, place_of(run.uri, work.settings, work.dataset), append)
    return work_through(
        session, _stages(session), executor, listener, lambda: _measure_winners(work, session, listener.warn)
    )


def _strategy(work: _Work, listener: Listener, known: Sequence[Proposal]) -> Strategy:
    """The strategy of a search; what is ``known`` is among what it looks at from the beginning."""
    settings, pool_size = work.settings, pricing.pool_size(work.settings, work.target)
    problem = SearchProblem(
        space=work.space,
        objectives=settings.objectives,
        price=pricing.with_progress(work.price, min(pool_size, work.space.count()), listener.progress),
        epochs=settings.budget.epochs,
        num_trials=settings.trials,
        seed=settings.seed,
        grace_period=settings.grace_period,
        limits=settings.limits,
        first=[*_first(settings), *((proposal.origin, proposal.genotype) for proposal in known)],
        pool_size=pool_size,
        total_budget=settings.total_budget,
        epochs_of_heirs=settings.epochs_of_heirs,
        share=inherited_share,
        requirements=settings.requirements,
    )
    return make_strategy(settings.strategy, problem)


def _stages(session: Session) -> Iterator[Stage]:
    """The search, and then its finalists once more."""
    yield session
    session.close()
    settings, run = session.settings, session.run
    if settings.finalists and not session.gave_up:
        number, required = settings.finalists, settings.requirements
        yield Finals(session, choose_finalists(run.outcomes, settings.objectives, run.bounds, number, required))


def _measure_winners(work: _Work, session: Session, warn: Callable[[str], None]) -> None:
    """Time the front, now that no trial runs: on the device whose speed counted, where it is within reach, or here."""
    known = session.run.measured
    winners = [r for r in session.run.front.results if r.key not in known]
    if work.target is None:
        for measured in pricing.measure_here(work.settings, winners):
            session.record(measured)
        return
    if not work.target.can_measure:
        warn(f"speed is that of {work.target.name} ({work.target.cpu}) as predicted; nothing was measured here")
        return
    try:
        measurements = pricing.measure_alone(work.target, work.settings, winners)
    except ExportError as error:
        # The front stands as it was found; only its second opinion is missing.
        warn(f"the front was not measured again: {error}")
        return
    for measured in measurements:
        session.record(measured)
    deviation = max((m.deviation for m in measurements), default=0.0)
    if work.target.profile and deviation > DOUBTFUL_DEVIATION:
        warn(
            f"the front is up to {100 * deviation:.0f} % off the predictions of {work.settings.device}: another engine "
            "or a busy machine may be why; irnas device profile makes it anew"
        )


def _opening(work: _Work, listener: Listener, dvc_digest: str | None) -> Opened:
    # A data set without one of the splits is refused before networks are timed.
    for name in (work.settings.fit_on, work.settings.validate_on):
        work.dataset.split(name)
    pool = pricing.pool(
        work.space, work.settings, pricing.counter(work.settings, work.price), work.target, listener.progress
    )
    bounds = pricing.bounds(work.settings, pool)
    device = Device(**work.target.document()) if work.target else None
    return opening(work.settings, work.space, work.dataset, dvc_digest, bounds, device)


def _first(settings: SearchSettings) -> list[tuple[str, Genotype]]:
    """The published designs to begin with; two names of one network count once."""
    first: dict[str, tuple[str, Genotype]] = {}
    for name, genotype in catalog.find_designs(settings.space, settings.warm_start):
        first.setdefault(genotype.key, (f"published {name}", genotype))
    return list(first.values())
