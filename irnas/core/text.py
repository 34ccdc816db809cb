"""Numbers as people read and type them, amounts with an SI prefix and times; and names that are nearly right."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Iterable

from irnas.core.errors import SettingsError

_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "K"))
_MOST = 1e9
"""Of a typed time or budget, in its own unit: far above any that ends."""
_COMMANDS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
_UNITS_S = {"h": 3600, "m": 60, "s": 1}


def format_si(value: float) -> str:
    """Write a value with four significant digits and an SI prefix: 10320 is "10.32 K"."""
    for size, letter in _PREFIXES:
        if abs(value) >= size:
            return f"{value / size:.4g} {letter}"
    return f"{value:.4g}"


def parse_si(where: str, text: str) -> float:
    """Read a number with an optional K, M or G: '0.4G' is 4e8.

    Raises:
        SettingsError: the text is anything else.
    """
    scale = {"K": 1e3, "M": 1e6, "G": 1e9}.get(text[-1:].upper(), 1.0)
    try:
        value = float(text if scale == 1.0 else text[:-1]) * scale
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise SettingsError(f"{where}: got {text!r}; must be a number such as 400000, 20K, 3.5M or 0.4G")
    return value


def format_duration(seconds: float) -> str:
    """Write a time for a reader: "42 s", "3 min 5 s" or "2 h 10 min"."""
    rounded = round(seconds)
    if rounded < 60:
        return f"{rounded} s"
    if rounded < 3600:
        return f"{rounded // 60} min {rounded % 60} s"
    return f"{rounded // 3600} h {rounded % 3600 // 60} min"


def duration_option(seconds: float) -> str:
    """Write a time as an option takes it, in the largest unit that divides it: 7200 is "2h", 90 is "90s"."""
    unit = next((u for u, size in _UNITS_S.items() if seconds % size == 0), "s")
    return f"{number_option(seconds / _UNITS_S[unit])}{unit}"


def number_option(value: float) -> str:
    """Write a number as an option takes it: no exponent, no zeros at the end."""
    return f"{value:.9f}".rstrip("0").rstrip(".")


def parse_quantity(text: str, units: str) -> tuple[float, str] | None:
    """Split '2h' into a number above 0 and one of ``units``, which '|' separates; None for any other text."""
    match = re.fullmatch(rf"([0-9]+(?:\.[0-9]+)?) ?({units})", text)
    return (float(match[1]), match[2]) if match and 0 < float(match[1]) <= _MOST else None


def printable(text: str) -> str:
    """A text without what commands a terminal or turns the order of letters: such characters become U+FFFD.

    Line ends and tabs stay.
    """
    return _COMMANDS.sub("\ufffd", text)


def parse_duration(where: str, text: str) -> float:
    """Read a time such as 2h, 45m or 90s as seconds.

    Raises:
        SettingsError: the text is anything else, or no time above 0.
    """
    quantity = parse_quantity(text, "|".join(_UNITS_S))
    if quantity is None:
        raise SettingsError(f"{where}: got {text!r}; must be a time: 2h, 45m, 90s")
    return quantity[0] * _UNITS_S[quantity[1]]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """What a message about an unknown name ends in: "; did you mean NAME", or nothing where none is near."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1)
    return f"; did you mean {by_lower[near[0]]}" if near else ""
