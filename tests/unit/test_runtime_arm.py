"""The engine of 64-bit ARM under qemu: the reference's bits, from whole files and from the inside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from support import xnor
from support.engine import FEW_CHANNELS, ended, model, of_few_channels, recorded, stem
from support.native import aarch64_command, run  # noqa: F401
from support.xnor_file import tiny

from irnas.core import catalog
from irnas.deploy.export.write import Origin, convert
from irnas.runtime import format
from irnas.runtime.graph import Op

GOLDEN = Path(__file__).parent.parent / "golden"


def test_arm_gives_the_same_bits(aarch64_command: Callable[[str], list[str]], tmp_path: Path) -> None:  # noqa: F811
    """By the reference run in the file: the golden files, a whole network, local contrast, rows of few channels."""
    converted, _ = convert(xnor.network(catalog.find_point("biisnet", "LIT10")), 1, Origin(name="test"))
    contrast = Op(kind="contrast", inputs=(1,), attributes={"sides": [3, 9, 17]})
    models = {"lit": converted, "contrast": recorded(model(ended([stem(1, 6), contrast], 3)), 20, 36)}
    models |= {f"few-{channels}": recorded(of_few_channels(channels), 6, 36) for channels in FEW_CHANNELS}
    files = sorted(GOLDEN.glob("*.xnor"))
    assert len(files) >= 2
    for name, each in models.items():
        files.append(tmp_path / f"{name}.xnor")
        files[-1].write_bytes(format.write(each))
    for file in files:
        for kernels in ("neon", "reference"):
            command = [*aarch64_command("xnor-run"), str(file), "--verify", "--kernels", kernels]
            printed = run([*command, "--threads", "2"])
            assert printed == f"kernels {kernels}: equal to the reference run, bit by bit\n", file


def test_arm_rows_from_the_inside(aarch64_command: Callable[[str], list[str]], tmp_path: Path) -> None:  # noqa: F811
    """The guard bytes and the reference's bits of tests/native, for the ARM kernels under qemu."""
    path = tmp_path / "tiny.xnor"
    path.write_bytes(format.write(tiny()))
    assert run([*aarch64_command("xnor-test"), str(path)]) == "kernels neon reference: good\n"
