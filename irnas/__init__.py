"""irnas: neural architecture search for infrared small-target detection."""

from __future__ import annotations

from os import PathLike
from typing import Any

__version__ = "0.1.0"


def load(path: str | PathLike[str]) -> Any:
    """The network in a file, ready to predict; what it needs is imported only now.

    Of a file of weights (``.safetensors``, or a ``.pt`` of version 0.1) it is a ``torch.nn.Module`` in eval mode on the
    CPU, from float32 [N, C, H, W] in 0..1 to logits [N, 1, H, W]; ``irnas.training.weights.read_weights`` also tells
    what the file says of it, its threshold among that. Of an ``.xnor`` file it is a model of the engine
    (``irnas.runtime.Model``), of an ``.onnx`` file a session of ONNX Runtime. Both have ``facts.threshold``, and
    ``run``, from images uint8 [N, H, W] to probabilities float32 [N, H, W].

    Raises:
        DataError: there is no such file.
        FormatError: it is another file, or a damaged one; nothing in it is executed.
        ExportError: the engine was not built, or ONNX Runtime is not installed.
    """
    from pathlib import Path

    from irnas.core.errors import DataError

    file = Path(path)
    if file.suffix not in (".xnor", ".onnx"):
        from irnas.training.weights import read_weights

        return read_weights(str(path))[0]
    if not file.is_file():
        raise DataError(f"{file}: got no such file; must be an exported network")
    if file.suffix == ".xnor":
        from irnas import runtime

        return runtime.load(file)
    from irnas.runtime import session

    return session.load(file)
