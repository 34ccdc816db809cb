"""A committed .xnor file that must be read, rewritten and run to the same bits for good.

tiny.xnor is ``support.xnor_file.tiny()`` as version 1.0 writes it. To record it anew is to change the format: then the
version changes too.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from support.xnor_file import tiny

from irnas.runtime import format, reference

FILE = Path(__file__).with_name("tiny.xnor")
OUTPUT = "5d315219f95b16aa4f51027faf8a55db62bec433544e1f870e53b0a631220b4e"


def test_the_committed_file_is_what_is_written_today() -> None:
    assert FILE.read_bytes() == format.write(tiny())


def test_the_committed_file_is_rewritten_byte_by_byte() -> None:
    assert format.write(format.read(FILE.read_bytes())) == FILE.read_bytes()


def test_its_run_gives_the_recorded_bits() -> None:
    model = reference.load(FILE)
    assert model.reference.output_sha256 == OUTPUT
    assert reference.verify(model)


def test_its_output_is_no_flat_image() -> None:
    """A hash proves nothing about a network whose output saturates."""
    model = reference.load(FILE)
    run = model.reference
    y = reference.run(model, reference.make_reference_input(run.height, run.width, model.input.channels, run.seed))
    assert 0.05 < y.min() < 0.45 and 0.55 < y.max() < 0.999 and len(np.unique(y)) > y.size // 20
