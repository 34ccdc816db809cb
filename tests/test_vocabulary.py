"""One word for a thing, and that the field's: names that the vocabulary left behind do not come back."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

# What a word was replaced by is what to write instead of it.
REPLACED = {
    "total_budget, budget_limit": "spend spendable purse Spendable Purse",
    "can_finish, remaining": "carries ahead",
    "is_multi_fidelity, grace_period, reduction_factor, Decision": "PACED paced grace factor",
    "posterior, pending": "outlook Outlook believe at_work",
    "ExpectedHypervolumeImprovement, GaussianProcess, LearningCurveModel": "Improvement Surface Curves Pace",
    "TrialSupervisor (on_result, on_worker_lost), OutOfMemory": "Relay relay take accuse lose Exhausted",
    "SessionSearcher, SessionScheduler, SilenceWatchdog": "Ask Listen Watch",
    "encode, decode": "parcel pack unpack pack_found unpack_found",
    "run_lock, hold": "turn alone",
    "traits": "face",
    "replicate, standard deviation, quantile": "spread spreads Spread",
    "redact_credentials": "shown",
    "dvc_digest_or_raise, security_warnings, with_replicate_means, with_progress": "verdict doubts settled told",
    "DEFAULT_LOSS": "LOSS_OF_STRANGERS",
    "a verb (make_strategy), or what it holds (genotype, row)": "named found there given taken whole",
}  # fmt: skip

WORDS = {word: instead for instead, words in REPLACED.items() for word in words.split()}


def files() -> list[Path]:
    return sorted([*(ROOT / "irnas").rglob("*.py"), *(ROOT / "pipelines").rglob("*.py")])


def names(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Every identifier that the code itself chooses; those of other libraries are not ours to choose."""
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name):
                yield name, node.lineno
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name, node.lineno
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno
            case ast.Attribute(attr=name, value=value) if not (isinstance(value, ast.Name) and value.id == "struct"):
                yield name, node.lineno
            case ast.alias(name=name, asname=other):
                yield other or name.rpartition(".")[2], node.lineno


@pytest.mark.parametrize("path", files(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_name_is_left_that_was_replaced(path: Path) -> None:
    for name, line in [(path.stem, 1), *names(ast.parse(path.read_text(encoding="utf-8")))]:
        bare = name.lstrip("_")
        # A constant is a name too.
        bare = bare.lower() if bare.isupper() and bare not in WORDS else bare
        assert bare not in WORDS, f"{path.name}:{line} says {name}; say {WORDS[bare]}"


def test_a_name_that_comes_back_is_seen() -> None:
    (path,) = (p for p in files() if p.name == "session.py" and p.parent.name == "search")
    tree = ast.parse(path.read_text(encoding="utf-8").replace("proposal", "found"))
    assert "found" in {name for name, _ in names(tree)}
