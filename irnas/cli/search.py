"""`irnas search`: options to settings, a screen while it runs, a table when it is done."""

from __future__ import annotations

import functools
import shlex
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.setting import DEFAULTS, parse_amount, settings_of
from irnas.core.errors import ServiceError, SettingsError, StorageError, TrainingError
from irnas.core.settings import SearchSettings
from irnas.core.strategies import describe_strategies

if TYPE_CHECKING:
    from irnas.workflows.executor import Executor
    from irnas.workflows.search import Outcome

_TRIALS, _BUDGET, _RECIPE = DEFAULTS.trials, DEFAULTS.budget, DEFAULTS.recipe
_BESIDE_RESUME = ("resume", "trials", "address", "workers", "gpus", "memory", "patience", "executor")
_WHAT, _TRAIN, _HOW, _LIMIT = "What to search", "Training of each network", "Where and how it runs", "Limits"


def search(
    context: typer.Context,
    space: Annotated[
        str,
        typer.Option(
            help="A space's name, or a folder with a space.yaml; several, comma-separated, share one front.",
            rich_help_panel=_WHAT,
        ),
    ] = "biisnet",
    objective: Annotated[
        str,
        typer.Option(
            help="Objectives, comma-separated: miou niou f1 pd fa ops params macs bytes fps ...", rich_help_panel=_WHAT
        ),
    ] = "miou,ops",
    dataset: Annotated[
        str, typer.Option(help="A data folder made by `irnas data import`, or 'synthetic'.", rich_help_panel=_WHAT)
    ] = "synthetic",
    trials: Annotated[
        int | None,
        typer.Option(
            help="Full trainings to spend: so many networks, or their epochs on more of them where a strategy halts "
            "trainings.",
            show_default=str(_TRIALS),
            rich_help_panel=_WHAT,
        ),
    ] = None,
    axis: Annotated[
        list[str] | None,
        typer.Option(
            help="Search these values of an axis instead: base=8,16 or w_bin=all. Repeatable.", rich_help_panel=_WHAT
        ),
    ] = None,
    strategy: Annotated[
        str,
        typer.Option(
            "--strategy",
            "--sampler",
            help=describe_strategies(),
            rich_help_panel=_WHAT,
        ),
    ] = DEFAULTS.strategy,
    budget: Annotated[
        str | None,
        typer.Option(
            help="Most training to spend, over all workers: 2h, 45m, 500epochs.",
            show_default="what --trials come to",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    warm_start: Annotated[
        str, typer.Option(help="'published': train the papers' designs first.", rich_help_panel=_WHAT)
    ] = "none",
    seed: Annotated[
        int, typer.Option(help="Seed of the search and, through it, of each trial.", rich_help_panel=_WHAT)
    ] = 0,
    input_size: Annotated[
        str, typer.Option("--input", help="CxHxW at which costs are counted.", rich_help_panel=_WHAT)
    ] = "1x256x256",
    device: Annotated[
        str | None,
        typer.Option(
            help="Profile that predicts fps and latency_ms (see `irnas device`), or node:LABEL to measure them on the "
            "cluster's node that was started with --resources='{\"LABEL\": 1}'.",
            show_default="measure them on this machine",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    preset: Annotated[str, typer.Option(help="Metric conventions.", rich_help_panel=_WHAT)] = "basicirstd",
    epochs: Annotated[
        int,
        typer.Option(
            "--epochs",
            "--max-epochs",
            help="Of a full training: passes over the training split.",
            rich_help_panel=_TRAIN,
        ),
    ] = _BUDGET.epochs,
    grace_period: Annotated[
        int | None,
        typer.Option(
            help="Epochs before a strategy may halt a training.",
            show_default="a ninth of --epochs",
            rich_help_panel=_TRAIN,
        ),
    ] = None,
    batch: Annotated[int, typer.Option(help="Crops in a step.", rich_help_panel=_TRAIN)] = _BUDGET.batch,
    crop: Annotated[int, typer.Option(help="Side of a crop in pixels.", rich_help_panel=_TRAIN)] = _BUDGET.crop,
    loss: Annotated[
        str,
        typer.Option(
            help="softiou, softiou_image, bce, dice, focal, or a sum: softiou+bce; own: that of the family's paper.",
            rich_help_panel=_TRAIN,
        ),
    ] = _RECIPE.loss,
    lr: Annotated[
        float | None,
        typer.Option(help="Peak learning rate of AdamW.", show_default="the family's own", rich_help_panel=_TRAIN),
    ] = _RECIPE.lr,
    ema: Annotated[
        float, typer.Option(help="Decay of averaged weights; 0 is off.", rich_help_panel=_TRAIN)
    ] = _RECIPE.ema,
    amp: Annotated[bool, typer.Option("--amp", help="bfloat16 autocast, on a GPU.", rich_help_panel=_TRAIN)] = False,
    max_ops: Annotated[
        str | None, typer.Option(help="Largest OPs that may be trained: 0.4G.", rich_help_panel=_LIMIT)
    ] = None,
    max_params: Annotated[
        str | None, typer.Option(help="Largest parameter count: 20K.", rich_help_panel=_LIMIT)
    ] = None,
    max_macs: Annotated[str | None, typer.Option(help="Largest MACs: 1.5G.", rich_help_panel=_LIMIT)] = None,
    max_bytes: Annotated[str | None, typer.Option(help="Largest stored size: 64K.", rich_help_panel=_LIMIT)] = None,
    max_latency_ms: Annotated[
        str | None, typer.Option(help="Longest time of an image in ms: 20.", rich_help_panel=_LIMIT)
    ] = None,
    run: Annotated[
        str | None,
        typer.Option(help="Folder or URI of the record.", show_default="runs/SPACE-TIME", rich_help_panel=_HOW),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(help="Go on with this run, with its settings; --trials may extend it.", rich_help_panel=_HOW),
    ] = None,
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join; none starts one on this machine.", rich_help_panel=_HOW)
    ] = None,
    workers: Annotated[
        int | None, typer.Option(help="Trials at the same time.", show_default="one a core", rich_help_panel=_HOW)
    ] = None,
    gpus: Annotated[float, typer.Option(help="Share of a GPU each trial takes.", rich_help_panel=_HOW)] = 0.0,
    memory: Annotated[
        str | None,
        typer.Option(
            help="Most memory of a trial's process: 4G. One that takes more begins anew, from where it was, or fails.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    patience: Annotated[
        float | None,
        typer.Option(
            help="Seconds of silence after which a worker is killed, and its trial started again.",
            show_default="20 times the longest so far, at least 600",
            rich_help_panel=_HOW,
        ),
    ] = None,
    worth: Annotated[
        str | None,
        typer.Option(
            help="End when one more percent of hypervolume is expected to take more training: 1h. With freeze-thaw.",
            rich_help_panel=_WHAT,
        ),
    ] = None,
    finalists: Annotated[
        int,
        typer.Option(
            help="Networks of the front to train to their end, and again with other seeds, beyond the budget.",
            rich_help_panel=_HOW,
        ),
    ] = DEFAULTS.finalists,
    seeds: Annotated[int, typer.Option(help="Trainings of each finalist.", rich_help_panel=_HOW)] = DEFAULTS.seeds,
    executor: Annotated[
        str, typer.Option(help="ray, or loop: one trial after the other in this process.", rich_help_panel=_HOW)
    ] = "ray",
) -> None:
    """Train networks of a space and find the front of accuracy against cost.

    The first run needs no data: it makes a synthetic set and keeps it. Ctrl-C loses no finished trial.

      irnas search --space biisnet --objective miou,ops

      irnas search --space biisnet --objective miou,pd,ops --dataset data/nudt-sirst --max-ops 0.1G --trials 100

      irnas search --objective miou,ops,fps --device devices/pi4.json

      irnas search --objective miou,ops,fps --device node:pi4 --address 10.0.0.1:6379

      irnas search --strategy freeze-thaw --epochs 27 --budget 2h

      irnas search --resume runs/biisnet-20261121-101500
    """
    where = _executor(
        executor, address=address, workers=workers, gpus=gpus, patience_s=patience, memory=_bytes("--memory", memory)
    )
    if resume is not None:
        _refuse_others(context)
        _resume(resume, trials, where)
        return
    settings = settings_of(context.params)
    uri = run or f"runs/{settings.space}-{time.strftime('%Y%m%d-%H%M%S')}"
    _start(settings, uri, where)


@functools.wraps(search)
def plan(context: typer.Context, **_: Any) -> None:
    """See ``irnas.cli.plan``: the options are those of a search."""
    from irnas.cli.plan import show

    show(settings_of(context.params), context.params["workers"])


plan.__doc__ = """Say what a search would do, without training: its networks, what the limits refuse, how long it takes.

  irnas plan --space biisnet --objective miou,ops --max-ops 20M --trials 50
"""


def _start(settings: SearchSettings, uri: str, where: Executor) -> None:
    from irnas.cli import live
    from irnas.workflows import search as search_workflow

    with live.view(uri) as listener, _resumable(uri):
        outcome = search_workflow.search(settings, uri, where, listener)
    _show(outcome)


def _refuse_others(context: typer.Context) -> None:
    """A resumed search keeps its settings: say so rather than ignore what was typed."""
    for name in context.params:
        source = context.get_parameter_source(name)
        if name not in _BESIDE_RESUME and source is not None and source.name == "COMMANDLINE":
            raise SettingsError(f"resume: got --{name.replace('_', '-')} too; must keep the settings of the run")


def _resume(uri: str, trials: int | None, where: Executor) -> None:
    from irnas.cli import live
    from irnas.workflows import search as search_workflow

    with live.view(uri) as listener, _resumable(uri):
        outcome = search_workflow.resume(uri, trials, where, listener)
    _show(outcome)


class _resumable:
    """Says how to go on after Ctrl-C, on a full disk or when a store does not answer."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def __enter__(self) -> None:
        import signal

        # A cluster manager ends a process with SIGTERM; it deserves the same care as Ctrl-C.
        signal.signal(signal.SIGTERM, _interrupt)

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is KeyboardInterrupt or (kind and issubclass(kind, StorageError | ServiceError)):
            print(f"irnas: stopped; go on with: irnas search --resume {shlex.quote(self._uri)}", file=sys.stderr)


def _interrupt(*_: object) -> None:
    # Not by way of SIGINT, which a process that was started in the background, as Ray's jobs are, ignores.
    raise KeyboardInterrupt


def _executor(kind: str, **how: Any) -> Executor:
    from irnas.cluster.resources import Resources
    from irnas.workflows.executor import Executor

    if kind == "ray":
        return Executor(kind="ray", resources=Resources(**how))
    if kind == "loop" and how["address"] is None:
        return Executor(kind="loop")
    raise SettingsError(f"executor: got {kind!r}; must be ray, or loop (and then without --address)")


def _bytes(option: str, text: str | None) -> int | None:
    if text is None:
        return None
    found = int(parse_amount(option, text))
    if found < 1:
        raise SettingsError(f"{option}: got {text!r}; must be above 0")
    return found


def _show(outcome: Outcome) -> None:
    from irnas.cli.report import print_front

    print_front(outcome.uri)
    print(f"stopped: {outcome.stop_reason}")
    if outcome.report:
        print(f"report:  {outcome.report}")
    print(f"record:  {outcome.uri}   (again: irnas front {shlex.quote(outcome.uri)}; in MLflow: irnas ui)")
    if outcome.gave_up:
        raise TrainingError(f"search: got too many failures ({outcome.stop_reason}); must mostly succeed")
