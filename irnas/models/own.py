"""Families of a user: modules made of the code beside a space, which is run only where its user named its folder.

Named means: in this process, by a command or a call that was given the folder; or by an earlier one on this machine,
which left a copy of the code in the cache, so that a run is still understood when its code has changed since; or sent
here with a trial by whoever began the search. A run that was fetched brings no code and causes none to be run.
"""

from __future__ import annotations

import contextlib
import functools
import linecache
import re
import sys
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from irnas import storage
from irnas.core import own_code
from irnas.core.errors import IrnasError, SpaceError, StorageError
from irnas.data import cache

_FOLDER = "own"
"""In the cache: one file a code."""


@functools.cache
def module_of(family: str) -> ModuleType:
    """The module of a user's family.

    Raises:
        SpaceError: nobody has named its folder here; or its code does not run, or has no function build.
    """
    source = own_code.source_of(family)
    if source is None:
        source = _recall(family)
    else:
        # What was named here once may be run here again.
        with contextlib.suppress(StorageError, OSError):
            storage.write(str(_copy_of(family)), source.encode())
    name = f"irnas_{own_code.FILE.removesuffix('.py')}_{family.rpartition('@')[2]}"
    # Shown in tracebacks and looked up by torch's exporter; the same wherever it runs.
    path = f"{family}/{own_code.FILE}"
    linecache.cache[path] = (len(source), None, source.splitlines(keepends=True), path)
    module = ModuleType(name)
    module.__file__ = path
    sys.modules[name] = module
    with blame(family):
        exec(compile(source, path, "exec"), module.__dict__)
    if not callable(getattr(module, "build", None)):
        raise SpaceError(f"{path}: got no function build; must have build(values) -> torch.nn.Module")
    return module


@contextlib.contextmanager
def blame(family: str) -> Iterator[None]:
    """Turn what the code of a user's family raises into a line that names the place in it.

    Raises:
        SpaceError: it raised something; what it raised is the cause.
    """
    try:
        yield
    except IrnasError:
        raise
    except Exception as error:
        if not own_code.is_own(family):
            raise
        path = f"{family}/{own_code.FILE}"
        frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename == path]
        line = error.lineno if isinstance(error, SyntaxError) else frames[-1].lineno if frames else None
        where = path if line is None else f"{path}:{line}"
        text = " ".join(str(error).split())[:200]
        raise SpaceError(f"{where}: got {type(error).__name__} ({text}); must run") from error


def code_of(family: str) -> str | None:
    """The code of a user's family, to be sent where a network of it is to be built; None for any other family.

    Raises:
        SpaceError: nobody has named its folder here.
    """
    if not own_code.is_own(family):
        return None
    source = own_code.source_of(family)
    return _recall(family) if source is None else source


def _copy_of(family: str) -> Path:
    # Of the name only the digest: a record can say anything.
    digest = family.rpartition("@")[2]
    if not re.fullmatch("[0-9a-f]+", digest):
        raise SpaceError(f"family: got {family!r}; must be NAME@DIGEST, as of a space with a {own_code.FILE}")
    return cache.folder() / _FOLDER / f"{digest}.py"


def _recall(family: str) -> str:
    """The code of a family that was named on this machine before."""
    path = _copy_of(family)
    if not path.is_file():
        must = f"must be named once by the folder of its space.yaml and {own_code.FILE} (irnas cost FOLDER default)"
        raise SpaceError(f"family {family}: got code that nobody has named on this machine; {must}")
    source = path.read_text(encoding="utf-8")
    own_code.admit(family, source)
    return source
