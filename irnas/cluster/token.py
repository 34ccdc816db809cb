"""The token without which no process of a cluster answers: Ray's own file, made here because Ray's would be readable.

Ray writes it with the mode that the umask gives, and whoever reads it may run any program on the cluster.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import tempfile
from pathlib import Path

from irnas.core.errors import SettingsError

_BYTES = 32


def ensure_token() -> None:
    """Make sure that there is a token for a cluster on this machine, and that nobody else reads its file.

    One that is configured (``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH``) stays as it is. Else it is in
    ``~/.ray/auth_token`` with mode 0600, made where there is none.

    Raises:
        SettingsError: there is none where one is configured, or none can be written.
    """
    if os.environ.get("RAY_AUTH_TOKEN"):
        return
    if configured := os.environ.get("RAY_AUTH_TOKEN_PATH"):
        if not _holds_text(Path(configured)):
            raise SettingsError(f"RAY_AUTH_TOKEN_PATH: got {configured!r}; must be a file with a token, or not be set")
        return
    path = Path.home() / ".ray" / "auth_token"
    try:
        if not _holds_text(path):
            _write_new(path)
        elif path.stat().st_mode & 0o077:
            path.chmod(0o600)
    except OSError as error:
        raise SettingsError(
            f"ray: got {error.strerror!r} for {path}; must be a file for Ray's token, unless RAY_AUTH_TOKEN_PATH names "
            "another (or search with --executor loop)"
        ) from None


def _holds_text(path: Path) -> bool:
    return path.is_file() and bool(path.read_text(errors="replace").strip())


def _write_new(path: Path) -> None:
    """Write a token, whole or not at all; one that another process wrote in the meantime stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if path.exists():
        path.unlink()
    # A new file of this kind has mode 0600.
    handle, part = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(_BYTES))
        with contextlib.suppress(FileExistsError):
            Path(path).hardlink_to(part)
    finally:
        Path(part).unlink()
