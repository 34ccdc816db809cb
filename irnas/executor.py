"""Who runs the trials of a search, and who times its networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Literal

from irnas import price
from irnas.search.finals import Finals
from irnas.search.resources import Resources
from irnas.search.session import Session
from irnas.settings import SearchSettings

if TYPE_CHECKING:
    from irnas.device.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Ray on this machine or on a cluster, or a plain loop in this process."""

    kind: Literal["ray", "loop"] = "ray"
    resources: Resources = field(default_factory=Resources)
    """Of Ray."""

    @contextlib.contextmanager
    def reaching(self, settings: SearchSettings) -> Iterator[Target | None]:
        """The device on which the networks are to be fast; one that is a cluster's node is within reach inside.

        Raises:
            SettingsError: there is no such device, or nothing asks for one.
        """
        if settings.node and price.is_timed(settings) and self.kind == "ray":
            with self._joined() as cluster:
                yield price.target_of(settings, cluster.caller(settings.node))
        else:
            yield price.target_of(settings)

    def run(self, stages: Iterator[Session | Finals]) -> None:
        """Work through what a search has to train, stage by stage."""
        if self.kind == "loop":
            from irnas.search import loop

            for stage in stages:
                loop.run(stage)
            return
        with self._joined():
            from irnas.search import tuner

            for stage in stages:
                tuner.run(stage, self.resources)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[ModuleType]:
        """On the cluster; whoever joined it first leaves it."""
        from irnas.search import cluster

        is_first = cluster.connect(self.resources)
        try:
            yield cluster
        finally:
            if is_first:
                cluster.disconnect()
