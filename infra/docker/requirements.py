"""Prints what irnas needs, with the export extra, from pyproject.toml: for the image's layer of libraries."""

import tomllib
from pathlib import Path

project = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]
print(*project["dependencies"], *project["optional-dependencies"]["export"], sep="\n")
