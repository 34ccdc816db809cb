"""The opening event of a run, for tests that need one and care for little of it."""

from __future__ import annotations

from typing import Any

from irnas.core.settings import SearchSettings
from irnas.core.space import Param, Space
from irnas.record.events import DataSource, Opened

REVISION = "5eed5eed5eed5eed"
"""The data revision of made-up runs."""

SPACE = Space(name="tiny", family="tiny", params=(Param(name="base", values=(4, 8), default=4, search=(4, 8)),))


def opened(settings: SearchSettings | None = None, **changes: Any) -> Opened:
    """An opening with these settings and fields."""
    fields = {
        "t": 1_790_000_000.0,
        "run_id": "0123456789abcdef",
        "settings": settings or SearchSettings(space="tiny"),
        "space": SPACE,
        "data": DataSource(name="d", revision=REVISION, path="data/absent"),
        "code_rev": "0.1.0",
        "bounds": {"miou": (1.0, 0.0), "pd": (1.0, 0.0), "ops": (1e6, 1e9), "params": (1e2, 1e5)},
    }
    return Opened(**{**fields, **changes})
