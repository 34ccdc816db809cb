"""Which networks a user names to be trained: points of a space, or networks of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from irnas.core import catalog
from irnas.core.errors import SettingsError, SpaceError
from irnas.core.settings import ALL_PUBLISHED, HEADLINES
from irnas.core.space import Genotype
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.record.selection import select_trial

FRONT = "front"
"""Instead of keys: every network on the front of a run."""
_DEFAULTS = ("", "default")


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network to train, and where it comes from."""

    genotype: Genotype
    origin: str
    """``published LIT10``, or ``runs/a 90c1c867f3fc``."""


def find_networks(source: str, names: Sequence[str]) -> list[Network]:
    """The networks that ``names`` mean in a space or in a run, each once.

    Args:
        source: the name or the folder of a space, or the folder or URI of a run.
        names: of a space, published names, ``published``, ``published/all``, ``default`` or ``axis=value,...``; of a
            run, anything that ``select_trial`` takes, or ``front``.

    Raises:
        SettingsError: no such source, no such network, or no name at all.
        SpaceError: the space has no such axis or value.
    """
    is_run = Ledger(source).exists()
    if not is_run:
        _require_space(source)
    if not names:
        must = "a key, best, knee or front" if is_run else "a published name, default, or axis=value,..."
        raise SettingsError(f"network of {source}: got none; must be {must}")
    chosen = _in_run(Run.read(source), names) if is_run else _in_space(source, names)
    once: dict[str, Network] = {}
    for network in chosen:
        once.setdefault(network.genotype.key, network)
    return list(once.values())


def _require_space(source: str) -> None:
    try:
        catalog.load(source)
    except SpaceError as error:
        if "/" in source or source in catalog.list_names():
            raise
        spaces = ", ".join(catalog.list_names())
        raise SettingsError(f"source: got {source!r}; must be a run's folder or a space ({spaces})") from error


def _in_run(run: Run, names: Sequence[str]) -> list[Network]:
    networks = []
    for name in names:
        genotypes = [r.genotype for r in run.winners] if name == FRONT else [select_trial(run, name).proposal.genotype]
        if not genotypes:
            raise SettingsError(f"front of {run.uri}: got no network that was trained to the end; must have one")
        networks += [Network(genotype=each, origin=f"{run.uri} {each.key}") for each in genotypes]
    return networks


def _in_space(space: str, names: Sequence[str]) -> list[Network]:
    networks = []
    for name in names:
        if name in (HEADLINES, ALL_PUBLISHED):
            designs = catalog.find_designs(space, name)
            networks += [Network(genotype=genotype, origin=f"published {title}") for title, genotype in designs]
            continue
        kind = "default" if name in _DEFAULTS else f"point {name}" if "=" in name else f"published {name}"
        networks.append(Network(genotype=catalog.find_point(space, name), origin=kind))
    return networks
