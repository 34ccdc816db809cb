"""What is said of words that a command does not take: one line, as of every other mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import typer

from irnas.core.redaction import redact_credentials

_USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]
"""Of the parser of options, which is a part of typer or a package beside it, as the version of typer has it."""
_HELP = "NoArgsIsHelpError"
"""What the parser raises where a command with commands of its own was called alone: its message is the help."""


def is_help(error: BaseException) -> bool:
    """Whether an error only asks for the help of a command, which its ``show`` prints."""
    return isinstance(error, _USAGE_ERROR) and type(error).__name__ == _HELP


def explain(error: Any, words: Sequence[str]) -> str | None:
    """The line for an error of the parser of options; None for any other error.

    Args:
        error: what was raised.
        words: the command line, without the program's name.
    """
    if not isinstance(error, _USAGE_ERROR):
        return None
    # Both come with the context in which they were raised, unless a command raised them itself.
    context, parameter = getattr(error, "ctx", None), getattr(error, "param", None)
    command = context.command_path if context is not None else " ".join(("irnas", *words[:1]))
    of_command = command.removeprefix("irnas").strip() or "command line"
    if parameter is None:
        message = _as_clause(error.format_message())  # type: ignore[attr-defined]
        return redact_credentials(f"{of_command}: got {message}; must be as {command} -h says")
    is_option = parameter.opts[0].startswith("-")
    where = parameter.opts[0] if is_option else parameter.metavar or parameter.name.upper()
    if type(error).__name__ == "MissingParameter":
        return f"{of_command}: got no {where}; must have it ({command} -h)"
    got = repr(_typed(parameter.opts, words)) if is_option else "a wrong word"
    reason = _as_clause(error.message)  # type: ignore[attr-defined]
    return redact_credentials(f"{where}: got {got} ({reason}); must be as {command} -h says")


def _as_clause(message: str) -> str:
    """A sentence of the parser as a part of one."""
    message = message.strip().rstrip(".")
    return (message[:1].lower() + message[1:]).removeprefix("got ")


def _typed(names: Sequence[str], words: Sequence[str]) -> str:
    """What stands last behind an option among the words."""
    typed = ""
    for word, following in zip(words, (*words[1:], ""), strict=True):
        name, equals, value = word.partition("=")
        if name in names:
            typed = value if equals else following
    return typed
