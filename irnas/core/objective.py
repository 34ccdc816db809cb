"""What a search can optimise: one table, and the only place where a direction becomes a sign.

A row says everything about its objective: how it is written, which of its values are the best and the worst, whether
networks may be refused by it. Metrics are fractions in 0..1 (``fa`` too: false-alarm pixels over all pixels). Costs are
known before training, and so are the runtime objectives: they are measured with random weights, or predicted for a
device (irnas/deploy/device).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from irnas.core.errors import SettingsError
from irnas.core.text import did_you_mean, format_si

Goal = Literal["max", "min"]
Kind = Literal["metric", "cost", "runtime"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One axis of a front."""

    name: str
    goal: Goal
    kind: Kind
    """``metric`` needs training; ``cost`` comes from the network alone; ``runtime`` from an engine."""
    label: str
    """The name as papers write it."""
    about: str
    """One phrase that says what is counted, for the glossary of a report."""
    unit: str = ""
    """The unit of a value as it is shown; empty for a plain number."""
    scale: float = 1.0
    """A value is multiplied by this before it is shown: 100 makes percent of a fraction."""
    decimals: int | None = None
    """Digits shown after the point; None for four significant digits."""
    has_prefix: bool = False
    """Whether four significant digits carry an SI prefix: 10.32 K."""
    worst: float | None = None
    """The worst value of the hypervolume's box, of a metric; None where the networks of the space decide."""
    limit_help: str = ""
    """The help of the option that refuses networks above a value; empty where there is no such option."""

    def __post_init__(self) -> None:
        if self.goal not in ("max", "min"):
            raise SettingsError(f"objective {self.name}: got goal {self.goal!r}; must be max or min")
        if self.kind not in ("metric", "cost", "runtime"):
            raise SettingsError(f"objective {self.name}: got kind {self.kind!r}; must be metric, cost or runtime")
        if self.is_free != (self.worst is None) or (self.worst is not None and not math.isfinite(self.worst)):
            raise SettingsError(
                f"objective {self.name}: got worst {self.worst}; must be a number for a metric, and none for others"
            )
        if self.limit_help and not (self.is_free and self.goal == "min"):
            raise SettingsError(
                f"objective {self.name}: got a limit; must be known before training and minimised to have one"
            )

    @property
    def is_free(self) -> bool:
        """Whether the value is known before training."""
        return self.kind != "metric"

    @property
    def best(self) -> float | None:
        """The best value of the hypervolume's box, of a metric; None where the networks of the space decide."""
        return None if self.is_free else 1.0 if self.goal == "max" else 0.0

    @property
    def limit_option(self) -> str | None:
        """The option that refuses networks above a value, such as ``--max-ops``; None where there is none."""
        return f"--max-{self.name.replace('_', '-')}" if self.limit_help else None

    @property
    def title(self) -> str:
        """Label and unit, for the head of a column or the title of an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    def figure(self, value: float | None) -> str:
        """Write a value in the unit of ``title``; a dash where there is none."""
        if value is None:
            return "-"
        scaled = value * self.scale
        if self.decimals is not None:
            return f"{scaled:.{self.decimals}f}"
        if self.has_prefix:
            return format_si(scaled)
        return f"{scaled:.0f}" if scaled >= 1000 else f"{scaled:.4g}"

    def quantity(self, value: float | None) -> str:
        """Write a value with its unit, as it stands in a sentence."""
        if value is None or not self.unit:
            return self.figure(value)
        # A unit that is a power of ten multiplies the figure.
        return f"{self.figure(value)}{'·' if self.unit[0].isdigit() else ' '}{self.unit}"

    def loss(self, value: float) -> float:
        """The value turned into 'smaller is better'."""
        return value if self.goal == "min" else -value

    def position(self, value: float) -> float:
        """The loss on the axis that plots and hypervolumes use: logarithmic where values span decades."""
        return self.loss(math.log10(max(value, 1e-12))) if self.is_free else self.loss(value)


def _percent(name: str, label: str, about: str) -> Objective:
    """Make the row of a metric that is a fraction to maximise."""
    return Objective(
        name=name, goal="max", kind="metric", label=label, about=about, unit="%", scale=100.0, decimals=2, worst=0.0
    )


def _cost(name: str, label: str, about: str, limit_help: str = "", unit: str = "") -> Objective:
    """Make the row of a count to minimise that a pass over the network gives."""
    return Objective(
        name=name,
        goal="min",
        kind="cost",
        label=label,
        about=about,
        unit=unit,
        has_prefix=True,
        limit_help=limit_help,
    )


OBJECTIVES: Mapping[str, Objective] = {
    o.name: o
    for o in (
        _percent("miou", "mIoU", "foreground IoU of all pixels of the split"),
        _percent("niou", "nIoU", "mean of the per-image IoU"),
        _percent("hiou", "hIoU", "mean IoU of the detected targets, times their share in all targets and false blobs"),
        _percent("f1", "F1", "pixel F1 over the split"),
        _percent("precision", "precision", "pixel precision over the split"),
        _percent("recall", "recall", "pixel recall over the split"),
        _percent("pd", "Pd", "detected targets over all targets"),
        Objective(
            name="fa",
            goal="min",
            kind="metric",
            label="Fa",
            about="false-alarm pixels over all pixels",
            unit="10⁻⁶",
            scale=1e6,
            decimals=1,
            # A thousand pixels in a million.
            worst=1e-3,
        ),
        _percent("auc", "AUC", "area under the ROC curve of the chosen metric preset"),
        _cost(
            "ops",
            "OPs",
            "binary operations/64 + full-precision operations of the convolutions and linear layers",
            "Largest OPs that may be trained: 0.4G.",
        ),
        _cost(
            "params",
            "parameters",
            "binary parameters/32 + full-precision parameters",
            "Largest parameter count: 20K.",
        ),
        _cost(
            "macs",
            "MACs",
            "multiply-accumulates of convolutions, linear layers and matrix products, binary or not",
            "Largest MACs: 1.5G.",
        ),
        _cost(
            "elementwise",
            "element-wise FLOPs",
            "full-precision element-wise work outside convolutions",
            "Largest element-wise work: 50M.",
        ),
        _cost(
            "bytes",
            "size",
            "size of the .xnor file; where there is none, four bytes a number and one bit a binary weight",
            "Largest stored size: 64K.",
            unit="B",
        ),
        _cost(
            "ops_paper",
            "OPs, as papers count",
            "OPs of the network as it is trained, with what only its loss needs",
        ),
        _cost(
            "params_paper",
            "parameters, as papers count",
            "parameters of the network as it is trained, with what only its loss needs",
        ),
        Objective(
            name="fps",
            goal="max",
            kind="runtime",
            label="FPS",
            about="images a second, one after the other: 1000 over latency_ms",
        ),
        Objective(
            name="latency_ms",
            goal="min",
            kind="runtime",
            label="latency",
            about="time from an image to its probabilities on the device",
            unit="ms",
            has_prefix=True,
            limit_help="Longest time of an image in ms: 20.",
        ),
    )
}


RUNTIME = frozenset(o.name for o in OBJECTIVES.values() if o.kind == "runtime")
"""Objectives that need an engine, or the profile of a device; computed only where a search names them."""

USUAL_METRICS = ("miou", "niou", "pd", "fa")
"""What papers of the field print: shown in a line about a network whatever is optimised."""

LIMITABLE = tuple(o.name for o in OBJECTIVES.values() if o.limit_help)
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
            hint = did_you_mean(name, OBJECTIVES)
            raise SettingsError(f"objective: got {name!r}; one of {', '.join(OBJECTIVES)}{hint}")
    if not parts or len(set(parts)) != len(parts):
        raise SettingsError(f"objective: got {','.join(parts)!r}; must be one or more different names")
    return tuple(OBJECTIVES[n] for n in parts)
