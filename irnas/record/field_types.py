"""Whether the fields of an event, and of what it holds, have the types that their classes declare.

JSON has no types of ours: a record may say "0" where a number is due. What such a value does far from where it was read
is a traceback; here it is a sentence. The check of a class is put together once, from its annotations.
"""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Union, get_args, get_origin, get_type_hints

Check = Callable[[Any], str]
"""What is wrong with a value, such as ".epochs '3'"; empty where nothing is."""

_LARGEST = 2**63
_SCALARS: Mapping[Any, Callable[[Any], bool]] = {
    int: lambda value: type(value) is int and abs(value) < _LARGEST,
    float: lambda value: type(value) in (int, float) and abs(value) <= sys.float_info.max,
    str: lambda value: isinstance(value, str),
    bool: lambda value: isinstance(value, bool),
    types.NoneType: lambda value: value is None,
}


def wrong_field(value: Any) -> str:
    """The first field of a dataclass whose value has another type than it declares, and the value; empty for none."""
    return _check_object(type(value))(value).lstrip(".")


@functools.cache
def _check_of(hint: Any) -> Check:
    if hint in _SCALARS:
        is_right = _SCALARS[hint]
        return lambda value: "" if is_right(value) else f" {_short(value)}"
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _check_union(tuple(_check_of(each) for each in arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _check_mapping(*(_check_of(each) for each in arguments))
    if origin is tuple:
        return _check_tuple(arguments)
    if not isinstance(hint, type) or hint is Any:
        # Nothing to hold a value against.
        return lambda _: ""
    return _check_object(hint)


def _check_object(kind: type) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, kind):
            return f" {_short(value)}"
        return next((f".{name}{wrong}" for name, each in _checks_of(kind) if (wrong := each(getattr(value, name)))), "")

    return check


@functools.cache
def _checks_of(kind: type) -> tuple[tuple[str, Check], ...]:
    """Field to check; made when it is first needed, as a class may hold others of its kind."""
    if not is_dataclass(kind):
        return ()
    hints = get_type_hints(kind)
    return tuple((f.name, _check_of(hints[f.name])) for f in fields(kind))


def _check_union(checks: tuple[Check, ...]) -> Check:
    def check(value: Any) -> str:
        wrong = ""
        for each in checks:
            wrong = each(value)
            if not wrong:
                break
        return wrong and f" {_short(value)}"

    return check


def _check_mapping(check_key: Check, check_value: Check) -> Check:
    def check(value: Any) -> str:
        if not isinstance(value, Mapping):
            return f" {_short(value)}"
        return next(
            (f".{key}{wrong}" for key, each in value.items() if (wrong := check_key(key) or check_value(each))), ""
        )

    return check


def _check_tuple(arguments: tuple[Any, ...]) -> Check:
    is_open = arguments[-1] is Ellipsis
    checks = tuple(_check_of(each) for each in arguments if each is not Ellipsis)

    def check(value: Any) -> str:
        if not isinstance(value, tuple) or not (is_open or len(value) == len(checks)):
            return f" {_short(value)}"
        pairs = ((each, checks[0 if is_open else i]) for i, each in enumerate(value))
        return next((wrong for each, check_item in pairs if (wrong := check_item(each))), "")

    return check


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."
