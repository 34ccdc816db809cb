"""What MLflow serves: masks at the network's own threshold, unless a request names another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from support.native import library, products  # noqa: F401
from support.xnor_file import tiny

from irnas.runtime import format, reference
from irnas.tracking import registry

pytestmark = pytest.mark.usefixtures("library")


# MLflow says that it does not check what is typed as anything.
@pytest.mark.filterwarnings("ignore:.*type hint:UserWarning")
def test_masks_are_cut_at_the_networks_own_threshold(tmp_path: Path) -> None:
    from irnas.tracking import served_model

    image_hw = np.random.default_rng(5).integers(0, 256, (9, 13), dtype=np.uint8)
    wanted_hw = reference.predict(tiny(), image_hw)
    own = float(np.quantile(wanted_hw, 0.8))
    (tmp_path / "own.xnor").write_bytes(format.write(replace(tiny(), threshold=own)))
    network = served_model.Network()
    network.load_context(SimpleNamespace(artifacts={"network": str(tmp_path / "own.xnor")}))
    for params, limit in ((None, own), ({}, own), ({"threshold": 0.5}, 0.5)):
        masks_nhw = network.predict(None, image_hw[None], params)
        np.testing.assert_array_equal(masks_nhw[0], np.where(wanted_hw > np.float32(limit), 255, 0))


def test_the_signature_names_the_networks_own_threshold() -> None:
    network = registry.Network(run="r", key="k", suffix=".xnor", content=b"", frames=3, threshold=0.9241)
    signature = registry._signature(network)
    assert [(p.name, p.default) for p in signature.params] == [("threshold", 0.9241)]
    assert signature.inputs.inputs[0].shape == (-1, 3, -1, -1)
