"""SHA-256 of files and of bytes, in hex: what names the content of shards, wheels and published files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def of_bytes(content: bytes) -> str:
    """SHA-256 of these bytes: 64 hex digits."""
    return hashlib.sha256(content).hexdigest()


def of_file(path: Path) -> str:
    """SHA-256 of a file's bytes, which are read in pieces: 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
