"""What MLflow runs when it loads a registered network: the model file and NumPy, no torch.

MLflow copies this file into the model and executes that copy ("models from code"), so nothing is pickled. What it needs
is installed where it is served: numpy, mlflow and irnas, of which only ``irnas.runtime`` is imported; ``pip install
--no-deps`` is enough for irnas there. An .onnx file needs onnxruntime too.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
from mlflow.models import set_model
from mlflow.pyfunc import PythonModel

from irnas import runtime
from irnas.runtime import session


# MLflow's classes have no types here.
class Network(PythonModel):  # type: ignore[misc, unused-ignore]
    """An exported network as MLflow calls it."""

    def load_context(self, context: Any) -> None:
        """Load the file; MLflow calls this once."""
        path = Path(context.artifacts["network"])
        # A loaded network serves one thread at a time, a server has many.
        self._lock = threading.Lock()
        self._model = session.load(path) if path.suffix == ".onnx" else runtime.load(path)

    # Plain np.ndarray: of a hint with a dtype MLflow would want to make a schema.
    def predict(
        self,
        context: Any,
        model_input: np.ndarray,
        params: dict[str, Any] | None = None,
    ) -> np.ndarray:
        """Masks uint8 [N, H, W], 255 where the probability of a target exceeds ``params["threshold"]``.

        Args:
            context: MLflow's.
            model_input: uint8 [N, H, W], or windows [N, frames, H, W] with the newest frame last.
            params: ``threshold``, 0..1; without it that of the network.
        """
        threshold = float((params or {}).get("threshold", self._model.facts.threshold))
        with self._lock:
            probability_nhw = self._model.run(np.ascontiguousarray(model_input))
        return np.where(probability_nhw > threshold, 255, 0).astype(np.uint8)


set_model(Network())
