"""Which extra of the package brings what the base installation leaves out: that runs exported networks, no more."""

from __future__ import annotations

from collections.abc import Mapping

EXTRA_OF: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "aiobotocore",
            "aiohttp",
            "boto3",
            "botocore",
            "dvc",
            "dvc_s3",
            "matplotlib",
            "mlflow",
            "moocore",
            "optuna",
            "pathspec",
            "plotly",
            "pyarrow",
            "ray",
            "safetensors",
            "scipy",
            "torch",
        ),
        "search",
    ),
    **dict.fromkeys(("onnx", "onnxruntime", "onnxscript"), "export"),
    **dict.fromkeys(("ai_edge_litert", "flatbuffers", "nncf", "openvino"), "bench"),
}
"""The extra of each module that irnas imports and the base installation has not."""


def explain(error: ImportError, where: str) -> str | None:
    """Say in one line what to install for a module that is missing; None where irnas does not know the module.

    Args:
        error: of the import.
        where: the command or function that needs the module.
    """
    module = (error.name or "").partition(".")[0]
    if not isinstance(error, ModuleNotFoundError) or module not in EXTRA_OF:
        return None
    return f"{where}: got no package {module}; must be installed: pip install 'irnas[{EXTRA_OF[module]}]'"
