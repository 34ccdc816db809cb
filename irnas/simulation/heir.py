"""What a table of trainings says of networks that inherit: nothing; so it is declared here.

No table that is shipped holds trainings from inherited weights. What was measured beside one of them: nine epochs from
a trained neighbour's weights came to 0.389, 27 fresh ones to 0.390 (20 pairs; tests/bench/inherit.py). So a simulated
heir comes to what its table has for a training in full, after whatever few epochs it was given, and training on brings
nothing more. That favours a strategy that inherits: its figures say how it decides, and are no evidence that
inheritance works.
"""

from __future__ import annotations

from irnas.simulation.table import Step

DECLARED = "heirs come to a full training's values in their few epochs: declared, not in the table"
"""For those who see figures of it."""


def heir_curve(curve: tuple[Step, ...], epochs: int, before: Step | None = None) -> tuple[Step, ...]:
    """The curve of a network that starts from another's weights.

    Args:
        curve: of its training in full.
        epochs: that it is trained, each as long as one of those.
        before: the end of its earlier training, where it is trained on.
    """
    last = curve[-1]
    seconds = last.seconds * epochs / last.epoch
    start_epoch, start_seconds = (before.epoch, before.seconds) if before else (0, 0.0)
    return (Step(epoch=start_epoch + epochs, values=last.values, seconds=start_seconds + seconds),)
