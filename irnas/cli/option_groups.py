"""Options in groups: a class is a group, a field is an option, and a command gets one typed value a group.

typer reads the options of a command from its signature; ``with_options`` writes that signature, so that commands which
share options share their declaration. What an option was called before stays for one version.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Annotated, Any, get_type_hints

import typer

from irnas.core.objective import LIMITABLE, OBJECTIVES
from irnas.core.text import parse_si

OLD_NAMES = {"strategy": "--sampler", "epochs": "--max-epochs", "grace_period": "--grace"}
"""What version 0.1 called the options of fields; hidden, and gone with the next version."""

LIMITS = "limits"
"""The field of limits: one option an objective that may be limited, instead of one for the field."""
LIMIT_PANEL = "Limits"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A group of options."""

    typed: tuple[str, ...] = ()
    """The options that the user typed, of this group and any other, by the names they have now."""


def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command, for each parameter that is a group of options, the options of that group.

    Args:
        command: a function with keyword parameters that are groups, or declared as typer declares them.
    """
    hints = get_type_hints(command, include_extras=True)
    own = {n: p for n, p in inspect.signature(command).parameters.items() if not _is_group(hints[n])}
    groups: dict[str, type[Options]] = {n: hint for n, hint in hints.items() if _is_group(hint)}
    parameters = [_parameter("context", typer.Context)]
    parameters += [_parameter(name, hints[name], p.default) for name, p in own.items()]
    for group in groups.values():
        parameters += _parameters_of(group)

    def run(context: typer.Context, **values: Any) -> Any:
        typed = _rename_old(context, values)
        made = {name: _group_of(group, values, typed) for name, group in groups.items()}
        return command(**{name: values[name] for name in own}, **made)

    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _is_group(hint: object) -> bool:
    return isinstance(hint, type) and issubclass(hint, Options)


def _parameter(name: str, hint: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=hint)


def _parameters_of(group: type[Options]) -> Iterator[inspect.Parameter]:
    """The parameters of a command that make a group: one a field, one a limit, and one an old name."""
    hints = get_type_hints(group, include_extras=True)
    for each in fields(group):
        if each.name == LIMITS:
            for name in LIMITABLE:
                option = typer.Option(
                    OBJECTIVES[name].limit_option or "", help=OBJECTIVES[name].limit_help, rich_help_panel=LIMIT_PANEL
                )
                yield _parameter(f"max_{name}", Annotated[str | None, option], None)
        elif each.name != "typed":
            yield _parameter(each.name, hints[each.name], each.default)
        if each.name in OLD_NAMES:
            kind = hints[each.name].__origin__ | None
            yield _parameter(f"old_{each.name}", Annotated[kind, typer.Option(OLD_NAMES[each.name], hidden=True)], None)


def _rename_old(context: typer.Context, values: dict[str, Any]) -> tuple[str, ...]:
    """Give fields what was typed under their old names, and say so; returns the options that were typed."""
    typed = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if source is None or source.name != "COMMANDLINE":
            continue
        option = parameter.opts[0]
        field_name = name.removeprefix("old_")
        if name != field_name:
            option = f"--{field_name.replace('_', '-')}"
            print(f"irnas: {OLD_NAMES[field_name]} is now called {option}", file=sys.stderr)
            values[field_name] = values[name]
        typed.append(option)
    return tuple(typed)


def _group_of(group: type[Options], values: Mapping[str, Any], typed: tuple[str, ...]) -> Options:
    """Make a group of the values of a command's parameters."""
    of_fields = {f.name: values[f.name] for f in fields(group) if f.name in values}
    if any(f.name == LIMITS for f in fields(group)):
        texts = {name: values[f"max_{name}"] for name in LIMITABLE}
        of_fields[LIMITS] = {
            name: parse_si(OBJECTIVES[name].limit_option or "", text)
            for name, text in texts.items()
            if text is not None
        }
    return group(**of_fields, typed=typed)
