"""Data sets: images and masks, decoded once, versioned by content, read without copies.

    dataset = open_dataset("synthetic")
    fit, val = dataset.split("fit"), dataset.split("val")
    for x_nchw, y_nchw in loader.batches(fit, batch=8, crop=128, seed=0, epoch=0): ...

``layouts`` is the table of published layouts, ``synthetic`` makes scenes, ``shards`` and
``cache`` store them.
"""

from __future__ import annotations

from irnas.data.dataset import DEFAULT, Dataset, Split, open_dataset

__all__ = ["DEFAULT", "Dataset", "Split", "open_dataset"]
