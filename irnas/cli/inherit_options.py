"""The options of whose weights a network starts from, declared once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import typer

from irnas.cli.option_groups import Options
from irnas.cli.recipe_options import PANEL
from irnas.core.heritage import OFF


# Without slots, so that groups can have it beside another base.
@dataclass(frozen=True, kw_only=True)
class InheritOptions(Options):
    """Whose weights a network starts from, and how long it is trained then."""

    inherit: Annotated[
        str,
        typer.Option(
            help="Start each network from the weights of the nearest trained one, and train it shortly: nearest for "
            "one of this search, zoo for one that comes with irnas; off for random weights and full trainings.",
            rich_help_panel=PANEL,
        ),
    ] = OFF
    inherited_epochs: Annotated[
        int | None,
        typer.Option(
            help="Epochs of a network that inherits its weights.",
            rich_help_panel=PANEL,
            show_default="a third of --epochs",
        ),
    ] = None

    def inheritance(self) -> dict[str, Any]:
        """The settings of these options."""
        return {"inherit": self.inherit, "inherited_epochs": self.inherited_epochs}
