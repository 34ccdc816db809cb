"""The model zoo: trained networks that come with irnas, beside the space that each is a point of.

A model is three files in ``search_spaces/SPACE/zoo``: ``NAME.safetensors`` (its weights), ``NAME.xnor`` where the
engine runs it, and ``NAME.json``, its card: what it is, what it was trained on, and how it was tested. Three synthetic
images, ``zoo:frames``, come with them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from irnas.core import catalog
from irnas.core.errors import SettingsError
from irnas.core.text import did_you_mean

PREFIX = "zoo:"
"""Before a model's name, in the place of a file."""
FRAMES = PREFIX + "frames"
"""Images to try a model with, in the place of a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ZooModel:
    """A trained network that comes with irnas."""

    name: str
    space: str
    card: Mapping[str, Any]
    """What its card says: about, point, params, ops, trained, tested."""
    folder: Path

    def find_file(self, *suffixes: str) -> Path:
        """Its file with the first of these endings that it has.

        Raises:
            SettingsError: it has none of them.
        """
        for suffix in suffixes:
            if (path := self.folder / f"{self.name}{suffix}").is_file():
                return path
        raise SettingsError(f"{PREFIX}{self.name}: got no {' or '.join(suffixes)} of it; must be a model that has one")


def list_models() -> tuple[ZooModel, ...]:
    """The models of the zoo, by space and name."""
    return tuple(
        ZooModel(name=path.stem, space=space, card=json.loads(path.read_text(encoding="utf-8")), folder=path.parent)
        for space in catalog.list_names()
        for path in sorted((catalog.find_folder(space) / "zoo").glob("*.json"))
    )


def find_model(name: str) -> ZooModel:
    """The model of that name, with or without ``zoo:`` before it.

    Raises:
        SettingsError: there is no such model.
    """
    wanted, models = name.removeprefix(PREFIX), {model.name: model for model in list_models()}
    if wanted in models:
        return models[wanted]
    hint = did_you_mean(wanted, models) or f"; one of {', '.join(models) or 'none: the zoo is empty'}"
    raise SettingsError(f"zoo: got {wanted!r}{hint}")


def resolve(source: str, *suffixes: str) -> str:
    """The path of a model's file where ``source`` is ``zoo:NAME``; any other source as it is.

    Args:
        source: what a user named.
        suffixes: endings that the reader takes, the one it likes best first.

    Raises:
        SettingsError: no such model, or none with such a file.
    """
    return str(find_model(source).find_file(*suffixes)) if source.startswith(PREFIX) else source


def find_images(path: Path) -> Path:
    """The folder of the zoo's images where ``path`` is ``zoo:frames``; any other path as it is."""
    return catalog.find_folder("biisnet") / "zoo" / "frames" if str(path) == FRAMES else path
