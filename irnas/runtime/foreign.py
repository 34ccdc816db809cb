"""What a file is that is no model of the engine, told by how it begins."""

from __future__ import annotations

_BEGINNINGS = (
    (b"\x89PNG", "a PNG image"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"BM", "a BMP image"),
    (b"II*\x00", "a TIFF image"),
    (b"MM\x00*", "a TIFF image"),
    (b"GIF8", "a GIF image"),
    (b"PK\x03\x04", "a zip archive, as torch.save writes it"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\x80\x02", "a pickle of Python"),
    (b"\x80\x04", "a pickle of Python"),
    (b"\x89HDF", "an HDF5 file"),
    (b"PAR1", "a Parquet file"),
    (b"\x7fELF", "a program or library"),
    (b"%PDF", "a PDF document"),
)
ONNX = "an ONNX model, whose name must end in .onnx"
_HEAD = 256
"""Bytes at the beginning that are looked at."""
_REPEATED = 24
"""Characters of a text that are repeated."""


def name_content(content: bytes) -> str:
    """What a file is, as in "a PNG image"; empty where it may be a ``.xnor`` file, whole or damaged, or is unknown.

    Args:
        content: the file, or how it begins.
    """
    if not content:
        return "an empty file"
    for beginning, name in _BEGINNINGS:
        if content.startswith(beginning):
            return name
    if content[8:9] == b"{":
        return "" if b'"xnor"' in content[:4096] else "a safetensors file, weights that `irnas export` takes"
    if content[:1] == b"\x08" and content[2:3] in (b"\x12", b"\x1a", b"\x22"):
        return ONNX
    return _name_text(content[:_HEAD])


def _name_text(head: bytes) -> str:
    """The same of what may be text."""
    try:
        text = head.decode("utf-8", errors="strict" if len(head) < _HEAD else "ignore")
    except UnicodeDecodeError:
        return ""
    if not all(character.isprintable() or character in "\t\r\n" for character in text):
        return ""
    start = " ".join(text.split())[:_REPEATED]
    return f"a text that begins {start!r}" if start else "a text of blanks"
