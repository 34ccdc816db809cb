"""``irnas cost``: what a network costs before anybody trains it."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from irnas.cli.arguments import Json
from irnas.cli.console import make_console
from irnas.cli.options import parse_size

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from irnas.core.space import Genotype
    from irnas.cost.count import Chw, Cost, LayerCost
    from irnas.cost.rules import Work


def cost(
    space: Annotated[str, typer.Argument(metavar="SPACE", help="Name or folder of a search space.")],
    point: Annotated[
        str, typer.Argument(metavar="POINT", help="A published name, or axis=value,... over the defaults, or default.")
    ],
    size: Annotated[str, typer.Option("--input", metavar="CxHxW", help="Channels, height, width.")] = "1x256x256",
    device: Annotated[
        str | None, typer.Option(help="A profile: say too how fast the network would be there; see `irnas device`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Count what a network costs: operations, parameters, bytes; layer by layer and in all.

    OPs and Params follow the binary papers: a binary operation is 1/64, a binary weight 1/32. The full-precision work
    around convolutions, which those papers leave out, is listed beside them.

    Counted is the network as it is deployed, which is what a search compares. Papers count it as it is trained, with
    what only the loss needs; where that differs it is said below the table. The bytes below the table are those of the
    .xnor file where the network has one.
    """
    from irnas.core import catalog
    from irnas.deploy.price import price
    from irnas.training.space_check import require_buildable

    input_chw = parse_size(size)
    catalog.admit_code(space)
    require_buildable(space)
    genotype = catalog.find_point(space, point)
    counted = _count(space, genotype, input_chw)
    prices = {channels: price(genotype, (channels, *input_chw[1:])) for channels in counted}
    speed = {} if device is None else _speed(device, genotype, input_chw)
    window = _window(genotype, input_chw, counted[input_chw[0]].frames)
    if as_json:
        totals = {str(channels): costs for channels, costs in prices.items()}
        document = {"space": genotype.space, "point": point, "key": genotype.key, "input": size}
        typer.echo(json.dumps({**document, **totals[str(input_chw[0])], **speed, "channels": totals, **window}))
        return
    _print_cost(f"{genotype.space} {point}", input_chw, counted, prices)
    if window:
        ops, macs = (window["window"][name] / 1e9 for name in ("ops", "macs"))
        note = f"above: one more frame; all {window['frames']} frames of a window: {ops:.3f} G OPs, {macs:.3f} G MACs"
        make_console().print(note, highlight=False, soft_wrap=True)
    if speed:
        predicted = f"{speed['latency_ms']:.3g} ms, {speed['fps']:.4g} frames/s"
        make_console().print(f"predicted for {speed['device']}: {predicted}", highlight=False, soft_wrap=True)


def _count(space: str, genotype: Genotype, input_chw: Chw) -> dict[int, Cost]:
    """The cost by number of input channels: the asked one first, then what else of 1 and 3 the family takes."""
    from irnas import models
    from irnas.core import catalog
    from irnas.cost.count import survey

    asked, height, width = input_chw
    axis = models.input_axis(genotype.family)
    if axis is None:
        return {asked: survey(genotype, input_chw)}
    # Refuses what the family cannot take, naming what it can.
    parsed = catalog.load(space)
    parsed.genotype({**genotype.values, axis: asked})
    others = [c for c in (1, 3) if c in parsed[axis].values]
    return {c: survey(genotype, (c, height, width)) for c in dict.fromkeys([asked, *others])}


def _window(genotype: Genotype, input_chw: Chw, frames: int) -> dict[str, Any]:
    """For a network of many frames, what a whole window costs where nothing is kept of earlier frames."""
    from irnas.cost.count import survey

    if frames == 1:
        return {}
    return {"frames": frames, "window": survey(genotype, input_chw, window=True).values()}


def _speed(device: str, genotype: Genotype, input_chw: Chw) -> dict[str, Any]:
    from irnas.deploy.device.target import measure_or_predict_ms, open_target, to_objectives

    target = open_target(device)
    return {"device": target.name, **to_objectives(measure_or_predict_ms(target, genotype, input_chw))}


def _group(layer: LayerCost) -> str:
    """The part of a network that a layer belongs to: its name up to the last leading index, such as enc.0.1."""
    head, *rest = layer.name.split(".")
    return ".".join([head, *itertools.takewhile(str.isdecimal, rest)])


def _print_cost(title: str, input_chw: Chw, counted: dict[int, Cost], prices: dict[int, dict[str, float]]) -> None:
    from rich.table import Table

    table = Table(title=f"{title}, input {'x'.join(map(str, input_chw))}", title_justify="left")
    table.add_column("part")
    table.add_column("convolution")
    for name in ("output", "OPs M", "fp", "binary/64", "Params", "fp", "bits", "MACs M", "element-wise M", "bytes"):
        table.add_column(name, justify="right")
    chosen = counted[input_chw[0]]
    for name, shape, kinds, work in _rows(chosen):
        table.add_row(name, kinds, "x".join(map(str, shape)), *_cells(work))
    table.add_section()
    table.add_row("total", "", "", *_cells(chosen.total))
    console = make_console()
    console.print(table)
    for channels, each in counted.items():
        total, costs = each.total, prices[channels]
        console.print(
            f"{channels} channel{'s' if channels > 1 else ''}: "
            f"{total.params / 1e3:.2f} K Params, {total.ops / 1e9:.3f} G OPs ("
            f"{total.ops_full / 1e6:.1f} M full precision + {total.ops_binary / 64e6:.1f} M binary/64), "
            f"{total.elementwise / 1e9:.3f} G element-wise, {total.macs / 1e9:.3f} G MACs, {costs['bytes']:.0f} bytes",
            highlight=False,
            soft_wrap=True,
        )
        if (costs["params_paper"], costs["ops_paper"]) != (total.params, total.ops):
            params, ops = costs["params_paper"] / 1e3, costs["ops_paper"] / 1e9
            line = f"as papers count, with what only training needs: {params:.2f} K Params, {ops:.3f} G OPs"
            console.print(line, highlight=False, soft_wrap=True)


def _rows(cost: Cost) -> Iterator[tuple[str, tuple[int, ...], str, Work]]:
    """(part, output shape, its convolutions, its work) as they run; parts that cost nothing are left out."""
    from irnas.cost.rules import Work

    for name, group in itertools.groupby(cost.layers, key=_group):
        layers = list(group)
        work = sum((layer.work for layer in layers), Work())
        if work != Work():
            yield name, layers[-1].shape, _kinds(layers), work


def _kinds(layers: Iterable[LayerCost]) -> str:
    names = [layer.type for layer in layers if layer.work.macs]
    return ", ".join(f"{len(list(same))} {name}" for name, same in itertools.groupby(names))


def _cells(work: Work) -> list[str]:
    return [
        f"{work.ops / 1e6:.2f}",
        f"{work.ops_full / 1e6:.2f}",
        f"{work.ops_binary / 64e6:.2f}",
        f"{work.params:.1f}",
        str(work.numbers),
        str(work.bits),
        f"{work.macs / 1e6:.2f}",
        f"{work.elementwise / 1e6:.2f}",
        str(work.bytes),
    ]
