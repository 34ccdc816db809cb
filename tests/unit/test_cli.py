"""The shape of the command line: frozen, light, and honest about its exit status."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from irnas import __version__
from irnas.cli import main
from irnas.cli.app import app
from irnas.cli.option_groups import OLD_NAMES, Options, with_options
from irnas.cli.options import SearchOptions, TrainingOptions, parse_search
from irnas.cli.run_options import RunOptions
from irnas.cli.search import resumable
from irnas.core.errors import SettingsError
from irnas.core.recipe import Budget, Recipe
from irnas.core.recipes import load_recipe
from irnas.core.settings import SearchSettings, TotalBudget
from irnas.core.text import parse_si

HEAVY = {
    "torch",
    "ray",
    "mlflow",
    "optuna",
    "boto3",
    "pyarrow",
    "numpy",
    "scipy",
    "pandas",
    "plotly",
    "matplotlib",
    "yaml",
}

# A command or an option is a promise: add to this list on purpose, and never take from it without a word in CHANGELOG.
SEARCH = (
    "--address --amp --axis --batch --budget --config --cpu --crop --dataset --device --ema --epochs --executor "
    "--finalists --from --gpus --grace-period --inherit --inherited-epochs --input --loss --lr --max-bytes "
    "--max-elementwise --max-latency-ms --max-macs --max-ops --max-params --memory --objective --patience --preset "
    "--recipe --require --resume --run --seed --seeds "
    "--space --strategy --threads --trials --warm-start --workers --worth"
)
# What version 0.1 called them; they go with the version after this one.
HIDDEN = {"--sampler", "--max-epochs", "--grace"}
COMMANDS = {
    "search": SEARCH,
    "plan": " ".join(sorted([*SEARCH.split(), "--json"])),
    "train": "--address --amp --batch --config --cpu --crop --dataset --ema --epochs --executor --from --gpus --input "
    "--keep --loss --lr --memory --patience --preset --recipe --resume --run --seed --seeds --split --threads "
    "--workers",
    "test": "--dataset --json --output --predictions --run --split",
    "why": "--json",
    "tabulate": "--address --amp --axis --batch --cpu --crop --dataset --device --ema --epochs --gpus --input --json "
    "--loss --lr --memory --objective --output --patience --points --preset --recipe --seeds --space --threads "
    "--workers",
    "submit": "--address --json --logs --no-env --no-follow --pip --status --stop --var --wheel",
    "simulate": "--at --bench --jobs --json --objective --plot --seeds --strategy --workers",
    "front": "--all --json",
    "runs": "--json",
    "compare": "--json --output",
    "report": "--axes --images --json --output",
    "repair": "--json",
    "ui": "--port",
    "export": "--batch --dataset --images --input --json --opset --output --seed",
    "import-weights": "--json --output --space",
    "bench": "--json --kernels --profile --rivals --seconds --size --threads",
    "run": "--boxes --json --kernels --output --probability --range --threads --threshold",
    "publish": "--endpoint-url --export --json",
    "fetch": "--endpoint-url --json --output",
    "spaces": "--json",
    "cost": "--device --input --json",
    "score": "--flops --json --params --preset",
    "baseline": "--dataset --images --json --output --preset --split --threshold",
    "device profile": "--checks --json --name --onnx --output --points --seed --threads",
    "device show": "--json",
    "data import": "--allow-large-targets --format --images --json --mask-suffix --masks --output --protocol "
    "--range --skip-broken --val-fraction --val-seed",
    "data synth": "--frames --hard --images --json --output --seed --sequences --size",
    "data tile": "--fit --json --output --seed --size --val",
    "data check": "--json",
    "data stats": "--json",
    "zoo list": "--json",
    "zoo show": "--json",
    "doctor": "--json --self-test",
    "track optuna": "--name",
    "track rebuild": "",
    "track register": "--alias --format --images --json --name",
}


def commands() -> dict[str, str]:
    options_of: dict[str, str] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*words, name))
        if words and not hasattr(command, "commands"):
            options = {o for p in command.params for o in p.opts if o.startswith("--")}  # type: ignore[attr-defined]
            hidden = {o for p in command.params if p.hidden for o in p.opts}  # type: ignore[attr-defined]
            assert hidden <= HIDDEN
            options_of[" ".join(words)] = " ".join(sorted(options - hidden - {"--help"}))

    walk(get_command(app), ())
    return options_of


def test_the_command_line_is_what_was_promised() -> None:
    assert commands() == COMMANDS


def test_the_help_of_a_search_begins_with_the_five_that_matter() -> None:
    panels: dict[str | None, list[str]] = {}
    for parameter in get_command(app).commands["search"].params:
        if not getattr(parameter, "hidden", False):
            panels.setdefault(getattr(parameter, "rich_help_panel", None), []).append(parameter.opts[0])
    first = next(panel for panel in panels if panel)
    assert panels[first] == ["--space", "--objective", "--dataset", "--trials", "--resume"]


def test_help_loads_nothing_heavy() -> None:
    code = "import sys; import irnas.cli.app; print(' '.join({m.split('.')[0] for m in sys.modules}))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & set(done.stdout.split())


@pytest.mark.parametrize("words", [[], *([c.split()[0]] for c in COMMANDS)], ids=str)
def test_help_works_everywhere(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        get_command(app).main([*words, "--help"], prog_name="irnas")
    assert ended.value.code == 0 and "Usage" in capsys.readouterr().out


def test_the_version_is_the_package_s(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["irnas", "--version"])
    assert main() == 0
    assert capsys.readouterr().out == f"irnas {__version__}\n"


def test_what_a_user_can_mend_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    broken = typer.Typer()

    @broken.command()
    def fail() -> None:
        raise SettingsError("a: got\n1; must be 2")

    monkeypatch.setattr("irnas.cli.app.app", broken)
    monkeypatch.setattr(sys, "argv", ["irnas"])
    assert main() == 2
    assert capsys.readouterr().err == "irnas: a: got 1; must be 2\n"


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = typer.Typer(pretty_exceptions_enable=False)

    @broken.command()
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("irnas.cli.app.app", broken)
    monkeypatch.setattr(sys, "argv", ["irnas"])
    with pytest.raises(ZeroDivisionError):
        main()


@pytest.mark.parametrize(("text", "value"), [("400000", 4e5), ("20K", 2e4), ("3.5m", 3.5e6), ("0.4G", 4e8)])
def test_amounts(text: str, value: float) -> None:
    assert parse_si("--max-ops", text) == pytest.approx(value)


def settings_of(*words: str) -> SearchSettings:
    return parse_search(words)[0].settings()


def test_limits_go_by_the_names_of_objectives() -> None:
    assert settings_of("--max-ops", "0.4G", "--max-latency-ms", "20").limits == {"ops": 4e8, "latency_ms": 20.0}
    with pytest.raises(SettingsError, match=r"^--max-latency-ms: got 'fast'"):
        settings_of("--max-latency-ms", "fast")


def test_options_are_settings() -> None:
    assert settings_of() == SearchSettings(space="biisnet")
    words = "--objective niou,fps --device d.json --budget 2h --worth 30m --epochs 4 --strategy asha --lr 1e-6 --amp"
    settings = settings_of(*words.split(), "--axis", "base=4,6", "--axis", "w_bin=all", "--warm-start", "published")
    assert [o.name for o in settings.objectives] == ["niou", "fps"] and settings.device == "d.json"
    assert settings.budget_limit == TotalBudget(seconds=7200) and settings.worth == 1800 and settings.trials == 10_000
    assert settings.axes["base"] == (4, 6) and len(settings.axes["w_bin"]) > 1 and settings.warm_start == "published"
    assert settings.recipe.lr == settings.recipe.lr_end == 1e-6 and settings.recipe.amp and settings.budget.epochs == 4


def test_typed_options_override_a_recipe(tmp_path: Path) -> None:
    plain, own = settings_of("--recipe", "irnas"), settings_of(*"--recipe irnas --epochs 7 --lr 1e-6".split())
    assert (plain.budget, plain.recipe) == load_recipe("biisnet", "irnas")
    assert own.budget == replace(plain.budget, epochs=7)
    assert own.recipe == replace(plain.recipe, lr=1e-6, lr_end=1e-6)
    mine = tmp_path / "mine.yaml"
    mine.write_text("epochs: 3\naugment: flips\namp: true")
    settings = settings_of("--recipe", str(mine))
    assert settings.budget == Budget(epochs=3) and settings.recipe == Recipe(augment="flips", amp=True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--recipe papers", "recipe: got 'papers'; must be paper, irnas, or a file"),
        ("--objective mious", "objective: got 'mious'; one of miou"),
        ("--warm-start yes", "warm-start: got 'yes'"),
        ("--warm-start LIT10,D11", "warm-start: got 'D11'; must be none, published, published/all, or names of"),
        ("--preset mine", "preset: got 'mine'; one of"),
        ("--input 3x512", "--input: got '3x512'"),
        ("--budget soon", "budget: got 'soon'"),
        ("--device pi4.json", "device: got pi4.json with the objectives miou, ops; must come with"),
    ],
)
def test_a_wrong_option_is_named(words: str, message: str) -> None:
    with pytest.raises(SettingsError) as refusal:
        settings_of(*words.split())
    assert str(refusal.value).startswith(message)


@pytest.mark.parametrize(("field", "old"), OLD_NAMES.items())
def test_an_old_name_works_and_says_the_new_one(field: str, old: str, capsys: pytest.CaptureFixture[str]) -> None:
    new, value = f"--{field.replace('_', '-')}", "moasha" if field == "strategy" else "3"
    more = ["--strategy", "asha"] if field == "grace_period" else []
    assert settings_of(old, value, *more) == settings_of(new, value, *more)
    assert capsys.readouterr().err == f"irnas: {old} is now called {new}\n"


def test_a_resumed_search_takes_no_settings() -> None:
    words = ["--resume", "r", "--trials", "5", "--workers", "2", "--memory", "1G", "--dataset", "data/moved"]
    parse_search(words)[1].check_resume()
    for words, name in ((["--seed", "1"], "--seed"), (["--grace", "2"], "--grace-period"), (["--run", "s"], "--run")):
        with pytest.raises(SettingsError, match=rf"^resume: got {name} too; must keep the settings of the run"):
            parse_search(["--resume", "r", *words])[1].check_resume()


def test_workers_are_asked_for_in_bytes_and_seconds() -> None:
    resources = parse_search("--workers 3 --memory 1.5K --gpus 0.5 --patience 9".split())[1].resources()
    assert (resources.workers, resources.memory, resources.gpus, resources.patience_s) == (3, 1500, 0.5, 9)
    with pytest.raises(SettingsError, match=r"^--memory: got '0'"):
        RunOptions(memory="0").resources()
    with pytest.raises(SettingsError, match=r"^executor: got 'loop'"):
        RunOptions(executor="loop", address="auto").make_executor()


def test_a_command_gets_a_value_a_group() -> None:
    got: list[tuple[Options, str]] = []

    def command(options: TrainingOptions, name: str = "it") -> None:
        """Say."""
        got.append((options, name))

    app = typer.Typer(add_completion=False)
    app.command()(with_options(command))
    get_command(app).main(["--space", "tiny", "--name", "me", "--max-epochs", "4"], standalone_mode=False)
    assert got == [(TrainingOptions(space="tiny", epochs=4, typed=("--name", "--space", "--epochs")), "me")]
    assert SearchOptions().settings() == SearchSettings(space="biisnet")


@pytest.mark.parametrize("text", ["", "G", "1T", "one", "1 000"])
def test_wrong_amounts(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--max-ops: got"):
        parse_si("--max-ops", text)


@dataclass(frozen=True)
class _Silent:
    """A listener that hears nothing."""

    watch: Callable[[object], None] = print


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_search_that_runs_in_the_background_hears_sigterm(
    capsys: pytest.CaptureFixture[str], has_begun: bool
) -> None:
    """As a job of a cluster it ignores SIGINT, and is to close its record all the same."""
    silent = _Silent()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with pytest.raises(KeyboardInterrupt), resumable("runs/mine", silent, has_begun=has_begun):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert ("irnas search --resume runs/mine" in capsys.readouterr().err) is has_begun
