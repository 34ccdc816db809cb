"""Counts against arithmetic written out by hand, and the shape rules against the layers' own forward."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from irnas import cost, models
from irnas.core import catalog
from irnas.core.errors import DataError, SpaceError
from irnas.core.objective import OBJECTIVES
from irnas.cost.rules import RULES, Work
from irnas.nn import BinaryConv2d, Layer, Recipe, Sign, WeightSign, traits

LIT10 = catalog.find_point("biisnet", "LIT10")


def binary(cin: int, cout: int, kernel: int, **options: object) -> BinaryConv2d:
    sign = None if options.pop("full", False) else Sign("quad")
    return BinaryConv2d(cin, cout, kernel, sign=sign, weight_sign=WeightSign("clip"), **options)  # type: ignore[arg-type]


def total(module: nn.Module, *input_chw: int) -> Work:
    return cost.count(module, input_chw).total  # type: ignore[arg-type]


def test_a_full_precision_convolution() -> None:
    work = total(nn.Conv2d(3, 4, 3, padding=1, bias=False), 3, 10, 20)
    assert work == Work(ops_full=4 * 200 * (2 * 27 - 1), macs_full=4 * 200 * 27, numbers=108)
    with_bias = total(nn.Conv2d(3, 4, 3, stride=2), 3, 11, 21)
    assert with_bias == Work(ops_full=4 * 50 * (2 * 27), macs_full=4 * 50 * 27, numbers=112)
    grouped = total(nn.Conv2d(4, 4, 1, groups=4, bias=False), 4, 2, 2)
    assert (grouped.ops, grouped.macs) == (16, 16)


def test_a_binary_convolution() -> None:
    work = total(binary(16, 8, 3, binarizer="xnor_mean"), 16, 4, 4)
    assert work == Work(ops_binary=8 * 16 * 287, macs_binary=8 * 16 * 144, elementwise=8 * 16, bits=1152)
    assert work.ops == 8 * 16 * 287 / 64 and work.params == 36 and work.bytes == 144
    assert total(binary(16, 8, 3, binarizer="sign"), 16, 4, 4).elementwise == 0
    assert total(binary(16, 8, 3, binarizer="adabin"), 16, 4, 4).elementwise == 3 * 8 * 16
    assert total(binary(16, 8, 3, binarizer="siman"), 16, 4, 4).numbers == 8
    assert total(binary(16, 8, 1, groups=4, stride=2), 16, 4, 4).ops_binary == 8 * 4 * 7


def test_binary_weights_on_full_precision_maps_save_memory_only() -> None:
    work = total(binary(16, 8, 3, full=True), 16, 4, 4)
    assert (work.ops_full, work.ops_binary, work.macs_full) == (8 * 16 * 287, 0, 8 * 16 * 144)
    assert (work.bits, work.numbers) == (1152, 0)


def test_a_layer_by_hand() -> None:
    """ReDistribution 2, dot binary 1, MaxOut 1, residual 1; 2c + 2c numbers and c bits."""
    work = total(Layer(Recipe(), "DB", 4, redist=True), 4, 8, 8)
    assert work == Work(ops_binary=256, macs_binary=256, elementwise=5 * 256, bits=4, numbers=16)
    # RPReLU 3, scale and shift 3, residual 1; 3c numbers and one k.
    work = total(Layer(Recipe(), "BC", 4), 4, 8, 8)
    assert work == Work(ops_binary=256 * 71, macs_binary=256 * 36, elementwise=7 * 256, bits=144, numbers=13)


@pytest.mark.parametrize(
    ("layer", "per_output"),
    [(nn.AvgPool2d(2), 4), (nn.MaxPool2d(2), 0), (nn.BatchNorm2d(2), 2), (nn.PReLU(2), 1), (nn.ReLU(), 0)],
)
def test_element_wise_work_by_hand(layer: nn.Module, per_output: int) -> None:
    counted = cost.count(nn.Sequential(layer), (2, 8, 8))
    assert counted.total.elementwise == per_output * math.prod(counted.layers[0].shape)


def test_interpolation_counts_two_passes_or_nothing() -> None:
    bilinear = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
    assert total(bilinear, 1, 4, 4).elementwise == 3 * 32 + 3 * 64
    assert total(nn.Upsample(scale_factor=2, mode="nearest"), 1, 4, 4).elementwise == 0


def test_bytes_round_up_once_for_all_layers() -> None:
    layers = [nn.Sequential(binary(3, 1, 1)) for _ in range(3)]
    chain = nn.Sequential(binary(3, 3, 1), binary(3, 3, 1))
    assert total(chain, 3, 2, 2).bytes == math.ceil(18 / 8) == 3
    assert total(layers[0], 3, 2, 2).bytes == 1


def test_a_layer_that_runs_twice_works_twice_and_is_stored_once() -> None:
    conv = nn.Conv2d(2, 2, 1, bias=False)
    assert total(nn.Sequential(conv, conv), 2, 4, 4) == Work(ops_full=2 * 32 * 3, macs_full=2 * 32 * 2, numbers=4)


def test_an_unknown_layer_is_an_error_that_names_it() -> None:
    must = r"must have a method work\(.*\) -> irnas\.cost\.Work, or be one of AdaptiveAvgPool2d, .*Add, "
    with pytest.raises(SpaceError, match=rf"cost of 1\.0: got a layer of type LPPool2d; {must}"):
        cost.count(nn.Sequential(nn.Identity(), nn.Sequential(nn.LPPool2d(2, 2))), (1, 4, 4))


ORDINARY = (
    nn.Conv1d(3, 4, 3), nn.ConvTranspose2d(3, 2, 2, stride=2), nn.ConvTranspose1d(3, 2, 3), nn.GroupNorm(3, 3),
    nn.LayerNorm(8), nn.InstanceNorm2d(3), nn.BatchNorm1d(3), nn.GELU(), nn.SiLU(), nn.Tanh(), nn.ReLU6(),
    nn.Dropout2d(), nn.PixelShuffle(2), nn.PixelUnshuffle(2), nn.ZeroPad2d(1), nn.AdaptiveAvgPool2d(1),
    nn.AdaptiveMaxPool2d(2), nn.UpsamplingBilinear2d(scale_factor=2), nn.Flatten(),
    nn.Conv2d(3, 4, (3, 1), padding="same"), nn.Conv2d(3, 4, (5, 1), dilation=(1, 2), padding=(2, 0)),
    nn.AvgPool2d((2, 1)), nn.MaxPool2d(3, 2, 1, dilation=1, ceil_mode=True), nn.Upsample(size=(5, 7)),
    nn.Upsample(scale_factor=1.5),
)  # fmt: skip


@pytest.mark.parametrize("layer", ORDINARY, ids=str)
def test_an_ordinary_layer_of_torch_has_a_rule_with_the_shape_of_its_forward(layer: nn.Module) -> None:
    x = torch.zeros((2, 3, 8) if type(layer).__name__.endswith("1d") else (2, 4, 8, 8))
    x = x[:, :3] if not isinstance(layer, nn.PixelShuffle) else x
    with torch.no_grad():
        wanted = layer.eval()(x)
    (counted,) = cost.count(nn.Sequential(layer), tuple(x.shape[1:])).layers  # type: ignore[arg-type]
    assert counted.shape == wanted.shape[1:]


def test_what_ordinary_layers_work_by_hand() -> None:
    # 16 numbers of 3 channels meet 2 x 2 taps of 2 filters.
    up = total(nn.Sequential(nn.ConvTranspose2d(3, 2, 2, stride=2)), 3, 4, 4)
    assert (up.macs, up.ops, up.numbers) == (3 * 16 * 8, 2 * 3 * 16 * 8, 26)
    assert total(nn.Sequential(nn.GroupNorm(3, 3)), 3, 4, 4).elementwise == 6 * 48
    assert total(nn.Sequential(nn.GELU()), 3, 4, 4).elementwise == 48
    assert total(nn.Sequential(nn.AvgPool2d((2, 1))), 3, 4, 4).elementwise == 2 * 24
    assert total(nn.Sequential(nn.Conv2d(3, 4, (3, 1), padding="same", bias=False)), 3, 4, 4).macs == 9 * 64


class Gain(nn.Module):
    """A layer of a user's own."""

    def __init__(self, answer: object = None) -> None:
        super().__init__()
        self.gain, self.answer, self.inner = nn.Parameter(torch.ones(3)), answer, nn.Conv2d(3, 2, 1, bias=False)

    def forward(self, x_nchw: Tensor) -> Tensor:
        y_nchw: Tensor = self.inner(x_nchw * self.gain.reshape(1, -1, 1, 1))
        return y_nchw

    def work(self, x: tuple[int, ...], y: tuple[int, ...]) -> object:
        return self.answer or Work(elementwise=math.prod(x), macs_full=math.prod(y) * 3)


def test_a_layer_may_say_itself_what_it_works() -> None:
    (layer,) = cost.count(nn.Sequential(Gain()), (3, 4, 4)).layers
    assert (layer.type, layer.shape) == ("Gain", (2, 4, 4))
    assert layer.work == Work(elementwise=48, macs_full=96, numbers=3 + 6)
    with pytest.raises(SpaceError, match=r"cost of 0: got dict of Gain\.work; must be irnas\.cost\.Work"):
        cost.count(nn.Sequential(Gain({"macs": 1})), (3, 4, 4))


def test_a_composition_with_own_parameters_is_unknown_too() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner, self.gain = nn.Identity(), nn.Parameter(torch.ones(1))

        def forward(self, x_nchw: Tensor) -> Tensor:
            return self.inner(x_nchw) * self.gain

    with pytest.raises(SpaceError, match="got a layer of type Scaled"):
        cost.count(Scaled(), (1, 4, 4))


def test_a_layer_that_never_runs_is_an_error() -> None:
    class Idle(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.spare = nn.Identity(), nn.Conv2d(1, 1, 1)

        def forward(self, x_nchw: Tensor) -> Tensor:
            y_nchw: Tensor = self.used(x_nchw)
            return y_nchw

    with pytest.raises(SpaceError, match="cost of spare: got a Conv2d with parameters that never runs"):
        cost.count(Idle(), (1, 4, 4))


def test_counting_leaves_the_network_alone() -> None:
    network = models.build(LIT10)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    x = torch.rand(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    y = network(x)
    costs = cost.price(LIT10, (1, 64, 64))
    assert cost.count(network, (1, 64, 64)).values().items() <= costs.items()
    # It is deployed as it is trained.
    assert (costs["ops_paper"], costs["params_paper"]) == (costs["ops"], costs["params"])
    assert network.training and torch.equal(network(x), y)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_price_has_all_costs_for_the_channels_of_the_input() -> None:
    costs = cost.price(LIT10, (3, 256, 256))
    assert set(costs) == {name for name, objective in OBJECTIVES.items() if objective.kind == "cost"}
    assert all(isinstance(value, float) for value in costs.values())
    assert costs["params"] - cost.price(LIT10, (1, 256, 256))["params"] == 2 * 9 * 16
    quarter = cost.price(LIT10, (3, 128, 128))
    assert quarter["ops"] * 4 == costs["ops"] and quarter["params"] == costs["params"]


@pytest.mark.parametrize("size", [(1, 100, 512), (0, 64, 64), (1, 0, 64)])
def test_sizes_that_do_not_fit_are_refused(size: cost.Chw) -> None:
    with pytest.raises((DataError, SpaceError), match="must be"):
        cost.price(LIT10, size)


def test_parts_can_be_left_out_by_name() -> None:
    counted = cost.survey(LIT10, (1, 64, 64))
    bottom = [layer for layer in counted.layers if layer.name.startswith("bottom.")]
    rest = counted.without("bottom.")
    assert len(rest.layers) == len(counted.layers) - len(bottom)
    assert rest.total + sum((layer.work for layer in bottom), Work()) == counted.total


@pytest.mark.parametrize(
    "point", ["LIT10", "Bi-RealNet", "SiMaN", "BBCU", "down=maxpool,up=nearest", "trans=none,down=stride2"]
)
def test_shapes_by_rule_equal_shapes_by_forward(point: str) -> None:
    genotype = catalog.find_point("biisnet", point)
    network, shapes = models.build(genotype).eval(), []

    def note(name: str) -> object:
        return lambda _module, _inputs, output: shapes.append((name, tuple(output.shape[1:])))

    counted = cost.survey(genotype, (1, 32, 48))
    ruled = {layer.name for layer in counted.layers}
    for name, part in network.named_modules():
        if name in ruled:
            assert type(part) in RULES
            part.register_forward_hook(note(name))  # type: ignore[arg-type]
    network(torch.zeros(1, 1, 32, 48))
    assert shapes == [(layer.name, layer.shape) for layer in counted.layers]


def test_a_network_is_counted_as_it_is_deployed() -> None:
    """One stage of RPCANet+ by hand: trunks of 4 channels, 32 wide ones, two hidden."""
    genotype = catalog.find_point("rpcanet_plus", "stages=1")
    excite = 2 * 32 * 2 + 2 + 32
    ends = (9 * 4 * 32 + 32) + (9 * 32 + 1) + excite
    background = 2 * 4 + 3 * (9 * 16 + 4) + ends
    target = 2 * 4 + 6 * (9 * 16 + 4) + ends + 1
    deployed, trained = (cost.survey(genotype, (1, 256, 256), as_trained=k).total for k in (False, True))
    assert deployed.numbers == background + target == 4619 and trained.numbers == 35_986
    # A 5x5 kernel for every wide channel and every channel of the trunk, its constants, and the edges of both ends.
    assert deployed.constants == 2 * (32 * 4 * 25 + 32 + 4 * 3 * (32 * 4 + 32) - 9 * 32)
    assert deployed.bytes == 4 * (deployed.numbers + deployed.constants)
    assert round(deployed.ops / 1e9, 3) == 0.199 and round(trained.ops / 1e9, 3) == 4.554
    costs = cost.price(genotype, (1, 256, 256))
    assert (costs["ops"], costs["params"]) == (deployed.ops, deployed.params)
    assert (costs["ops_paper"], costs["params_paper"]) == (trained.ops, trained.params)


@pytest.mark.parametrize("name", catalog.list_names())
def test_a_deployed_network_without_memory_costs_what_one_with_weights_does(name: str) -> None:
    genotype = models.with_channels(catalog.load(name).default(), 1)
    with torch.device("meta"):
        num = traits.frames(models.build(genotype))
    network = models.build(genotype)
    counted = cost.count(traits.deploy(network), (num, 64, 64))
    assert counted == cost.survey(genotype, (1, 64, 64))


@pytest.mark.parametrize(
    ("space", "points", "num"),
    [
        ("rpcanet_plus", ["stages=1", "stages=1,depth_m=1", "stages=1,depth_n=0,merge_bc=4,carry_n=true"], 1),
        ("rpcanet_plus", ["stages=2", "stages=2,depth_m=1", "stages=2,depth_n=0", "stages=1", "stages=1,bc=8"], 5),
        ("adsnet", ["drop=0/0", "drop=0/0,grid=8", "drop=0/0,grid=32"], 1),
        ("adsnet", ["drop=0/0.25", "drop=0/0.25,grid=8", "drop=0/0,d=16"], 3),
        ("biisnet", ["LIT10", "default"], 1),
    ],
)
def test_points_that_deploy_alike_have_one_representative(space: str, points: list[str], num: int) -> None:
    genotypes = [catalog.find_point(space, point) for point in points]
    assert len({models.representative(genotype).key for genotype in genotypes}) == num
    with torch.device("meta"):
        deployed = {g.key: repr(traits.deploy(models.build(g))) for g in genotypes}
    for genotype in genotypes:
        stands_for = models.representative(genotype)
        with torch.device("meta"):
            assert repr(traits.deploy(models.build(stands_for))) == deployed[genotype.key]
