"""A file that is no model is called what it is, in place of the rule of a format that it never meant to follow."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import save

from irnas import runtime
from irnas.core.errors import FormatError
from irnas.runtime.foreign import name_content
from irnas.runtime.session import onnx_session


def picture(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(buffer, kind)
    return buffer.getvalue()


FILES = {
    "a PNG image": picture("PNG"),
    "a JPEG image": picture("JPEG"),
    "a BMP image": picture("BMP"),
    "a TIFF image": picture("TIFF"),
    "an empty file": b"",
    "a text that begins '# irnas Neural architect'": ("# irnas\n\nNeural architecture search ünd more. " * 40).encode(),
    "a text of blanks": b"\n\n",
    "a zip archive": b"PK\x03\x04" + bytes(40),
    "a safetensors file": save({"w": np.zeros((2, 2), np.float32)}),
    "an ONNX model, whose name must end in .onnx": b"\x08\x09\x12\x05irnas" + bytes(40),
}


@pytest.mark.parametrize(("what", "content"), FILES.items(), ids=FILES)
def test_a_foreign_file_is_called_what_it_is(what: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.xnor"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=rf"model\.xnor: got {what}.*; must be a \.xnor file") as caught:
        runtime.load(path)
    assert "rule R" not in str(caught.value)


def test_a_damaged_model_is_still_refused_by_its_rule(tmp_path: Path) -> None:
    content = (Path(__file__).parents[1] / "golden" / "tiny.xnor").read_bytes()[:-8]
    assert name_content(content) == "" == name_content(bytes(range(128, 200)))
    (tmp_path / "model.xnor").write_bytes(content)
    with pytest.raises(FormatError, match=r"model\.xnor: .*R\d"):
        runtime.load(tmp_path / "model.xnor")
    with pytest.raises(FormatError, match=r"got a folder; must be a \.xnor file"):
        runtime.load(tmp_path)


def test_onnx_runtime_is_not_asked_what_a_picture_is() -> None:
    with pytest.raises(FormatError, match=r"^got a PNG image; must be an ONNX model$"):
        onnx_session(picture("PNG"))
