"""``irnas device``: what a network would need on a machine, known before it is trained and even without the machine."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.console import make_console, progress_bars

if TYPE_CHECKING:
    from irnas.deploy.device.profile import Profile

app = typer.Typer(help="Profiles of devices, from which speed is predicted.", no_args_is_help=True)


@app.callback()
def _root() -> None:
    """Profiles of devices, from which speed is predicted."""


@app.command()
def profile(
    output: Annotated[Path, typer.Option("--output", "-o", help="The profile to write: devices/NAME.json.")],
    name: Annotated[str, typer.Option(help="What to call this machine.", show_default="its processor")] = "",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads that share an image.")] = 1,
    points: Annotated[int, typer.Option(min=30, max=10_000, help="Networks to fit the prices on.")] = 90,
    checks: Annotated[int, typer.Option(min=10, max=10_000, help="Other networks to check them on.")] = 60,
    onnx: Annotated[
        str,
        typer.Option(
            metavar="SPACE,...",
            help="Time networks of these spaces on ONNX Runtime too, where families run that the engine does not; "
            "each takes seconds to export.",
            show_default="none",
        ),
    ] = "",
    seed: Annotated[int, typer.Option(help="Seed of the draw.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print the profile.")] = False,
) -> None:
    """Measure this machine once, so that searches anywhere can ask how fast a network would be on it.

    Runs untrained networks on the XNOR engine, finds what each kind of step costs here, and checks that on networks it
    has not seen. Takes a minute or two; leave the machine alone meanwhile. Ctrl-C writes nothing.

      irnas device profile -o devices/pi4.json          (on the Pi)

      irnas search --objective miou,ops,fps --device devices/pi4.json          (anywhere)
    """
    from irnas.core.provenance import device_name
    from irnas.deploy.device import calibrate
    from irnas.deploy.device.profile import GOOD, save

    with _stoppable_bars() as tell:
        measured = calibrate.calibrate(
            name or device_name("cpu"),
            threads=threads,
            points=points,
            checks=checks,
            seed=seed,
            sizes=calibrate.SIZES,
            onnx=onnx,
            tell=tell,
        )
    save(measured, str(output))
    if as_json:
        typer.echo(json.dumps({"file": str(output), **_facts(measured)}))
    else:
        _print(measured, str(output))
    worst = max(table.median for table in measured.tables)
    if worst > GOOD:
        print(
            f"warning: half of the predictions are off by more than {100 * worst:.0f} % (trusted up to "
            f"{100 * GOOD:.0f} %); was the machine busy? Repeat on a quiet one, or with more --points",
            file=sys.stderr,
        )


@app.command()
def show(
    file: Annotated[str, typer.Argument(metavar="FILE", help="A profile.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a profile: which machine, how its predictions did, and what each kind of step costs."""
    from irnas.deploy.device.profile import load

    profile = load(file)
    if as_json:
        typer.echo(json.dumps({"file": file, **_facts(profile)}))
    else:
        _print(profile, file, prices=True)


def _facts(profile: Profile) -> dict[str, Any]:
    return {"revision": profile.revision, **profile.document()}


@contextmanager
def _stoppable_bars() -> Iterator[Callable[[str, int, int], None]]:
    """Progress bars; after Ctrl-C they say that nothing was written."""
    try:
        with progress_bars() as progress:
            yield progress
    except KeyboardInterrupt:
        print("irnas: stopped; nothing was written", file=sys.stderr)
        raise


def _print(profile: Profile, file: str, *, prices: bool = False) -> None:
    from rich.table import Table

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    console = make_console()
    threads = f"{profile.threads} thread{'s' if profile.threads > 1 else ''}"
    say(f"{file}: {profile.name}, revision {profile.revision}")
    say(
        f"{profile.cpu}, {profile.machine}, {threads}, {profile.clock}; made {profile.date} by irnas {profile.code_rev}"
    )
    for table in profile.tables:
        say(f"\n{table.engine} ({table.kernels}), fitted on {table.count} networks of {table.space}; off on others by:")
        errors = Table()
        errors.add_column("image")
        for column in ("networks", "median", "90 % below", "most"):
            errors.add_column(column, justify="right")
        for row in table.errors:
            errors.add_row(row.of, str(row.count), *(f"{100 * v:.1f} %" for v in (row.median, row.p90, row.most)))
        console.print(errors)
    for table in profile.tables if prices else ():
        say(f"\nWhat {table.engine} needs for a step, in ns (steps that always come together share):")
        steps = Table()
        steps.add_column("step")
        steps.add_column("ns", justify="right")
        for kind, ns in table.ns.items():
            steps.add_row(kind, f"{ns:.3f}")
        console.print(steps)
