"""What a search can optimise: one table, and the only place where a direction becomes a sign.

Metrics are fractions in 0..1 (``fa`` too: false-alarm pixels over all pixels). Costs are known before training, and so
are the runtime objectives: they are measured with random weights, or predicted for a device (irnas/deploy/device).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from irnas.core.errors import SettingsError

Goal = Literal["max", "min"]
Kind = Literal["metric", "cost", "runtime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One axis of a front."""

    name: str
    goal: Goal
    kind: Kind
    """``metric`` needs training; ``cost`` comes from the network alone; ``runtime`` from an engine."""
    unit: str
    about: str

    def __post_init__(self) -> None:
        if self.goal not in ("max", "min"):
            raise SettingsError(f"objective {self.name}: got goal {self.goal!r}; must be max or min")
        if self.kind not in ("metric", "cost", "runtime"):
            raise SettingsError(f"objective {self.name}: got kind {self.kind!r}; must be metric, cost or runtime")

    @property
    def is_free(self) -> bool:
        """Whether the value is known before training."""
        return self.kind != "metric"

    def loss(self, value: float) -> float:
        """The value turned into 'smaller is better'."""
        return value if self.goal == "min" else -value

    def position(self, value: float) -> float:
        """The loss on the axis that plots and hypervolumes use: logarithmic where values span decades."""
        return self.loss(math.log10(max(value, 1e-12))) if self.is_free else self.loss(value)


def _metric(name: str, goal: Goal, about: str) -> Objective:
    return Objective(name=name, goal=goal, kind="metric", unit="fraction", about=about)


def _cost(name: str, unit: str, about: str) -> Objective:
    return Objective(name=name, goal="min", kind="cost", unit=unit, about=about)


def _runtime(name: str, goal: Goal, unit: str, about: str) -> Objective:
    return Objective(name=name, goal=goal, kind="runtime", unit=unit, about=about)


OBJECTIVES: Mapping[str, Objective] = {
    o.name: o
    for o in (
        _metric("miou", "max", "foreground IoU of all pixels of the split"),
        _metric("niou", "max", "mean of the per-image IoU"),
        _metric("f1", "max", "pixel F1 over the split"),
        _metric("precision", "max", "pixel precision over the split"),
        _metric("recall", "max", "pixel recall over the split"),
        _metric("pd", "max", "detected targets over all targets"),
        _metric("fa", "min", "false-alarm pixels over all pixels"),
        _metric("auc", "max", "area under the ROC curve of the chosen metric preset"),
        _cost("ops", "OPs", "binary operations/64 + full-precision operations of the convolutions and linear layers"),
        _cost("params", "params", "binary parameters/32 + full-precision parameters"),
        _cost("macs", "MACs", "multiply-accumulates of convolutions, linear layers and matrix products, binary or not"),
        _cost("elementwise", "flops", "full-precision element-wise work outside convolutions"),
        _cost("bytes", "bytes", "size of the stored network: one bit a binary weight, four bytes any other"),
        _runtime("fps", "max", "frames/s", "images a second, one after the other: 1000 over latency_ms"),
        _runtime("latency_ms", "min", "ms", "time from an image to its probabilities on the device"),
    )
}


RUNTIME = frozenset(o.name for o in OBJECTIVES.values() if o.kind == "runtime")
"""Objectives that need an engine, or the profile of a device; computed only where a search names them."""

LIMITABLE = tuple(o.name for o in OBJECTIVES.values() if o.is_free and o.goal == "min")
"""What a search may refuse networks for before it trains them."""


def parse(names: str | Sequence[str]) -> tuple[Objective, ...]:
    """Objectives from ``"miou,ops"`` or a sequence of names, in that order.

    Raises:
        SettingsError: a name that is not in ``OBJECTIVES``, twice the same name, or none at all.
    """
    parts = [n.strip() for n in names.split(",")] if isinstance(names, str) else list(names)
    parts = [n for n in parts if n]
    for name in parts:
        if name not in OBJECTIVES:
            raise SettingsError(f"objective: got {name!r}; one of {', '.join(OBJECTIVES)}")
    if not parts or len(set(parts)) != len(parts):
        raise SettingsError(f"objective: got {','.join(parts)!r}; must be one or more different names")
    return tuple(OBJECTIVES[n] for n in parts)
