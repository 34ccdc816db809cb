"""Brings events that older versions wrote into the form of today, before they are parsed.

Kinds and fields are named by what stands in those records, which no renaming of today changes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_COMPLETE = 3
"""The first schema whose events lack nothing."""
_NO_SOURCE = {"dvc": None}
_ABSENT_IN_OPENED: Mapping[str, Any] = {"versions": {}, "device": None, "baselines": {}}
_ABSENT: Mapping[str, Mapping[str, Any]] = {
    "resumed": {"data_path": ""},
    "proposed": {"origin": "", "refused": "", "memory": {}},
    "reported": {"paused": False, "replicate": 0, "trained_on": "", "fused": None},
    "continued": {"belief": {}, "promoted": False},
    "repeated": {"replicate": 0},
}
"""Kind to what its events lacked once, with what that meant."""
_ABSENT_SINCE: Mapping[str, Mapping[str, Any]] = {
    "opened": {"trains_on": ""},
    "resumed": {"trains_on": ""},
    "measured": {"cpu": ""},
}
"""The same of fields that came later, some without a schema of their own: older versions pass them over."""


def upgrade(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """An event of an older schema in the form of today's; schema 1 is that of version 0.1. Its own fields stay."""
    kind = document["kind"]
    since = _ABSENT_SINCE.get(kind, {})
    if document["schema"] >= _COMPLETE:
        return {**since, **document} if since else document
    if kind == "opened" and document["schema"] < 2:
        return {**since, **_upgrade_opened(document)}
    return {**_ABSENT.get(kind, {}), **since, **document}


def _upgrade_opened(document: Mapping[str, Any]) -> Mapping[str, Any]:
    written = {**_NO_SOURCE, **document["data"], "revision": document["data_rev"]}
    data = {name: written[name] for name in ("name", "revision", "path", "dvc")}
    return {**_ABSENT_IN_OPENED, **document, "data": data, "run_id": _first_identity(document)}


def _first_identity(document: Mapping[str, Any]) -> str:
    """What named a run before it had a name of its own: 16 hex digits of its opening event."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()[:16]
