"""Settings as a file: YAML that a run leaves beside its record, and that a user may write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from irnas import __version__, storage
from irnas.core.errors import SettingsError
from irnas.core.yaml_text import parse_yaml


def to_text(document: Mapping[str, Any], again: str) -> str:
    """The text of a file of settings.

    Args:
        document: plain data, in the order in which it is to stand.
        again: what is said at its head of how it is used: "To search the same again: ...".
    """
    head = f"# Written by irnas {__version__}. {again}\n"
    return head + yaml.safe_dump(dict(document), sort_keys=False, allow_unicode=True)


def read(uri: str, name: str) -> str:
    """The text of the file at ``uri``; ``name`` is what such a file is called.

    Raises:
        SettingsError: there is no such file.
    """
    content = storage.read(uri)
    if content is None:
        raise SettingsError(f"config {uri}: got no such file; must be a {name}")
    return content.decode(errors="replace")


def parse(text: str, where: str, like: str) -> dict[str, Any]:
    """The words of a file and what it says of each.

    Args:
        text: of the file.
        where: begins each message.
        like: what it must be: "search.yaml of a search".

    Raises:
        SettingsError: it is no YAML, or no mapping.
    """
    document = parse_yaml(text, where, SettingsError)
    if not isinstance(document, dict):
        raise SettingsError(f"{where}: got {type(document).__name__}; must be a mapping, as {like} is")
    return document
