"""``irnas spaces``: the spaces that can be searched, and their axes."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import Json
from irnas.cli.console import make_console
from irnas.core.errors import SettingsError

if TYPE_CHECKING:
    from irnas.core.space import Param, Space

_NEW = "new"
"""Instead of a space's name: make one."""


def spaces(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NAME | new FOLDER]",
            help="One space, by its name or folder: its axes and published points. Or new and a folder to make.",
            show_default=False,
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """List the search spaces, or the axes of one, or begin one of your own.

    `irnas spaces new FOLDER` makes a folder with a space.yaml, which says what varies, and a model.py, which builds the
    networks; --space FOLDER then searches it. The code in model.py is run where its folder is named, and nowhere else.

      irnas spaces biisnet

      irnas spaces new myspace
    """
    words = words or []
    if words[:1] == [_NEW]:
        _make(words[1:], as_json)
        return
    if len(words) > 1:
        raise SettingsError(f"spaces: got {' '.join(words)!r}; must be one space, or {_NEW} and a folder")
    _show(words[0] if words else None, as_json)


def _make(folders: list[str], as_json: bool) -> None:
    from irnas.workflows.new_space import make_space

    if len(folders) != 1:
        raise SettingsError(f"spaces {_NEW}: got {len(folders)} folders; must be one, such as myspace")
    paths = [str(path) for path in make_space(folders[0])]
    if as_json:
        typer.echo(json.dumps({"files": paths}))
        return
    folder = shlex.quote(folders[0])
    typer.echo("\n".join(paths))
    typer.echo(f"next:  irnas cost {folder} default    (then: irnas search --space {folder})")


def _show(name: str | None, as_json: bool) -> None:
    from irnas.core import catalog

    loaded = {each: catalog.load(each) for each in ([name] if name else catalog.list_names())}
    documents = [_document(each, space) for each, space in loaded.items()]
    if as_json:
        typer.echo(json.dumps(documents[0] if name else documents))
    elif name:
        _print_space(loaded[name], documents[0])
    else:
        _print_spaces(documents)


def _document(name: str, space: Space) -> dict[str, Any]:
    from irnas.core import catalog

    rows = catalog.load_published(name)
    return {
        **space.document(),
        "fingerprint": space.fingerprint,
        "points": space.count(),
        "searched": space.focus().count(),
        "published": [row.name for row in rows if row.genotype],
        "references": [row.name for row in rows if not row.genotype],
    }


def _print_spaces(documents: list[dict[str, Any]]) -> None:
    from rich.table import Table

    table = Table()
    table.add_column("space")
    table.add_column("family")
    for column in ("axes", "searched axes", "points", "searched points", "published points"):
        table.add_column(column, justify="right")
    for document in documents:
        varied = sum(len(param["search"]) > 1 for param in document["params"])
        counts = (len(document["params"]), varied, _short(document["points"]), _short(document["searched"]))
        table.add_row(document["name"], document["family"], *map(str, counts), str(len(document["published"])))
    make_console().print(table)


def _print_space(space: Space, document: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table(title=f"{space.name} (family {space.family})", title_justify="left")
    for column in ("axis", "default", "values", "searched", "exists where", "about"):
        table.add_column(column)
    for param in space.params:
        held = "held" if param.search == (param.default,) else f"held at {_list(param.search)}"
        searched = _list(param.search) if len(param.search) > 1 else held
        table.add_row(param.name, _list([param.default]), _list(param.values), searched, _when(param), param.about)
    console = make_console()
    console.print(table)
    points = (
        f"{_short(document['points'])} points, of which a search explores {_short(document['searched'])} by default"
    )
    console.print(points, highlight=False, soft_wrap=True)
    console.print(f"published points: {', '.join(document['published']) or 'none'}", highlight=False, soft_wrap=True)


def _list(values: Iterable[object]) -> str:
    return ", ".join(str(v).lower() if isinstance(v, bool) else str(v) for v in values)


def _when(param: Param) -> str:
    return f"{param.when[0]}: {_list(param.when[1])}" if param.when else ""


def _short(count: int) -> str:
    return str(count) if count < 100_000 else f"{count:.1e}"
