"""The tree of commands. A command's module is imported with the tree, so it may import only the standard library,
typer and the light modules irnas.core.errors, objective and settings at its top; everything else inside the command.
"""

from __future__ import annotations

from typing import Annotated

import typer

from irnas import __version__
from irnas.cli import (
    baseline,
    bench,
    compare,
    cost,
    data,
    device,
    doctor,
    export,
    fetch,
    front,
    plan,
    publish,
    repair,
    report,
    run,
    runs,
    score,
    simulate,
    spaces,
    submit,
    tabulate,
    track,
    train,
    ui,
    weights,
    why,
    zoo,
)
from irnas.cli import search as search_command
from irnas.cli import test as test_command

app = typer.Typer(
    help="Search lightweight networks for infrared small-target detection: accuracy against binary operations.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"irnas {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Search lightweight networks for infrared small-target detection: accuracy against binary operations."""


# In the order of use.
app.command("plan")(plan.plan)
app.command("search")(search_command.search)
app.command("submit", context_settings={"allow_interspersed_args": False})(submit.submit)
app.command("tabulate")(tabulate.tabulate)
app.command("simulate")(simulate.simulate)
app.command("train")(train.train)
app.command("test")(test_command.test)
app.command("front")(front.front)
app.command("runs")(runs.runs)
app.command("compare")(compare.compare)
app.command("why")(why.why)
app.command("report")(report.report)
app.command("repair")(repair.repair)
app.command("ui")(ui.ui)
app.command("export")(export.export)
app.command("import-weights")(weights.import_weights)
app.command("bench")(bench.bench)
app.command("run")(run.run)
app.command("publish")(publish.publish)
app.command("fetch")(fetch.fetch)
app.command("spaces")(spaces.spaces)
app.command("cost")(cost.cost)
app.add_typer(device.app, name="device")
app.add_typer(zoo.app, name="zoo")
app.add_typer(data.app, name="data")
app.command("score")(score.score)
app.command("baseline")(baseline.baseline)
app.add_typer(track.app, name="track")
app.command("doctor")(doctor.doctor)
