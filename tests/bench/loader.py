"""CPU time of one training crop: batches from the mapped cache against a loader that decodes a PNG for each.

    python tests/bench/loader.py [DATA FOLDER] [--crop 256] [--rounds 5]

Without a folder it makes 200 synthetic images of 256 x 256. The plain loader does what published ones do: open the PNG,
turn it into floats, normalise the whole image, pad, cut, flip and transpose. Times are CPU time of one process, best of
several rounds, so that a busy machine spoils them least.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from irnas.data import Split, open_dataset
from irnas.data.loader import batches
from irnas.data.synthetic import make_settings, write

BATCH = 16
LIMIT_MS = 0.13


def plain_epoch(folder: Path, crop: int, rng: np.random.Generator) -> int:
    """One epoch of the loader that decodes; the number of crops."""
    paths = sorted((folder / "images").glob("*.png"))
    for path in paths:
        image = np.array(Image.open(path).convert("I"), dtype=np.float32)
        mask = np.array(Image.open(folder / "masks" / path.name), dtype=np.float32) / 255.0
        image = (image - 107.8) / 33.0
        height, width = image.shape
        below, right = max(crop - height, 0), max(crop - width, 0)
        image, mask = (np.pad(a, ((0, below), (0, right))) for a in (image, mask))
        while True:
            top = rng.integers(0, image.shape[0] - crop + 1)
            left = rng.integers(0, image.shape[1] - crop + 1)
            cut = mask[top : top + crop, left : left + crop]
            if rng.random() > 0.5 or cut.max() > 0 or not mask.any():
                break
        pair = [image[top : top + crop, left : left + crop], cut]
        if rng.random() < 0.5:
            pair = [a[::-1] for a in pair]
        if rng.random() < 0.5:
            pair = [a[:, ::-1] for a in pair]
        if rng.random() < 0.5:
            pair = [a.T for a in pair]
        for a in pair:
            np.ascontiguousarray(a[None])
    return len(paths)


def cached_epoch(split: Split, crop: int, epoch: int) -> int:
    """One epoch of the cached loader; the number of crops."""
    return sum(len(x) for x, _ in batches(split, batch=BATCH, crop=crop, seed=0, epoch=epoch))


def best_ms(epoch: Callable[[int], int], rounds: int) -> float:
    """Milliseconds of CPU time per crop, best of ``rounds`` after one to warm up."""
    times_ms = []
    for k in range(rounds + 1):
        start = time.process_time()
        crops = epoch(k)
        times_ms.append((time.process_time() - start) / crops * 1e3)
    return min(times_ms[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        if arguments.folder is None:
            write(root / "set", make_settings(images=250))
        split = open_dataset(arguments.folder or str(root / "set")).split("train")
        for kind in ("images", "masks"):
            (root / kind).mkdir()
        for i in range(len(split)):
            name = f"{i:06d}.png"
            Image.fromarray(np.repeat(split.image(i)[..., None], 3, 2)).save(root / "images" / name)
            Image.fromarray(split.mask(i) * np.uint8(255)).save(root / "masks" / name)
        rng = np.random.default_rng(0)
        plain = best_ms(lambda _: plain_epoch(root, arguments.crop, rng), arguments.rounds)
        cached = best_ms(lambda k: cached_epoch(split, arguments.crop, k), arguments.rounds)
    print(f"{len(split)} images, crops of {arguments.crop} x {arguments.crop}, batches of {BATCH}, with augmentation")
    print(f"decoding loader  {plain:.3f} ms CPU per crop")
    print(f"irnas.data       {cached:.3f} ms CPU per crop, {plain / cached:.0f} times less (limit {LIMIT_MS} ms)")


if __name__ == "__main__":
    main()
