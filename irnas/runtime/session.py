"""Exported .onnx files behind the same interface as .xnor files: ONNX Runtime runs them and is imported on first use.

``onnx_session`` is the only place of irnas that opens a session of ONNX Runtime.
"""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from irnas.core.errors import DataError, ExportError, FormatError, SettingsError
from irnas.runtime import foreign
from irnas.runtime.format import HALF, Input
from irnas.runtime.reference import prepare
from irnas.runtime.value_range import ValueRange, map_counts

Masks = npt.NDArray[np.float32]

_ERRORS_ONLY = 3
"""The severity from which ONNX Runtime logs."""


def onnx_session(content_or_path: bytes | str | Path, threads: int = 1) -> Any:
    """Open a session of ONNX Runtime on the CPU, which logs nothing below an error.

    Args:
        content_or_path: the bytes of an .onnx file, or where it lies.
        threads: share the work of one op; ops run one after the other.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        ExportError: ONNX Runtime is not installed.
        FormatError: ONNX Runtime refuses the model.
    """
    onnxruntime = _onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = _ERRORS_ONLY
    model = str(content_or_path) if isinstance(content_or_path, Path) else content_or_path
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # ONNX Runtime has an exception of its own for each way in which a file can be damaged.
        what = _name_foreign(content_or_path)
        got = what if what and what != foreign.ONNX else " ".join(str(error).split())[:120]
        raise FormatError(f"got {got}; must be an ONNX model") from None


def _name_foreign(content_or_path: bytes | str | Path) -> str:
    """What it is that is no ONNX model; empty where that is unknown."""
    if isinstance(content_or_path, bytes):
        return foreign.name_content(content_or_path)
    path = Path(content_or_path)
    return foreign.name_content(path.read_bytes()) if path.is_file() else ""


def onnx_engine() -> str:
    """Return the name and version of the ONNX Runtime that is installed, as in "onnxruntime 1.27.0".

    Raises:
        ExportError: ONNX Runtime is not installed.
    """
    return f"onnxruntime {_onnxruntime().__version__}"


def _onnxruntime() -> Any:
    try:
        return importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ExportError(
            ".onnx: got no package onnxruntime; must be installed: pip install 'irnas[export]'"
        ) from error


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionFacts:
    """What an .onnx file says about itself."""

    kernels: str
    """The name and version of ONNX Runtime."""
    input: Input
    """The images that the network accepts."""
    frames: int
    """Length of the windows that the network sees; 1 for a network of single images."""
    threshold: float = HALF
    """A target is where the probability exceeds it."""
    trial: str = ""
    """The key of the network in the file; empty where the file does not say."""

    @property
    def counts(self) -> ValueRange | None:
        """How training mapped images of more than 8 bits; None where there were none."""
        return self.input.counts


class Session:
    """An .onnx file that ``irnas export`` wrote, loaded.

    Args:
        content: the bytes of the file.

    Raises:
        ExportError: ONNX Runtime is not installed.
        FormatError: the bytes are no ONNX model, or one that irnas did not export.
    """

    def __init__(self, content: bytes) -> None:
        self._content, self._threads = content, 1
        self._session = onnx_session(content, self._threads)
        (model_input,), (self._output,) = self._session.get_inputs(), [o.name for o in self._session.get_outputs()]
        self._input = model_input.name
        # A file of a free number of images runs one after the other, like one of single images.
        batch = model_input.shape[0] if model_input.shape else 1
        self._batch = batch if isinstance(batch, int) and batch > 0 else 1
        metadata = self._session.get_modelmeta().custom_metadata_map
        try:
            accepted = Input(
                channels=int(model_input.shape[1]),
                multiple=int(metadata["multiple"]),
                pad=int(metadata["pad"]),
                counts=_parse_counts(metadata.get("counts")),
            )
            self.facts = SessionFacts(
                kernels=onnx_engine(),
                input=accepted,
                frames=int(metadata.get("frames", 1)),
                threshold=_parse_threshold(metadata.get("threshold")),
                trial=metadata.get("trial", ""),
            )
        except (KeyError, ValueError, TypeError, IndexError, RecursionError, SettingsError):
            raise FormatError("got an .onnx file without its input described; must come from irnas export") from None

    def run(self, images: npt.NDArray[Any], threads: int = 1, *, value_range: ValueRange | None = None) -> Masks:
        """Compute the probability of a target at each pixel, float32 [N, H, W].

        Args:
            images: uint8 [N, H, W], or windows [N, frames, H, W] with the newest frame last; or counts, uint16, which
                become 0..255 as in training (FORMAT.md, section 8).
            threads: share the work.
            value_range: of counts, instead of the one in the file; without either it is that of all these images.

        Raises:
            DataError: images of another kind or shape.
            MemoryError: an image whose maps take more than there is.
        """
        if images.dtype not in (np.uint8, np.uint16) or images.ndim not in (3, 4) or 0 in images.shape:
            raise DataError(f"images: got {images.dtype} {images.shape}; must be uint8 or uint16 [N, H, W] or windows")
        images = map_counts(images, self.facts.input.counts, value_range)
        if threads != self._threads:
            self._threads, self._session = threads, onnx_session(self._content, threads)
        starts = range(0, len(images), self._batch)
        return np.concatenate([self._run(images[start : start + self._batch]) for start in starts])

    def _run(self, images: npt.NDArray[np.uint8]) -> Masks:
        """As many images as the file takes at once; where there are fewer, the last one stands for those missing."""
        height, width = images.shape[-2:]
        x_nchw = np.stack([np.moveaxis(prepare(self.facts.input, image), -1, 0) for image in images])
        missing = self._batch - len(images)
        x_nchw = np.concatenate([x_nchw, np.repeat(x_nchw[-1:], missing, axis=0)])
        try:
            (y_n1hw,) = self._session.run([self._output], {self._input: x_nchw})
        except Exception as error:
            # ONNX Runtime has no exception of its own for it.
            if "allocate memory" in str(error):
                raise MemoryError("image: needs more memory than there is; must be smaller") from None
            raise
        probability_nhw: Masks = y_n1hw[: len(images), 0, :height, :width]
        return probability_nhw


def load(path: str | Path) -> Session:
    """Load the model in an .onnx file.

    Raises:
        FormatError, ExportError: as ``Session``; the message names the file.
        OSError: the file does not exist or cannot be read.
    """
    try:
        return Session(Path(path).read_bytes())
    except FormatError as problem:
        raise FormatError(f"{path}: {problem}") from None


def _parse_threshold(text: str | None) -> float:
    threshold = HALF if text is None else float(text)
    if not 0 < threshold < 1:
        raise ValueError(f"threshold {text}")
    return threshold


def _parse_counts(text: str | None) -> ValueRange | None:
    if text is None:
        return None
    low, high = json.loads(text)
    return ValueRange(float(low), float(high))
