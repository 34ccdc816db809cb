"""DVC stage: a published data set in, a data folder out."""

from __future__ import annotations

import argparse
from pathlib import Path

from irnas.data.importer import import_folder


def main() -> None:
    """Parse the arguments and import."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path)
    parser.add_argument("target", type=Path)
    parser.add_argument("--format", default="auto")
    parser.add_argument("--val-fraction", type=float, required=True)
    parser.add_argument("--val-seed", type=int, required=True)
    arguments = parser.parse_args()
    import_folder(
        arguments.source,
        arguments.target,
        format=arguments.format,
        val_fraction=arguments.val_fraction,
        val_seed=arguments.val_seed,
    )


if __name__ == "__main__":
    main()
