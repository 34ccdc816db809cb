"""The score of LimitIRSTD, the contest at ICPR 2024 for small networks (its second track)."""

from __future__ import annotations

from collections.abc import Mapping

POINTS_PER_M_PARAMS, POINTS_PER_GFLOP = 11.237, 1.990
"""What a million parameters and a thousand million operations cost. The contest never printed its formula: this is our
fit of its leaderboard, whose eleven rows it meets within 0.001."""


def contest_score(values: Mapping[str, float], *, params: float, flops: float) -> float:
    """Return (IoU + Pd) / 4 + 50 less what the size of the network costs, IoU and Pd being percent.

    Args:
        values: metrics with ``miou`` and ``pd``, fractions.
        params: parameters of the network; 0 gives the score before costs.
        flops: its operations for an image, as the contest counts them: multiply-accumulates.
    """
    costs = POINTS_PER_M_PARAMS * params / 1e6 + POINTS_PER_GFLOP * flops / 1e9
    return 100 * (values["miou"] + values["pd"]) / 4 + 50 - costs
