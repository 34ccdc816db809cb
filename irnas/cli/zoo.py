"""``irnas zoo``: the trained networks that come with irnas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import Json
from irnas.cli.console import make_console

if TYPE_CHECKING:
    from irnas.core.zoo import ZooModel

app = typer.Typer(no_args_is_help=True, help="Trained networks that come with irnas: zoo:NAME stands for their files.")


@app.command("list")
def list_models(as_json: Json = False) -> None:
    """List the models, with what they cost and how they were tested.

    irnas zoo list

    irnas run zoo:NAME images/ -o masks/
    """
    from irnas.core import zoo

    models = zoo.list_models()
    if as_json:
        typer.echo(json.dumps([_document(model) for model in models]))
        return
    if not models:
        typer.echo("the zoo is empty")
        return
    _print_models(models)


@app.command("show")
def show(name: Annotated[str, typer.Argument(metavar="NAME", help="A model's name.")], as_json: Json = False) -> None:
    """Show a model's card: what it is, what it was trained on, how it was tested, and where its files lie."""
    from irnas.core import zoo

    model = zoo.find_model(name)
    if as_json:
        typer.echo(json.dumps(_document(model)))
        return
    for fact, value in _document(model).items():
        typer.echo(f"{fact}: {value if isinstance(value, str) else json.dumps(value)}")


def _document(model: ZooModel) -> dict[str, Any]:
    files = [str(path) for path in sorted(model.folder.glob(f"{model.name}.*")) if path.suffix != ".json"]
    return {"name": model.name, "space": model.space, **model.card, "files": files}


def _print_models(models: tuple[ZooModel, ...]) -> None:
    from rich.table import Table

    from irnas.core.text import format_si

    table = Table()
    for column in ("name", "space", "trained on"):
        table.add_column(column)
    for column in ("parameters", "OPs", "test mIoU (%)"):
        table.add_column(column, justify="right")
    for model in models:
        card = model.card
        table.add_row(
            model.name,
            model.space,
            f"{card['trained']['data']} {card['trained']['split']}",
            format_si(card["params"]),
            format_si(card["ops"]),
            f"{100 * card['tested']['miou']:.1f}",
        )
    make_console().print(table)
