"""The files of infra/, read as what they are."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parent.parent.parent
INFRA = ROOT / "infra"


def load(name: str) -> Any:
    """The one document of a YAML file below infra/."""
    return yaml.safe_load((INFRA / name).read_text(encoding="utf-8"))


def load_all(name: str) -> list[Any]:
    """Every document of a YAML file below infra/."""
    return list(yaml.safe_load_all((INFRA / name).read_text(encoding="utf-8")))


def files() -> list[Path]:
    """Every file below infra/."""
    return sorted(p for p in INFRA.rglob("*") if p.is_file())


def walk(value: Any) -> Iterator[Mapping[str, Any]]:
    """Every mapping in a document, however deep."""
    if isinstance(value, Mapping):
        yield value
        for child in value.values():
            yield from walk(child)
    elif isinstance(value, list):
        for child in value:
            yield from walk(child)


def project() -> Mapping[str, Any]:
    """The [project] table of pyproject.toml."""
    found: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def pins() -> dict[str, str]:
    """Package to version in the images."""
    lines = (INFRA / "docker" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))
