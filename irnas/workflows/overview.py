"""The runs of a folder at a glance: what each is, how far it has come, and what it has found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from irnas import storage
from irnas.core.errors import FormatError, IrnasError, SettingsError
from irnas.core.result import Status
from irnas.record.ledger import FILE
from irnas.record.run import Run
from irnas.storage import lock

_DEPTHS = ("*", "*/*")
"""Where runs lie below a folder: in it, or in a folder of runs of its own, as `irnas tabulate` makes them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """A run in a line."""

    uri: str
    name: str
    state: str
    """running; done; interrupted, by its user; failed, by an error; killed, without a word; damaged."""
    kind: str = ""
    """search or training; empty where the record cannot be read."""
    space: str = ""
    data: str = ""
    objectives: tuple[str, ...] = ()
    num_done: int = 0
    """Networks that were trained to the end."""
    num_planned: int = 0
    num_front: int = 0
    best: Mapping[str, float] | None = None
    """The best value of each metric that is optimised; None before any network was trained to the end."""
    begun: float = 0.0
    """Unix seconds."""
    note: str = ""
    """Why it ended, or what is wrong with its record."""

    def document(self) -> dict[str, Any]:
        """As plain data."""
        return {**asdict(self), "objectives": list(self.objectives)}


def list_runs(folder: str) -> list[Overview]:
    """The runs in a folder, the newest first; one whose record is damaged is told of, and hides no other.

    Raises:
        SettingsError: there is no such folder on this machine.
    """
    if not storage.is_local(folder) or not storage.local(folder).is_dir():
        raise SettingsError(f"folder: got {folder!r}; must be a folder of this machine that holds runs, as runs does")
    top = Path(folder.removeprefix("file://"))
    records = [path for depth in _DEPTHS for path in top.glob(f"{depth}/{FILE}")]
    runs = [_look_at(path.parent, path.parent.relative_to(top)) for path in records]
    return sorted(runs, key=lambda run: (-run.begun, run.name))


def _look_at(folder: Path, name: Path) -> Overview:
    try:
        run = Run.read(str(folder))
    except FormatError as error:
        return Overview(uri=str(folder), name=str(name), state="damaged", note=str(error))
    except IrnasError:
        return Overview(uri=str(folder), name=str(name), state="killed", note="before its first event")
    done, settings = run.done, run.settings
    metrics = [objective for objective in run.objectives if not objective.is_free] if done else []
    best = {o.name: min((result.values[o.name] for result in done), key=o.loss) for o in metrics}
    return Overview(
        uri=str(folder),
        name=str(name),
        state=_state(run),
        kind="training" if settings.is_training else "search",
        space=run.space.name,
        data=run.data.name,
        objectives=tuple(objective.name for objective in run.objectives),
        num_done=len(done),
        num_planned=min(settings.trials, run.space.count()),
        num_front=len(run.winners),
        best=best or None,
        begun=run.opened.t,
        note=run.end_reason,
    )


def _state(run: Run) -> str:
    reason = run.end_reason
    if not reason:
        return "running" if lock.is_being_written(run.uri) else "killed"
    if reason == "interrupted":
        return "interrupted"
    # A run that ended in an error is closed with it: "TypeError: ...".
    kind = reason.partition(":")[0]
    has_failed = kind.isidentifier() and kind.endswith(("Error", "Exception", "Exit"))
    has_only_failures = any(result.status is Status.FAILED for result in run.outcomes) and not run.done
    return "failed" if has_failed or has_only_failures else "done"
