"""Results as a table: a row a trial, its objectives and the axes of its network as columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from irnas.core.result import SCHEMA, Result

_COLUMNS = (
    *("trial", "key", "status", "epochs", "seed", "data_rev", "code_rev", "seconds", "error", "note"),
    *("trained_on", "fused"),
)
"""Beside the objectives and the axes."""


def to_table(results: Sequence[Result]) -> Any:
    """Results as a pyarrow.Table: objectives by their names, axes as text under ``axis.NAME``."""
    import pyarrow as pa

    rows = [result.document() for result in results]
    columns: dict[str, Any] = {name: [row[name] for row in rows] for name in _COLUMNS}
    if any(result.heritage for result in results):
        heirs = [result.heritage for result in results]
        columns["parent"] = pa.array([heir.parent if heir else None for heir in heirs], pa.string())
        columns["inherited"] = pa.array([heir.share if heir else None for heir in heirs], pa.float64())
        columns["line_epochs"] = [result.line_epochs for result in results]
    for name in sorted({name for result in results for name in result.values}):
        columns[name] = pa.array([result.values.get(name) for result in results], pa.float64())
    for axis in sorted({axis for result in results for axis in result.genotype.values}):
        columns[f"axis.{axis}"] = [_text(result.genotype.values.get(axis)) for result in results]
    return pa.table(columns).replace_schema_metadata({"irnas.schema": str(SCHEMA)})


def _text(value: object) -> str | None:
    # An axis may hold numbers in one family and words in another: one column, one type.
    return None if value is None else str(value)
