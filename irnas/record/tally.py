"""How much training a search has paid for: the one count that budgets, executors and views share."""

from __future__ import annotations


class TrainingTally:
    """Counts epochs and seconds of training, of each trial and in all, from the reports of the trials.

    An epoch counts once, however often it is trained: a trial that is started again from an older checkpoint adds
    nothing until it passes the epoch that it had reached. Its seconds all count.
    """

    def __init__(self) -> None:
        """Begin at nothing."""
        self._epochs: dict[int, int] = {}
        self._seconds: dict[int, float] = {}
        self._newest_seconds: dict[int, float] = {}
        """What each trial's newest report says."""
        self._total_epochs = 0
        self._total_seconds = 0.0

    def add(self, trial: int, epoch: int, seconds: float) -> None:
        """Count a report.

        Args:
            trial: the number of the trial.
            epoch: how many epochs of it are trained.
            seconds: how long it has trained, at least 0. Where the number falls, the worker was started again and
                counts from there: all of it is new.
        """
        before = self._newest_seconds.get(trial, 0.0)
        new_seconds = seconds - before if seconds >= before else seconds
        new_epochs = max(epoch - self.epochs_of(trial), 0)
        self._newest_seconds[trial] = seconds
        self._epochs[trial] = self.epochs_of(trial) + new_epochs
        self._seconds[trial] = self.seconds_of(trial) + new_seconds
        self._total_epochs += new_epochs
        self._total_seconds += new_seconds

    @property
    def epochs(self) -> int:
        """Epochs of all trials."""
        return self._total_epochs

    @property
    def seconds(self) -> float:
        """Seconds of all trials, in the order of the reports."""
        return self._total_seconds

    def epochs_of(self, trial: int) -> int:
        """The epoch that a trial has reached; 0 before its first report."""
        return self._epochs.get(trial, 0)

    def seconds_of(self, trial: int) -> float:
        """Seconds of a trial, over all of its starts; 0.0 before its first report."""
        return self._seconds.get(trial, 0.0)

    def seconds_per_epoch(self, trial: int) -> float | None:
        """How long an epoch of a trial takes; None before any report that took time."""
        epochs, seconds = self.epochs_of(trial), self.seconds_of(trial)
        return seconds / epochs if epochs and seconds > 0 else None
