"""DVC stage: numbers in, a synthetic data folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

from irnas.data.synthetic import make_settings, write


def main() -> None:
    """Parse the arguments and generate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target", type=Path)
    for name in ("images", "sequences", "frames", "size", "seed"):
        parser.add_argument(f"--{name}", type=int, required=True)
    parser.add_argument("--level", choices=("normal", "hard"), required=True)
    arguments = parser.parse_args()
    settings = make_settings(
        images=arguments.images,
        sequences=arguments.sequences,
        frames=arguments.frames,
        size=arguments.size,
        seed=arguments.seed,
        hard=arguments.level == "hard",
    )
    write(arguments.target, settings)


if __name__ == "__main__":
    main()
