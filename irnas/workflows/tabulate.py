"""A table of full trainings, made: the same random search once for each training seed, then one file out of all."""

from __future__ import annotations

from dataclasses import replace

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.core.settings import SearchSettings
from irnas.record.ledger import Ledger
from irnas.record.run import Run
from irnas.simulation import table
from irnas.simulation.table import Table
from irnas.workflows.execution import Listener
from irnas.workflows.executor import Executor
from irnas.workflows.search import resume, search


def tabulate(settings: SearchSettings, output: str, seeds: int, executor: Executor, listener: Listener) -> Table:
    """Train ``settings.trials`` random networks once for each of ``seeds`` seeds and write the table to ``output``.

    The runs are kept beside it, in ``OUTPUT.runs``, an ordinary run for each seed. What is there already is not trained
    again: after an interruption it goes on, and with more trials or seeds the table grows.

    Raises:
        SettingsError: fewer than one seed, runs that were made with other settings, or too many failures.
    """
    if seeds < 1:
        raise SettingsError(f"seeds: got {seeds}; must be at least 1")
    uris = []
    for seed in range(seeds):
        uri = storage.join(f"{output}.runs", f"seed-{seed}")
        _train(replace(settings, strategy="random", train_seed=seed), uri, executor, listener)
        uris.append(uri)
    trainings = table.from_runs(Run.read(uri) for uri in uris)
    table.write(output, trainings)
    return trainings


def _train(settings: SearchSettings, uri: str, executor: Executor, listener: Listener) -> None:
    if not Ledger(uri).exists():
        outcome = search(settings, uri, executor, listener)
    else:
        run = Run.read(uri)
        before = run.settings
        if replace(before, trials=settings.trials) != settings:
            names = [n for n, v in settings.document().items() if n != "trials" and before.document()[n] != v]
            raise SettingsError(f"{uri}: got other settings than it began with ({', '.join(names)}); must be the same")
        if len(run.outcomes) >= settings.trials:
            return
        outcome = resume(uri, settings.trials, executor, listener)
    if outcome.gave_up:
        raise SettingsError(f"{uri}: got too many failures ({outcome.stop_reason}); must mostly succeed")
