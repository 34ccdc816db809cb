"""Tiny synthetic data sets, made once a session."""

from __future__ import annotations

import functools
import tempfile
from dataclasses import replace
from pathlib import Path

from irnas.data import Dataset, open_dataset, synthetic


@functools.cache
def tiny(images: int = 12, size: int = 48, test_share: float = 0.2) -> Dataset:
    """Bright single frames; fit, val, train and test as in the default set."""
    folder = Path(tempfile.mkdtemp(prefix="irnas-test-")) / "tiny"
    synthetic.write(folder, replace(synthetic.DEFAULT, images=images, size=size, test_share=test_share))
    return open_dataset(str(folder))
