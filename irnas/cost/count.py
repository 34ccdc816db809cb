"""What a network costs, counted from the network itself by one forward pass on the meta device.

The table irnas/cost/rules.py says for each layer type how large its output is, what it works and what it holds. In the
pass the table stands in for the layers' own arithmetic, which on meta tensors would take ten times as long to yield the
same shapes (a test holds the two together). A layer that the table lacks is an error, never a zero; one of a user's own
says what it works by a method ``work(x_shape, y_shape) -> Work``, and is then one layer with all that lies in it.

Totals follow BiisNet, section 4.1: OPs = full precision + binary/64, Params = full precision + binary/32. What is
counted is the network as it is deployed (irnas.nn.traits); papers count it as it is trained, which ``as_trained`` does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from irnas import models
from irnas.core import own_code
from irnas.core.errors import SpaceError
from irnas.core.space import Genotype
from irnas.cost.rules import RULES, Rule, Work, forward_shape, held
from irnas.cost.torch_rules import TORCH_RULES
from irnas.models import own
from irnas.nn import traits

Chw = tuple[int, int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """One layer of a network."""

    name: str
    type: str
    shape: tuple[int, ...]
    """Of its output, without the batch: (C, H, W)."""
    work: Work


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """All layers of a network in the order in which they run; totals are sums."""

    layers: tuple[LayerCost, ...]
    frames: int = 1
    """How many frames of a sequence the network looks at."""

    @property
    def total(self) -> Work:
        """The sum of all layers; ``bytes`` rounds up once."""
        return sum((layer.work for layer in self.layers), Work())

    def without(self, prefix: str) -> Cost:
        """The same without the layers whose names start so."""
        return replace(self, layers=tuple(layer for layer in self.layers if not layer.name.startswith(prefix)))

    def values(self) -> dict[str, float]:
        """Totals by the names of objectives."""
        total = self.total
        return {name: float(getattr(total, name)) for name in ("ops", "params", "macs", "elementwise", "bytes")}


_RULES = {**TORCH_RULES, **RULES}
_CONTAINERS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def count(module: nn.Module, input_chw: Chw, *, window: bool = False) -> Cost:
    """The cost of a network on one image of that size. The module itself is neither run nor changed.

    A network that keeps what it computed of earlier frames costs what the newest frame takes, or with ``window`` what
    all frames take together.

    Raises:
        SpaceError: a layer type without a rule, or a layer with parameters that the forward pass never reaches.
    """
    _require_positive(input_chw)
    return _count(deepcopy(module).to("meta"), input_chw, window)


def survey(genotype: Genotype, input_chw: Chw, *, window: bool = False, as_trained: bool = False) -> Cost:
    """The cost of a network as it is deployed, which is built without memory; any input size takes the same time.

    The network is that for images with the channels of the input (``models.with_channels``); one of many frames sees a
    window of them.

    Args:
        genotype: of the network, which nobody trained.
        input_chw: channels, height and width of the image.
        window: as in ``count``.
        as_trained: count the network as it is trained, as papers do: with what only its loss needs.
    """
    module = _build(genotype, input_chw)
    module = module if as_trained else traits.deploy(module)
    return _count_of(genotype, module, _input_of(module, input_chw), window=window)


def price(genotype: Genotype, input_chw: Chw) -> dict[str, float]:
    """The costs of a network by the names of the objectives of kind ``cost``, of which two are as papers count.

    ``bytes`` are what the numbers of the network take; irnas.deploy.price knows the size of its file.
    """
    trained = _build(genotype, input_chw)
    # A copy, for counting changes what it counts; itself where a network is deployed as it is trained.
    deployed = traits.deploy(trained)
    size_chw = _input_of(trained, input_chw)
    counted = _count_of(genotype, deployed, size_chw)
    printed = counted if deployed is trained else _count_of(genotype, trained, size_chw)
    costs = counted.values()
    if traits.frames(trained) > 1:
        # A file holds what all frames take.
        costs["bytes"] = float(survey(genotype, input_chw, window=True).total.bytes)
    return {**costs, "ops_paper": float(printed.total.ops), "params_paper": float(printed.total.params)}


def _count_of(genotype: Genotype, network: nn.Module, input_chw: Chw, *, window: bool = False) -> Cost:
    """The cost of a network whose forward may be a user's own code."""
    with own.blame(genotype.family):
        return _count(network, input_chw, window, must_be_map=own_code.is_own(genotype.family))


def _build(genotype: Genotype, input_chw: Chw) -> nn.Module:
    _require_positive(input_chw)
    with torch.device("meta"):
        return models.build(models.with_channels(genotype, input_chw[0]))


def _input_of(network: nn.Module, input_chw: Chw) -> Chw:
    num = traits.frames(network)
    return input_chw if num == 1 else (num, *input_chw[1:])


def _require_positive(input_chw: Chw) -> None:
    if min(input_chw) < 1:
        raise SpaceError(f"input: got {'x'.join(map(str, input_chw))}; must be positive channels, height and width")


def _count(module: nn.Module, input_chw: Chw, window: bool, *, must_be_map: bool = False) -> Cost:
    frames = traits.frames(module)
    module = module if window else traits.per_frame(module)
    layers: list[LayerCost] = []
    ruled = dict(_ruled(module))
    for name, part in ruled.items():
        part.forward = _stand_in(name, part, layers)
    with torch.no_grad():
        y_nchw = module(torch.empty(1, *input_chw, device="meta"))
    if must_be_map and tuple(y_nchw.shape) != (wanted := (1, 1, *input_chw[1:])):
        raise SpaceError(f"network: got an output of {list(y_nchw.shape)}; must be logits, {list(wanted)}")
    run = {layer.name for layer in layers}
    for name, part in ruled.items():
        if name not in run and held(part) != Work():
            raise SpaceError(f"cost of {name}: got a {type(part).__name__} with parameters that never runs; must run")
    return Cost(layers=tuple(layers), frames=frames)


def _ruled(module: nn.Module, name: str = "") -> Iterator[tuple[str, nn.Module]]:
    """The outermost parts that have a rule; what lies inside one belongs to it.

    Raises:
        SpaceError: a part that has no rule and is no mere composition of others.
    """
    if _rule_of(module) is not None:
        yield name or type(module).__name__, module
        return
    children = list(module.named_children())
    is_leaf = not children and not isinstance(module, _CONTAINERS)
    if is_leaf or next(module.parameters(recurse=False), None) is not None:
        known = ", ".join(sorted(layer.__name__ for layer in _RULES))
        must = f"must have a method work(self, x_shape, y_shape) -> irnas.cost.Work, or be one of {known}"
        raise SpaceError(f"cost of {name or 'network'}: got a layer of type {type(module).__name__}; {must}")
    for child_name, child in children:
        yield from _ruled(child, f"{name}.{child_name}" if name else child_name)


def _rule_of(part: nn.Module) -> Rule | None:
    """What is known of a layer's work: by the table, or by itself."""
    rule, own_work = _RULES.get(type(part)), getattr(type(part), "work", None)
    return Rule(own_work, forward_shape) if rule is None and callable(own_work) else rule


def _stand_in(name: str, part: nn.Module, layers: list[LayerCost]) -> Callable[..., Tensor]:
    """A forward that yields the shape of the layer's output and notes the cost."""
    rule, stored = _rule_of(part), [held(part)]
    assert rule is not None

    def forward(*inputs_nchw: Tensor) -> Tensor:
        shapes = [tuple(x.shape) for x in inputs_nchw]
        shape = rule.shape(part, *shapes)
        # A layer that runs twice works twice and is stored once.
        worked: object = rule.work(part, shapes[0], shape)
        if not isinstance(worked, Work):
            got = f"{type(worked).__name__} of {type(part).__name__}.work"
            raise SpaceError(f"cost of {name}: got {got}; must be irnas.cost.Work")
        work = worked + (stored.pop() if stored else Work())
        layers.append(LayerCost(name=name, type=type(part).__name__, shape=shape[1:], work=work))
        return inputs_nchw[0].new_empty(shape)

    return forward
