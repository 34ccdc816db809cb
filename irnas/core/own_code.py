"""The code of a user's own networks: ``model.py`` beside a ``space.yaml``, as text that is known by its content.

The family of such a space is called ``NAME@DIGEST``, after the code itself, so that a record, a file of weights and a
worker speak of the code as it was. Nothing is run here (irnas.models.own does that), and of all code only what a user
has named by its folder ever is: a run that somebody else has made can name code, and cannot bring any.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from irnas.core.errors import SpaceError

FILE = "model.py"
"""Beside space.yaml: ``build(values) -> torch.nn.Module``."""
_MARK = "@"

_sources: dict[str, str] = {}
"""Family to code: what the user has named in this process, or has sent here with a job."""


def is_own(family: str) -> bool:
    """Whether a family is code of a user, and not one that comes with irnas."""
    return _MARK in family


def family_of(family: str, source: str) -> str:
    """What the family of a space with that code beside it is called."""
    return f"{family}{_MARK}{hashlib.sha256(source.encode()).hexdigest()[:16]}"


def read(folder: Path) -> str | None:
    """The code beside the space in a folder; None where there is none.

    Raises:
        SpaceError: it is no text.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise SpaceError(f"{path}: got bytes that are no UTF-8; must be Python") from None


def admit(family: str, source: str) -> None:
    """Let the code of a family be run in this process, as its user wants.

    Raises:
        SpaceError: the code is not that of the family.
    """
    require_same(family, source)
    _sources[family] = source


def source_of(family: str) -> str | None:
    """The code of a family, where its user has named it in this process or sent it here."""
    return _sources.get(family)


def require_same(family: str, source: str) -> None:
    """Refuse code that is not that of a family.

    Raises:
        SpaceError: it is other code.
    """
    if family_of(family.partition(_MARK)[0], source) != family:
        raise SpaceError(f"family {family}: got other code than that; must be the same {FILE}")
