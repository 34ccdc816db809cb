"""Network families, found by the name of their module: irnas/models/<family>.py has build(values) -> nn.Module.

A family may name the axis of its spaces that holds the number of input channels: INPUT_AXIS = "in_ch". Without one its
networks take one channel, or a window of frames. Weights that others published are read by <family>_weights.py.
A family of a user is the code beside its space instead; see irnas.models.own.
"""

from __future__ import annotations

import functools
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import ModuleType

from torch import nn

from irnas.core import own_code
from irnas.core.errors import IrnasError, SpaceError
from irnas.core.space import Genotype, Value
from irnas.models import own
from irnas.nn import traits

Values = Mapping[str, Value]


@functools.cache
def families() -> tuple[str, ...]:
    """The names of all families."""
    names = (info.name for info in pkgutil.iter_modules(__path__))
    return tuple(sorted(name for name in names if not name.endswith("_weights") and name != "own"))


def build(genotype: Genotype) -> nn.Module:
    """The untrained network that a genotype describes.

    It maps x float32 [N, C, H, W] in 0..1 to logits [N, 1, H, W]; irnas.nn.traits lists what it may say of itself.

    Raises:
        SpaceError: no such family, values it cannot build, or a network that misspells a trait.
    """
    module = _family(genotype.family)
    with own.blame(genotype.family):
        network: object = _build(module, genotype)
    if not isinstance(network, nn.Module):
        raise SpaceError(f"family {genotype.family}: got {type(network).__name__} of build; must be a torch.nn.Module")
    traits.check(network, genotype.family)
    return network


def _build(module: ModuleType, genotype: Genotype) -> object:
    """What a family makes of the values.

    Raises:
        SpaceError: the values lack an axis that the family reads, or it can make nothing of them.
    """
    try:
        return module.build(genotype.values)
    except KeyError as error:
        axis = error.args[0] if error.args else None
        if not isinstance(axis, str) or axis in genotype.values or own_code.is_own(genotype.family):
            raise
        raise SpaceError(
            f"space {genotype.space}: got no axis {axis!r}; must have it, for family {genotype.family} reads it"
        ) from error
    except (ValueError, TypeError, ArithmeticError, IndexError, RuntimeError) as error:
        if isinstance(error, IrnasError) or own_code.is_own(genotype.family):
            raise
        values = ", ".join(f"{axis}={value}" for axis, value in genotype.values.items())
        got = f"{values} ({type(error).__name__}: {' '.join(str(error).split())[:160]})"
        raise SpaceError(f"space {genotype.space}: got {got}; must be what {genotype.family} can build") from error


def input_axis(family: str) -> str | None:
    """The axis that holds the number of input channels; None for a family whose networks take one channel or a window.

    Raises:
        SpaceError: no such family.
    """
    axis: str | None = getattr(_family(family), "INPUT_AXIS", None)
    return axis


def with_channels(genotype: Genotype, channels: int) -> Genotype:
    """The genotype of the same network for images of that many channels; itself where its family has no such axis.

    Raises:
        SpaceError: no such family, or the family names an axis that the genotype lacks.
    """
    axis = input_axis(genotype.family)
    if axis is None:
        return genotype
    if axis not in genotype.values:
        known = ", ".join(genotype.values)
        raise SpaceError(f"family {genotype.family}: got INPUT_AXIS {axis!r}; must be one of {known}")
    return replace(genotype, values={**genotype.values, axis: channels})


def representative(genotype: Genotype) -> Genotype:
    """The genotype that stands for all that deploy to the same network; itself where no other does.

    A family says so with ``representative(values) -> values``. Axes that are there to shape the training, such as a
    gradient estimator, tell networks apart although they deploy alike.
    """
    try:
        module = _family(genotype.family)
    except SpaceError:
        # Of a family that is not here, no more is known than what was recorded.
        return genotype
    choose: Callable[[Values], Values] = getattr(module, "representative", lambda values: values)
    return replace(genotype, values=choose(genotype.values))


def _family(name: str) -> ModuleType:
    if own_code.is_own(name):
        return own.module_of(name)
    if name not in families():
        raise SpaceError(f"family: got {name!r}; one of {', '.join(families())}")
    return importlib.import_module(f"irnas.models.{name}")
