"""irnas as a wheel: built from a checkout, put together again from an installation, checked, and unpacked.

A wheel is what would be released, the engine included; a source folder is whatever happens to lie there.
"""

from __future__ import annotations

import base64
import re
import subprocess
import sys
import zipfile
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

import irnas
from irnas.core.errors import SettingsError
from irnas.storage import hashing

_ALSO = "--wheel takes one that is there, and --no-env none"


def make(folder: Path) -> Path:
    """A wheel of the irnas that runs here, written to ``folder``.

    A checkout is built by pip, which may fetch the build tools; an installation is packed as it lies there.

    Raises:
        SettingsError: pip cannot build it, or nothing says which files belong to it.
    """
    source = Path(irnas.__file__).parent.parent
    return _build(source, folder) if (source / "pyproject.toml").is_file() else _bundle(folder)


def check(path: Path) -> None:
    """See that a file is a wheel of irnas.

    Raises:
        SettingsError: it is not.
    """
    if re.fullmatch(r"irnas-[^-]+(-[^-]+)?-[^-]+-[^-]+-[^-]+\.whl", path.name) and zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if "irnas/__init__.py" in archive.namelist():
                return
    raise SettingsError(f"wheel: got {str(path)!r}; must be a wheel of irnas, as `pip wheel --no-deps .` makes it")


def extract(path: Path, folder: Path) -> None:
    """Put a wheel's modules where Python finds them when ``folder`` is on its path; its scripts are left out."""
    check(path)
    with zipfile.ZipFile(path) as archive:
        archive.extractall(folder, [name for name in archive.namelist() if ".data/" not in name])


def digest(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    return hashing.of_file(path)


def _build(source: Path, folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = sorted(folder.glob("irnas-*.whl"))
    if done.returncode or not wheels:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise SettingsError(f"wheel: got {last!r} while pip built {source}; must build ({_ALSO})")
    return wheels[0]


def _bundle(folder: Path) -> Path:
    try:
        installed = distribution("irnas")
    except PackageNotFoundError:
        raise SettingsError(f"wheel: got an irnas that pip did not install; must be installed ({_ALSO})") from None
    # Left out: what the installer wrote beside the wheel's own files, and programs in the environment's bin folder.
    mine = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    names = [
        str(file)
        for file in installed.files or ()
        if file.parts[0] != ".." and file.suffix != ".pyc" and not (".dist-info" in file.parts[0] and file.name in mine)
    ]
    if "irnas/__init__.py" not in names:
        raise SettingsError(f"wheel: got an irnas whose files pip does not know; must be installed as such ({_ALSO})")
    path = folder / f"irnas-{installed.version}-{_tag(installed)}.whl"
    record = f"irnas-{installed.version}.dist-info/RECORD"
    lines = []
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            content = Path(str(installed.locate_file(name))).read_bytes()
            archive.writestr(name, content)
            hashed = base64.urlsafe_b64encode(bytes.fromhex(hashing.of_bytes(content))).rstrip(b"=").decode()
            lines.append(f"{name},sha256={hashed},{len(content)}\n")
        archive.writestr(record, "".join([*lines, f"{record},,\n"]))
    return path


def _tag(installed: Distribution) -> str:
    match = re.search(r"^Tag: *(\S+)$", installed.read_text("WHEEL") or "", re.MULTILINE)
    return match[1] if match else "py3-none-any"
