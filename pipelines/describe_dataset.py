"""DVC stage: a data folder in, its figures and a table of its targets out."""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

from irnas.data import open_dataset, statistics


def main() -> None:
    """Parse the arguments, describe and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("figures", type=Path, help="JSON: a few figures of the set")
    parser.add_argument("targets", type=Path, help="CSV: area and signal-to-clutter ratio of each target")
    arguments = parser.parse_args()
    dataset = open_dataset(str(arguments.folder))
    figures = statistics.summarise(dataset)
    arguments.figures.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
    with arguments.targets.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("image", "area", "scr"))
        rows.writerows((name, t.area, f"{t.scr:.4g}") for name, t in statistics.targets(dataset))


if __name__ == "__main__":
    main()
