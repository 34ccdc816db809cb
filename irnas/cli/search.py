"""`irnas search`: options to settings, a screen while it runs, a table when it is done."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from irnas.cli.option_groups import with_options
from irnas.cli.options import SearchOptions
from irnas.cli.run_options import RunOptions
from irnas.core.errors import ServiceError, StorageError, TrainingError

if TYPE_CHECKING:
    from irnas.record.events import Event
    from irnas.workflows.execution import Listener, Outcome


@with_options
def search(options: SearchOptions, where: RunOptions) -> None:
    """Train networks of a space and find the front of accuracy against cost.

    The first run needs no data: it makes a synthetic set and keeps it. Ctrl-C loses no finished trial.

      irnas search --space biisnet --objective miou,ops

      irnas search --space biisnet --objective miou,pd,ops --dataset data/nudt-sirst --max-ops 0.1G --trials 100

      irnas search --objective miou,ops,fps --device devices/pi4.json

      irnas search --objective miou,ops,fps --device node:pi4 --address 10.0.0.1:6379

      irnas search --strategy freeze-thaw --epochs 27 --budget 2h

      irnas search --space path/to/myspace

      irnas search --config runs/biisnet-20261121-101500/search.yaml --seed 7

      irnas search --resume runs/biisnet-20261121-101500
    """
    if where.resume is None:
        settings = options.settings()
    else:
        where.check_resume()
    # Only now, because it imports torch.
    executor = where.make_executor()

    from irnas.cli import live
    from irnas.workflows import search as search_workflow
    from irnas.workflows.search_plan import new_uri

    uri = where.resume or where.run or new_uri(settings)
    with live.view(uri) as view, resumable(uri, view, has_begun=where.resume is not None) as listener:
        if where.resume is None:
            outcome = search_workflow.search(settings, uri, executor, listener)
        else:
            moved_to = options.dataset if "--dataset" in options.typed else None
            outcome = search_workflow.resume(uri, options.trials, executor, listener, moved_to)
    _print_outcome(outcome)


class resumable:
    """Says how to go on after Ctrl-C, on a full disk or when a store does not answer; of a run that has begun."""

    def __init__(self, uri: str, listener: Listener, *, has_begun: bool, command: str = "search") -> None:
        self._uri, self._listener, self._has_begun, self._command = uri, listener, has_begun, command

    def __enter__(self) -> Listener:
        """The listener to hand on, through which the first event is noticed."""
        import signal

        # A cluster manager ends a process with SIGTERM; it deserves the same care as Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)
        return replace(self._listener, watch=self._watch)

    def _watch(self, event: Event) -> None:
        self._has_begun = True
        self._listener.watch(event)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        is_stopped = kind is KeyboardInterrupt or (kind and issubclass(kind, StorageError | ServiceError))
        if self._has_begun and is_stopped:
            print(
                f"irnas: stopped; go on with: irnas {self._command} --resume {shlex.quote(self._uri)}", file=sys.stderr
            )


def _interrupt(*_: object) -> None:
    # Not by way of SIGINT, which a process that was started in the background, as Ray's jobs are, ignores.
    raise KeyboardInterrupt


def _print_outcome(outcome: Outcome) -> None:
    from irnas.cli.front import print_front

    print_front(outcome.run.uri)
    print(f"stopped: {outcome.stop_reason}")
    if outcome.report:
        print(f"report:  {outcome.report}")
    print(f"record:  {outcome.run.uri}   (again: irnas front {shlex.quote(outcome.run.uri)}; in MLflow: irnas ui)")
    if outcome.gave_up:
        raise TrainingError(f"search: got too many failures ({outcome.stop_reason}); must mostly succeed")
