"""What ``irnas baseline`` left in a run: how a detector that learns nothing does on a split."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from irnas.core.errors import FormatError
from irnas.core.text import printable

FOLDER = "baselines"
"""In a run: one file a detector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JudgedBaseline:
    """A detector with its figures."""

    title: str
    """Its name for people."""
    data_rev: str
    """The data set."""
    split: str
    metrics: Mapping[str, float]
    """Metric to value; one that is no number, as where there was nothing to divide by, is left out."""


def read_baseline(path: Path) -> JudgedBaseline:
    """The detector in a file.

    Raises:
        FormatError: the file is not as ``irnas baseline`` wrote it.
    """
    try:
        document = json.loads(path.read_bytes())
        texts = [document[name] for name in ("title", "data_rev", "split")]
        metrics = dict(document["metrics"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        texts, metrics = [], {"": None}
    is_whole = bool(texts) and all(isinstance(text, str) for text in texts)
    if not (is_whole and all(isinstance(value, int | float) for value in metrics.values())):
        raise FormatError(f"{path}: got something else than a judged detector; must be as irnas baseline wrote it")
    title, data_rev, split = (printable(text) for text in texts)
    finite = {name: float(value) for name, value in metrics.items() if math.isfinite(value)}
    return JudgedBaseline(title=title, data_rev=data_rev, split=split, metrics=finite)
