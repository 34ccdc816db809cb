"""The options of a search, declared once: `irnas search`, `plan`, `submit` and `tabulate` share them.

A class here is a group of options, a field an option. ``with_options`` of ``irnas.cli.option_groups`` gives a command
the options of every group among its parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, cast

import typer

from irnas.cli.completion import complete_datasets, complete_objectives, complete_spaces, complete_strategies
from irnas.cli.inherit_options import InheritOptions
from irnas.cli.option_groups import LIMIT_PANEL, Options, with_options
from irnas.cli.recipe_options import PANEL, RecipeOptions
from irnas.cli.run_options import FIRST, HOW, RunOptions, option
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.requirement import parse_requirements
from irnas.core.settings import MAX_SIDE, SearchSettings, TotalBudget
from irnas.core.strategies import describe_strategies
from irnas.core.text import parse_duration

DEFAULTS = SearchSettings(space="")
_SETTING_OF = {
    "--objective": "objectives",
    "--axis": "axes",
    "--input": "cost_input",
    "--budget": "budget_limit",
    "--require": "requirements",
    "--from": "known_from",
}
"""Options whose setting is called otherwise than they are."""
THREADS = "Cores of a trial, which trains in as many threads; results depend on it."
_WHAT, _TRAIN = "What to search", PANEL


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceOptions(Options):
    """Which networks are looked at, on what, and by which objectives."""

    space: Annotated[
        str,
        option(
            FIRST,
            "A space's name, or a folder with a space.yaml; several, comma-separated, share one front.",
            autocompletion=complete_spaces,
        ),
    ] = "biisnet"
    objective: Annotated[
        str,
        option(
            FIRST,
            "Objectives, comma-separated: miou niou f1 pd fa ops params macs bytes fps ...",
            autocompletion=complete_objectives,
        ),
    ] = "miou,ops"
    dataset: Annotated[
        str,
        option(
            FIRST,
            "A data folder made by `irnas data import`, or 'synthetic'.",
            autocompletion=complete_datasets,
        ),
    ] = "synthetic"
    axis: Annotated[
        list[str] | None,
        option(
            _WHAT, "Search these values of an axis instead: base=8,16 or w_bin=all. Repeatable.", metavar="AXIS=VALUES"
        ),
    ] = None
    input_size: Annotated[str, option(_WHAT, "CxHxW at which costs are counted.", "--input")] = "1x256x256"
    device: Annotated[
        str | None,
        option(
            _WHAT,
            "Profile that predicts fps and latency_ms (see `irnas device`), or node:LABEL to measure them on the "
            "cluster's node that was started with --resources='{\"LABEL\": 1}'.",
            show_default="measure them on this machine",
        ),
    ] = None
    preset: Annotated[str, option(_WHAT, "Metric conventions.")] = DEFAULTS.preset


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingOptions(RecipeOptions, SpaceOptions):
    """Which networks are trained, on what, and how."""

    threads: Annotated[int, option(_TRAIN, THREADS)] = DEFAULTS.threads

    def settings(self) -> SearchSettings:
        """The settings of a search with these options and the defaults of all others.

        Raises:
            SettingsError: an option is wrong, or some do not go together.
            SpaceError: there is no such space, or it has no such axis.
        """
        self._load_space()
        return SearchSettings(**self._training(DEFAULTS))

    def _load_space(self) -> None:
        """Say at once where there is no such space; one's own code may be run, for it was named here."""
        from irnas.core import catalog

        catalog.admit_code(self.space)

    def _training(self, base: SearchSettings) -> dict[str, Any]:
        """The settings of these options; what is not typed of a recipe is as in ``base``."""
        budget, recipe = self.train_with(self.space, base.budget, base.recipe)
        return {
            "space": self.space,
            "dataset": self.dataset,
            "objectives": parse(self.objective),
            "axes": _parse_axes(self.space, self.axis or []),
            "cost_input": parse_size(self.input_size),
            "device": self.device,
            "preset": _check_preset(self.preset),
            "budget": budget,
            "recipe": recipe,
            "threads": self.threads,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions(InheritOptions, TrainingOptions):
    """What a search explores, by which strategy, and when it ends."""

    config: Annotated[
        str | None, option(_WHAT, "A search.yaml, as each search leaves one in its folder; options override it.")
    ] = None
    trials: Annotated[
        int | None,
        option(
            FIRST,
            "Full trainings to spend: so many networks, or their epochs on more of them where a strategy halts "
            "trainings.",
            show_default=str(DEFAULTS.trials),
        ),
    ] = None
    strategy: Annotated[str, option(_WHAT, describe_strategies(), autocompletion=complete_strategies)] = (
        DEFAULTS.strategy
    )
    budget: Annotated[
        str | None,
        option(
            _WHAT,
            "Most training to spend, over all workers: 2h, 45m, 500epochs.",
            show_default="what --trials come to",
        ),
    ] = None
    worth: Annotated[
        str | None,
        option(
            _WHAT, "End when one more percent of hypervolume is expected to take more training: 1h. With freeze-thaw."
        ),
    ] = None
    warm_start: Annotated[
        str,
        option(
            _WHAT,
            "Train published designs first: NAME,NAME (see irnas spaces), published for the papers' headlines, "
            "published/all with their ablations.",
        ),
    ] = "none"
    known_from: Annotated[
        str,
        option(
            _WHAT,
            "A run on the same data by the same recipe: its results are known from the beginning, at no cost.",
            "--from",
            metavar="RUN",
            show_default="none",
        ),
    ] = ""
    seed: Annotated[int, option(_WHAT, "Seed of the search and, through it, of each trial.")] = DEFAULTS.seed
    grace_period: Annotated[
        int | None,
        option(_TRAIN, "Epochs before a strategy may halt a training.", show_default="a ninth of --epochs"),
    ] = None
    limits: Mapping[str, float] = field(default_factory=dict)
    """Objective to the largest value that may be trained; typed as --max-ops and the like."""
    require: Annotated[
        str,
        option(
            LIMIT_PANEL,
            "What a trained network must reach, in fractions: fa<=1e-5,pd>=0.9. Those that do rank before all others.",
            show_default="nothing",
        ),
    ] = ""
    finalists: Annotated[
        int,
        option(HOW, "Networks of the front to train to their end, and again with other seeds, beyond the budget."),
    ] = DEFAULTS.finalists
    seeds: Annotated[int, option(HOW, "Trainings of each finalist.")] = DEFAULTS.seeds

    def settings(self) -> SearchSettings:
        """The settings of the search that these options ask for.

        Raises:
            SettingsError: an option is wrong, or some do not go together.
            SpaceError: there is no such space, or it has no such axis.
        """
        if self.config is not None:
            return self._override(self.config)
        self._load_space()
        return SearchSettings(**self._search(DEFAULTS))

    def _search(self, base: SearchSettings) -> dict[str, Any]:
        from irnas.workflows.search_plan import TRIALS_WITH_BUDGET

        default_trials = TRIALS_WITH_BUDGET if self.budget else DEFAULTS.trials
        warm_start = "" if self.warm_start == "none" else self.warm_start
        if warm_start:
            # A wrong name is said here, before anything is opened.
            from irnas.core import catalog

            catalog.find_designs(self.space, warm_start)
        return {
            **self._training(base),
            **self.inheritance(),
            "trials": default_trials if self.trials is None else self.trials,
            "seed": self.seed,
            "strategy": self.strategy,
            "grace_period": self.grace_period,
            "budget_limit": TotalBudget.parse("budget", self.budget) if self.budget else None,
            "worth": parse_duration("worth", self.worth) if self.worth else None,
            "finalists": self.finalists,
            "seeds": self.seeds,
            "limits": self.limits,
            "requirements": parse_requirements(self.require),
            "warm_start": warm_start,
            "known_from": self.known_from,
        }

    def _override(self, config: str) -> SearchSettings:
        """The settings in a file with those that were typed."""
        from irnas.workflows.search_plan import read_settings

        base = read_settings(config)
        if "--space" in self.typed:
            # A file may be anybody's: only what is typed names code that may be run.
            self._load_space()
        options = self if "--space" in self.typed else replace(self, space=base.space)
        values = options._search(base)
        changed = {_SETTING_OF.get(name, name.removeprefix("--").replace("-", "_")) for name in self.typed}
        changed |= {"trials"} if "--budget" in self.typed else set()
        # Of a recipe, what is typed is in there already, over what the file says.
        settings = {name: value for name, value in values.items() if name in changed} | {
            "budget": values["budget"],
            "recipe": values["recipe"],
            "limits": {**base.limits, **self.limits},
        }
        return replace(base, **settings)


def parse_search(words: Sequence[str]) -> tuple[SearchOptions, RunOptions]:
    """Read the words that follow `irnas search`; a wrong option ends as it does there."""
    from typer.main import get_command

    app = typer.Typer(add_completion=False)
    app.command("search")(with_options(_return_both))
    command = get_command(app)
    options = command.invoke(command.make_context("irnas search", list(words)))
    return cast("tuple[SearchOptions, RunOptions]", options)


def _return_both(options: SearchOptions, run: RunOptions) -> tuple[SearchOptions, RunOptions]:
    return options, run


def parse_size(text: str) -> tuple[int, int, int]:
    """Channels, height and width of ``"3x512x512"``.

    Raises:
        SettingsError: the text is anything else.
    """
    parts = text.lower().split("x")
    if len(parts) != 3 or not all(part.isdecimal() and part.strip("0") for part in parts):
        raise SettingsError(f"--input: got {text!r}; must be channels x height x width, such as 3x512x512")
    if any(len(part) > len(str(MAX_SIDE)) or int(part) > MAX_SIDE for part in parts):
        raise SettingsError(f"--input: got {text[:64]!r}; must be channels x height x width, each in 1..{MAX_SIDE}")
    channels, height, width = map(int, parts)
    return channels, height, width


def _parse_axes(space: str, texts: Sequence[str]) -> dict[str, tuple[Any, ...]]:
    from irnas.core import catalog

    parsed = catalog.load(space)
    return dict(catalog.parse_choice(parsed, text) for text in texts)


def _check_preset(name: str) -> str:
    from irnas import metrics

    if name not in metrics.PRESETS:
        raise SettingsError(f"preset: got {name!r}; one of {', '.join(metrics.PRESETS)}")
    return name
