"""The options of where a search or a training runs: which machines, what each trial takes of them, and its record."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.completion import complete_runs
from irnas.cli.option_groups import Options
from irnas.core.errors import SettingsError
from irnas.core.text import parse_si

if TYPE_CHECKING:
    from irnas.cluster.resources import Resources
    from irnas.workflows.executor import Executor

FIRST = "First of all"
"""The panel of the options that whoever begins needs."""
HOW = "Where and how it runs"
"""The panel of the others of these options in a command's help."""


def option(panel: str, text: str, *names: str, **how: Any) -> Any:
    """Declare an option with its help in a panel."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **how)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions(Options):
    """Which machines train, and what each trial takes of them."""

    address: Annotated[str | None, option(HOW, "Ray cluster to join; none starts one on this machine.")] = None
    workers: Annotated[int | None, option(HOW, "Trials at the same time.", show_default="one a core")] = None
    gpus: Annotated[
        str, option(HOW, "auto: all GPUs, as many trials on each as fit; or the share each trial takes: 0.1.")
    ] = "auto"
    cpu: Annotated[bool, option(HOW, "Train on the CPU, and leave GPUs alone.", "--cpu")] = False
    memory: Annotated[
        str | None,
        option(
            HOW,
            "Most memory of a trial's process: 4G. One that takes more begins anew, from where it was, or fails.",
        ),
    ] = None
    patience: Annotated[
        float | None,
        option(
            HOW,
            "Seconds of silence after which a worker is killed, and its trial started again.",
            show_default="20 times the longest so far, at least 600",
        ),
    ] = None

    def resources(self) -> Resources:
        """What trials take of the machines.

        Raises:
            SettingsError: the memory is no amount of bytes, or a GPU is asked for and refused.
        """
        from irnas.cluster.resources import Resources, parse_gpus

        gpus = parse_gpus(self.gpus)
        if self.cpu and gpus:
            raise SettingsError(f"--cpu: got --gpus {self.gpus} too; must be one of them")

        memory = None if self.memory is None else int(parse_si("--memory", self.memory))
        if memory is not None and memory < 1:
            raise SettingsError(f"--memory: got {self.memory!r}; must be above 0")
        return Resources(
            address=self.address,
            workers=self.workers,
            gpus=0.0 if self.cpu else gpus,
            patience_s=self.patience,
            memory=memory,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions(WorkerOptions):
    """Where the record of a search is, and who runs its trials."""

    run: Annotated[str | None, option(HOW, "Folder or URI of the record.", show_default="runs/SPACE-TIME")] = None
    resume: Annotated[
        str | None,
        option(
            FIRST,
            "Go on with this run, with its settings; --trials may extend it, --dataset say where its data is now.",
            autocompletion=complete_runs,
        ),
    ] = None
    executor: Annotated[str, option(HOW, "ray, or loop: one trial after the other in this process.")] = "ray"

    def make_executor(self) -> Executor:
        """The executor that these options name.

        Raises:
            SettingsError: there is no such executor, or it cannot join a cluster.
        """
        from irnas.workflows.executor import make_executor

        return make_executor(self.executor, self.resources())

    def check_resume(self) -> None:
        """Refuse options beside --resume that the resumed search would ignore.

        Raises:
            SettingsError: there is one: a resumed search keeps its settings.
        """
        allowed = {"--trials", "--dataset", *(f"--{f.name}" for f in fields(RunOptions) if f.name != "run")}
        for name in self.typed:
            if name not in allowed:
                raise SettingsError(f"resume: got {name} too; must keep the settings of the run")
