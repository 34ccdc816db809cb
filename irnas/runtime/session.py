"""Exported .onnx files behind the same face as .xnor files; ONNX Runtime does the work and is imported on first use."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError, ExportError, FormatError
from irnas.runtime.format import Input
from irnas.runtime.reference import prepared

Masks = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What an .onnx file says of itself."""

    kernels: str
    """The runtime and its version."""
    taken: Input
    frames: int
    """Length of the windows that the network sees; 1 for a network of single images."""


class Session:
    """An .onnx file that ``irnas export`` wrote, loaded.

    Raises:
        ExportError: ONNX Runtime is not installed.
        FormatError: no ONNX model, or one from elsewhere.
    """

    def __init__(self, content: bytes) -> None:
        try:
            onnxruntime: Any = importlib.import_module("onnxruntime")
        except ImportError as error:
            raise ExportError(
                ".onnx: got no package onnxruntime; must be installed: pip install 'irnas[export]'"
            ) from error
        self._module, self._content, self._threads = onnxruntime, content, 1
        self._session = self._open()
        (entry,), (self._output,) = self._session.get_inputs(), [o.name for o in self._session.get_outputs()]
        self._input = entry.name
        facts = self._session.get_modelmeta().custom_metadata_map
        try:
            taken = Input(channels=int(entry.shape[1]), multiple=int(facts["multiple"]), pad=int(facts["pad"]))
            self.facts = SessionFacts(
                kernels=f"onnxruntime {onnxruntime.__version__}", taken=taken, frames=int(facts.get("frames", 1))
            )
        except (KeyError, ValueError, TypeError, IndexError):
            raise FormatError("got an .onnx file without its input described; must come from irnas export") from None

    def run(self, images: npt.NDArray[np.uint8], threads: int = 1) -> Masks:
        """The probability of a target at each pixel, float32 [N, H, W].

        Args:
            images: uint8 [N, H, W], or windows [N, frames, H, W] with the newest frame last.
            threads: to share the work among.

        Raises:
            DataError: images of another kind or shape.
        """
        if images.dtype != np.uint8 or images.ndim not in (3, 4) or 0 in images.shape:
            raise DataError(f"images: got {images.dtype} {images.shape}; must be uint8 [N, H, W] or windows")
        if threads != self._threads:
            self._threads, self._session = threads, self._open(threads)
        return np.stack([self._run(image) for image in images])

    def _run(self, image: npt.NDArray[np.uint8]) -> Masks:
        height, width = image.shape[-2:]
        x_nchw = np.ascontiguousarray(np.moveaxis(prepared(self.facts.taken, image), -1, 0)[None])
        (y_n1hw,) = self._session.run([self._output], {self._input: x_nchw})
        found: Masks = y_n1hw[0, 0, :height, :width]
        return found

    def _open(self, threads: int = 1) -> Any:
        options = self._module.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        try:
            return self._module.InferenceSession(self._content, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            # ONNX Runtime has an exception of its own for each way to be damaged.
            raise FormatError(f"got {' '.join(str(error).split())[:120]}; must be an ONNX model") from None


def load(path: str | Path) -> Session:
    """The model in an .onnx file.

    Raises:
        FormatError, ExportError: as ``Session``; the message names the file.
        OSError: there is no such file, or it cannot be read.
    """
    try:
        return Session(Path(path).read_bytes())
    except FormatError as problem:
        raise FormatError(f"{path}: {problem}") from None
