"""Maps and masks whose hIoU the authors' own package has counted, and the program that made ``hiou.json`` with it.

    pip install numpy scikit-image scipy && pip install --no-deps pyirstdmetrics==1.0.2
    python tests/golden/hiou_cases.py > tests/golden/hiou.json

In an environment of its own: the package asks for numpy<2, which irnas cannot have beside it, so it is no extra of
irnas (it works with numpy 2 all the same, hence ``--no-deps``).
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np

CASES: dict[str, int] = {"empty": 0, "missed": 1, "invented": 2, "perfect": 3, "thick": 4, "merged": 5, "split": 6} | {
    f"scattered{seed}": seed for seed in range(100, 116)
}


def case(name: str) -> tuple[Any, Any]:
    """The map in 0..1 and the mask of a case, [64, 80]."""
    mask_hw, score_hw = np.zeros((64, 80), dtype=bool), np.zeros((64, 80))
    if name.startswith("scattered"):
        rng = np.random.default_rng(CASES[name])
        for row, column in rng.integers(3, 60, (rng.integers(1, 9), 2)):
            height, width = rng.integers(1, 6, 2)
            mask_hw[row : row + height, column : column + width] = True
            for down, right, more in rng.integers(-1, 2, (rng.integers(0, 3), 3)):
                rows = slice(row + down, row + down + height + more)
                score_hw[rows, column + right : column + right + width] = rng.uniform(0.4, 1)
        return score_hw, mask_hw
    if name not in ("empty", "invented"):
        mask_hw[10:14, 10:14] = mask_hw[30:33, 40:46] = mask_hw[30:33, 48:50] = True
    if name in ("invented", "split"):
        score_hw[50:52, 20:23] = score_hw[30:33, 40:42] = score_hw[30:33, 44:46] = 0.9
    if name == "perfect":
        score_hw[mask_hw] = 1
    if name == "thick":
        score_hw[9:15, 9:15] = score_hw[29:34, 39:47] = 0.7
    if name == "merged":
        score_hw[30:33, 40:50] = 0.6
    return score_hw, mask_hw


def main() -> None:
    """Print what the package counts of each case alone, and of all of them as one set."""
    from py_irstd_metrics.targetwise_metrics import MatchingBasedMetrics  # type: ignore[import-not-found]

    counted = {}
    for name, members in {**{name: [name] for name in CASES}, "all": list(CASES)}.items():
        metrics = MatchingBasedMetrics()
        for member in members:
            metrics.update(*case(member))
        counted[name] = float(metrics.get()["hiou"][0])
    json.dump({"package": "pyirstdmetrics 1.0.2", "hiou": counted}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
