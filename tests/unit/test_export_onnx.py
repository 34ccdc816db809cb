from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from support.xnor import drawn, network
from torch import nn

from irnas.core import catalog
from irnas.core.errors import ExportError
from irnas.deploy.export import onnx
from irnas.deploy.export.write import Origin
from irnas.runtime.session import Session
from irnas.training.prediction import predict

SPACE = catalog.load("biisnet")


@pytest.mark.parametrize(
    "point",
    [
        {},
        {"pad": 1, "a_bin": "adabin", "trans": "BC"},
        {"a_bin": "adabin", "pad": -1},
        {"a_bin": "none", "w_bin": "siman"},
    ],
    ids=str,
)
def test_freezing_the_weights_changes_nothing_but_rounding(point: dict[str, Any]) -> None:
    model = network(SPACE.complete({"base": 4, "stages": 2, **point})).double()
    x = torch.rand(1, 1, 16, 24, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(onnx.freeze_weights(model)(x), model(x), rtol=1e-10, atol=1e-10)


def test_random_networks_freeze() -> None:
    for seed, genotype in enumerate(drawn(20, 9)):
        model = network(genotype, seed).double()
        x = torch.rand(1, 1, 16, 32, dtype=torch.float64)
        with torch.no_grad():
            torch.testing.assert_close(onnx.freeze_weights(model)(x), model(x), rtol=1e-9, atol=1e-9)


def test_a_file_runs_in_onnx_runtime_at_any_size() -> None:
    """A point that .xnor refuses: its signs know three values."""
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    model = network(SPACE.complete({"base": 4, "stages": 2, "sign0": 0, "a_bin": "norm", "trans": "BC", "in_ch": 3}))
    accepted = onnx.input_of(model, 1)
    proto = onnx.convert(model, accepted, Origin(name="x", trial="t"))
    run, name = onnx.make_runner(proto)
    assert name.startswith("onnxruntime ")
    for height, width in ((64, 64), (50, 70), (16, 16)):
        image = np.random.default_rng(height).integers(0, 256, (height, width), dtype=np.uint8)
        probability_hw, wanted = run(image), predict(model, image)
        assert probability_hw.shape == (height, width)
        assert ((probability_hw > 0.5) != (wanted > 0.5)).mean() <= 1e-3
    facts = {item.key: item.value for item in proto.metadata_props}
    assert (facts["trial"], facts["multiple"], facts["pad"]) == ("t", "4", "16")
    text = str(proto)
    assert "site-packages" not in text and "stack_trace" not in text


@pytest.mark.parametrize(("opset", "batch"), [(17, None), (20, 3)])
def test_a_file_has_the_opset_and_the_batch_that_are_asked_for(opset: int, batch: int | None) -> None:
    pytest.importorskip("onnxruntime", reason="the extra 'export' is not installed")
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    model = network(SPACE.complete({"base": 4, "stages": 2}))
    proto = onnx.convert(model, onnx.input_of(model, 1), Origin(name="x"), opset=opset, batch=batch)
    versions = {each.domain: each.version for each in proto.opset_import}
    assert versions[""] == opset
    first = proto.graph.input[0].type.tensor_type.shape.dim[0]
    assert first.dim_value == (batch or 0) and bool(first.dim_param) == (batch is None)
    session = Session(proto.SerializeToString())
    images = np.random.default_rng(0).integers(0, 256, (4, 20, 36), dtype=np.uint8)
    wanted = np.stack([predict(model, image) for image in images])
    assert ((session.run(images) > 0.5) != (wanted > 0.5)).mean() <= 1e-3
    np.testing.assert_array_equal(session.run(images)[3], session.run(images[3:])[0])
    if batch is None:
        name = session._input
        x_nchw = np.random.default_rng(1).random((5, 1, 16, 32), np.float32)
        (together,) = session._session.run(None, {name: x_nchw})
        alone = [session._session.run(None, {name: each[None]})[0] for each in x_nchw]
        np.testing.assert_allclose(together, np.concatenate(alone), atol=1e-6)


def test_an_opset_that_torch_cannot_write_is_refused() -> None:
    pytest.importorskip("onnxscript", reason="the extra 'export' is not installed")
    with pytest.raises(ExportError, match=r"x: got .*torch\.onnx"):
        onnx.convert(nn.Conv2d(1, 1, 1), onnx.input_of(nn.Identity(), 1), Origin(name="x"), opset=999)


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> Any:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", absent)
    with pytest.raises(ExportError, match=r"got no package onnx; must be installed: pip install 'irnas\[export\]'"):
        onnx.convert(nn.Identity(), onnx.input_of(nn.Identity(), 1), Origin(name="x"))
