"""Other engines, one function each. Their packages are optional: the extra ``bench`` brings them.

Every function prepares one engine for a network and an image and returns what runs it, on that many threads. It raises
ImportError where its package is missing, and SettingsError where it cannot be given the network in its form.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import tempfile
import types
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from irnas.core.errors import SettingsError
from irnas.deploy.bench.source import Source
from irnas.deploy.bench.subject import Map, Run
from irnas.runtime import session


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """An engine with a network loaded."""

    engine: str
    kernels: str
    run: Run


def onnxruntime(source: Source, threads: int) -> Runner:
    """ONNX Runtime on the .onnx file that irnas exports."""
    return _onnxruntime(source, threads, source.onnx_file(), "fp32")


def onnxruntime_int8(source: Source, threads: int) -> Runner:
    """ONNX Runtime with convolutions in int8, calibrated on the very image that is timed."""
    importlib.import_module("onnx")
    quantization: Any = importlib.import_module("onnxruntime.quantization")
    images = iter([{_input(source): source.x_nchw()}])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> Any:
            return next(images, None)

    with tempfile.TemporaryDirectory() as folder, _silence():
        before, after = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        before.write_bytes(source.onnx_file())
        quantization.quantize_static(
            str(before),
            str(after),
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            op_types_to_quantize=["Conv"],
            activation_type=quantization.QuantType.QInt8,
            # Around zero, so that signs are exact.
            extra_options={"ActivationSymmetric": True},
        )
        return _onnxruntime(source, threads, after.read_bytes(), "int8 convolutions")


def torch(source: Source, threads: int) -> Runner:
    """Torch, op by op, with the binary weights as constants."""
    network = _network(source)
    return _torch(source, threads, network, "fp32 eager")


def torch_compile(source: Source, threads: int) -> Runner:
    """Torch's own compiler, which fuses what is not a convolution; ``kernels`` says so where it gives up."""
    module: Any = importlib.import_module("torch")
    inductor: Any = importlib.import_module("torch._inductor.compile_fx")
    graphs: list[str] = []

    def compile_graph(graph: Any, inputs: Any) -> Any:
        graphs.append(type(graph).__name__)
        return inductor.compile_fx(graph, inputs)

    compiled = module.compile(_with_own_code(_network(source)), backend=compile_graph)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        runner = _torch(source, threads, compiled, "fp32 compiled", warm=True)
    if len(graphs) == 1:
        return runner
    kernels = f"fp32 compiled in {len(graphs)} parts" if graphs else "fp32 eager: the compiler gave up"
    return replace(runner, kernels=kernels)


def _with_own_code(network: Any) -> Callable[[Any], Any]:
    """A function that runs a network and whose code no other network runs.

    Torch's compiler keeps what it compiled beside the code, and gives up on code that it has compiled eight times.
    """

    def forward(x_nchw: Any) -> Any:
        return network(x_nchw)

    return types.FunctionType(forward.__code__.replace(), globals(), closure=forward.__closure__)


def litert(source: Source, threads: int) -> Runner:
    """LiteRT with XNNPACK, on the graph of the .xnor file in floats, folded by hand (float_graph.py)."""
    interpreter: Any = importlib.import_module("ai_edge_litert.interpreter")
    from irnas.deploy.bench import float_graph

    if source.model is None:
        raise SettingsError("got no .xnor graph; must have one")
    content = float_graph.convert(source.model, *source.image_hw.shape)
    loaded = interpreter.Interpreter(model_content=content, num_threads=threads)
    loaded.allocate_tensors()
    input_index, output_index = (
        details()[0]["index"] for details in (loaded.get_input_details, loaded.get_output_details)
    )
    channels = source.model.input.channels
    x_nhwc = np.ascontiguousarray(np.moveaxis(source.x_nchw()[:, :channels], 1, -1))

    def run() -> Map:
        loaded.set_tensor(input_index, x_nhwc)
        loaded.invoke()
        probability_hw: Map = loaded.get_tensor(output_index)[0, :, :, 0]
        return probability_hw

    return Runner(engine=f"litert {_version('ai-edge-litert')}", kernels=_litert_kernels(loaded), run=run)


def openvino(source: Source, threads: int) -> Runner:
    """OpenVINO's CPU device in fp32, on the .onnx file that irnas exports."""
    module: Any = importlib.import_module("openvino")
    model = module.Core().read_model(model=io.BytesIO(source.onnx_file()))
    model.reshape(list(source.x_nchw().shape))
    return _openvino(source, threads, model, "fp32")


def openvino_int8(source: Source, threads: int) -> Runner:
    """OpenVINO in int8 after the quantisation that its makers advise (NNCF), calibrated on the image that is timed."""
    module: Any = importlib.import_module("openvino")
    # Otherwise NNCF reports to its makers that it was used.
    os.environ.setdefault("NNCF_CI", "1")
    nncf: Any = importlib.import_module("nncf")
    model = module.Core().read_model(model=io.BytesIO(source.onnx_file()))
    model.reshape(list(source.x_nchw().shape))
    with _silence(), contextlib.redirect_stdout(io.StringIO()):
        nncf.set_log_level(logging.ERROR)
        quantized = nncf.quantize(model, nncf.Dataset([source.x_nchw()]), subset_size=1)
    return _openvino(source, threads, quantized, "int8")


def openvino_binary(source: Source, threads: int) -> Runner:
    """OpenVINO's binary convolution, for chains of blocks whose weights have no shift (openvino_binary.py)."""
    from irnas.deploy.bench.openvino_binary import convert

    if source.model is None:
        raise SettingsError("got no .xnor graph; must have one")
    return _openvino(source, threads, convert(source.model, *source.image_hw.shape), "binary")


RIVALS: dict[str, Callable[[Source, int], Runner]] = {
    "onnxruntime": onnxruntime,
    "onnxruntime-int8": onnxruntime_int8,
    "torch": torch,
    "torch-compile": torch_compile,
    "litert": litert,
    "openvino": openvino,
    "openvino-int8": openvino_int8,
    "openvino-binary": openvino_binary,
}


def _onnxruntime(source: Source, threads: int, content: bytes, kernels: str) -> Runner:
    # With the package absent this is an ImportError, as of every engine here.
    importlib.import_module("onnxruntime")
    loaded = session.onnx_session(content, threads)
    model_input = loaded.get_inputs()[0]
    if isinstance(model_input.shape[1], int):
        source.channels = model_input.shape[1]
    x_nchw = source.x_nchw()

    def run() -> Map:
        probability_hw: Map = loaded.run(None, {model_input.name: x_nchw})[0][0, 0]
        return probability_hw

    return Runner(engine=session.onnx_engine(), kernels=kernels, run=run)


def _litert_kernels(interpreter: Any) -> str:
    """Whether XNNPACK runs a LiteRT graph; only a private method of LiteRT tells, and another version may lack it."""
    list_ops = getattr(interpreter, "_get_ops_details", None)
    if list_ops is None:
        return "fp32"
    return "fp32 XNNPACK" if "DELEGATE" in [op["op_name"] for op in list_ops()] else "fp32 without XNNPACK"


def _openvino(source: Source, threads: int, model: Any, kernels: str) -> Runner:
    module: Any = importlib.import_module("openvino")
    options = {"INFERENCE_NUM_THREADS": threads, "NUM_STREAMS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    request = module.Core().compile_model(model, "CPU", options).create_infer_request()
    x_nchw = source.x_nchw()

    def run() -> Map:
        probability_hw: Map = next(iter(request.infer([x_nchw], share_inputs=True).values()))[0, 0]
        return probability_hw

    return Runner(engine=f"openvino {_version('openvino')}", kernels=kernels, run=run)


def _input(source: Source) -> str:
    module: Any = importlib.import_module("onnx")
    name: str = module.load_from_string(source.onnx_file()).graph.input[0].name
    return name


def _network(source: Source) -> Any:
    if source.network is None:
        raise SettingsError("got no network; must be SPACE:POINT")
    from irnas.deploy.export.onnx import freeze_weights

    return freeze_weights(source.network)


def _torch(source: Source, threads: int, network: Any, kernels: str, *, warm: bool = False) -> Runner:
    module: Any = importlib.import_module("torch")
    x_nchw = module.from_numpy(source.x_nchw())

    def run() -> Map:
        if module.get_num_threads() != threads:
            module.set_num_threads(threads)
        with module.inference_mode():
            probability_hw: Map = network(x_nchw).sigmoid()[0, 0].numpy()
            return probability_hw

    if warm:
        run()
    return Runner(engine=f"torch {module.__version__}", kernels=kernels, run=run)


def _version(package: str) -> str:
    from importlib import metadata

    return metadata.version(package)


@contextmanager
def _silence() -> Iterator[None]:
    """The quantiser advises preparing models, on the root logger."""
    before = logging.root.level
    logging.root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.root.setLevel(before)
