"""DVC stage: a data folder in, what was found in it out; fails where it is not what its manifest says."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from irnas.data.check import verify


def main() -> None:
    """Parse the arguments, check and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("target", type=Path, help="JSON: revision and counts")
    given = parser.parse_args()
    found = verify(given.folder)
    counts = {name: dict(each) for name, each in found.counts.items()}
    document = {"revision": found.revision, "images": found.images, "targets": found.targets, "splits": counts}
    given.target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
