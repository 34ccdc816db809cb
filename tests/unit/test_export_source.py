"""On which images a file is compared with its network."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.datasets import tiny
from torch import nn

from irnas.core.errors import DataError
from irnas.data import Dataset
from irnas.deploy.export.source import Source
from irnas.deploy.export.write import Origin
from irnas.metrics import PRESETS


def source_on(*splits: str) -> Source:
    members = {name: tiny().manifest.splits[name] for name in splits}
    dataset: Dataset = replace(tiny(), manifest=replace(tiny().manifest, splits=members))
    return Source(
        network=nn.Identity(), origin=Origin(name="n", trial="k"), rules=PRESETS["basicirstd"], dataset=dataset
    )


def test_a_set_without_validation_compares_on_what_it_trains_on() -> None:
    for splits, label in ((("train", "fit", "val", "test"), "val"), (("train", "fit"), "fit"), (("train",), "train")):
        split = source_on(*splits).split
        assert split is not None and split.label == label
    assert replace(source_on("val"), dataset=None).split is None


def test_nothing_is_compared_on_a_test_split() -> None:
    with pytest.raises(DataError, match="got no split 'val'"):
        _ = source_on("test").split
