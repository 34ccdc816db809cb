"""Puts docstrings into the pages of the site: a line ``::: FILE NAME NAME`` becomes what stands in the code.

A hook of mkdocs. The code is read and not imported, so building the site needs none of what irnas needs.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
_LINE = re.compile(r"^::: (\S+) (.+)$", re.MULTILINE)
_SECTION = re.compile(r"^(Args|Returns|Raises|Yields):$", re.MULTILINE)
_MEMBER = re.compile(r"^    (\S[^:\n]*): ", re.MULTILINE)
_INDENT = re.compile(r"^    (?=\S)", re.MULTILINE)


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Fill a page; called by mkdocs."""
    return _LINE.sub(lambda line: "\n".join(describe(ROOT / line[1], line[2].split())), markdown)


def describe(path: Path, names: list[str]) -> Iterator[str]:
    """The public functions and classes of a file by these names, in this order, as Markdown.

    Raises:
        LookupError: the file has none of that name.
    """
    defined = {node.name: node for node in ast.parse(path.read_text(encoding="utf-8")).body if _is_public(node)}
    for name in names:
        node = defined[name]
        yield from _entry(node, "###")
        for member in node.body if isinstance(node, ast.ClassDef) else ():
            if _is_public(member):
                yield from _entry(member, "####")


def _is_public(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_")


def _entry(node: Any, heading: str) -> Iterator[str]:
    yield f"{heading} {node.name}\n"
    if isinstance(node, ast.FunctionDef) and not any(ast.unparse(each) == "property" for each in node.decorator_list):
        result = f" -> {ast.unparse(node.returns)}" if node.returns else ""
        yield f"```python\n{node.name}({ast.unparse(node.args)}){result}\n```\n"
    text = inspect.cleandoc(ast.get_docstring(node) or "")
    # The sections of a docstring become lists; its code is Markdown's already.
    text = _SECTION.sub(r"**\1**\n", text)
    yield _INDENT.sub("", _MEMBER.sub(r"* `\1`: ", text)) + "\n"
