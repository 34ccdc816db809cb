"""A wheel of the irnas under test, made without pip, a compiler, or a network."""

from __future__ import annotations

import zipfile
from pathlib import Path

import irnas

VERSION = "0.1.0.post7"
"""That of the wheel, so that a run says whether it was the wheel that ran."""


def wheel(folder: Path) -> Path:
    """A wheel with the modules, the spaces, and what CMake has built."""
    package = Path(irnas.__file__).parent
    root = package.parent
    path = folder / f"irnas-{VERSION}-py3-none-linux_x86_64.whl"
    files = {f"irnas/{file.relative_to(package)}": file for file in package.rglob("*") if file.suffix in (".py", ".md")}
    files |= {f"irnas/{file.relative_to(root)}": file for file in (root / "search_spaces").rglob("*.*")}
    # As an installation has them: beside the modules that load them, not in a folder of the sources.
    built = (root / "build" / "irnas").rglob("_*.so")
    files |= {f"irnas/{file.parent.parent.relative_to(root / 'build' / 'irnas')}/{file.name}": file for file in built}
    about = f"irnas-{VERSION}.dist-info"
    with zipfile.ZipFile(path, "w") as archive:
        for name, file in files.items():
            archive.writestr(name, _renamed(file) if name == "irnas/__init__.py" else file.read_bytes())
        archive.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: irnas\nVersion: {VERSION}\n")
        archive.writestr(f"{about}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-linux_x86_64\n")
        archive.writestr(f"{about}/RECORD", "".join(f"{name},,\n" for name in files))
    return path


def _renamed(file: Path) -> bytes:
    text = file.read_text(encoding="utf-8")
    changed = text.replace(f'"{irnas.__version__}"', f'"{VERSION}"')
    assert changed != text
    return changed.encode()
