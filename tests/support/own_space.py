"""A user's own space: the template that irnas comes with, under a name of its own, in a folder."""

from __future__ import annotations

from pathlib import Path

TEMPLATE = Path(__file__).parent.parent.parent / "irnas" / "models" / "template"


def own_space(parent: Path, name: str = "mine", code: str | None = None) -> Path:
    """The folder of a space whose networks are made by ``code``, or as the template makes them."""
    folder = parent / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "space.yaml").write_text((TEMPLATE / "space.yaml").read_text().replace("NAME", name))
    (folder / "model.py").write_text((TEMPLATE / "model.py").read_text() if code is None else code)
    return folder
