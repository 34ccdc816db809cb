from __future__ import annotations

import torch

from irnas.nn.excite import SqueezeExcite


def test_each_channel_is_weighed_by_a_sigmoid_of_the_means() -> None:
    torch.manual_seed(0)
    layer, x = SqueezeExcite(6, 2).double(), torch.randn(3, 6, 4, 5, dtype=torch.float64)
    squeeze, expand = layer.excitation.squeeze, layer.excitation.expand
    assert squeeze.bias is not None and expand.bias is not None
    with torch.no_grad():
        y = layer(x)
        for image, weighed in zip(x, y, strict=True):
            mean = image.mean((1, 2))
            hidden = (squeeze.weight[:, :, 0, 0] @ mean + squeeze.bias).clamp(min=0)
            gate = 1 / (1 + torch.exp(-(expand.weight[:, :, 0, 0] @ hidden + expand.bias)))
            torch.testing.assert_close(weighed, image * gate.view(-1, 1, 1))


def test_one_image_does_not_see_another() -> None:
    torch.manual_seed(0)
    layer, x = SqueezeExcite(4, 1), torch.randn(2, 4, 5, 5)
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[:1], layer(x[:1]))
