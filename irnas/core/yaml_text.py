"""YAML that a user wrote, read so that whatever is wrong with it is one line."""

from __future__ import annotations

from typing import Any

import yaml

from irnas.core.errors import IrnasError

# The C loader parses a wide space ten times faster, which `irnas spaces` feels.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MOST_VALUES = 1_000_000
"""Of a document whose aliases are written out, as a message about it would."""


def parse_yaml(content: str | bytes, where: str, error: type[IrnasError]) -> Any:
    """The document that a text holds: plain data, for no other type is made of it.

    Args:
        content: the text, or UTF-8.
        where: begins the message.
        error: what is raised.

    Raises:
        IrnasError: of the type ``error``: the text is no YAML.
    """
    try:
        document = yaml.load(content.decode() if isinstance(content, bytes) else content, Loader=_LOADER)
        if _count_values(document, {}) > _MOST_VALUES:
            raise ValueError(f"aliases that stand for more than {_MOST_VALUES} values")
        return document
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as problem:
        # Not only YAMLError: 2026-13-99 is a date to YAML, and no date to Python; lists in lists have no end.
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise error(f"{where}: got text that is no YAML ({reason}); must be YAML") from None


def _count_values(value: Any, known: dict[int, int]) -> int:
    """How many values a document has where each alias is written out; too many where one holds itself."""
    if not isinstance(value, dict | list):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES
        known[id(value)] = 1 + sum(
            _count_values(v, known) for v in (value.values() if isinstance(value, dict) else value)
        )
    return known[id(value)]
