"""The shape of the command line: frozen, light, and honest about its exit status."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest
import typer
from typer.main import get_command

from irnas import __version__
from irnas.cli import main
from irnas.cli.app import app
from irnas.cli.search import _resumable
from irnas.cli.setting import _limits, parse_amount
from irnas.core.errors import SettingsError

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
    "--address --amp --axis --batch --budget --crop --dataset --device --ema --epochs --executor "
    "--finalists --gpus --grace --input --loss --lr --max-bytes --max-epochs --max-latency-ms --max-macs --max-ops "
    "--max-params --memory --objective --patience --preset --resume --run --sampler --seed --seeds --space --strategy "
    "--trials --warm-start --workers --worth"
)
COMMANDS = {
    "search": SEARCH,
    "plan": SEARCH,
    "why": "",
    "tabulate": "--address --axis --batch --crop --dataset --device --epochs --gpus --input --loss --lr --objective "
    "--output --points --seeds --space --workers",
    "submit": "--address --json --logs --no-env --no-follow --pip --status --stop --var --wheel",
    "simulate": "--at --bench --jobs --json --objective --plot --seeds --strategy --workers",
    "front": "--all --json",
    "report": "--images --output",
    "ui": "--port",
    "export": "--dataset --images --input --json --output --seed",
    "import-weights": "--json --output --space",
    "bench": "--json --kernels --rivals --seconds --size --threads",
    "run": "--json --kernels --output --probability --threads --threshold",
    "publish": "--endpoint-url --export --json",
    "fetch": "--endpoint-url --json --output",
    "spaces": "--json",
    "cost": "--device --input --json",
    "score": "--json --preset",
    "baseline": "--dataset --images --json --output --preset --split --threshold",
    "device profile": "--checks --json --name --onnx --output --points --seed --threads",
    "device show": "--json",
    "data import": "--format --json --output --val-fraction --val-seed",
    "data synth": "--frames --hard --images --json --output --seed --sequences --size",
    "data tile": "--fit --json --output --seed --size --val",
    "data check": "--json",
    "data stats": "--json",
    "track rebuild": "",
    "track register": "--alias --format --images --json --name",
}


def commands() -> dict[str, str]:
    found: dict[str, str] = {}

    def walk(command: object, words: tuple[str, ...]) -> None:
        for name, child in getattr(command, "commands", {}).items():
            walk(child, (*words, name))
        if words and not hasattr(command, "commands"):
            options = {o for p in command.params for o in p.opts if o.startswith("--")}  # type: ignore[attr-defined]
            found[" ".join(words)] = " ".join(sorted(options - {"--help"}))

    walk(get_command(app), ())
    return found


def test_the_command_line_is_what_was_promised() -> None:
    assert commands() == COMMANDS


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
    with pytest.raises(SystemExit):
        main()
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
    assert parse_amount("--max-ops", text) == pytest.approx(value)


def test_limits_go_by_the_names_of_objectives() -> None:
    assert _limits({"ops": "0.4G", "params": None, "latency_ms": "20"}) == {"ops": 4e8, "latency_ms": 20.0}
    with pytest.raises(SettingsError, match=r"^--max-latency-ms: got 'fast'"):
        _limits({"latency_ms": "fast"})


@pytest.mark.parametrize("text", ["", "G", "1T", "one", "1 000"])
def test_wrong_amounts(text: str) -> None:
    with pytest.raises(SettingsError, match=r"^--max-ops: got"):
        parse_amount("--max-ops", text)


def test_a_search_that_runs_in_the_background_hears_sigterm(capsys: pytest.CaptureFixture[str]) -> None:
    """As a job of a cluster it ignores SIGINT, and is to close its record all the same."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        with pytest.raises(KeyboardInterrupt), _resumable("runs/mine"):
            signal.raise_signal(signal.SIGTERM)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert "irnas search --resume runs/mine" in capsys.readouterr().err
