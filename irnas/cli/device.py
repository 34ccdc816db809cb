"""``irnas device``: what a network would need on a machine, known before it is trained and even without the machine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from irnas.deploy.device.profile import Profile

app = typer.Typer(help="Profiles of devices, from which speed is predicted.", no_args_is_help=True)

_WIDE = 120
"""Columns of a table that goes to a file or a pipe."""


@app.callback()
def _root() -> None:
    """Profiles of devices, from which speed is predicted."""


@app.command()
def profile(
    output: Annotated[Path, typer.Option("--output", "-o", help="The profile to write: devices/NAME.json.")],
    name: Annotated[str, typer.Option(help="What to call this machine.", show_default="its processor")] = "",
    threads: Annotated[int, typer.Option(min=1, max=256, help="Threads that share an image.")] = 1,
    points: Annotated[int, typer.Option(min=30, help="Networks to fit the prices on.")] = 90,
    checks: Annotated[int, typer.Option(min=10, help="Other networks to check them on.")] = 60,
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
    from irnas.deploy.device import calibrate, speed
    from irnas.deploy.device.profile import GOOD, save

    with _bar() as tell:
        found = calibrate.calibrate(
            name or speed.cpu(),
            threads=threads,
            points=points,
            checks=checks,
            seed=seed,
            sizes=calibrate.SIZES,
            onnx=onnx,
            tell=tell,
        )
    save(found, str(output))
    if as_json:
        typer.echo(json.dumps({"file": str(output), **_facts(found)}))
    else:
        _print(found, str(output))
    worst = max(table.median for table in found.tables)
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

    found = load(file)
    if as_json:
        typer.echo(json.dumps({"file": file, **_facts(found)}))
    else:
        _print(found, file, prices=True)


def _facts(found: Profile) -> dict[str, Any]:
    return {"revision": found.revision, **found.document()}


class _bar:
    """A progress bar on stderr; says nothing where that is no terminal."""

    def __enter__(self) -> Any:
        from rich.console import Console
        from rich.progress import Progress

        self._progress = Progress(console=Console(stderr=True), disable=not sys.stderr.isatty(), transient=True)
        self._progress.start()
        self._tasks: dict[str, Any] = {}
        return self._tell

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._progress.stop()
        if kind is KeyboardInterrupt:
            print("irnas: stopped; nothing was written", file=sys.stderr)

    def _tell(self, what: str, done: int, total: int) -> None:
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=total)
        self._progress.update(self._tasks[what], completed=done)


def _print(found: Profile, file: str, *, prices: bool = False) -> None:
    from rich.console import Console
    from rich.table import Table

    def say(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    console = Console(width=None if sys.stdout.isatty() else _WIDE)
    threads = f"{found.threads} thread{'s' if found.threads > 1 else ''}"
    say(f"{file}: {found.name}, revision {found.revision}")
    say(f"{found.cpu}, {found.machine}, {threads}, {found.clock}; made {found.date} by irnas {found.code_rev}")
    for table in found.tables:
        say(f"\n{table.engine} ({table.kernels}), fitted on {table.count} networks of {table.space}; off on others by:")
        errors = Table()
        errors.add_column("image")
        for column in ("networks", "median", "90 % below", "most"):
            errors.add_column(column, justify="right")
        for row in table.errors:
            errors.add_row(row.of, str(row.count), *(f"{100 * v:.1f} %" for v in (row.median, row.p90, row.most)))
        console.print(errors)
    for table in found.tables if prices else ():
        say(f"\nWhat {table.engine} needs for a step, in ns (steps that always come together share):")
        steps = Table()
        steps.add_column("step")
        steps.add_column("ns", justify="right")
        for kind, ns in table.ns.items():
            steps.add_row(kind, f"{ns:.3f}")
        console.print(steps)
