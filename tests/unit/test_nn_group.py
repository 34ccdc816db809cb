"""Every parameter is in one group, and only full-precision convolution weights decay."""

from __future__ import annotations

import torch
from torch import nn

from irnas import models
from irnas.core import catalog
from irnas.nn import Layer, Recipe, Sign, parameter_groups
from irnas.nn.group import SHARPNESS_RATE


def test_groups_hold_each_parameter_once() -> None:
    network = models.build(catalog.find_point("biisnet", "ReActNet"))
    groups = parameter_groups(network, 1e-3, 0.01)
    grouped = [id(p) for group in groups for p in group["params"]]
    assert sorted(grouped) == sorted(id(p) for p in network.parameters())


def test_only_full_precision_weights_decay() -> None:
    stem, layer = nn.Conv2d(1, 4, 3), Layer(Recipe(bn=True), "BC", 4, redist=True)
    groups = {group["name"]: group for group in parameter_groups(nn.Sequential(stem, layer), 1e-3, 0.01)}
    assert groups["weight"]["params"] == [stem.weight] and groups["weight"]["weight_decay"] == 0.01
    assert groups["free"]["weight_decay"] == groups["sharpness"]["weight_decay"] == 0
    assert [p.numel() for p in groups["sharpness"]["params"]] == [1]
    assert groups["sharpness"]["lr"] == 1e-3 * SHARPNESS_RATE and groups["free"]["lr"] == 1e-3
    free = {id(p) for p in groups["free"]["params"]}
    assert {id(layer.branch.conv.weight), id(stem.bias), id(layer.act.slope)} <= free


def test_groups_suit_an_optimiser_and_empty_ones_are_left_out() -> None:
    groups = parameter_groups(nn.Sequential(nn.Conv2d(1, 1, 1, bias=False), Sign("quad")), 1e-3, 0.0)
    assert [group["name"] for group in groups] == ["weight"]
    torch.optim.AdamW(groups)


def test_a_shared_layer_is_listed_once() -> None:
    conv = nn.Conv2d(2, 2, 1)
    assert sum(len(group["params"]) for group in parameter_groups(nn.Sequential(conv, conv), 1e-3, 0.0)) == 2
