"""Layers that once computed something else with the same weights."""

from __future__ import annotations

from typing import Any

from torch import nn

from irnas.core.errors import DataError


class Revised(nn.Module):
    """A layer whose weights of before it was mended are refused, as they would compute what they were not trained for.

    torch notes the version of each layer beside the weights; 1 is that of every layer ahead of the first revision.
    """

    _version: int = 2

    @property
    def revised(self) -> str:
        """What was mended; empty where this layer computes what it always did."""
        return ""

    def _load_from_state_dict(self, state: Any, prefix: str, metadata: dict[str, Any], *args: Any) -> None:
        version = metadata.get("version")
        if self.revised and version is not None and version < self._version:
            where = f"weights of {prefix.rstrip('.')}"
            raise DataError(f"{where}: got some from before {self.revised} was mended; must be trained again")
        super()._load_from_state_dict(state, prefix, metadata, *args)
