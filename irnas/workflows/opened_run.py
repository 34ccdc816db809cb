"""A run as Python has it: ``irnas.Run``. What needs torch, plotly or pandas is imported when it is asked for."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from irnas import storage
from irnas.core.errors import SettingsError
from irnas.core.objective import parse
from irnas.core.result import Result
from irnas.core.settings import SearchSettings
from irnas.core.space import Space
from irnas.record.result_table import to_table
from irnas.record.run import Run as Record
from irnas.record.selection import BEST

if TYPE_CHECKING:
    from torch import nn

    from irnas.workflows.test import Outcome


class Results(tuple[Result, ...]):
    """Results of trials: a tuple, and a table.

    A result has ``key``, ``values`` (objective name to value; accuracies in 0..1, costs in operations, numbers, bytes
    or milliseconds), ``genotype.values`` (axis to value), ``status``, ``epochs`` and ``seconds``.
    """

    __slots__ = ()

    def to_arrow(self) -> Any:
        """The results as a pyarrow.Table: a row each, objectives by their names, axes as text under ``axis.NAME``."""
        return to_table(self)

    def to_pandas(self) -> Any:
        """The same as a pandas.DataFrame."""
        return self.to_arrow().to_pandas()

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return str(self.to_pandas().to_html(index=False))


class Run:
    """A search, or trainings in full, on record; also one that is still going on.

    ``front`` and ``trials`` are its results, ``load`` a trained network of it, ``plot`` its front. Methods that take a
    ``key`` take a network's key or the beginning of it, a trial's number, ``"best"`` or ``"knee"``.
    """

    def __init__(self, uri: str) -> None:
        """Open the run at ``uri``.

        Raises:
            SettingsError: there is no run.
            FormatError: its record is damaged, or newer than this program.
        """
        self.uri = uri
        self._record = Record.read(uri)

    def __repr__(self) -> str:
        record, names = self._record, ", ".join(objective.name for objective in self._record.objectives)
        ended = record.end_reason or "not ended"
        return f"<irnas.Run {self.uri}: {record.space.name} for {names}, {len(record.done)} trained, {ended}>"

    def refresh(self) -> Run:
        """Read the record again, which a search may have gone on with; returns the run itself."""
        self._record = Record.read(self.uri)
        return self

    @property
    def record(self) -> Record:
        """All that the record holds, event by event; see irnas.record.run."""
        return self._record

    @property
    def settings(self) -> SearchSettings:
        """What was decided about it."""
        return self._record.settings

    @property
    def space(self) -> Space:
        """The part of the space that it explores."""
        return self._record.space

    @property
    def front(self) -> Results:
        """The networks of which none is beaten in every objective, from the cheapest to the dearest."""
        return Results(self._record.winners)

    @property
    def trials(self) -> Results:
        """All trials that have ended, by number, whatever became of them."""
        return Results(sorted(self._record.results, key=lambda result: result.trial))

    @property
    def hypervolume(self) -> float:
        """The share, 0..1, of the run's box of objectives that its front dominates."""
        return self._record.hypervolume()

    def load(self, key: str | int = BEST) -> nn.Module:
        """A network with its trained weights, in eval mode on the CPU.

        It maps images float32 [N, C, H, W] in 0..1 to logits [N, 1, H, W]; a target is where their sigmoid exceeds
        ``threshold(key)``.

        Raises:
            SettingsError: no such network, or none was trained to the end.
            ExportError: its training has not ended.
            DataError: the run holds no weights for it.
            SpaceError: it is code of a user that nobody has named on this machine.
        """
        from irnas.deploy.export.source import restore_trained

        return restore_trained(self.uri, str(key))[2]

    def threshold(self, key: str | int = BEST) -> float:
        """The probability, between 0 and 1, above which a network's own maps mean a target."""
        from irnas.deploy.export.source import restore_trained

        return restore_trained(self.uri, str(key))[3].threshold

    def plot(self, x: str | None = None, y: str | None = None) -> Any:
        """The trials and the front in the plane of two objectives, as a plotly figure.

        Args:
            x: the objective on the horizontal axis, such as ``"ops"``; None for the run's first cost.
            y: that on the vertical axis, such as ``"miou"``; None for the run's first accuracy.

        Raises:
            SettingsError: no trial was trained to the end, or there is no such objective.
        """
        from irnas.report import figure

        if not self._record.done:
            raise SettingsError(f"run {self.uri}: got no network that was trained to the end; must have one")
        first = figure.pairs(self._record)[0]
        chosen = [parse(name)[0] if name else usual for name, usual in zip((x, y), first, strict=True)]
        return figure.front(self._record, (chosen[0], chosen[1]), [])

    def why(self, key: str | int) -> list[str]:
        """Why a network was proposed, paused, continued or dropped, and what dominates it; a line each.

        Raises:
            SettingsError: no such network.
        """
        from irnas.report.why import explain

        return explain(self._record, str(key))

    def report(self, out: str | Path | None = None, *, images: bool = True) -> Path:
        """Write the page about the run, which needs no network; returns where it is, ``report.html`` in the run.

        Args:
            out: where instead.
            images: show what the networks of the front detect, for which they run again.
        """
        from irnas import report

        return report.write(self.uri, None if out is None else Path(out), images=images)[0]

    def export(self, key: str | int, out: str | Path, *, channels: int = 1, images: int = 64) -> Path:
        """Write a trained network as a file that runs without torch, after comparing it with the network.

        Args:
            key: which network.
            out: FILE.xnor or FILE.onnx.
            channels: of the file's input.
            images: most validation images to compare on.

        Raises:
            SettingsError: no such network, or another ending of ``out``.
            ExportError: the network has no such form, or one that would change a metric by more than 0.1 points.
            DataError: the data set it was trained on is not there.
        """
        from irnas.deploy.export.convert import SUFFIXES, convert
        from irnas.deploy.export.source import from_run

        path = Path(out)
        if path.suffix not in SUFFIXES:
            raise SettingsError(f"out: got {str(out)!r}; must end in {' or '.join(SUFFIXES)}")
        storage.write(str(path), convert(from_run(self.uri, str(key), None), path.suffix, channels, images).content)
        return path

    def test(self, key: str = "", *, split: str = "test", dataset: str | None = None) -> Outcome:
        """Judge trained networks on images that no training and no choice has seen; see ``irnas.test``."""
        from irnas.workflows import calls

        outcome = calls.test(self.uri, key, split=split, dataset=dataset)
        self.refresh()
        return outcome

    def resume(self, *, trials: int | None = None, dataset: str | None = None, **where: Any) -> Run:
        """Go on with a search or a training that was interrupted, or, with ``trials``, to more networks.

        Args:
            trials: of a search, how many networks it is to come to.
            dataset: where its data set is now.
            where: ``workers``, ``gpus``, ``executor``, ``address`` and ``progress``, as of ``irnas.search``.

        Raises:
            SettingsError: its space or its data set is no longer the one it began with.
        """
        from irnas.workflows import calls

        calls.resume(self.uri, trials, dataset, where)
        return self.refresh()
