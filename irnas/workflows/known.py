"""Results of an earlier run that a new search begins with: of its space, trained on the same data in the same way.

They are written into the new record as trials that have ended, with copies of their weights, so that the new run is
whole without the old one. They cost it nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from irnas import storage
from irnas.core.errors import SettingsError, SpaceError
from irnas.core.proposal import KNOWN_FROM, Proposal
from irnas.core.result import Result, Status
from irnas.core.settings import SearchSettings
from irnas.core.space import Genotype, Space
from irnas.record.events import Event, Finished, Proposed
from irnas.record.run import Run
from irnas.search.strategy import Price
from irnas.training.weights import weights_uri


def find_known(
    settings: SearchSettings, space: Space, data_rev: str, price: Price, tell: Callable[[str], None]
) -> list[tuple[Proposal, Result]]:
    """The networks that a new search knows, as its first trials.

    Only networks that were trained in full from random weights count, once each, that lie in the space and within the
    limits. Their costs are counted anew.

    Args:
        settings: of the new search.
        space: its own, as far as it is searched.
        data_rev: of its data set.
        price: counts the costs of a network.
        tell: is told how many were left out.

    Raises:
        SettingsError: no such run, or one whose figures would not be comparable.
    """
    if not settings.known_from:
        return []
    run = Run.read(settings.known_from)
    _require_comparable(run, settings, data_rev)
    known: list[tuple[Proposal, Result]] = []
    trained = [r for r in run.outcomes if r.status is Status.OK and r.heritage is None]
    for result in trained:
        genotype = _member(space, result.genotype)
        if genotype is None:
            continue
        costs = price(genotype)
        if any(costs[name] > most for name, most in settings.limits.items()):
            continue
        origin, trial = f"{KNOWN_FROM}{run.uri}", len(known)
        proposal = Proposal(trial=trial, genotype=genotype, costs=costs, origin=origin)
        values = {**result.values, **costs}
        known.append((proposal, replace(result, trial=trial, genotype=genotype, values=values)))
    rest = len(run.outcomes) - len(known)
    if rest:
        why = "not of the space, beyond a limit, or not trained in full from random weights"
        tell(f"from {run.uri}: {rest} of {len(run.outcomes)} networks are {why}, and are left out")
    return known


def begin_with(known: Sequence[tuple[Proposal, Result]], settings: SearchSettings, uri: str) -> Iterator[Event]:
    """The events of what is known, each once the weights of its network are in the run at ``uri``."""
    for proposal, result in known:
        weights = storage.read(weights_uri(settings.known_from, result.key))
        if weights is not None:
            storage.write(weights_uri(uri, result.key), weights)
        yield Proposed(proposal=proposal)
        yield Finished(result=result)


def _require_comparable(run: Run, settings: SearchSettings, data_rev: str) -> None:
    before = run.settings
    pairs = (
        ("data revision", run.opened.data.revision, data_rev),
        ("split to train on", before.fit_on, settings.fit_on),
        ("split to validate on", before.validate_on, settings.validate_on),
        ("preset", before.preset, settings.preset),
        ("budget", before.budget, settings.budget),
        ("recipe", before.recipe, settings.recipe),
    )
    for what, got, must in pairs:
        if got != must:
            raise SettingsError(f"from {run.uri}: got another {what} ({got}); must be that of the search ({must})")
    names = [o.name for o in settings.objectives if not o.is_free]
    names += [requirement.name for requirement in settings.requirements]
    for name in names:
        if any(name not in r.values for r in run.outcomes if r.status is Status.OK):
            raise SettingsError(f"from {run.uri}: got results without {name}; must have what the search asks for")


def _member(space: Space, genotype: Genotype) -> Genotype | None:
    """The network as one of the space; None where it is none."""
    try:
        member = space.genotype(space.values_of(genotype))
    except (SpaceError, LookupError):
        return None
    return member if member.key == genotype.key else None
