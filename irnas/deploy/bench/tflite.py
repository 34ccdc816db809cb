"""A .tflite file, op by op, with the schema that LiteRT itself brings: no converter and no TensorFlow."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


class Graph:
    """A graph of float maps [1, H, W, channels] that grows op by op; tensors are known by their numbers.

    Raises:
        ImportError: the packages ai-edge-litert and flatbuffers are not there.
    """

    def __init__(self, height: int, width: int, channels: int) -> None:
        self._schema: Any = importlib.import_module("ai_edge_litert.schema_py_generated")
        self._model = self._schema.ModelT()
        self._model.version, self._model.description = 3, "irnas"
        self._model.buffers, self._model.operatorCodes = [self._schema.BufferT()], []
        self._graph = self._schema.SubGraphT()
        self._graph.tensors, self._graph.operators = [], []
        self._codes: dict[int, int] = {}
        self.input = self._tensor((1, height, width, channels), np.dtype(np.float32), 0)

    def shape(self, tensor: int) -> tuple[int, ...]:
        """Of a tensor."""
        return tuple(self._graph.tensors[tensor].shape)

    def constant(self, values: Array) -> int:
        """A tensor of fixed values, float32 or int32."""
        buffer = self._schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._model.buffers.append(buffer)
        return self._tensor(values.shape, values.dtype, len(self._model.buffers) - 1)

    def add(self, name: str, inputs: Sequence[int], shape: Sequence[int], options: str = "", **fields: Any) -> int:
        """Append the builtin op ``name`` with an output of that shape; returns the output.

        ``options`` is the schema's name for the op's options, ``fields`` what they hold; strings are its enum values.
        """
        schema, op = self._schema, self._schema.OperatorT()
        op.opcodeIndex = self._code(getattr(schema.BuiltinOperator, name))
        op.inputs, output = list(inputs), self._tensor(tuple(shape), np.dtype(np.float32), 0)
        op.outputs = [output]
        if options:
            op.builtinOptionsType = getattr(schema.BuiltinOptions, options)
            op.builtinOptions = getattr(schema, f"{options}T")()
            enums = {"padding": schema.Padding, "fusedActivationFunction": schema.ActivationFunctionType}
            for field, value in fields.items():
                setattr(op.builtinOptions, field, getattr(enums[field], value) if field in enums else value)
        self._graph.operators.append(op)
        return output

    def content(self, output: int) -> bytes:
        """The file, with ``output`` as what it yields."""
        flatbuffers: Any = importlib.import_module("flatbuffers")
        self._graph.inputs, self._graph.outputs = [self.input], [output]
        self._model.subgraphs = [self._graph]
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    def _code(self, builtin: int) -> int:
        if builtin not in self._codes:
            code = self._schema.OperatorCodeT()
            code.builtinCode, code.deprecatedBuiltinCode, code.version = builtin, min(builtin, 127), 1
            self._codes[builtin] = len(self._model.operatorCodes)
            self._model.operatorCodes.append(code)
        return self._codes[builtin]

    def _tensor(self, shape: tuple[int, ...], dtype: np.dtype[Any], buffer: int) -> int:
        tensor, kinds = self._schema.TensorT(), self._schema.TensorType
        tensor.shape, tensor.buffer = list(shape), buffer
        tensor.type = kinds.FLOAT32 if dtype == np.float32 else kinds.INT32
        tensor.name = f"t{len(self._graph.tensors)}"
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1
