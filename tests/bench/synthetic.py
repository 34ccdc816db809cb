"""CPU time of one synthetic image: python tests/bench/synthetic.py [--images 100]"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace

from irnas.data.synthetic import make_settings, samples
from irnas.data.synthetic_settings import DEFAULT, HARD, SyntheticSettings


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=100)
    count = parser.parse_args().images
    kinds: dict[str, SyntheticSettings] = {
        "default, 128 x 128": replace(DEFAULT, images=count),
        "normal, 256 x 256": make_settings(images=count),
        "hard, 256 x 256": replace(HARD, images=count),
        "frames, 256 x 256": make_settings(images=0, sequences=max(2, count // 20), frames=20),
    }
    for name, settings in kinds.items():
        start = time.process_time()
        done = sum(1 for _ in samples(settings))
        print(f"{name:<20} {(time.process_time() - start) / done * 1e3:6.2f} ms CPU per image")


if __name__ == "__main__":
    main()
