"""What a shell offers behind an option or in the place of an argument (``irnas --install-completion``).

Nobody waits for these: what cannot be found out is not offered, and nothing is said about it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from irnas.core.objective import OBJECTIVES
from irnas.core.strategies import STRATEGIES

_RECORD = "ledger*"
"""The file of a run's record, or on an object store its folder."""
_RUNS, _DATA = Path("runs"), Path("data")


def complete_spaces(incomplete: str) -> list[str]:
    """Names of spaces; of several joined by commas, the last."""
    from irnas.core import catalog

    return _last_of_list(incomplete, catalog.list_names())


def complete_objectives(incomplete: str) -> list[str]:
    """Names of objectives; of several joined by commas, the last."""
    return _last_of_list(incomplete, OBJECTIVES)


def complete_strategies(incomplete: str) -> list[str]:
    """Names of strategies."""
    return _beginning(incomplete, STRATEGIES)


def complete_datasets(incomplete: str) -> list[str]:
    """The set that needs no download, and the folders of ``data`` that hold one."""
    return _beginning(incomplete, ["synthetic", *(str(path.parent) for path in sorted(_DATA.glob("*/manifest.json")))])


def complete_runs(incomplete: str) -> list[str]:
    """The runs of the folder ``runs``, the newest first."""
    runs = {path.parent for path in _RUNS.glob(f"*/{_RECORD}")}
    return _beginning(incomplete, sorted(map(str, runs), reverse=True))


def complete_sources(incomplete: str) -> list[str]:
    """What networks come from: spaces and runs."""
    return [*complete_spaces(incomplete), *complete_runs(incomplete)]


def complete_keys(args: list[str], incomplete: str) -> list[str]:
    """``best``, ``knee`` and the keys of a run's networks, where a word before names a run."""
    return _beginning(incomplete, ["best", "knee", *_keys_of(args)])


def _keys_of(words: Iterable[str]) -> Iterator[str]:
    from irnas.core.errors import IrnasError
    from irnas.record.run import Run

    for word in words:
        if any(Path(word).glob(_RECORD)):
            try:
                yield from (trial.key for trial in Run.read(word).trials.values())
            except (IrnasError, OSError):
                return


def _beginning(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]


def _last_of_list(incomplete: str, words: Iterable[str]) -> list[str]:
    before, comma, last = incomplete.rpartition(",")
    return [f"{before}{comma}{word}" for word in _beginning(last, words) if word not in before.split(",")]
