"""DVC stage: numbers in, a synthetic data folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

from irnas.data.synthetic import settings_of, write


def main() -> None:
    """Parse the arguments and generate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    for name in ("images", "sequences", "frames", "size", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--level", choices=("normal", "hard"), required=True)
    given = parser.parse_args()
    settings = settings_of(
        images=given.images,
        sequences=given.sequences,
        frames=given.frames,
        size=given.size,
        seed=given.seed,
        hard=given.level == "hard",
    )
    write(given.target, settings)


if __name__ == "__main__":
    main()
