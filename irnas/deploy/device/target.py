"""Where a search wants its networks to be fast: this machine or a node of its cluster, which are measured, or a machine
that a profile stands for.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from irnas import runtime
from irnas.core import own_code
from irnas.core.errors import ExportError, SettingsError
from irnas.core.provenance import device_name
from irnas.core.settings import NODE
from irnas.core.space import Genotype
from irnas.deploy.device import layer, speed
from irnas.deploy.device.profile import Profile, load, milliseconds
from irnas.models import own

Chw = tuple[int, int, int]
Call = Callable[..., Any]
"""Calls a function (the first argument) with the others, perhaps elsewhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A device and the way in which its speed is known."""

    name: str
    cpu: str
    kernels: str
    threads: int
    profile: Profile | None = None
    """What predicts; None where everything is measured."""
    call: Call | None = field(default=None, compare=False, repr=False)
    """Calls a function on the device, where that is a cluster's node; None where this process is on it."""

    @property
    def can_measure(self) -> bool:
        """Whether the device is within reach: a node, or this machine as far as processor and kernels tell."""
        return self.call is not None or (self.cpu, self.kernels) == (device_name("cpu"), _kernels())

    def measure(self, genotype: Genotype, input_chw: Chw, seconds: float = speed.SECONDS) -> speed.Timing:
        """The time of a network on the device, which must be within reach; see irnas.deploy.device.speed."""
        if self.call is None:
            return measure(genotype, input_chw, self.threads, seconds)
        code = own.code_of(genotype.family)
        return speed.Timing(**self.call(_measured, genotype.document(), input_chw, self.threads, seconds, code))

    @property
    def revision(self) -> str:
        """12 hex digits; speeds of another revision cannot be compared."""
        if self.profile:
            return self.profile.revision
        return hashlib.sha256(repr((self.cpu, self.kernels, self.threads)).encode()).hexdigest()[:12]

    def document(self) -> dict[str, Any]:
        """As the record of a run keeps it."""
        return {
            "name": self.name,
            "cpu": self.cpu,
            "kernels": self.kernels,
            "threads": self.threads,
            "clock": speed.clock_name(self.threads),
            "predicted": self.profile is not None,
            "revision": self.revision,
        }


def open_target(path: str | None) -> Target:
    """The device that a profile's file stands for; without one, this machine with one thread.

    Raises:
        SettingsError: there is no such file.
        FormatError: it is no profile.
    """
    if path is not None and path.startswith(NODE):
        raise SettingsError(f"device: got {path}; must be a profile's file, unless a search runs on Ray")
    if path is None:
        return Target(name="this machine", **_described(), threads=1)
    profile = load(path)
    return Target(
        name=profile.name, cpu=profile.cpu, kernels=profile.tables[0].kernels, threads=profile.threads, profile=profile
    )


def open_node(label: str, call: Call) -> Target:
    """A node of a cluster, measured with one thread.

    Args:
        label: the resource that only such nodes have.
        call: calls a function there.
    """
    return Target(name=NODE + label, **call(_described), threads=1, call=call)


def measure_or_predict_ms(target: Target, genotype: Genotype, input_chw: Chw) -> float:
    """Milliseconds from an image to its probabilities, for a network that nobody trained.

    Raises:
        SettingsError: the profile knows nothing of the network's engine or of one of its steps.
        ExportError: no engine takes the network, or an engine is missing here.
    """
    channels, *size = input_chw
    size_hw = (size[0], size[1])
    if target.profile is None:
        return target.measure(genotype, input_chw).ms_min
    try:
        program = speed.lower_genotype(genotype, channels)
    except ExportError:
        return milliseconds(target.profile.table("onnx"), layer.count_steps(genotype, input_chw))
    table = target.profile.table("xnor")
    steps = speed.count_steps(program, size_hw, table.kernels)
    if set(steps) - set(table.ns) and any(each.engine == "onnx" for each in target.profile.tables):
        # Made before the engine had such steps, or from families that have none.
        return milliseconds(target.profile.table("onnx"), layer.count_steps(genotype, input_chw))
    return milliseconds(table, steps)


def measure(genotype: Genotype, input_chw: Chw, threads: int = 1, seconds: float = speed.SECONDS) -> speed.Timing:
    """The time of a network on this machine; see irnas.deploy.device.speed."""
    channels, height, width = input_chw
    program = speed.make_program(genotype, channels)
    return speed.measure(speed.make_runner(program, (height, width), threads), threads, seconds)


def to_objectives(ms: float) -> Mapping[str, float]:
    """A latency by the names of the runtime objectives."""
    if not ms > 0:
        raise SettingsError(f"latency: got {ms} ms; must be above 0 (is the profile a profile?)")
    return {"latency_ms": ms, "fps": 1000 / ms}


def _kernels() -> str:
    """The kernel set that runs here; empty where the engine has not been built."""
    try:
        return os.environ.get("XNOR_KERNELS") or runtime.kernels()[0]
    except ExportError:
        return ""


def _described() -> dict[str, Any]:
    return {"cpu": device_name("cpu"), "kernels": _kernels()}


def _measured(
    document: Mapping[str, Any], input_chw: Chw, threads: int, seconds: float, code: str | None = None
) -> dict[str, Any]:
    """``measure`` with what crosses between machines, the code of a user's own network among it."""
    genotype = Genotype.from_document(document)
    if code is not None:
        own_code.admit(genotype.family, code)
    return asdict(measure(genotype, input_chw, threads, seconds))
