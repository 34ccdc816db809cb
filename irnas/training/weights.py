"""The one file of weights: a trained network, and what it says of itself.

It is a safetensors file, so nothing in it is executed and other tools read it too. Its metadata ``irnas`` is a JSON
document: the network's point of its space, the data, recipe and seed it was trained with, the threshold that belongs to
it. A search, a training and ``irnas import-weights`` write it; everything that takes a network reads it. Files of
before, which torch's own format held, are read as well and never written.
"""

from __future__ import annotations

import io
import json
import pickle
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor, nn

from irnas import models, storage
from irnas.core.errors import DataError, FormatError, IrnasError
from irnas.core.objective import OBJECTIVES
from irnas.core.result import Result
from irnas.core.space import Genotype
from irnas.models import rpcanet_plus_weights
from irnas.record.run import Run
from irnas.training.weights_info import OLD_SUFFIX, SUFFIX, WeightsInfo

__all__ = ["WeightsInfo", "find_weights", "read_weights", "restore", "weights_uri", "write_weights"]

_KEY = "irnas"
"""Of the metadata. It is the only one: safetensors writes several in no certain order."""
_LAYERS = "layer_versions"
"""In the document: the versions of layers, without which one that was mended could not refuse weights of before."""
_ZIP = b"PK\x03\x04"
"""How files in torch's own format begin."""
_METRICS = {name for name, objective in OBJECTIVES.items() if objective.kind == "metric"}
_MOST = 4096
"""Far above any number of a genotype; a file that claims more would keep the reader busy building."""
_UNREADABLE = (RuntimeError, ValueError, LookupError, EOFError, TypeError, AttributeError, pickle.UnpicklingError)


def weights_uri(run: str, key: str, replicate: int = 0) -> str:
    """Where the run at URI ``run`` keeps the weights of a genotype; each replicate above 0 has a file of its own."""
    return storage.join(run, "weights", f"{key}{f'-{replicate}' if replicate else ''}{SUFFIX}")


def write_weights(uri: str, network: nn.Module, info: WeightsInfo) -> None:
    """Write a network and what is known of it; the same network and facts give the same bytes.

    Raises:
        StorageError: the disk is full or read-only.
        ServiceError: the store does not answer.
    """
    state = network.state_dict()
    document = {**info.document(), _LAYERS: _layer_versions(state)}
    # Copies, as safetensors refuses tensors that share memory or lie in it out of order.
    tensors = {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format) for name, tensor in state.items()
    }
    text = json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
    storage.write(uri, safetensors.torch.save(tensors, metadata={_KEY: text}))


def read_weights(uri: str) -> tuple[nn.Module, WeightsInfo]:
    """The network in a file, in eval mode on the CPU, and what the file says of it.

    Files of ``irnas import-weights`` of version 0.1 are read too.

    Raises:
        DataError: there is no such file.
        FormatError: it is another file, damaged, or newer than this program; nothing in it is executed.
        ServiceError: the store does not answer.
    """
    content = storage.read(uri)
    if content is None:
        raise DataError(f"{_name(uri)}: got no such file; must be a file of weights (*{SUFFIX})")
    return _decode(content, _name(uri))


def restore(run: str, result: Result, replicate: int = 0) -> nn.Module:
    """The trained network of a finished trial of the run at URI ``run``, on the CPU, ready to predict.

    Raises:
        DataError: the run holds no weights for it.
        FormatError: the file is damaged, or of another network.
    """
    return _restore(run, result, replicate)[0]


def find_weights(run: Run, result: Result, replicate: int = 0) -> tuple[nn.Module, WeightsInfo]:
    """The trained network of a finished trial, as ``restore``, and what is known of it.

    Of weights that version 0.1 wrote, which say nothing of themselves, the record tells.

    Raises:
        DataError: the run holds no weights for it.
        FormatError: the file is damaged, or of another network.
    """
    network, info = _restore(run.uri, result, replicate)
    if info is not None:
        return network, info
    return network, WeightsInfo(
        genotype=result.genotype,
        origin="trained",
        data=run.data,
        split="fit",
        budget=run.settings.budget,
        recipe=run.settings.recipe,
        epochs=result.epochs,
        seed=result.seed,
        preset=run.settings.preset,
        is_range_known=False,
        values={name: value for name, value in result.values.items() if name in _METRICS},
        code_rev=result.code_rev,
    )


def _restore(run: str, result: Result, replicate: int) -> tuple[nn.Module, WeightsInfo | None]:
    """The network, and what its file says of it; None for a file of version 0.1."""
    uri = weights_uri(run, result.key, replicate)
    content = storage.read(uri)
    if content is not None:
        network, info = _decode(content, _name(uri))
        if info.genotype.key != result.key:
            raise FormatError(f"{_name(uri)}: got the network {info.genotype.key}; must be {result.key}")
        return network, info
    old_uri = storage.join(run, "weights", f"{result.key}{OLD_SUFFIX}")
    content = None if replicate else storage.read(old_uri)
    if content is None:
        which = f"{result.key}, replicate {replicate}" if replicate else result.key
        name = storage.redact_credentials(run)
        raise DataError(f"run {name}: got no weights of {which}; must be a trial that finished there")
    return _build(result.genotype, _unzip(content, _name(old_uri)), _name(old_uri)), None


def _name(uri: str) -> str:
    """What messages call a file."""
    return f"weights {storage.redact_credentials(uri)}"


def _decode(content: bytes, where: str) -> tuple[nn.Module, WeightsInfo]:
    if content.startswith(_ZIP):
        genotype, state = rpcanet_plus_weights.parse_imported(content, where)
        info = WeightsInfo(genotype=genotype, origin="imported from a file of the authors of RPCANet+")
        return _build(genotype, state, where), info
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, *_UNREADABLE):
        raise FormatError(f"{where}: got no safetensors file, or a damaged one; must be a file of weights") from None
    document = _read_document(content, where)
    versions = document.pop(_LAYERS, {})
    info = WeightsInfo.from_document(document, where)
    return _build(info.genotype, _with_versions(tensors, versions, where), where), info


def _read_document(content: bytes, where: str) -> dict[str, Any]:
    """What the metadata of a safetensors file says; the header itself has been checked."""
    length = int.from_bytes(content[:8], "little")
    metadata = json.loads(content[8 : 8 + length]).get("__metadata__") or {}
    if _KEY not in metadata:
        raise FormatError(f"{where}: got a safetensors file that does not say which network it is; must be of irnas")
    try:
        document = json.loads(metadata[_KEY])
    except (ValueError, RecursionError):
        document = None
    if not isinstance(document, dict):
        raise FormatError(f"{where}: got metadata that is no JSON object; must be as irnas wrote it")
    return document


def _unzip(content: bytes, where: str) -> Mapping[str, Any]:
    """The state dict that version 0.1 wrote of a trial; nothing in it is executed."""
    try:
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except _UNREADABLE:
        # What torch says of a file that it cannot read are paragraphs, with advice that must not be followed here.
        raise FormatError(f"{where}: got a file that torch cannot read safely; must be a saved state dict") from None
    if not isinstance(state, Mapping):
        raise FormatError(f"{where}: got a {type(state).__name__}; must be a saved state dict")
    return state


def _build(genotype: Genotype, state: Mapping[str, Any], where: str) -> nn.Module:
    """The network of a genotype with a state, in eval mode.

    Raises:
        FormatError: genotype and state do not fit together.
    """
    try:
        _check_size(genotype)
        with torch.device("meta"):
            wanted = models.build(genotype).state_dict()
        # Ahead of building, so that no file makes this process fill its memory.
        for name in {**wanted, **state}:
            shapes = [list(tensors[name].shape) if name in tensors else "nothing" for tensors in (state, wanted)]
            if shapes[0] != shapes[1]:
                raise FormatError(f"{name}: got {shapes[0]}; must be {shapes[1]} in the network {genotype.key}")
        network = models.build(genotype)
        network.load_state_dict(state)
    except (IrnasError, *_UNREADABLE) as error:
        raise FormatError(f"{where}: {' '.join(str(error).split())[:200]}") from None
    return network.eval()


def _check_size(genotype: Genotype) -> None:
    for name, value in genotype.values.items():
        if not isinstance(value, str) and not abs(value) <= _MOST:
            raise FormatError(f"{genotype.space}.{name}: got {value}; must be at most {_MOST}")


def _layer_versions(state: Mapping[str, Tensor]) -> dict[str, int]:
    """The layers whose version is not the first, as torch notes it beside a state dict."""
    notes: Mapping[str, Mapping[str, int]] = getattr(state, "_metadata", {})
    return {name: note["version"] for name, note in notes.items() if note.get("version", 1) != 1}


def _with_versions(tensors: Mapping[str, Tensor], versions: Any, where: str) -> Mapping[str, Tensor]:
    """A state dict as torch would have made it; layers that are not listed have the first version."""
    if not isinstance(versions, dict) or not all(type(version) is int for version in versions.values()):
        raise FormatError(f"{where}: got layer versions {str(versions)[:64]}; must be whole numbers by name")
    parts_of = [name.split(".") for name in tensors]
    layers = {".".join(parts[:depth]) for parts in parts_of for depth in range(len(parts))}
    state = OrderedDict(tensors)
    # torch looks for the versions in this attribute of the mapping, and has no other way to be told.
    vars(state)["_metadata"] = {name: {"version": versions.get(name, 1)} for name in layers}
    return state
