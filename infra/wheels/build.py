"""Builds the wheels of irnas for Linux on x86-64 and 64-bit ARM, and tries each before it comes to the folder.

    python infra/wheels/build.py -o dist
    python infra/wheels/build.py -o dist --machine aarch64

The other machine's wheel is cross-built with Debian's g++-aarch64-linux-gnu and tried under qemu-user. The C++ library
is linked in, so of a system only the C library matters. A wheel's tag names the oldest one that it runs with (PEP 600),
as the built files say it: built on Debian 12 that is 2.35, of Ubuntu 22.04. For an older system, run this on one.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
TOOLCHAIN = ROOT / "irnas" / "runtime" / "native" / "cmake" / "aarch64.cmake"
LINKING = "-static-libstdc++ -static-libgcc -Wl,--exclude-libs,ALL -Wl,--gc-sections"
MODEL = "irnas/search_spaces/biisnet/zoo/sirst-lit10-bn.xnor"
"""In the wheel: a network with a recorded run, which the built engine must repeat bit by bit."""
MACHINES = {"x86_64": "X86-64", "aarch64": "AArch64"}
"""Names of machines, in tags and in readelf's words."""
PROGRAMS = {"_xnor.so", "_fused.so", "xnor-run"}
C_LIBRARY = re.compile(r"(libc|libm|libpthread|libdl|ld-linux-(x86-64|aarch64))\.so\.\d+")
OLDEST = (2, 17)
"""The C library of the oldest systems that PEP 600 tags are made for today."""


class WheelError(Exception):
    """A wheel cannot be built here, or does not hold what it must; the message is one line."""


def build(machine: str, folder: Path, *, isolated: bool = True) -> Path:
    """The wheel for a machine, in ``folder``, after it was tried.

    Args:
        machine: ``x86_64`` or ``aarch64``.
        folder: where it comes to; made if need be.
        isolated: whether pip fetches the build tools, or takes those that are installed.

    Raises:
        WheelError: see there; ``folder`` is as before.
    """
    emulator, compiler = find_emulator(machine), find_compiler(machine)
    with tempfile.TemporaryDirectory() as work:
        options = [*([] if isolated else ["--no-build-isolation"]), "--no-deps", "--quiet", "--wheel-dir", work]
        environment = {**os.environ, "LDFLAGS": LINKING, **compiler}
        command = [sys.executable, "-m", "pip", "wheel", *options, str(ROOT)]
        if subprocess.run(command, env=environment, check=False).returncode:
            raise WheelError("pip wheel: got the errors above; must succeed")
        (wheel,) = Path(work).glob("irnas-*.whl")
        unpacked = Path(work) / "unpacked"
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(unpacked)
        glibc = measure_programs(unpacked, machine)
        try_engine(unpacked, emulator)
        folder.mkdir(parents=True, exist_ok=True)
        return retag(wheel, f"py3-none-manylinux_{glibc[0]}_{glibc[1]}_{machine}", folder)


def find_compiler(machine: str) -> dict[str, str]:
    """What tells CMake of a cross compiler; nothing where none is needed.

    Raises:
        WheelError: there is none.
    """
    if machine == platform.machine():
        return {}
    if machine != "aarch64":
        raise WheelError(f"--machine: got {machine} on {platform.machine()}; must be aarch64, or built on {machine}")
    if shutil.which("aarch64-linux-gnu-g++") is None:
        raise WheelError("aarch64-linux-gnu-g++: got none; must be installed (Debian: g++-aarch64-linux-gnu)")
    return {"CMAKE_TOOLCHAIN_FILE": str(TOOLCHAIN)}


def find_emulator(machine: str) -> list[str]:
    """The command that runs a program of another machine; nothing where none is needed.

    Raises:
        WheelError: there is none.
    """
    if machine == platform.machine():
        return []
    found = shutil.which(f"qemu-{machine}") or shutil.which(f"qemu-{machine}-static")
    if found is None:
        raise WheelError(f"qemu-{machine}: got none; must be installed, to try the wheel (Debian: qemu-user)")
    return [found, "-L", f"/usr/{machine}-linux-gnu"]


def measure_programs(unpacked: Path, machine: str) -> tuple[int, int]:
    """The oldest version of the C library that all libraries and programs of a wheel run with.

    Raises:
        WheelError: one of them is missing, is for another machine, or needs more than the C library.
    """
    programs = [path for path in sorted(unpacked.rglob("*")) if path.is_file() and is_elf(path)]
    if missing := PROGRAMS - {path.name for path in programs}:
        raise WheelError(f"wheel: got no {', '.join(sorted(missing))}; must hold them (is there a C++ compiler?)")
    oldest = OLDEST
    for path in programs:
        said = run(["readelf", "--wide", "--file-header", "--dynamic", "--version-info", str(path)])
        if not re.search(rf"Machine:.*\b{MACHINES[machine]}$", said, re.MULTILINE):
            raise WheelError(f"{path.name}: got a file for another machine; must be for {machine}")
        needed = re.findall(r"\(NEEDED\).*\[(.*)\]", said)
        if foreign := [name for name in needed if not C_LIBRARY.fullmatch(name)]:
            raise WheelError(f"{path.name}: got a need of {', '.join(foreign)}; must need the C library alone")
        oldest = max([oldest, *((int(a), int(b)) for a, b in re.findall(r"\bGLIBC_(\d+)\.(\d+)", said))])
    return oldest


def is_elf(path: Path) -> bool:
    """Whether a file is a program or a library."""
    with path.open("rb") as file:
        return file.read(4) == b"\x7fELF"


def try_engine(unpacked: Path, emulator: Sequence[str]) -> None:
    """Repeat the run that a model of the wheel holds, with the best kernels that run here and with the reference.

    Raises:
        WheelError: a bit differs.
    """
    (program,) = unpacked.glob("irnas-*.data/scripts/xnor-run")
    program.chmod(0o755)
    command = [*emulator, str(program), str(unpacked / MODEL), "--verify"]
    for more in ([], ["--kernels", "reference"]):
        print(run([*command, *more]), end="", flush=True)


def retag(wheel: Path, tag: str, folder: Path) -> Path:
    """A copy of a wheel in ``folder`` under another tag, in its name, its metadata and its list of files."""
    target = folder / f"{'-'.join(wheel.name.split('-')[:2])}-{tag}.whl"
    part = folder / f".{target.name}.part"
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as copy:
        contents = {entry: source.read(entry) for entry in source.infolist()}
        (facts,) = (entry for entry in contents if entry.filename.endswith(".dist-info/WHEEL"))
        (record,) = (entry for entry in contents if entry.filename.endswith(".dist-info/RECORD"))
        contents[facts] = re.sub(rb"(?m)^Tag: .*$", b"Tag: " + tag.encode(), contents[facts])
        digest = base64.urlsafe_b64encode(hashlib.sha256(contents[facts]).digest()).rstrip(b"=").decode()
        line = f"{facts.filename},sha256={digest},{len(contents[facts])}"
        contents[record] = re.sub(rf"(?m)^{re.escape(facts.filename)},.*$", line, contents[record].decode()).encode()
        for entry, content in contents.items():
            copy.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return part.rename(target)


def run(command: Sequence[str]) -> str:
    """What a command prints.

    Raises:
        WheelError: it failed.
    """
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise WheelError(f"{' '.join(command)}: got {last!r}; must succeed")
    return done.stdout


def main(words: Sequence[str] | None = None) -> int:
    """Build what is asked for; exit status 2 where that cannot be done."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("dist"), help="folder of the wheels (dist)")
    parser.add_argument("--machine", action="append", choices=list(MACHINES), help="both where it is not given")
    parser.add_argument("--no-build-isolation", action="store_true", help="with the build tools that are installed")
    given = parser.parse_args(words)
    try:
        for machine in given.machine or MACHINES:
            wheel = build(machine, given.output, isolated=not given.no_build_isolation)
            print(f"{wheel}: {wheel.stat().st_size / 1e6:.1f} MB", flush=True)
    except WheelError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
