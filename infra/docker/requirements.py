"""Prints what irnas needs for searches and exports, from pyproject.toml: for the image's layer of libraries."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
extras = project["optional-dependencies"]
print(*project["dependencies"], *extras["search"], *extras["export"], sep="\n")
