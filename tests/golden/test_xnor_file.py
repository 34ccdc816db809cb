"""Committed .xnor files that must be read, rewritten and run to the same bits for good.

tiny.xnor is ``support.xnor_file.tiny()`` as version 1.0 writes it, tiny-1.3.xnor is ``tiny_with_vectors()``,
tiny-1.4.xnor is ``tiny_with_decompositions()``.
To record one anew is to change the format: then the version changes too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.xnor_decomposition import tiny_with_decompositions
from support.xnor_file import tiny, tiny_with_vectors

from irnas.runtime import format, reference

FILE = Path(__file__).with_name("tiny.xnor")
OUTPUT = "5d315219f95b16aa4f51027faf8a55db62bec433544e1f870e53b0a631220b4e"
FILE_WITH_VECTORS = Path(__file__).with_name("tiny-1.3.xnor")
OUTPUT_WITH_VECTORS = "0c3d3c3eb7a89fd8f404fd4ce7a931f564749e9c7dd13e503c3554e979c5a5df"

FILE_WITH_DECOMPOSITIONS = Path(__file__).with_name("tiny-1.4.xnor")
OUTPUT_WITH_DECOMPOSITIONS = "a08216e5d834dd31f79a0df28cd4a64036a8b7feb4be34c968c3a9f692d9f8bf"
FILES = pytest.mark.parametrize(
    ("file", "output"),
    [
        (FILE, OUTPUT),
        (FILE_WITH_VECTORS, OUTPUT_WITH_VECTORS),
        (FILE_WITH_DECOMPOSITIONS, OUTPUT_WITH_DECOMPOSITIONS),
    ],
    ids=["1.0", "1.3", "1.4"],
)


def test_the_committed_files_are_what_is_written_today() -> None:
    assert FILE.read_bytes() == format.write(tiny())
    assert FILE_WITH_VECTORS.read_bytes() == format.write(tiny_with_vectors())
    assert FILE_WITH_DECOMPOSITIONS.read_bytes() == format.write(tiny_with_decompositions())


@FILES
def test_a_committed_file_is_rewritten_byte_by_byte(file: Path, output: str) -> None:
    assert format.write(format.read(file.read_bytes())) == file.read_bytes()


@FILES
def test_its_run_gives_the_recorded_bits(file: Path, output: str) -> None:
    model = reference.load(file)
    assert model.reference.output_sha256 == output
    assert reference.verify(model)


def test_its_output_is_no_flat_image() -> None:
    """A hash proves nothing about a network whose output saturates."""
    model = reference.load(FILE)
    run = model.reference
    y = reference.run(model, reference.make_reference_input(run.height, run.width, model.input.channels, run.seed))
    assert 0.05 < y.min() < 0.45 and 0.55 < y.max() < 0.999 and len(np.unique(y)) > y.size // 20
