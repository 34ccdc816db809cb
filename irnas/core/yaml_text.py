"""YAML that a user wrote, read so that whatever is wrong with it is one line."""

from __future__ import annotations

from typing import Any

import yaml

from irnas.core.errors import IrnasError

# The C loader parses a wide space ten times faster, which `irnas spaces` feels.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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
        return yaml.load(content.decode() if isinstance(content, bytes) else content, Loader=_LOADER)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as problem:
        # Not only YAMLError: 2026-13-99 is a date to YAML, and no date to Python; lists in lists have no end.
        reason = next(iter(str(problem).splitlines()), type(problem).__name__)
        raise error(f"{where}: got text that is no YAML ({reason}); must be YAML") from None
