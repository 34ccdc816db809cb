"""Network families, found by the name of their module: irnas/models/<family>.py has build(values) -> nn.Module."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil

from torch import nn

from irnas.core.errors import SpaceError
from irnas.core.space import Genotype


def families() -> tuple[str, ...]:
    """The names of all families."""
    return tuple(sorted(info.name for info in pkgutil.iter_modules(__path__)))


def build(genotype: Genotype) -> nn.Module:
    """The untrained network that a genotype describes.

    It maps x float32 [N, C, H, W] in 0..1 to logits [N, 1, H, W]; irnas.nn.traits lists what it may say of itself.

    Raises:
        SpaceError: no such family, or values it cannot build.
    """
    module = f"irnas.models.{genotype.family}"
    if not genotype.family.isidentifier() or importlib.util.find_spec(module) is None:
        raise SpaceError(f"family: got {genotype.family!r}; one of {', '.join(families())}")
    network: nn.Module = importlib.import_module(module).build(genotype.values)
    return network
