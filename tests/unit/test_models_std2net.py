"""STD2Net on windows and as a stream."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from support.literal_sd2net import heavy_head

from irnas import cost, models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.nn import loss, traits
from irnas.nn.channel import Unapplied
from irnas.nn.stream import Stream

SPACE = catalog.load("std2net")
HEADS = [{"temporal_head": "light"}, {"temporal_head": "heavy", "basis": "means"}]


def network(**values: Any) -> Any:
    """An untrained network of small size whose normalisation has seen two batches."""
    torch.manual_seed(0)
    point = {"c": 2, "features": 4, "frames": 3, **values}
    built = models.build(SPACE.complete(point))
    for _ in range(2):
        built(torch.rand(2, built.frames, 32, 32))
    return built.eval()


@pytest.mark.parametrize("values", HEADS, ids=str)
def test_a_stream_yields_what_the_window_yields(values: dict[str, Any]) -> None:
    model = network(**values)
    sequence = torch.rand(7, 2, 1, 32, 64)
    stream = Stream(model)
    for _ in range(2):
        for t, frame in enumerate(sequence):
            window = torch.cat([sequence[max(k, 0)] for k in range(t - 2, t + 1)], 1)
            with torch.no_grad():
                torch.testing.assert_close(stream(frame), model(window), rtol=0, atol=1e-6)
        stream.reset()


def test_a_stream_encodes_each_frame_once() -> None:
    model, seen = network(), []
    model.encoder.register_forward_hook(lambda layer, x, y: seen.append(len(x[0])))
    stream = Stream(model)
    for frame in torch.rand(5, 1, 1, 32, 32):
        stream(frame)
    assert seen == [1] * 5


@pytest.mark.parametrize("values", HEADS, ids=str)
def test_the_newest_frame_comes_last(values: dict[str, Any]) -> None:
    """A change of the newest frame moves the result more than none; the order of earlier frames is not free either."""
    model = network(**values)
    window = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        logits = model(window)
        features = model.encode(window.reshape(3, 1, 32, 32))
        torch.testing.assert_close(model.decode(features.reshape(1, -1, 32, 32)), logits)
        flipped = model.decode(features.flip(0).reshape(1, -1, 32, 32))
    assert (flipped - logits).abs().max() > 1e-4


def test_only_the_newest_frame_is_the_base_of_differences() -> None:
    layer = network(basis="difference").temporal.recombine
    frames = torch.rand(3, 1, 4, 8, 8)
    first, second = layer.maps(frames.reshape(1, 12, 8, 8))
    torch.testing.assert_close(first, frames[2] - frames[0])
    torch.testing.assert_close(second, frames[2] - frames[1])


def test_a_single_image_is_a_window_that_never_changed() -> None:
    model, x = network(), torch.rand(2, 1, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(model(x), model(x.expand(-1, 3, -1, -1)))


def test_the_heavy_head_is_the_literal_one() -> None:
    model = network(**HEADS[1]).double()
    features = torch.randn(2, 3, 4, 32, 64, dtype=torch.float64)
    with torch.no_grad():
        logits = model.decode(features.flatten(1, 2))
        torch.testing.assert_close(logits, heavy_head(model.temporal, features), rtol=1e-12, atol=1e-12)


def test_what_the_authors_never_apply_counts_and_is_not_deployed() -> None:
    model = network(**HEADS[1])
    unapplied = [part for part in model.modules() if isinstance(part, Unapplied)]
    assert sum(p.numel() for part in unapplied for p in part.parameters()) == 2 * 4
    assert not any(isinstance(part, Unapplied) for part in model.deploy().modules())
    assert any(isinstance(part, Unapplied) for part in model.modules())


@pytest.mark.parametrize("values", HEADS, ids=str)
def test_a_deployed_network_is_equal(values: dict[str, Any]) -> None:
    model, x = network(**values), torch.rand(1, 3, 32, 64)
    with torch.no_grad():
        torch.testing.assert_close(model.deploy()(x), model(x), rtol=1e-5, atol=1e-6)


def test_a_new_frame_takes_the_encoder_once() -> None:
    model = network()
    newest, window = (cost.count(model, (3, 32, 32), window=w) for w in (False, True))
    by_part = [
        {part: sum(x.work.macs for x in counted.layers if x.name.startswith(part)) for part in ("encoder", "temporal")}
        for counted in (newest, window)
    ]
    assert by_part[1]["encoder"] == 3 * by_part[0]["encoder"]
    assert by_part[1]["temporal"] == by_part[0]["temporal"]
    assert {x.name for x in newest.layers} == {x.name for x in window.layers}


def test_the_face() -> None:
    model = network(frames=5)
    assert (traits.frames(model), traits.stride(model)) == (5, 32)
    x, truth = torch.rand(2, 5, 32, 32), (torch.rand(2, 1, 32, 32) > 0.9).float()
    torch.testing.assert_close(model.loss(x, truth), loss.softiou(model(x), truth))


def test_what_it_refuses() -> None:
    with pytest.raises(DataError, match="got 2 frames; must be 1 or 3"):
        network()(torch.rand(1, 2, 32, 32))
    with pytest.raises(DataError, match="got 40x32 pixels; must be multiples of 32"):
        network()(torch.rand(1, 3, 40, 32))
    with pytest.raises(SpaceError, match="temporal_head: got 'none'; one of light, heavy"):
        models.std2net.build({**SPACE.default().values, "temporal_head": "none"})
