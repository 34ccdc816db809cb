"""`irnas train`: given networks trained in full; options to a plan, a screen while it runs, a table when it is done."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.completion import complete_keys, complete_sources
from irnas.cli.option_groups import with_options
from irnas.cli.options import THREADS, parse_size
from irnas.cli.recipe_options import PANEL, RecipeOptions
from irnas.cli.run_options import RunOptions, option
from irnas.cli.search import resumable
from irnas.core.errors import SettingsError, TrainingError

if TYPE_CHECKING:
    from irnas.workflows.execution import Outcome
    from irnas.workflows.training_plan import TrainingPlan

_TRAIN, _HOW = PANEL, "Where and how it runs"


@dataclass(frozen=True, kw_only=True)
class TrainOptions(RecipeOptions):
    """How networks are trained. What is not typed is as --config or the recipe says, or as the help does."""

    config: Annotated[
        str | None, option(_TRAIN, "A train.yaml, as each training leaves one in its folder; options override it.")
    ] = None
    dataset: Annotated[
        str | None,
        option(
            _TRAIN,
            "A data folder made by `irnas data import`, or 'synthetic'.",
            show_default="synthetic; of a run's networks, that run's",
        ),
    ] = None
    split: Annotated[
        str | None,
        option(
            _TRAIN,
            "train: all images that the set gives to train on; fit: those without the ones of val, by which the best "
            "epoch may be kept and the threshold is chosen.",
            show_default="train",
        ),
    ] = None
    recipe: Annotated[
        str | None,
        option(
            _TRAIN,
            "paper: as the family's paper trains; irnas: as was found best here; or a file with the words of a "
            "recipe.yaml. The options below override it.",
            show_default="irnas",
        ),
    ] = None
    epochs: Annotated[int | None, option(_TRAIN, "Passes over the split.", show_default="the recipe's")] = None
    batch: Annotated[int | None, option(_TRAIN, "Crops in a step.", show_default="the recipe's")] = None
    crop: Annotated[int | None, option(_TRAIN, "Side of a crop in pixels.", show_default="the recipe's")] = None
    loss: Annotated[
        str | None,
        option(
            _TRAIN,
            "softiou, softiou_image, bce, dice, focal, or a sum: softiou+bce; own: that of the paper, to the letter.",
            show_default="the recipe's",
        ),
    ] = None
    lr: Annotated[float | None, option(_TRAIN, "Peak learning rate.", show_default="the recipe's")] = None
    ema: Annotated[
        float | None, option(_TRAIN, "Decay of averaged weights; 0 is off.", show_default="the recipe's")
    ] = None
    seeds: Annotated[int | None, option(_TRAIN, "Trainings of each network.", show_default="3")] = None
    seed: Annotated[int | None, option(_TRAIN, "From which the seeds of the trainings derive.", show_default="0")] = (
        None
    )
    keep: Annotated[
        str | None,
        option(_TRAIN, "Whose weights count: the last epoch's, or those of the best on val.", show_default="last"),
    ] = None
    start: Annotated[
        str | None,
        option(
            _TRAIN, "Start from the weights in this file, of the same network.", "--from", show_default="random weights"
        ),
    ] = None
    threads: Annotated[int | None, option(_TRAIN, THREADS, show_default="1")] = None
    preset: Annotated[str | None, option(_TRAIN, "Metric conventions.", show_default="basicirstd")] = None
    input_size: Annotated[
        str | None, option(_TRAIN, "CxHxW at which costs are counted.", "--input", show_default="1x256x256")
    ] = None

    def plan(self, source: str | None, names: Sequence[str]) -> TrainingPlan:
        """What is to be trained, and how.

        Raises:
            SettingsError: no network is named, or an option is wrong.
            SpaceError: there is no such space, axis or value.
        """
        from irnas.workflows import training_plan

        if (source is None) is (self.config is None):
            got = "nothing to train" if source is None else f"--config with {source}"
            raise SettingsError(f"train: got {got}; must be SPACE POINT, RUN KEY, or --config FILE")
        if self.config is not None:
            plan = training_plan.read_plan(self.config)
        else:
            plan = training_plan.plan_for(source or "", names, has_recipe=self.recipe is not None)
        names = ("dataset", "split", "seeds", "seed", "keep", "threads", "preset")
        words: dict[str, Any] = {name: getattr(self, name) for name in names}
        words["from"] = self.start
        words["input"] = None if self.input_size is None else parse_size(self.input_size)
        of_recipe = {name: getattr(self, name) for name in ("epochs", "batch", "crop", "loss", "lr", "ema", "amp")}
        return training_plan.override(plan, self.recipe, of_recipe, words)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainRunOptions(RunOptions):
    """Where the record of a training is, and who trains."""

    run: Annotated[str | None, option(_HOW, "Folder or URI of the record.", show_default="runs/SPACE-train-TIME")] = (
        None
    )
    resume: Annotated[
        str | None, option(_HOW, "Go on with this training, with its settings; --dataset says where its data is now.")
    ] = None


@with_options
def train(
    source: Annotated[
        str | None,
        typer.Argument(
            metavar="SPACE|RUN",
            help="Where the networks are from.",
            show_default=False,
            autocompletion=complete_sources,
        ),
    ] = None,
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="POINT...|KEY...",
            help="Of a space: a published name, published, default, or axis=value,... Of a run: a key or its "
            "beginning, a trial's number, best, knee, or front for all of that.",
            show_default=False,
            autocompletion=complete_keys,
        ),
    ] = None,
    *,
    options: TrainOptions,
    where: TrainRunOptions,
) -> None:
    """Train networks in full: published designs, or what a search has found. Several seeds of each, side by side.

    The record, the live view, checkpoints, --resume, MLflow and the report are those of a search. The test split is not
    read: `irnas test RUN` does that, afterwards. Ctrl-C loses no epoch.

      irnas train biisnet LIT10 --dataset data/sirst --epochs 400 --seeds 3

      irnas train runs/biisnet-20261121-101500 front --split train

      irnas train runs/biisnet-20261121-101500 best knee --split fit --keep best

      irnas train --config runs/biisnet-train-20261122-090000/train.yaml --seed 7

      irnas train --resume runs/biisnet-train-20261122-090000
    """
    if where.resume is None:
        plan = options.plan(source, names or [])
    else:
        where.check_resume()
    # Only now, because it imports torch.
    executor = where.make_executor()

    from irnas.cli import live
    from irnas.workflows import train as workflow
    from irnas.workflows.training_plan import new_uri

    if where.resume is None:
        uri = where.run or new_uri(plan)
        with live.view(uri) as view, resumable(uri, view, has_begun=False, command="train") as listener:
            outcome = workflow.train(plan, uri, executor, listener)
    else:
        uri = where.resume
        with live.view(uri) as view, resumable(uri, view, has_begun=True, command="train") as listener:
            outcome = workflow.resume(uri, executor, listener, options.dataset)
    _print_outcome(outcome)


def _print_outcome(outcome: Outcome) -> None:
    from irnas.cli.front import print_front

    uri = outcome.run.uri
    print_front(uri)
    print(f"ended:   {outcome.stop_reason}")
    if outcome.report:
        print(f"report:  {outcome.report}")
    print(f"record:  {uri}   (again: irnas front {shlex.quote(uri)}; in MLflow: irnas ui)")
    if outcome.gave_up:
        raise TrainingError(f"train: got {outcome.stop_reason}; must all come to their end")
    print(f"weights: {uri}/weights   (next: irnas test {shlex.quote(uri)})")
