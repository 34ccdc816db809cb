"""Who runs the trials of a search, and who times its networks."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from irnas.cluster.resources import Resources
from irnas.core.errors import SettingsError
from irnas.core.provenance import device_name
from irnas.core.settings import SearchSettings
from irnas.search import pricing
from irnas.search.stage import Stage
from irnas.training.gpus import count_gpus, gpu_bytes, gpu_name

if TYPE_CHECKING:
    from irnas.deploy.device.target import Target


@dataclass(frozen=True, slots=True, kw_only=True)
class Executor:
    """Ray on this machine or on a cluster, or a plain loop in this process."""

    kind: Literal["ray", "loop"] = "ray"
    resources: Resources = field(default_factory=Resources)
    """Of Ray."""

    def for_settings(self, settings: SearchSettings) -> Executor:
        """This executor, with as many cores for a trial as the settings have it train in threads."""
        return replace(self, resources=replace(self.resources, threads=settings.threads))

    @contextlib.contextmanager
    def reaching(self, settings: SearchSettings) -> Iterator[Target | None]:
        """The device on which the networks are to be fast; one that is a cluster's node is within reach inside.

        Raises:
            SettingsError: there is no such device, or nothing asks for one.
            ServiceError: the device is a cluster's node, and the cluster is out of reach.
        """
        if settings.node and settings.is_timed and self.kind == "ray":
            with self.joined():
                from irnas.cluster import connection

                yield pricing.target_of(settings, connection.caller(settings.node))
        else:
            yield pricing.target_of(settings)

    def run(self, stages: Iterator[Stage], warn: Callable[[str], object] = warnings.warn) -> None:
        """Work through what a search has to train, stage by stage.

        Args:
            stages: a stage is drawn when the one before it has ended.
            warn: gets one line about what does not end the search.

        Raises:
            ServiceError: the cluster is out of reach.
        """
        with self.joined() as executor:
            if self.kind == "loop":
                from irnas.search import local_executor

                for stage in stages:
                    local_executor.run(stage, on_gpu=bool(executor.resources.gpus))
                return

            from irnas.search import ray_executor

            for stage in stages:
                ray_executor.run(stage, executor.resources, warn)

    def require_gpus(self) -> None:
        """Refuse GPUs that this machine does not have, before anything is opened; a cluster is asked when it is joined.

        Raises:
            SettingsError: trials are to take more of a GPU than there is.
        """
        resources = self.resources
        if resources.address is not None or not resources.gpus:
            return
        if resources.gpus > (num_gpus := count_gpus()):
            raise SettingsError(
                f"--gpus: got {resources.gpus:g} for each trial; must be at most the {num_gpus} of this machine"
            )

    @contextlib.contextmanager
    def joined(self) -> Iterator[Executor]:
        """On the cluster, where there is one; whoever joined it first leaves it.

        Yields:
            This executor, which knows how much of a GPU a trial takes.

        Raises:
            SettingsError: the cluster is none to work on, or has no room for a trial.
            ServiceError: the cluster is out of reach.
        """
        if self.kind == "loop":
            yield self._with_gpus(count_gpus(), num_cores=self.resources.threads)
            return
        from irnas.cluster import connection

        is_first = connection.connect(self.resources)
        try:
            yield self._with_gpus(*connection.count_gpus_and_cores())
        finally:
            if is_first:
                connection.disconnect()

    def _with_gpus(self, num_gpus: int, num_cores: int) -> Executor:
        known = None
        if self.resources.address is None:
            # Ray counts cards; what torch cannot train on is no help.
            num_gpus, known = min(num_gpus, count_gpus()), gpu_bytes()
        resources = self.resources.with_gpus(num_gpus=num_gpus, num_cores=num_cores, gpu_bytes=known)
        return replace(self, resources=resources)

    @property
    def trains_on(self) -> str:
        """What trials are trained on, in words, once the executor has joined what there is."""
        is_cluster = self.resources.address is not None
        if not self.resources.gpus:
            return "CPUs of the cluster" if is_cluster else device_name("cpu")
        num_on_each = self.resources.num_on_a_gpu if self.kind == "ray" else 1
        trials = "1 trial on each" if num_on_each == 1 else f"{num_on_each} trials on each"
        return f"GPUs of the cluster, {trials}" if is_cluster else f"{count_gpus()} x {gpu_name()}, {trials}"


def make_executor(kind: str, resources: Resources) -> Executor:
    """The executor of that name.

    Raises:
        SettingsError: there is no such executor, or it cannot join a cluster.
    """
    if kind == "ray":
        return Executor(kind="ray", resources=resources)
    if kind == "loop" and resources.address is None:
        return Executor(kind="loop", resources=resources)
    raise SettingsError(f"executor: got {kind!r}; must be ray, or loop (and then without --address)")
