"""The kit that every family passes: whatever its space can say is built, runs, learns and has a cost.

A family is added by its space and its module; nothing here changes. `IRNAS_KIT_SAMPLES=25 pytest tests/contracts` looks
at fifty random networks of each family instead of eight, and exports each of them.
"""

from __future__ import annotations

import io
import random
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import torch
from support.kit import NUM_SAMPLES
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from irnas import cost, models
from irnas.core import catalog
from irnas.core.errors import DataError
from irnas.core.objective import OBJECTIVES
from irnas.core.space import Genotype
from irnas.cost.rules import RULES
from irnas.nn import traits
from irnas.nn.channel import Unapplied

SIDE = 32
# Moving and viewing are no arithmetic.
FREE = ("view", "expand", "slice", "split", "chunk", "cat", "detach", "alias", "empty", "clone", "t.default")


def samples() -> Iterator[Any]:
    for name in catalog.list_names():
        space = catalog.load(name)
        rng = random.Random(f"families {name}")
        yield pytest.param(space.default(), id=f"{name}-default")
        for kind, source in (("search", space.focus()), ("all", space)):
            for index in range(NUM_SAMPLES):
                genotype = space.genotype(source.sample(rng).values)
                yield pytest.param(genotype, id=f"{name}-{kind}-{index}")


def channels_of(genotype: Genotype) -> int:
    """Input channels: those of the axis, or the frames of a window, which are its channels."""
    axis = models.input_axis(genotype.family)
    if axis is not None:
        return int(genotype.values[axis])
    with torch.device("meta"):
        return traits.frames(models.build(genotype))


def image(genotype: Genotype) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(2, channels_of(genotype), SIDE, SIDE, generator=generator)


def build(genotype: Genotype) -> nn.Module:
    torch.manual_seed(0)
    return models.build(genotype)


@pytest.mark.parametrize("genotype", [*samples()])
def test_it_builds_runs_learns_and_has_a_cost(genotype: Genotype, request: pytest.FixtureRequest) -> None:
    network, x_nchw = build(genotype), image(genotype)
    logits = network(x_nchw)
    assert logits.shape == (2, 1, SIDE, SIDE) and logits.dtype == torch.float32
    values = cost.price(genotype, (channels_of(genotype), SIDE, SIDE))
    assert set(values) == {name for name, objective in OBJECTIVES.items() if objective.kind == "cost"}
    assert all(value >= 0 for value in values.values()) and values["params"] > 0
    truth = torch.zeros(2, 1, SIDE, SIDE)
    truth[:, :, 9:12, 20:22] = 1
    own = traits.own_loss(network)
    # What the paper's loss leaves out, the logits must reach, and the other way round.
    total = logits.tanh().mean() + (own(x_nchw, truth) if own else 0)
    assert total.shape == ()
    total.backward()
    # What a search varies must start finite. Beyond it lie points that no paper would train, such as forty layers of
    # full-precision maps without a scale, or normalisation of maps that a 1x1 stem leaves constant; there a trial may
    # fail, but each parameter must still take part.
    must_be_finite = "-all-" not in request.node.callspec.id
    assert logits.isfinite().all() or not must_be_finite
    # What a paper's code declares and never applies counts, and has no part in anything.
    idle = {id(p) for part in network.modules() if isinstance(part, Unapplied) for p in part.parameters()}
    for name, parameter in network.named_parameters():
        if id(parameter) in idle:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, f"{name} takes no part"
        assert parameter.grad.isfinite().all() or not must_be_finite, name


@pytest.mark.parametrize("genotype", [*samples()])
def test_it_survives_being_saved(genotype: Genotype) -> None:
    network, other = build(genotype).eval(), models.build(genotype).eval()
    buffer = io.BytesIO()
    torch.save(network.state_dict(), buffer)
    other.load_state_dict(torch.load(io.BytesIO(buffer.getvalue()), weights_only=True))
    with torch.no_grad():
        assert torch.equal(network(image(genotype)).nan_to_num(), other(image(genotype)).nan_to_num())


@pytest.mark.parametrize("genotype", [*samples()])
def test_its_cost_is_that_of_the_network(genotype: Genotype) -> None:
    counted = cost.survey(genotype, (channels_of(genotype), SIDE, SIDE), as_trained=True).total
    network = build(genotype)
    assert counted == cost.count(network, (channels_of(genotype), SIDE, SIDE)).total
    assert counted.bits + counted.numbers == sum(p.numel() for p in network.parameters())


class Watch(TorchDispatchMode):
    """Notes every operation that runs while no layer with a cost rule is at work."""

    def __init__(self) -> None:
        super().__init__()
        self.depth = 0
        self.uncounted: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if self.depth == 0 and not any(word in str(func) for word in FREE):
            self.uncounted.add(str(func))
        return func(*args, **(kwargs or {}))

    def enter(self, *_: object) -> None:
        self.depth += 1

    def leave(self, *_: object) -> None:
        self.depth -= 1


@pytest.mark.parametrize("genotype", [*samples()])
def test_no_arithmetic_escapes_the_count(genotype: Genotype) -> None:
    network, x, watch = build(genotype), image(genotype), Watch()
    for part in network.modules():
        if type(part) in RULES:
            part.register_forward_pre_hook(watch.enter)
            part.register_forward_hook(watch.leave)
    with torch.no_grad(), watch:
        network(x)
    assert watch.uncounted == set()
    assert watch.depth == 0


def test_one_seed_gives_one_network() -> None:
    for name in catalog.list_names():
        genotype = catalog.load(name).default()
        first, second = build(genotype).state_dict(), build(genotype).state_dict()
        assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", catalog.list_names())
def test_the_input_axis_says_what_it_takes(name: str) -> None:
    space = catalog.load(name)
    axis = models.input_axis(space.family)
    if axis is None:
        network = build(space.default()).eval()
        with pytest.raises(DataError, match=r"^network input: got \d"):
            network(torch.zeros(1, traits.frames(network) + 1, SIDE, SIDE))
        return
    assert space[axis].when is None
    for channels in space[axis].values:
        assert isinstance(channels, int)
        network = build(models.with_channels(space.default(), channels)).eval()
        assert network(torch.zeros(1, channels, SIDE, SIDE)).shape == (1, 1, SIDE, SIDE)


def test_published_names_are_distinct_and_numbers_plausible() -> None:
    for name in catalog.list_names():
        rows = catalog.load_published(name)
        assert len({row.name for row in rows}) == len(rows)
        for row in rows:
            assert row.source
            for printed in row.counts:
                assert len(printed["input"]) == 3 and set(printed) <= {"input", *OBJECTIVES}
            for values in row.results.values():
                assert values and all(0 <= value <= 1 and OBJECTIVES[n].kind == "metric" for n, value in values.items())


@pytest.mark.parametrize("name", catalog.list_names())
def test_a_search_can_find_what_the_papers_stand_for(name: str) -> None:
    space, rows = catalog.load(name).focus(), catalog.load_published(name)
    headlines = [row for row in rows if row.is_headline]
    assert headlines
    for row in headlines:
        assert row.genotype is not None
        assert space.genotype(row.genotype.values).key == row.genotype.key


def test_printed_speeds_are_numbers_of_a_named_processor() -> None:
    speeds = [s for name in catalog.list_names() for row in catalog.load_published(name) for s in row.speeds]
    assert len(speeds) > 30
    for speed in speeds:
        assert (
            speed["device"]
            and len({"fps", "seconds"} & set(speed)) == 1
            and set(speed) <= {"fps", "seconds", "device", "input"}
        )
        assert speed.get("fps", speed.get("seconds")) > 0
        assert len(speed.get("input", (1, 1, 1))) == 3


def digits_of(number: float) -> int:
    """Significant digits with which a number was printed: 3 of 705, 1 of 70000."""
    return len(f"{number:.12e}".partition("e")[0].replace(".", "").rstrip("0"))


def printed_rows() -> Iterator[Any]:
    for name in catalog.list_names():
        for row in catalog.load_published(name):
            for printed in row.counts if row.genotype else ():
                yield pytest.param(
                    row.genotype, printed, id=f"{name}-{row.name}-{'x'.join(map(str, printed['input']))}"
                )


@pytest.mark.parametrize(("genotype", "printed"), [*printed_rows()])
def test_a_published_design_has_the_counts_of_its_row(genotype: Genotype, printed: Mapping[str, Any]) -> None:
    channels, height, width = printed["input"]
    # As papers count, where that is not what is deployed.
    values = cost.survey(models.with_channels(genotype, channels), (channels, height, width), as_trained=True).values()
    for name, number in printed.items():
        if name != "input":
            value = values[name]
            # As printed, rounded; or where a paper counts a little otherwise, which its golden test looks at, near it.
            rounded = float(f"{value:.{digits_of(number) - 1}e}")
            assert rounded == number or value == pytest.approx(number, rel=0.005), (name, number, value)
