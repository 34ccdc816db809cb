"""Linear systems for ONNX, which has no solver of its own. Only to be imported where onnxscript is."""

# mypy: ignore-errors
# The function below is read by onnxscript, which makes a graph of it; it is never run as Python.

from __future__ import annotations

from onnxscript import DOUBLE, script
from onnxscript import opset18 as op


@script(default_opset=op)
def eliminate(matrix: DOUBLE[...], right: DOUBLE[...]) -> DOUBLE[...]:
    """x [..., J, 1] of A x = b for positive definite A [..., J, J]: Gauss-Jordan elimination without a pivot search."""
    system = op.Concat(matrix, right, axis=-1)
    terms = op.Squeeze(op.Shape(matrix, start=-1))
    for j in range(terms):
        row = op.Unsqueeze(op.Gather(system, j, axis=-2), [-2])
        column = op.Unsqueeze(op.Gather(system, j, axis=-1), [-1])
        pivot = op.Unsqueeze(op.Gather(row, j, axis=-1), [-1])
        is_mine = op.Unsqueeze(op.Equal(op.Range(0, terms, 1), j), [-1])
        system = system - (column - op.CastLike(is_mine, column)) * (row / pivot)
    return op.Slice(system, [-1], op.Shape(system, start=-1), [-1])
