"""Real Ray clusters in network namespaces. The long tests run when asked for: `python -m pytest -m cluster`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support import cluster as machines
from support.account import EPOCHS, TRIALS, outcome, words
from support.command import run
from support.datasets import tiny


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent):
            continue
        if machines.problem():
            item.add_marker(pytest.mark.skip(reason=f"no cluster here: {machines.problem()}"))


@pytest.fixture(scope="session")
def data() -> Path:
    """A folder with a tiny data set."""
    return tiny(12, 32).root


@pytest.fixture(scope="session")
def expected(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What the search comes to in one process, one training after the other, undisturbed."""
    folder = tmp_path_factory.mktemp("alone")
    run(folder, *words(data, folder / "run", TRIALS, EPOCHS, "--executor", "loop"), timeout_s=600)
    found = outcome(folder / "run")
    assert len(found) == TRIALS
    return dict(found)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[machines.Cluster]:
    """A head and two workers; whoever takes one away puts another in its place."""
    with machines.cluster(tmp_path_factory.mktemp("cluster"), "a", "b") as found:
        yield found
