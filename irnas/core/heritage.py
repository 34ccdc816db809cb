"""Whose weights a network starts from: what a search proposes (``Parent``), and what came of it (``Heritage``)."""

from __future__ import annotations

from dataclasses import dataclass

from irnas.core.errors import SettingsError

OFF, NEAREST, ZOO = "off", "nearest", "zoo"
INHERIT = (OFF, NEAREST, ZOO)
"""Where a search looks for a parent: nowhere, among its own trials, in the zoo."""
LEAST_SHARE = 0.5
"""Of its numbers that a network must have from its parent to be trained for a heir's few epochs; where less fits, it
starts with that and trains in full."""
NOT_TRAINED_ON = "could not be trained on"
"""Begins the note of a result that stayed as it was because a further training of its network failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parent:
    """A trained network from whose weights another one is to start."""

    key: str
    """Of its genotype."""
    source: str = ""
    """``zoo:NAME``; empty for a trial of the same run."""
    epochs: int
    """That its weights have been trained, those of its own ancestors included; at least 0."""

    def __post_init__(self) -> None:
        if self.epochs < 0:
            raise SettingsError(f"parent {self.key}: got {self.epochs} epochs; must be at least 0")

    def __str__(self) -> str:
        """What a reader knows it by."""
        return self.source or self.key


@dataclass(frozen=True, slots=True, kw_only=True)
class Heritage:
    """What a trained network has from its parent."""

    parent: str
    """Key of the parent's genotype; its own where it was trained on."""
    source: str = ""
    """See ``Parent.source``."""
    share: float
    """Of its numbers that came from there, 0..1."""
    epochs: int
    """Of its line: those of its parent's weights, and its own."""

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise SettingsError(f"heritage from {self.parent}: got a share of {self.share}; must lie in 0..1")
