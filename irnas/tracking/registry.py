"""Exported networks in MLflow's model registry, each a version of a named model, found by an alias.

The second place that imports mlflow: ``client`` mirrors what a run's record says and can be rebuilt from it;
what is registered is a choice of somebody's, and no record of a run knows it.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from irnas.core.errors import SettingsError
from irnas.record.run import Run
from irnas.report import unit
from irnas.storage import hashing
from irnas.tracking import client as tracking
from irnas.tracking.mlflow_errors import as_irnas_error

_CODE = Path(__file__).with_name("served_model.py")
_SHA = "irnas.sha256"

_ABOUT = (
    "Finds small targets in infrared images. In: images uint8 [N, H, W], or windows of frames [N, frames, H, W] with "
    "the newest last. Out: masks uint8 [N, H, W], 255 where a target is: where the probability exceeds the network's "
    "own threshold, or that of the request. A request: "
    '`{"inputs": [[[0, 0, ...], ...]], "params": {"threshold": 0.5}}`; no torch is needed to answer it.'
)
"""The page of a registered model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """An exported network of a run."""

    run: str
    key: str
    """The whole key of its genotype."""
    suffix: str
    """``.xnor`` or ``.onnx``."""
    content: bytes
    """The file."""
    frames: int
    """Length of the windows it takes; 1 for single images."""
    threshold: float = 0.5
    """A target is where the probability exceeds it, unless a request names another."""

    @property
    def sha256(self) -> str:
        """Of the file: 64 hex digits."""
        return hashing.of_bytes(self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A version of a registered model."""

    name: str
    number: int
    alias: str
    is_new: bool
    """False where the same file was registered under this name before."""
    tracking_uri: str
    """May hold credentials: show it through ``storage.redact_credentials``."""


def check(name: str, alias: str) -> None:
    """Refuse names that MLflow would refuse, before anything is exported.

    Raises:
        SettingsError: a name with a slash, a colon or a quote; an alias that is reserved or no word.
    """
    if not re.fullmatch(r"[^/:'\"\\\s][^/:'\"\\]{0,199}", name) or name in (".", ".."):
        raise SettingsError(f"--name: got {name!r}; must be without '/', ':', quotes and backslashes")
    if not re.fullmatch(r"[\w-]{1,200}", alias) or re.fullmatch(r"(?i:latest|v\d+)", alias):
        raise SettingsError(f"--alias: got {alias!r}; must be letters, digits, '_' and '-', not 'latest' or 'v1'")


def register(network: Network, name: str, alias: str) -> Version:
    """Make an exported network a version of the model ``name`` and point ``alias`` at it.

    The run is mirrored first, so that the version leads to its trial. The same file is registered only once.

    Raises:
        SettingsError: no such run or trial, a name as for ``check``, or a store without a registry.
        ServiceError: the store is out of reach.
    """
    check(name, alias)
    tracking.rebuild(network.run)
    uri = tracking.Mirror(network.run).tracking_uri
    from mlflow.exceptions import MlflowException
    from mlflow.tracking import MlflowClient

    client = MlflowClient(tracking_uri=uri, registry_uri=uri)
    try:
        with _process_wide(uri):
            number = _registered_before(client, name, network)
            is_new = number is None
            if number is None:
                number = _add(client, name, network)
            client.set_registered_model_alias(name, alias, str(number))
    except MlflowException as error:
        raise as_irnas_error(error, uri, "a store with a registry") from None
    return Version(name=name, number=number, alias=alias, is_new=is_new, tracking_uri=uri)


@contextmanager
def _process_wide(uri: str) -> Iterator[None]:
    """Make ``uri`` the store of the whole process: MLflow looks a model up there, whatever its client was told."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)


def _registered_before(client: Any, name: str, network: Network) -> int | None:
    """The version that holds the same file of the same run."""
    for known in client.search_model_versions(f"name = '{name}'"):
        if known.tags.get(_SHA) == network.sha256 and known.tags.get("irnas.key") == network.key:
            return int(known.version)
    return None


def _add(client: Any, name: str, network: Network) -> int:
    trial = _trial(client, network)
    tags = {
        **{key: trial.data.tags[key] for key in ("irnas.run", "irnas.key", "irnas.family", "irnas.data_rev")},
        "irnas.format": network.suffix.removeprefix("."),
        _SHA: network.sha256,
    }
    model_id = _log(client, name, network, trial, tags)
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name, description=_ABOUT)
    registered = client.create_model_version(
        name,
        f"models:/{model_id}",
        trial.info.run_id,
        tags=tags,
        description=_description(network, trial),
        model_id=model_id,
    )
    return int(registered.version)


def _description(network: Network, trial: Any) -> str:
    """What the page of a version says: which network it is, and how good by the objectives of its search."""
    names = [o.name for o in Run.read(network.run).objectives]
    known = [(n, trial.data.metrics[n]) for n in names if n in trial.data.metrics]
    figures = ", ".join(f"{unit.label(n)} {unit.quantity(n, value)}" for n, value in known)
    run = network.run.rstrip("/").rsplit("/", 1)[-1]
    return (
        f"Network `{network.key}`, trial {trial.data.tags['irnas.trial']} of the search {run}: {figures}. "
        f"A {network.suffix} file of {len(network.content)} bytes."
    )


def _trial(client: Any, network: Network) -> Any:
    """The MLflow run of the trial."""
    run_id = Run.read(network.run).run_id
    where = f"tags.`irnas.run` = '{run_id}' and tags.`irnas.key` = '{network.key}'"
    runs = client.search_runs([e.experiment_id for e in client.search_experiments()], where)
    if not runs:
        raise SettingsError(f"run {network.run}: got no trial {network.key} in MLflow; must be one of its own")
    return runs[0]


def _log(client: Any, name: str, network: Network, trial: Any, tags: Mapping[str, str]) -> str:
    """Store the model, as an output of its trial; returns its id."""
    from mlflow import pyfunc
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    run_id = trial.info.run_id
    model = client.create_logged_model(
        trial.info.experiment_id,
        name=name,
        source_run_id=run_id,
        tags=dict(tags),
        params=dict(trial.data.params),
        model_type="irnas",
    )
    with tempfile.TemporaryDirectory() as folder:
        file, target = Path(folder) / f"network{network.suffix}", Path(folder) / "model"
        file.write_bytes(network.content)
        pyfunc.save_model(
            str(target),
            mlflow_model=Model(run_id=run_id, model_id=model.model_id, model_uuid=model.model_id),
            python_model=str(_CODE),
            artifacts={"network": str(file)},
            signature=_signature(network),
            input_example=_example(network.frames),
            pip_requirements=_requirements(network.suffix),
            metadata=dict(tags),
        )
        client.log_model_artifacts(model.model_id, str(target))
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, models=[LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)


def _signature(network: Network) -> Any:
    """Images in, masks out, both uint8."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import ParamSchema, ParamSpec, Schema, TensorSpec

    window = (-1,) if network.frames == 1 else (-1, network.frames)
    images, masks = (Schema([TensorSpec(np.dtype(np.uint8), shape)]) for shape in ((*window, -1, -1), (-1, -1, -1)))
    return ModelSignature(images, masks, ParamSchema([ParamSpec("threshold", "double", network.threshold)]))


def _example(frames: int) -> Any:
    """A black image; the model's page shows it as what a request holds."""
    import numpy as np

    return np.zeros((1, 8, 8) if frames == 1 else (1, frames, 8, 8), np.uint8)


def _requirements(suffix: str) -> list[str]:
    packages = ["mlflow", "numpy", "irnas", *(["onnxruntime"] if suffix == ".onnx" else [])]
    pins = []
    for package in packages:
        try:
            pins.append(f"{package}=={version(package)}")
        except PackageNotFoundError:
            # A checkout that was not installed.
            pins.append(package)
    return pins
