"""Text that is HTML already, told apart from text that is not: the one place where values are escaped.

``Markup`` is a text that this package wrote as HTML. Everything else, whatever its type says, may come from a file that
somebody else wrote, and is escaped where it meets a ``Markup``.
"""

from __future__ import annotations

import html
from collections.abc import Iterable


class Markup(str):
    """HTML."""

    __slots__ = ()


def escape(value: object) -> Markup:
    """A value as HTML that shows it as it is; what is HTML already stays."""
    return value if isinstance(value, Markup) else Markup(html.escape(str(value)))


def fill(template: str, /, **values: object) -> Markup:
    """HTML with values in the place of their names in braces, as ``str.format`` has it; each is escaped.

    Args:
        template: HTML of this package.
        values: what it names; a ``Markup`` goes in as it is.
    """
    return Markup(template.format_map({name: escape(value) for name, value in values.items()}))


def join(parts: Iterable[object], between: str = "") -> Markup:
    """The parts one after the other, each escaped; ``between`` is HTML of this package."""
    return Markup(between.join(escape(part) for part in parts))


def code(value: object) -> Markup:
    """A value in the type of code."""
    return fill("<code>{value}</code>", value=value)


def wrapped(value: object) -> Markup:
    """A long text in a cell that is broken into lines."""
    return fill('<div class="wrap">{value}</div>', value=value)
