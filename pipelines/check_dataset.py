"""DVC stage: a data folder in, what it holds out; fails where it is not what its manifest says."""

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
    arguments = parser.parse_args()
    manifest = verify(arguments.folder)
    counts = {name: dict(each) for name, each in manifest.counts.items()}
    document = {"revision": manifest.revision, "images": manifest.images, "targets": manifest.targets, "splits": counts}
    arguments.target.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
