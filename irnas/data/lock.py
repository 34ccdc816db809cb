"""Whether a data folder holds what DVC's lock says; read from dvc.lock and .dvc files, without DVC.

DVC takes a lock of its own and seconds for each call, so a search reads the YAML itself. DVC names a folder by the MD5
of a list of its files' MD5s (here for recognition, not for safety), and so does this. What ``.dvcignore`` excludes is
no file to DVC, and neither are the folders of version control.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

from irnas.core.errors import DataError
from irnas.core.yaml_text import parse_yaml

LOCK, POINTER = "dvc.lock", ".dvc"
"""The file with the outputs of all stages of its folder, and the suffix of the file beside what ``dvc add`` tracks."""
IGNORE = ".dvcignore"
"""A file of patterns, written as ``.gitignore`` is, for its folder and those below."""
_NEVER_TRACKED = (".hg/", ".git/", ".git", ".dvc/")


def dvc_digest_or_raise(folder: Path) -> str | None:
    """What DVC calls the files of a data folder, such as ``dafe5b4f934665fba7722eb4d182f64e.dir``.

    None where DVC tracks neither the folder nor one around it: it then lies in no DVC repository, or no stage that
    makes it has run. Reads every byte of the folder. Stages with a ``wdir`` of their own are not looked into.

    Raises:
        DataError: the files are not those of the lock, or the lock cannot be read.
    """
    folder = folder.resolve()
    for file, output, locked in _outputs(folder):
        actual = digest(output, _ignored_below(output))
        if actual != locked:
            raise DataError(
                f"data folder {output}: got {actual}; must be {locked}, as {file.name} says ('dvc checkout' restores "
                f"those files, 'dvc commit' keeps the ones that are there)"
            )
        return actual
    return None


def digest(folder: Path, is_ignored: Callable[[Path], bool] = lambda _: False) -> str:
    """The name that DVC gives to the files below a folder, less the ignored: 32 hex digits and ``.dir``."""
    paths = (path for path in folder.rglob("*") if path.is_file() and not is_ignored(path))
    files = {path.relative_to(folder).as_posix(): path for path in paths}
    entries = [{"md5": _md5(files[name]), "relpath": name} for name in sorted(files)]
    listing = json.dumps(entries, sort_keys=True).encode()
    return hashlib.md5(listing, usedforsecurity=False).hexdigest() + ".dir"


def _root_of(folder: Path) -> Path | None:
    """The DVC repository around a folder."""
    return next((parent for parent in folder.parents if (parent / ".dvc").is_dir()), None)


def _ignored_below(folder: Path) -> Callable[[Path], bool]:
    """Whether DVC passes over a file below a folder: the patterns nearest to it decide.

    Raises:
        DataError: a list of patterns cannot be read.
    """
    from pathspec import GitIgnoreSpec

    root = _root_of(folder)
    if root is None:
        return lambda _: False
    specs = [(root, GitIgnoreSpec.from_lines(_NEVER_TRACKED))]
    for place in reversed([folder, *folder.parents]):
        file = place / IGNORE
        if place.is_relative_to(root) and file.is_file():
            try:
                specs.append((place, GitIgnoreSpec.from_lines(file.read_text(encoding="utf-8").splitlines())))
            except (OSError, ValueError) as error:
                raise DataError(f"{file}: got a file that cannot be read ({error}); must be DVC's") from None

    def is_ignored(path: Path) -> bool:
        for place, spec in reversed(specs):
            decision = spec.check_file(path.relative_to(place).as_posix()).include
            if decision is not None:
                return decision
        return False

    return is_ignored


def _outputs(folder: Path) -> Iterator[tuple[Path, Path, str]]:
    """File, output and digest of everything tracked that is the folder or lies around it."""
    around = (folder, *folder.parents)
    root = _root_of(folder)
    if root is None:
        return
    inside = around[: around.index(root)]
    for output in inside:
        yield from _outputs_in(output.with_name(output.name + POINTER), around)
        yield from _outputs_in(output.parent / LOCK, around)


def _outputs_in(file: Path, around: tuple[Path, ...]) -> Iterator[tuple[Path, Path, str]]:
    if not file.is_file():
        return
    try:
        document = parse_yaml(file.read_bytes(), str(file), DataError) or {}
        stages = [document] if file.name != LOCK else document.get("stages", {}).values()
        outputs = [output for stage in stages for output in stage.get("outs", ())]
        tracked = [(file.parent / str(output["path"]), str(output.get("md5", ""))) for output in outputs]
    except (AttributeError, TypeError, KeyError) as error:
        cause = " ".join(str(error).split())[:120]
        raise DataError(f"{file}: got a file that cannot be read ({cause}); must be DVC's") from None
    yield from ((file, path, locked) for path, locked in tracked if path in around and locked)


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
