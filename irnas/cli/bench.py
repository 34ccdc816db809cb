"""``irnas bench``: how fast a network is, on the engine and elsewhere."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import finite
from irnas.core.errors import SettingsError
from irnas.core.recipe import at_least

if TYPE_CHECKING:
    from irnas.deploy.bench.contest import Contest, Order
    from irnas.deploy.bench.subject import Subject

_MODELS = (
    "FILE.xnor, FILE.onnx, FILE.safetensors (weights), RUN:KEY (best, knee, a key, a trial's number), SPACE:POINT "
    "(untrained), or block:C (a chain of binary blocks with C channels)."
)


def bench(
    models: Annotated[list[str], typer.Argument(metavar="MODEL...", help=_MODELS)],
    size: Annotated[
        str, typer.Option("--size", metavar="HxW", help="Height and width of the image; a MODEL may end in @HxW.")
    ] = "256x256",
    threads: Annotated[str, typer.Option(metavar="N,...", help="Threads of every engine.")] = "1",
    seconds: Annotated[
        float, typer.Option(callback=finite, help="Time to spend, at least; warming up comes on top.")
    ] = 10.0,
    kernels: Annotated[
        str | None, typer.Option(metavar="NAME,...|all", help="Kernel sets of the engine.", show_default="the best")
    ] = None,
    rivals: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...|all",
            help="Time each MODEL on the engine and on these: onnxruntime, onnxruntime-int8, torch, torch-compile, "
            "litert, openvino, openvino-int8, openvino-binary.",
            show_default="none",
        ),
    ] = None,
    with_profile: Annotated[
        bool,
        typer.Option("--profile", help="Print where the time goes on the engine, step by step, on one thread."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Time models on one image, in turn, so that all meet the same disturbances.

    Without rivals a .xnor file and a block run on the engine, an .onnx file in ONNX Runtime and any other network in
    torch; ratios are to the first. With rivals every model runs on the engine and on each of them, and ratios are to
    the engine.
    Results are compared first, and a rival that computes something else is not timed.

    With one thread the clock is the CPU time of the process: what others do on the machine counts only through caches
    and shared cores. With more it is the wall clock. Of a block, what surrounds the chain is timed too and subtracted.
    "of peak" is the share of the bits that the cores could compare if they did nothing else.

      irnas export biisnet LIT10 -o lit10.xnor; irnas export biisnet LIT10 -o lit10.onnx

      irnas bench lit10.xnor lit10.onnx biisnet:LIT10

      irnas bench biisnet:LIT10 block:16 block:32@128x128 --rivals onnxruntime,litert

      irnas bench biisnet:LIT10 --profile
    """
    from irnas.deploy.bench import contest, subject

    at_least("--seconds", seconds, 0)
    counts = _parse_threads(threads)
    height, width = contest.parse_size(size, "--size")
    order = contest.Order(
        height=height,
        width=width,
        threads=counts,
        kernels=contest.parse_kernels(kernels),
        rivals=contest.parse_rivals(rivals),
    )
    if with_profile:
        _profile(models, order, seconds, as_json)
        return
    contests = contest.make_contests(models, order)
    # Engines may work in threads of their own, so it is the time of the process that counts.
    clock = time.process_time_ns if counts == [1] else time.perf_counter_ns
    subject.measure([each for part in contests for each in part.subjects], seconds, clock)
    if as_json:
        typer.echo(json.dumps(_document(contests, [height, width], counts)))
        return
    _print(contests, height, width, counts)


def _profile(models: list[str], order: Order, seconds: float, as_json: bool) -> None:
    from irnas.deploy.bench.profile import profile

    if order.rivals is not None or list(order.threads) != [1]:
        raise SettingsError("--profile: got --rivals or other --threads; must be the engine alone, on 1 thread")
    profiles = profile(models, order, seconds)
    if as_json:
        size = [order.height, order.width]
        typer.echo(json.dumps({"profiles": [each.document() for each in profiles], "size": size}))
        return
    from rich.table import Table

    from irnas.cli.console import make_console

    console = make_console()
    for each in profiles:
        title = (
            f"{each.model} on {each.kernels}: {each.ms:.3f} ms a frame, least of the runs; cycles a pixel of each map"
        )
        table = Table(title=title, title_justify="left")
        for column in ("step", "op"):
            table.add_column(column)
        for column in ("map", "us", "share", "cycles/px", "of peak"):
            table.add_column(column, justify="right")
        for row in each.steps:
            step = row.step
            table.add_row(
                step.name,
                row.op,
                f"{step.channels}x{step.height}x{step.width}",
                f"{step.nanoseconds / 1e3:.1f}",
                f"{row.share:.1%}",
                f"{row.cycles_per_pixel:.1f}",
                "" if row.share_of_peak is None else f"{row.share_of_peak:.0%}",
            )
        console.print(table)


def _parse_threads(text: str) -> list[int]:
    counts = [int(part) if part.isdecimal() else 0 for part in text.split(",")]
    if not all(1 <= count <= 256 for count in counts) or len(set(counts)) < len(counts):
        raise SettingsError(f"--threads: got {text!r}; must be N or N,N,... of 1..256")
    return counts


def _clock(threads: list[int]) -> str:
    return "CPU time of the process" if threads == [1] else "wall clock"


def _cycles(subject: Subject) -> dict[str, float]:
    """Cycles for a pixel and the share of the peak, on one thread."""
    from irnas.deploy.bench.subject import peak

    if not subject.bit_macs or subject.threads != 1:
        return {}
    height, width = subject.run().shape
    cycles = subject.cycles()
    facts = {"cycles_per_pixel": cycles / (height * width)}
    highest = peak(subject.kernels)
    return (
        {**facts, "share_of_peak": subject.bit_macs / cycles / highest, "peak_bits_per_cycle": highest}
        if highest
        else facts
    )


def _document(contests: list[Contest], size: list[int], threads: list[int]) -> dict[str, Any]:
    rows = [{**each.document(), **_cycles(each)} for group in contests for each in group.subjects]
    notes = [note for group in contests for note in group.notes]
    return {"models": rows, "notes": notes, "size": size, "threads": threads, "clock": _clock(threads)}


def _print(contests: list[Contest], height: int, width: int, threads: list[int]) -> None:
    from rich.table import Table

    from irnas.cli.console import make_console

    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    counts = f"{','.join(map(str, threads))} thread{'s' if threads != [1] else ''}"
    table = Table(title=f"{height}x{width}, {counts}, {_clock(threads)}{load}", title_justify="left")
    for column in ("model", "engine", "kernels"):
        table.add_column(column)
    for column in ("threads", "ms min", "ms median", "x min", "x median", "cycles/px", "of peak", "max diff", "mask"):
        table.add_column(column, justify="right")
    for group in contests:
        for each in group.subjects:
            table.add_row(*_cells(each, group.subjects[0]))
        table.add_section()
    console = make_console()
    console.print(table)
    for group in contests:
        for note in group.notes:
            console.print(f"{note['model']} on {note['engine']}: {note['note']}", markup=False, soft_wrap=True)


def _cells(subject: Subject, first: Subject) -> list[str]:
    row, base, cycles = subject.document(), first.document(), _cycles(subject)
    ratios = (f"{row[key] / base[key]:.2f}" for key in ("ms_min", "ms_median"))
    return [
        subject.model,
        subject.engine,
        subject.kernels,
        str(subject.threads),
        f"{row['ms_min']:.3f}",
        f"{row['ms_median']:.3f}",
        *ratios,
        f"{cycles['cycles_per_pixel']:.1f}" if cycles else "",
        f"{cycles['share_of_peak']:.0%}" if "share_of_peak" in cycles else "",
        "" if subject.difference is None else f"{subject.difference:.1g}",
        "" if subject.agreement is None else f"{subject.agreement:.2%}",
    ]
