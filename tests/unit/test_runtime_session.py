"""Sessions of ONNX Runtime: one place opens them, from bytes or a path, and refuses what is no model of irnas."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import irnas
from irnas.core.errors import ExportError, FormatError
from irnas.runtime.session import Session, load, onnx_engine, onnx_session


@pytest.fixture(scope="module")
def content() -> bytes:
    """An .onnx file of one op, y = x + x, that does not say where it comes from."""
    onnx = pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    helper, kind, shape = onnx.helper, onnx.TensorProto.FLOAT, [1, 1, "height", "width"]
    x, y = (helper.make_tensor_value_info(name, kind, shape) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "twice", [x], [y])
    opsets = [helper.make_opsetid("", 17)]
    return bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())


def test_bytes_and_path_open_the_same_session(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "twice.onnx"
    path.write_bytes(content)
    x_nchw = np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3)
    for source in (content, path, str(path)):
        session = onnx_session(source, threads=2)
        np.testing.assert_array_equal(session.run(None, {"x": x_nchw})[0], 2 * x_nchw)
        options = session.get_session_options()
        assert (options.intra_op_num_threads, options.inter_op_num_threads) == (2, 1)
        assert session.get_providers() == ["CPUExecutionProvider"] and options.log_severity_level == 3
    assert onnx_engine().startswith("onnxruntime ")


def test_what_is_no_model_is_refused_in_one_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(content[:-9])
    with pytest.raises(FormatError, match=r"^got .*; must be an ONNX model$"):
        onnx_session(content[:-9])
    with pytest.raises(FormatError, match=r"broken\.onnx: got .*; must be an ONNX model$"):
        load(path)


def test_a_model_from_elsewhere_is_refused(content: bytes) -> None:
    with pytest.raises(FormatError, match="must come from irnas export"):
        Session(content)


def test_a_missing_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ExportError, match=r"pip install 'irnas\[export\]'"):
        onnx_session(b"")


def test_no_other_module_opens_a_session() -> None:
    package = Path(irnas.__file__).parent
    openers = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if _opens_session(path)}
    assert openers == {"runtime/session.py"}


def _opens_session(path: Path) -> bool:
    return ".InferenceSession(" in path.read_text(encoding="utf-8")
