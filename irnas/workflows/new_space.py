"""A space of one's own to begin with: a folder with a space.yaml and a model.py that search as they are."""

from __future__ import annotations

import re
from pathlib import Path

import irnas
from irnas import storage
from irnas.core import catalog, own_code
from irnas.core.errors import SettingsError

_NAME = re.compile("[a-z][a-z0-9_-]*")
_PLACE = "NAME"
"""In the template's space.yaml: what the new space is called."""


def make_space(folder: str) -> list[Path]:
    """Make a folder with a space that is called like it; returns its files.

    Raises:
        SettingsError: the folder holds something, or its name is no name for a space.
    """
    target = Path(folder)
    name = target.name
    if not _NAME.fullmatch(name) or name in catalog.list_names():
        must = "must end in a name of small letters, digits, _ and -, that no space of irnas has"
        raise SettingsError(f"spaces new: got {folder!r}; {must}")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise SettingsError(f"spaces new: got {folder!r}, which is there; must be a new folder")
    template = Path(irnas.__file__).parent / "models" / "template"
    files = []
    for file in (catalog.FILE, own_code.FILE):
        text = (template / file).read_text(encoding="utf-8")
        text = text.replace(_PLACE, name) if file == catalog.FILE else text
        storage.write(str(target / file), text.encode())
        files.append(target / file)
    return files
