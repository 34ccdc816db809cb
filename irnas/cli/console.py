"""Where commands print tables and show progress: the same everywhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 220
"""Columns of what goes to a file or a pipe, where nothing is gained by cutting it."""


def make_console() -> Console:
    """The console of standard output: as wide as the terminal, and 220 columns where it is none."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=_WIDE)


@contextlib.contextmanager
def progress_bars(*, is_bytes: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """Show bars on standard error, one a kind of work; nothing where it is no terminal.

    Args:
        is_bytes: what is counted is bytes, so the bar shows sizes and a speed.

    Yields:
        A function of the kind of work, how much is done, and how much there is.
    """
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    console = Console(stderr=True)
    counters: list[ProgressColumn] = [DownloadColumn(), TransferSpeedColumn()] if is_bytes else [MofNCompleteColumn()]
    columns = (TextColumn("{task.description:>8}"), BarColumn(), *counters, TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as live:
        tasks: dict[str, Any] = {}

        def show(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = live.add_task(what, total=total)
            live.update(tasks[what], completed=done, total=total)

        yield show


@contextlib.contextmanager
def working(what: str) -> Iterator[None]:
    """Show on standard error what is going on and since when, where nothing can be counted; nothing off a terminal."""
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as live:
        live.add_task(what, total=None)
        yield
