"""How a number is shown: metrics in percent, false alarms in millionths, costs with an SI prefix."""

from __future__ import annotations

from irnas.core.objective import OBJECTIVES

_LABELS = {
    "miou": "mIoU",
    "niou": "nIoU",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "pd": "Pd",
    "fa": "Fa",
    "auc": "AUC",
    "ops": "OPs",
    "params": "parameters",
    "macs": "MACs",
    "elementwise": "element-wise FLOPs",
    "bytes": "size",
    "fps": "FPS",
    "latency_ms": "latency",
}

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))


def is_cost(name: str) -> bool:
    """Whether a value is known before training; costs are drawn on logarithmic axes."""
    return name in OBJECTIVES and OBJECTIVES[name].is_free


def label(name: str) -> str:
    """The usual way to write the name of an objective."""
    return _LABELS.get(name, name)


def factor(name: str) -> float:
    """What a value is multiplied by before it is shown: a share becomes percent, false alarms become millionths."""
    if name not in OBJECTIVES or is_cost(name):
        return 1.0
    return 1e6 if name == "fa" else 100.0


def unit(name: str) -> str:
    """The unit of the value as it is shown; empty for a plain number."""
    if name not in OBJECTIVES:
        return ""
    if is_cost(name):
        return {"bytes": "B", "latency_ms": "ms"}.get(name, "")
    return "10⁻⁶" if name == "fa" else "%"


def title(name: str) -> str:
    """Name and unit, for the head of a column or the title of an axis."""
    return f"{label(name)} ({unit(name)})" if unit(name) else label(name)


def figure(name: str, value: float | None) -> str:
    """The value in the unit of ``title``; a dash where there is none."""
    if value is None:
        return "-"
    if name == "fps" and value >= 1000:
        return f"{value:.0f}"
    if is_cost(name):
        return prefixed(value)
    if name not in OBJECTIVES:
        return f"{value:.4g}"
    return f"{value * factor(name):.1f}" if name == "fa" else f"{value * factor(name):.2f}"


def quantity(name: str, value: float | None) -> str:
    """The value with its unit, as it stands in a sentence."""
    if value is None or not unit(name):
        return figure(name, value)
    return f"{figure(name, value)}{'·' if name == 'fa' else ' '}{unit(name)}"


def prefixed(value: float) -> str:
    """Four significant digits and an SI prefix: 10320 is "10.32 K"."""
    for size, letter in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.4g}"


def duration(seconds: float) -> str:
    """Seconds as "42 s", "3 min 5 s" or "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
