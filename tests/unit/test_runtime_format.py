"""FORMAT.md, rule by rule: what breaks one is refused with its number, and what keeps all of them is read."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import xnor_decomposition, xnor_file
from support.xnor_decomposition import tiny_with_decompositions
from support.xnor_file import tiny, tiny_file, tiny_with_counts, tiny_with_threshold, tiny_with_vectors

from irnas.core.errors import FormatError
from irnas.runtime import container, format, graph, reference

FORMAT = Path(format.__file__).with_name("FORMAT.md")
BROKEN = (*xnor_file.BROKEN, *xnor_decomposition.BROKEN)
NEVER_BROKEN = {"R8", "R28", "R29", "R32", "R33", "R45"}
"""Rules that say what bytes mean; the tests below, and those of the arithmetic, are about them."""


@pytest.mark.parametrize(("rule", "what", "make"), BROKEN, ids=[f"{rule} {what}" for rule, what, _ in BROKEN])
def test_a_file_that_breaks_a_rule_is_refused_by_its_number(rule: str, what: str, make: Callable[[], bytes]) -> None:
    with pytest.raises(FormatError, match=rf"got .*; must be .*\(rule {rule}\)$"):
        format.read(make())


def test_every_rule_of_the_text_has_a_file_that_breaks_it() -> None:
    rules = set(re.findall(r"\*\*(R\d+)\*\*", FORMAT.read_text()))
    assert {rule for rule, _, _ in BROKEN} | NEVER_BROKEN == rules


def test_what_is_written_is_read_back() -> None:
    model = tiny()
    read = format.read(format.write(model))
    assert read.input == model.input and read.reference == model.reference and read.name == model.name
    for mine, theirs in zip(model.ops, read.ops, strict=True):
        assert (mine.kind, mine.inputs, dict(mine.attributes)) == (theirs.kind, theirs.inputs, dict(theirs.attributes))
        assert mine.constants.keys() == theirs.constants.keys()
        for role, part in mine.constants.items():
            np.testing.assert_array_equal(part, theirs.constants[role])


def test_the_tiny_models_have_every_op_and_every_role() -> None:
    ops = (*tiny().ops, *tiny_with_vectors().ops, *tiny_with_decompositions().ops)
    assert {op.kind for op in ops} == set(graph.OPS)
    roles_of_tiny = {(op.kind, role) for op in ops for role in op.constants}
    for kind, shape in graph.OPS.items():
        roles = {*shape.required, *(role for group in shape.optional for role in group)}
        missing = roles - {role for of, role in roles_of_tiny if of == kind}
        assert missing <= {"g0", "a1", "b1"}, f"{kind} without {missing}"


def test_equal_models_give_equal_bytes() -> None:
    assert format.write(tiny()) == format.write(tiny())


def test_another_order_of_tensors_and_keys_is_read_too() -> None:
    """R5 asks for no gaps, not for one order."""
    file = tiny_file()
    file.metadata = dict(reversed(file.metadata.items()))
    assert format.read(file.content()).reference == tiny().reference


def test_rule_8_data_is_little_endian_in_c_order() -> None:
    values = np.arange(6, dtype=np.float32).reshape(2, 3)
    parts = container.decode(container.encode({}, {"x": values}))
    assert parts.data == struct.pack("<6f", *range(6))
    np.testing.assert_array_equal(parts.tensors["x"], values)


def test_a_file_cut_anywhere_is_refused() -> None:
    content = format.write(tiny())
    for end in [*range(64), *range(64, len(content), 97), len(content) - 1]:
        with pytest.raises(FormatError):
            format.read(content[:end])


@pytest.mark.parametrize("make", [tiny, tiny_with_counts, tiny_with_threshold])
def test_a_flipped_bit_is_refused_or_changes_no_network(make: Callable[[], format.Model]) -> None:
    """In the data the checksum tells; in the header a rule does, unless the bit lies in free text."""
    content = format.write(make())
    known = format.read(content)
    length = int.from_bytes(content[:8], "little")
    for place in [*range(8), *range(8, 8 + length, 5), *range(8 + length, len(content), 101)]:
        broken = bytearray(content)
        broken[place] ^= 1 << (place % 7)
        try:
            model = format.read(bytes(broken))
        except FormatError:
            continue
        assert 8 <= place < 8 + length
        is_same = [op.document() for op in model.ops] == [op.document() for op in known.ops]
        # A digit of the input or of the reference may turn into another: the reference run then differs.
        assert is_same or not reference.verify(model), f"byte {place}"


def test_the_message_about_a_newer_version_names_both() -> None:
    with pytest.raises(FormatError, match=r"version '1\.5'; must be 1\.0, 1\.1, 1\.2, 1\.3 or 1\.4"):
        format.read(tiny_file().content(header=lambda h: h["__metadata__"].update(version="1.5", novel="x")))


def test_counts_make_version_1_1_and_are_read_back() -> None:
    model = tiny_with_counts()
    content = format.write(model)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert header["version"] == "1.1" and json.loads(header["input"])["counts"] == [22000.0, 23155.5]
    assert format.read(content).input == model.input and format.write(format.read(content)) == content
    plain = format.write(tiny())
    assert b'"version":"1.0"' in plain and b"counts" not in plain


@pytest.mark.parametrize("make", [tiny, tiny_with_counts])
def test_a_threshold_makes_version_1_2_and_is_read_back(make: Callable[[], format.Model]) -> None:
    plain, model = make(), replace(make(), threshold=0.9241)
    content = format.write(model)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert (header["version"], header["threshold"]) == ("1.2", "0.9241")
    known = format.read(content)
    assert known.threshold == 0.9241 and known.input == plain.input and format.write(known) == content
    # A half is what every file of before means: nothing is written of it.
    assert b"threshold" not in format.write(plain) and format.read(format.write(plain)).threshold == 0.5


@pytest.mark.parametrize("threshold", [0.5, 0.25])
@pytest.mark.parametrize(("make", "version"), [(tiny_with_vectors, "1.3"), (tiny_with_decompositions, "1.4")])
def test_vectors_make_version_1_3_and_decompositions_1_4_which_always_have_a_threshold(
    make: Callable[[], format.Model], version: str, threshold: float
) -> None:
    model = replace(make(), threshold=threshold)
    content = format.write(model)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])["__metadata__"]
    assert (header["version"], header["threshold"]) == (version, str(threshold))
    known = format.read(content)
    assert known.threshold == threshold and format.write(known) == content
    assert reference.verify(known)


def test_a_model_that_breaks_a_rule_is_not_written() -> None:
    model = tiny()
    with pytest.raises(FormatError, match=r"\(rule R24\)"):
        format.write(format.Model(input=model.input, ops=model.ops[:-1], reference=model.reference))


def test_the_runtime_needs_numpy_alone() -> None:
    code = (
        "import sys; import irnas.runtime.reference; "
        "print([m for m in ('torch', 'scipy', 'yaml', 'pyarrow', 'typer', 'optuna') if m in sys.modules])"
    )
    paths = {"PYTHONPATH": str(Path(format.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=paths)
    assert done.stdout.strip() == "[]"
